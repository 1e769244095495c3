#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""No circle of files, and no call from a lower room into a higher one.

    rooms.py SOURCE-ROOT     check the rooms of the project
    rooms.py --self-test     find what is planted in trees made for it

A room is a folder whose files are looked at together. In a room no header
includes itself by way of others, and no source calls itself by way of others:
A calls B when A names a function or an object that B defines and that is not
static; what an inline function or a macro of a header names is named by all who
use it.
A pointer to a function, handed down when something starts or is posted, is not
seen where it is called; that is the way to call up.
"""

import os
import re
import sys
import tempfile

# Rooms: name, folder, and folders below it that are not of it.
ROOMS = [
    ("kvm-module", "kvm-module", ["kvm-module/kvm-patches"]),
    ("memserver", "memserver", []),
    ("libvirt-hooks", "libvirt-hooks", []),
    ("QEMU's files", "qemu-patches/10.0/files", []),
]

# (folder, what of the project it may include and call, may it include <others>)
LAYERS = [
    ("kvm-module/core", r"kvm-module/core/", False),
    ("kvm-module/wire", r"kvm-module/(wire/|core/(env\.h|crc\.[ch])$)", False),
    ("kvm-module/link", r"kvm-module/(link|wire|core|uapi)/", True),
]
# The one place of core/ and wire/ that names the kernel and userland.
ENV = "kvm-module/core/env.h"

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
OTHERS = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(<[^>]+>)', re.M)
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)((?:[^\n]*\\\n)*[^\n]*)", re.M)
WORD = re.compile(r"[A-Za-z_]\w*")


def blank(match):
    return "\n" * match.group().count("\n") or " "


def code(text):
    """Without comments and strings; lines stay lines."""
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
                  blank, text, flags=re.S)
    # a tag is no function of the same name
    return re.sub(r"\b(struct|union|enum)(\s+)\w+", r"\1\2_", text)


def strip(text):
    """And without preprocessor lines."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code(text), flags=re.M)


def top_level(text):
    """Yield (head, body) of what stands at file level; body is '' for a declaration."""
    head, depth, body = [], 0, []
    for token in re.split(r"([{};])", strip(text)):
        if token == "{":
            depth += 1
            if depth > 1:
                body.append(token)
        elif token == "}":
            depth -= 1
            if depth:
                body.append(token)
            elif "(" in "".join(head).split("=")[0]:
                yield "".join(head), "".join(body)
                head, body = [], []
            else:
                # struct x { ... } y; or x = { ... };
                head.append("{}")
        elif token == ";" and not depth:
            yield "".join(head), "".join(body)
            head, body = [], []
        elif depth:
            body.append(token)
        else:
            head.append(token)


def name_of(head):
    """The function or object that a head defines, or None."""
    words = WORD.findall(head)
    if not words or words[0] in ("typedef", "extern"):
        return None
    before = head.split("=")[0]
    if "(" in before:
        match = re.search(r"([A-Za-z_]\w*)\s*\(", before)
        # a macro such as EXPORT_SYMBOL(x); has no type in front
        if not match or len(WORD.findall(before[:match.start() + 1])) < 2:
            return None
        return match.group(1)
    if "=" not in head and "{}" in head:
        return None
    names = WORD.findall(re.sub(r"\[[^]]*\]|\{\}", "", before))
    return names[-1] if len(names) > 1 else None


class File:
    def __init__(self, path, text):
        self.path = path
        self.includes = INCLUDE.findall(text)
        self.others = OTHERS.findall(text)
        self.defines, self.inline, self.words = set(), {}, set()
        for name, body in MACRO.findall(code(text)):
            self.inline[name] = set(WORD.findall(body))
        for head, body in top_level(text):
            name = name_of(head)
            static = re.search(r"\bstatic\b", head)
            function = "(" in head.split("=")[0]
            if path.endswith(".h"):
                if function and body and name:
                    self.inline[name] = set(WORD.findall(body))
                continue
            # a prototype defines nothing, and calls nothing
            if function and not body:
                continue
            if name and not static:
                self.defines.add(name)
            self.words |= set(WORD.findall(body)) | set(WORD.findall(head.partition("=")[2]))


