#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""That the walks can fail: bugs planted in the engine, each found by a seed.

    planted.py BUILD NAME... | --all | --list [--seconds N]

BUILD is the build directory, where the walk has been built. One file is changed
in a copy, compiled as the walk's was, and linked with the walk's other objects.
A planted bug whose old text is not in the source exactly once is an error: the
source has moved on, and so must this list.
"""
import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

E = 'kvm-module/engine/'
# name: (file, old, new). What each shows is in its name.
BUGS = {
    'install-no-cas': (E + 'fault.c',
        'if (atomic64_cmpxchg(word, expected, new | flags) == expected) {',
        'atomic64_set(word, new | flags); if (1) {'),
    'no-freeze': (E + 'reclaim.c',
        'if (!page_ref_freeze(page, 1)) {', 'if (0) {'),
    'keep-clean': (E + 'reclaim.c',
        'if (dirty)\n\t\tSetPageDirty(page);\n\treclaim_keep', 'reclaim_keep'),
    'fail-clean': (E + 'reclaim.c',
        '\t\tSetPageDirty(page);\n\t\thermit_count(r, HERMIT_C_WRITE_ERRORS',
        '\t\thermit_count(r, HERMIT_C_WRITE_ERRORS'),
    'foreign-leak': (E + 'reclaim.c',
        '(old & HERMIT_W_FOREIGN) || !hermit_word_has_page(old)', '0'),
    'free-early': (E + 'reclaim.c',
        'default:\n\t\tlist_add_tail(&req->io.node, writes);',
        'default:\n\t\tput_page(page);\n\t\tlist_add_tail(&req->io.node, writes);'),
    'copy-always-valid': (E + 'reclaim.c',
        'if (!dirty && (v->word & HERMIT_W_COPY)) {',
        'if (v->word & HERMIT_W_COPY) {'),
    'no-unmap': (E + 'reclaim.c',
        'hermit_unmap(r, b.s.v, b.s.nr, false);', ';'),
    'dirty-bit-dropped': (E + 'reclaim.c',
        'dirty |= !!(v->flags & HERMIT_MMU_DIRTY);', ''),
    'failed-read': (E + 'fault.c',
        'if (!io->status) {\n\t\tfault_install', 'if (1) {\n\t\tfault_install'),
    'pool-not-zeroed': (E + 'fault.c',
        'if (!hermit_page_is_zeroed(page))\n\t\tclear_highpage(page);', ''),
    'charge-blind': (E + 'pool.c',
        'got = min(n, READ_ONCE(r->limit_now) - used);',
        'got = READ_ONCE(r->limit_now) > used ? n : 0;'),
    'limit-not-told': (E + 'limit.c',
        'if (now > was)\n\t\twake_up_all(&r->room_wq);\n\telse if', 'if'),
    'softirq-deadlock': (E + 'pool.c',
        'spin_lock_bh(&r->pool.lock);\n\t\twhile (n < HERMIT_PCP_REFILL && '
        '(batch[n] = pool_pop(r)))\n\t\t\tn++;\n\t\tspin_unlock_bh(&r->pool.lock);',
        'spin_lock(&r->pool.lock);\n\t\twhile (n < HERMIT_PCP_REFILL && '
        '(batch[n] = pool_pop(r)))\n\t\t\tn++;\n\t\tspin_unlock(&r->pool.lock);'),
    'word-not-told': (E + 'fault.c',
        'hermit_word_wake(r, req->idx);\n\thermit_req_finish(req);',
        'hermit_req_finish(req);'),
    'room-not-told': (E + 'pool.c',
        '\tif (pooled)\n\t\troom_wake(r);\n\telse\n\t\tpage_release(r, page);',
        '\tif (!pooled)\n\t\tpage_release(r, page);'),
    'done-not-told': (E + 'request.c',
        'if (wq_has_sleeper(&req->wq))\n\t\twake_up_all(&req->wq);', ''),
    'rest-no-barrier': (E + 'threads.c',
        'smp_mb();\n\twanted = threads_wanted(r);', 'wanted = threads_wanted(r);'),
    'no-sweep': (E + 'sweep.c',
        'hermit_word_apply(word, HERMIT_EV_LOSE, 0, &old, &new)', '1'),
    'submit-after-end': (E + 'region.c', 'synchronize_rcu();', ''),
    'request-not-kept': (E + 'fault.c',
        "kref_get(&req->ref);\t\t/* the waiter's */", ''),
    'discard-forgets-victims': (E + 'discard.c',
        '\tdiscard_victims(r, v, n, &run);\n\tdiscard_run_flush(r, &run);\n\treturn 0;',
        '\tdiscard_run_flush(r, &run);\n\treturn 0;'),
    'bad-frame-mapped': (E + 'fault.c',
        'if (unlikely(PageHWPoison(page))) {\n\t\t\t\tput_page(page);\n\t\t\t\treturn -EAGAIN;',
        'if (0) {'),
    'bad-frame-not-taken': (E + 'poison.c',
        'queue_delayed_work(system_wq, &p->work, 0);', ''),
    'bad-frame-stale-copy': (E + 'poison.c',
        'lost = dirty || !(v->word & HERMIT_W_COPY);',
        'lost = !(v->word & HERMIT_W_COPY);'),
    # of the simulated KVM: that the check of what it promises can fail
    'no-seq': ('tests/unit/engine/guest.c',
        'if (READ_ONCE(seq) == before && !ept[idx].page)', 'if (1)'),
    'no-flush': ('tests/unit/engine/guest.c',
        'tlb[v][p[i].idx] = (struct entry){};', ';'),
}


def compile_command(build, source):
    for c in json.loads((build / 'compile_commands.json').read_text()):
        if c['file'].endswith(source) and '/walk.p/' in c['output']:
            return c
    sys.exit(f'{build}: {source} is not compiled for the walk')


def plant(build, root, tmp, name):
    file, old, new = BUGS[name]
    text = (root / file).read_text()
    if text.count(old) != 1:
        sys.exit(f'{name}: its old text is {text.count(old)} times in {file}; '
                 'bring the list in planted.py up to date')
    copy = tmp / (name + '.c')
    copy.write_text(text.replace(old, new))
    command = compile_command(build, file)
    out = build / command['output']
    args = shlex.split(command['command'])
    for option in '-MQ', '-MF':
        if option in args:
            del args[args.index(option):args.index(option) + 2]
    args = [x for x in args if x not in ('-MD', '-Werror')]
    args[args.index('-o') + 1] = str(tmp / (name + '.o'))
    args[-1] = str(copy)
    args += ['-w', '-iquote', str((root / file).parent)]
    subprocess.run(args, cwd=build, check=True)
    objects = [o for o in out.parent.glob('*.o') if o != out]
    walk = tmp / name
    cc = args[1] if args[0].endswith('ccache') else args[0]
    subprocess.run([cc, '-fsanitize=address,undefined', '-o', walk,
                    tmp / (name + '.o'), *objects], check=True)
    return walk


parser = argparse.ArgumentParser()
parser.add_argument('build', type=pathlib.Path)
parser.add_argument('names', nargs='*')
parser.add_argument('--all', action='store_true')
parser.add_argument('--list', action='store_true')
parser.add_argument('--seconds', type=int, default=60)
a = parser.parse_args()
if a.list:
    print('\n'.join(BUGS))
    sys.exit()
root = pathlib.Path(__file__).resolve().parents[3]
missed = []
# What fails without a bug would be found everywhere.
good = a.build / 'tests/unit/engine/walk'
if subprocess.run([good, '--runs', '100'], capture_output=True).returncode:
    sys.exit(f'{good} --runs 100: fails with no bug planted')
with tempfile.TemporaryDirectory() as tmp:
    for name in BUGS if a.all else a.names:
        walk = plant(a.build.resolve(), root, pathlib.Path(tmp), name)
        begin = time.monotonic()
        run = subprocess.run([walk, '--seconds', str(a.seconds)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             errors='replace')
        took = time.monotonic() - begin
        said = re.search(r'FAILED.*|ERROR: .*|runtime error.*', run.stderr)
        if run.returncode and said:
            print(f'{name}: found in {took:.1f} s: {said[0][:150]}', flush=True)
        else:
            print(f'{name}: NOT FOUND in {took:.1f} s', flush=True)
            missed.append(name)
sys.exit(f'not found: {", ".join(missed)}' if missed else 0)
