#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is every figure that the alert rules and the dashboard name one that there is?
And is each alert in the runbook, with all that an entry has to say?

    monitoring.py FOLDER HERMITCTL-EXPORT MEMSERVER    check them
    monitoring.py --self-test                          find what is wrong on purpose

HERMITCTL-EXPORT prints what "hermitctl export" does of a made-up host; the
server is run, and asked."""
import json
import re
import subprocess
import sys
import urllib.request

# of node_exporter, and of Prometheus itself
OTHERS = {"node_textfile_mtime_seconds", "up"}
SUFFIXES = ("_bucket", "_sum", "_count")


def figures(text):
    """What is exported: the labels of each name, and the values of each label."""
    found = {}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M):
        for suffix in SUFFIXES if kind == "histogram" else ("",):
            found[name + suffix] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            found[name].setdefault(label, set()).add(value)
    return found


def wrong(expression, known):
    """What the expression names and nobody exports."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(?:by|without|on|ignoring) *\([^)]*\)", " ", bare)
    # a function has a parenthesis behind it
    for name in re.findall(r"\b([a-z]\w*)\b(?! *\()", bare):
        if name not in known and name not in OTHERS and "_" in name:
            yield f"nobody exports {name}"
    for name, matchers in re.findall(r"\b(\w+)\{([^}]*)\}", expression):
        labels = known.get(name)
        if not labels:
            continue
        for label, operator, value in re.findall(r'(\w+) *(!?=~?) *"([^"]*)"', matchers):
            if label not in labels:
                yield f"{name} has no label {label}"
            elif label == "state" and not value.startswith("$"):
                for one in value.split("|"):
                    if one not in labels[label]:
                        yield f"{name} has no state {one}"


def runbook(rules, text):
    """What is missing: the entry of an alert, its anchor, a part of an entry, an alert."""
    alerts = re.findall(r"- alert: (\w+)\n((?:(?! *- alert:).*\n)*)", rules + "\n")
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for alert, rest in alerts:
        if f'runbook: "runbook.md#{alert.lower()}"\n' not in rest:
            yield f"{alert} does not name its entry of the runbook"
        if alert not in entries:
            yield f"runbook.md has no entry {alert}"
    for entry, body in entries.items():
        if entry not in [alert for alert, _ in alerts]:
            yield f"runbook.md: there is no alert {entry}"
        for part in "Means", "Look at", "Do":
            if not re.search(rf"^\*\*{part}\.\*\* \S", body, re.M):
                yield f"runbook.md: {entry} does not say '{part}'"


def expressions(rules, dashboard):
    for alert, expression in re.findall(r"- alert: (\w+)\n +expr: (.*)\n", rules):
        yield alert, expression
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        m = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"])
        if m:
            yield variable["name"], '%s{%s=~".*"}' % m.groups()


def check(folder, host, server):
    with open(folder + "/hermit-alerts.yml") as f:
        rules = f.read()
    with open(folder + "/hermit-dashboard.json") as f:
        dashboard = json.load(f)
    known = figures(host) | figures(server)
    found = list(expressions(rules, dashboard))
    assert rules.count("expr:") == rules.count("- alert:"), "a rule whose expression is not in its line"
    bad = [f"{where}: {what}" for where, e in found for what in wrong(e, known)]
    with open(folder + "/../runbook.md") as f:
        bad += runbook(rules, f.read())
    print(f"{len(found)} expressions, {len(known)} figures")
    return bad


def ask(memserver):
    with subprocess.Popen([memserver, "--listen", "tcp:127.0.0.1:0", "--metrics", "127.0.0.1:0",
                           "--capacity", "16M"], stdout=subprocess.PIPE, text=True) as p:
        try:
            for line in p.stdout:
                m = re.match(r"metrics on (http://\S+)", line)
                if m:
                    with urllib.request.urlopen(m.group(1), timeout=60) as answer:
                        return answer.read().decode()
            raise SystemExit("the server does not say where its metrics are")
        finally:
            p.terminate()


def self_test():
    known = figures('# TYPE hermit_a_bytes gauge\nhermit_a_bytes{domain="d",state="up"} 1\n'
                    '# TYPE hermit_t_seconds histogram\nhermit_t_seconds_bucket{le="1"} 1\n')
    for expression, errors in [
            ('sum by (domain) (rate(hermit_a_bytes{domain=~"$domain"}[5m])) > 0', 0),
            ('histogram_quantile(0.5, sum by (instance, le) (rate(hermit_t_seconds_bucket[5m])))', 0),
            ('hermit_a_bytes{state=~"up"} / hermit_a_bytes', 0),
            ('hermit_t_seconds', 1),
            ('rate(hermit_b_bytes[5m])', 1),
            ('hermit_a_bytes{server="x"}', 1),
            ('hermit_a_bytes{state=~"up|down"}', 1)]:
        got = list(wrong(expression, known))
        assert len(got) == errors, (expression, got)
    rules = "".join(f'- alert: {a}\n  annotations:\n    runbook: "runbook.md#{a.lower()}"\n' for a in "AB")
    entry = "## %s\n**Means.** x\n\n**Look at.** x\n\n**Do.** x\n\n"
    whole = entry % "A" + entry % "B"
    for r, text, errors in [
            (rules, whole, 0),
            (rules, entry % "A", 1),
            (rules, whole + entry % "C", 1),
            (rules, whole.replace("**Do.** x", "", 1), 1),
            (rules.replace("md#b", "md#a"), whole, 1)]:
        got = list(runbook(r, text))
        assert len(got) == errors, (text, got)


if sys.argv[1:] == ["--self-test"]:
    self_test()
    sys.exit()
folder, exporter, memserver = sys.argv[1:]
host = subprocess.run([exporter, "--print"], check=True, stdout=subprocess.PIPE, text=True).stdout
bad = check(folder, host, ask(memserver))
for line in bad:
    print(line)
sys.exit(1 if bad else 0)