def circles(edges):
    """Strongly connected parts of more than one node, each as a closed chain."""
    found, done = [], set()
    for start in sorted(edges):
        if start in done:
            continue
        before, queue, chain = {}, [start], None
        while queue and not chain:
            node = queue.pop(0)
            for nxt in sorted(edges.get(node, ())):
                if nxt == start:
                    chain = [start]
                    while node != start:
                        chain.insert(1, node)
                        node = before[node]
                    chain.append(start)
                    break
                if nxt not in before:
                    before[nxt] = node
                    queue.append(nxt)
        if chain:
            found.append(chain)
            done |= set(chain)
    return found


def read_room(root, folder, without):
    files = []
    for where, folders, names in os.walk(os.path.join(root, folder)):
        below = os.path.relpath(where, root)
        folders[:] = [d for d in folders if os.path.join(below, d) not in without]
        for name in names:
            if name.endswith((".c", ".h")):
                path = os.path.join(below, name)
                with open(os.path.join(root, path), encoding="utf-8") as f:
                    files.append(File(path, f.read()))
    return files


def resolve(file, include, known, folder):
    for base in (os.path.dirname(file.path), folder):
        path = os.path.normpath(os.path.join(base, include))
        if path in known:
            return path
    return None


def check(root, rooms=ROOMS, layers=LAYERS):
    errors, checked = [], 0
    for name, folder, without in rooms:
        files = read_room(root, folder, without)
        checked += len(files)
        if not files:
            errors.append(f"{name}: no file in {folder}; has it moved?")
        known = {f.path for f in files}
        includes = {f.path: {p for p in (resolve(f, i, known, folder) for i in f.includes) if p}
                    for f in files}
        for chain in circles(includes):
            errors.append(f"{name}: headers include each other: {' -> '.join(chain)}")

        where, inline = {}, {}
        for f in files:
            if f.path.endswith(".h"):
                for w, named in f.inline.items():
                    inline.setdefault(w, set()).update(named)
            for d in f.defines:
                where.setdefault(d, set()).add(f.path)
        calls, why = {}, {}
        for f in files:
            if not f.path.endswith(".c"):
                continue
            words, new = set(f.words), set(f.words)
            while new:
                new = set().union(*(here[w] for w in new for here in (inline, f.inline)
                                    if w in here)) - words
                words |= new
            for w in sorted(words - f.defines):
                for other in where.get(w, ()):
                    if other != f.path:
                        calls.setdefault(f.path, set()).add(other)
                        why.setdefault((f.path, other), w)
        for chain in circles(calls):
            errors.append(f"{name}: sources call each other in a circle: " + ", ".join(
                f"{a} calls {why[a, b]} of {b}" for a, b in zip(chain, chain[1:])))

        for f in files:
            for layer, may, others in layers:
                if not f.path.startswith(layer + "/"):
                    continue
                for i in f.includes:
                    path = resolve(f, i, known, folder)
                    if not path or not re.match(may, path):
                        errors.append(f"{f.path} includes {i}: {layer}/ may not")
                for i in f.others:
                    if not others and f.path != ENV:
                        errors.append(f"{f.path} includes {i}: {layer}/ may not, but for {ENV}")
                for other in sorted(calls.get(f.path, ())):
                    if not re.match(may, other):
                        errors.append(f"{f.path} calls {why[f.path, other]} of {other}: {layer}/ may not")
    return errors, checked


