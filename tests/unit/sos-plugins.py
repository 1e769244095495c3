#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugins for sosreport, run with a stand-in for sos: they take no key, and
ask only for what hermitctl and hermit-memserver know.

    sos-plugins.py SOURCE-ROOT HERMITCTL MEMSERVER"""
import fnmatch
import glob
import os
import re
import subprocess
import sys
import types

source, hermitctl, memserver = sys.argv[1:]
sys.dont_write_bytecode = True


class Plugin:
    def __init__(self):
        self.forbidden, self.files, self.commands, self.units = [], [], [], []

    def add_forbidden_path(self, paths):
        self.forbidden += paths

    def add_copy_spec(self, paths):
        self.files += paths

    def add_cmd_output(self, commands):
        self.commands += commands

    def add_journal(self, units):
        self.units += [units] if isinstance(units, str) else units


class IndependentPlugin:
    pass


plugins = types.ModuleType("sos.report.plugins")
plugins.Plugin, plugins.IndependentPlugin = Plugin, IndependentPlugin
for name in "sos", "sos.report":
    sys.modules[name] = types.ModuleType(name)
sys.modules["sos.report.plugins"] = plugins


def usage(program):
    return subprocess.run([program, "--help"], check=True, text=True, stdout=subprocess.PIPE).stdout


known = {"hermitctl": usage(hermitctl), "hermit-memserver": usage(memserver)}
with open(source + "/debian/control") as f:
    packages = re.findall(r"^Package: (\S+)", f.read(), re.M)
units = [os.path.basename(path).split(".service")[0].split(".")[-1]
         for path in glob.glob(source + "/**/*.service*", recursive=True)]
paths = glob.glob(source + "/debian/sos/*.py")
assert len(paths) == 2, paths
for path in paths:
    name = os.path.basename(path)[:-3]
    module = types.ModuleType(name)
    with open(path) as f:
        exec(compile(f.read(), path, "exec"), module.__dict__)
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Plugin) and c is not Plugin]
    assert len(classes) == 1 and classes[0].plugin_name == name, path
    p = classes[0]()
    p.setup()
    for key in "/etc/hermit/key", "/etc/hermit/keys/host1":
        assert any(key.startswith(f) for f in p.forbidden), f"{name} takes {key}"
        assert not any(fnmatch.fnmatch(key, f) or key.startswith(f + "/") for f in p.files), f"{name} takes {key}"
    assert set(p.packages) <= set(packages), p.packages
    assert p.files and p.commands and p.units
    assert set(p.units) <= set(units), (p.units, units)
    for command in p.commands:
        words = command.split()
        if words[0] not in known:
            continue
        for word in words[1:]:
            # an option with its value, or a command
            if word.startswith("--") or re.fullmatch(r"[a-z]+", word):
                assert re.search(rf"(?<![\w-]){word}(?![\w-])", known[words[0]]), f"{command}: what is {word}?"
print(f"{len(paths)} plugins")