def self_test():
    trees = 0

    def tree(files, want):
        nonlocal trees
        trees += 1
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                    f.write(text)
            errors, _ = check(root, [("room", "kvm-module", [])])
        got = "\n".join(errors)
        if not (re.search(want, got) if want else not got):
            sys.exit(f"self-test: wanted '{want}' of {sorted(files)}, got '{got}'")

    k = "kvm-module/"
    clean = {
        k + "engine/a.h": '#include "engine/b.h"\nint a(void);\n',
        k + "engine/b.h": "int b(void);\nint up(int (*fn)(void));\n",
        k + "engine/a.c": '#include "engine/a.h"\nint a(void)\n{\n\treturn b() + up(a);\n}\n',
        k + "engine/b.c": '#include "engine/b.h"\n/* a() is "above" */\nint b(void)\n{\n\treturn 0;\n}\n'
                          "int up(int (*fn)(void))\n{\n\treturn fn();\n}\n",
        k + "link/l.c": '#include "link/l.h"\nint l(void)\n{\n\treturn 0;\n}\n',
        k + "link/l.h": "int l(void);\n",
    }
    tree(clean, "")
    tree({**clean, k + "engine/b.h": '#include "engine/a.h"\n'}, r"include each other: .*a\.h -> .*b\.h")
    tree({**clean, k + "engine/b.c": "int a(void);\nint b(void)\n{\n\treturn a();\n}\n"},
         r"circle: .*a\.c calls b of .*b\.c, .*b\.c calls a of")
    # by an object, in GNU style, and through an inline function
    tree({**clean, k + "engine/a.c": "const struct ops the_ops = { .x = 1 };\nint\na (void)\n{\n  return b ();\n}\n",
          k + "engine/b.c": "int\nb (void)\n{\n  return use (&the_ops);\n}\n"}, r"calls the_ops of .*a\.c")
    tree({**clean, k + "engine/b.h": "static inline int again(void)\n{\n\treturn a();\n}\n",
          k + "engine/b.c": "int b(void)\n{\n\treturn again();\n}\n"}, r"b\.c calls a of .*a\.c")
    # by a macro of a header, and by one of its own
    tree({**clean, k + "engine/b.h": "#define again(x) \\\n\t(x + a())\n",
          k + "engine/b.c": "int b(void)\n{\n\treturn again(1);\n}\n"}, r"b\.c calls a of .*a\.c")
    tree({**clean, k + "engine/b.c": "#define AGAIN a()\nint b(void)\n{\n\treturn AGAIN;\n}\n"},
         r"b\.c calls a of .*a\.c")
    tree({**clean, k + "link/l.c": '#include "engine/a.h"\n'}, r"l\.c includes engine/a\.h")
    tree({**clean, k + "link/l.c": "int l(void)\n{\n\treturn b();\n}\n"}, r"l\.c calls b of .*engine/b\.c: .*link/ may not")
    tree({**clean, k + "core/c.c": '#include "engine/a.h"\n'}, r"c\.c includes engine/a\.h")
    tree({**clean, k + "control.h": "int x;\n", k + "core/c.c": '#include "control.h"\n'},
         r"c\.c includes control\.h")
    tree({**clean, k + "wire/w.h": "#include <linux/mm.h>\n"}, r"w\.h includes <linux/mm\.h>")
    tree({**clean, k + "core/env.h": "#include <linux/types.h>\n", k + "core/c.c": '#include "env.h"\n',
          k + "wire/w.c": '#include "core/env.h"\n'}, "")
    tree({**clean, k + "core/c.c": "int c(void)\n{\n\treturn b();\n}\n"}, r"c\.c calls b of .*core/ may not")
    tree({**clean, k + "engine/b.c": "int b(void)\n{\n\tstruct a x;\n\treturn x.y;\n}\n"}, "")
    tree({}, "no file in kvm-module")
    print(f"self-test: {trees} trees, each judged as it should be")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    errors, checked = check(sys.argv[1])
    for e in errors:
        print("rooms: " + e)
    print(f"rooms: {checked} files, {len(errors)} errors")
    sys.exit(1 if errors else 0)


main()
