#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""That the walks can fail: bugs planted in the engine, each found by a seed.

    planted.py [--seconds N] [--seed N] BUILD NAME... | --all | --mends | --list

--mends: all of those that take out what mended a fault; --all has them, too.
60 seconds, and of processor time: what else the machine does makes no bug harder.
The first walk is of seed 1.
BUILD is the build directory, where the walk has been built. Files are changed in
copies; the sources among them, and those that a changed header is planted for, are
compiled as the walk's were and linked with the walk's other objects. A planted bug
whose old text is not in the source exactly once is an error: the source has moved
on, and so must this list.
"""
import argparse
import json
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tempfile

E = 'kvm-module/engine/'
SET = 'kvm-module/link/set.c'
PART = 'kvm-module/link/part.c'
SEAL = 'kvm-module/link/seal.c'
MEMORY = 'kvm-module/memory.c'
READ = 'kvm-module/read.c'
PROVIDER = 'kvm-module/kvm/provider.c'
WORD = 'kvm-module/core/pageword.h'
# name: (file, old, new)..., and for a header the sources that are to see it. What
# each shows is in its name. The first twenty are those of the model of
# tests/unit/core, in the engine itself.
BUGS = {
    'install-no-cas': (E + 'fault.c',
        'if (atomic64_cmpxchg(word, expected, new | flags) == expected) {',
        'atomic64_set(word, new | flags); if (1) {'),
    'no-freeze': (E + 'reclaim.c',
        'if (!page_ref_freeze(page, 1)) {', 'if (0) {'),
    'keep-clean': (E + 'reclaim.c',
        'if (dirty)\n\t\tSetPageDirty(page);\n\treclaim_keep', 'reclaim_keep'),
    'fail-clean': (E + 'reclaim.c',
        'the bit does no harm then.\n\t\t */\n\t\tif (!io->same)\n\t\t\tSetPageDirty(page);',
        'the bit does no harm then.\n\t\t */'),
    'foreign-leak': (E + 'reclaim.c',
        '(old & HERMIT_W_FOREIGN) || !hermit_word_has_page(old)', '0'),
    'free-early': (E + 'reclaim.c',
        'default:\n\t\tlist_add_tail(&req->io.node, writes);',
        'default:\n\t\tput_page(page);\n\t\tlist_add_tail(&req->io.node, writes);'),
    'failed-read': (E + 'fault.c',
        'if (!io->status) {\n\t\tfault_install', 'if (1) {\n\t\tfault_install'),
    'no-generation': (E + 'word.h',
        'return atomic64_inc_return(&r->generation);', 'return 1;',
        E + 'fault.c', E + 'reclaim.c'),
    'two-writes': [(WORD, 'if (s != HERMIT_LOCAL || w)\n', 'if (s != HERMIT_LOCAL)\n',
                    E + 'clock.c'),
        (WORD, 'if (s != HERMIT_EVICTING || w ||\n', 'if (s != HERMIT_EVICTING ||\n',
         E + 'reclaim.c'),
        (E + 'clock.c', '(w & (HERMIT_W_STATE | HERMIT_W_INFLIGHT)) != HERMIT_LOCAL',
         '(w & HERMIT_W_STATE) != HERMIT_LOCAL')],
    'no-reread': [(E + 'fault.c',
        'if (unlikely(!same_page(atomic64_read(word), w))) {', 'if (0) {'),
        (READ, 'if (!hermit_word_has_page(w) ||\n'
         '\t\t\t    hermit_word_value(w) != page_to_pfn(page)) {', 'if (0) {')],
    'foreign-copy': (WORD, 'if (!(old & HERMIT_W_FOREIGN))\n\t\t\t*new |= HERMIT_W_COPY;',
        '*new |= HERMIT_W_COPY;', E + 'reclaim.c'),
    'discard-uncounted': [(E + 'discard.c',
        '\t\tWARN_ON_ONCE(hermit_word_apply(hermit_word(r, req->idx + i), ev,\n'
        '\t\t\t\t\t       0, &old, &new));\n', ''),
        (E + 'discard.c', 'enum hermit_event ev = io->status ? HERMIT_EV_DISCARD_FAIL :\n'
         '\t\t\t\t\t    HERMIT_EV_DISCARD_OK;\n\tu64 old, new;\n', ''),
        (E + 'discard.c', 'if (!hermit_req_submit(r, req))\n\t\t\treturn;',
         'for (i = 0; i < nr; i++)\n\t\t\thermit_word_apply(hermit_word(r, idx + i),'
         ' HERMIT_EV_DISCARD_OK, 0, &old, &new);\n'
         '\t\tif (!hermit_req_submit(r, req))\n\t\t\treturn;')],
    'lose-keeps-copy': (WORD, 'else\n\t\t\t*new = old & ~HERMIT_W_COPY;\n\t\treturn 0;\n\n'
        '\tcase HERMIT_NR_EVENTS:', 'return 0;\n\n\tcase HERMIT_NR_EVENTS:', E + 'sweep.c'),
    'rescue-steals': (WORD, '*new = w ? body | HERMIT_LOCAL : old | HERMIT_W_RESCUED;',
        '*new = body | HERMIT_LOCAL;', E + 'fault.c'),
    'ignore-rescue': (WORD, '(old & (HERMIT_W_RESCUED | HERMIT_W_HOSTMAPPED))',
        '(old & HERMIT_W_HOSTMAPPED)', E + 'reclaim.c'),
    'host-map-blind': (MEMORY,
        '} while (old != new && !atomic64_try_cmpxchg(word, (s64 *)&old, new));',
        '} while (0);'),
    'pread-unchecked': (READ, 'else if (atomic64_read(hermit_word(r, idx)) != before)', 'else if (0)'),
    'drain-rereads': (E + 'reclaim.c',
        'atomic64_cmpxchg(hermit_word(r, req->idx), new, next) == new)',
        '!hermit_word_apply(hermit_word(r, req->idx), HERMIT_EV_DISCARD_BEGIN, 0, &old,'
        ' &next) && old != next)'),
    # of the simulated KVM: that the check of what it promises can fail
    'no-seq': ('tests/unit/engine/guest.c',
        'if (READ_ONCE(seq) == before && !invalidating && !ept[idx].page)',
        'if (1)'),
    'no-flush': ('tests/unit/engine/guest.c',
        'tlb[v][p[i].idx] = (struct entry){};', ';'),
    'copy-always-valid': (E + 'reclaim.c',
        'if (!dirty && !again && (v->word & HERMIT_W_COPY)) {',
        'if (v->word & HERMIT_W_COPY) {'),
    'no-unmap': (E + 'reclaim.c',
        'hermit_unmap(r, b.s.v, b.s.nr, false);', ';'),
    'dirty-bit-dropped': (E + 'reclaim.c',
        'dirty |= !!(v->flags & HERMIT_MMU_DIRTY);', ''),
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
    'uncharge-not-told': (E + 'pool.c',
        'atomic_long_sub(n, &r->used);\n\troom_wake(r);', 'atomic_long_sub(n, &r->used);'),
    'evicting-not-asked': (E + 'fault.c',
        '!hermit_word_apply(word, HERMIT_EV_RESCUE, 0, &old,\n\t\t\t\t\t     &w->word) &&\n', ''),
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
    'host-used-not-passed-by': (E + 'clock.c', 'if (w & host_used) {', 'if (0) {'),
    'host-used-for-ever': (WORD, '*new = old & ~HERMIT_W_HOSTUSED;', '*new = old;',
        E + 'clock.c'),
    'pages-of-any-node': (E + 'pool.c', '&r->pool.first[numa_mem_id()], *page;',
        '&r->pool.first[0], *page;'),
    'pages-to-any-node': (E + 'pool.c', '&r->pool.first[page_to_nid(page)];',
        '&r->pool.first[numa_mem_id()];'),
    'split-mapping-refused': (PROVIDER, 'if (!next || next->vm_start', 'if (1 || next->vm_start'),
    'async-not-looked-at': (PROVIDER, 'over = smp_load_acquire(&req->done);', 'over = false;'),
    'async-ends-blind': (PROVIDER, 'queued = !list_empty(&a->entry.entry);', 'queued = false;'),
    'async-ends-in-the-list': (PROVIDER, 'if (queued)\n\t\t__remove_wait_queue(&req->wq, &a->entry);', ''),
    'bad-frame-mapped': (E + 'fault.c',
        'if (unlikely(PageHWPoison(page))) {\n\t\t\t\tput_page(page);\n\t\t\t\treturn -EAGAIN;',
        'if (0) {'),
    'bad-frame-not-taken': (E + 'poison.c',
        'schedule_delayed_work(&p->work, 0);', ''),
    'shrinker-meets-itself': [(E + 'region.c',
        'if (!mutex_trylock(&regions_lock))\n\t\treturn;', 'mutex_lock(&regions_lock);'),
        (E + 'region.c', 'r->stats = alloc_percpu(struct hermit_cpu_stats);',
         'mutex_lock(&regions_lock); r->stats = alloc_percpu(struct hermit_cpu_stats);'
         ' mutex_unlock(&regions_lock);')],
    # the counters, which have to fit each other and the words
    'conflict-not-counted': (E + 'fault.c',
        'hermit_count(r, HERMIT_C_CONFLICTS, 1);\n', ''),
    'discard-not-counted': (E + 'discard.c',
        '\t\thermit_count(r, HERMIT_C_DISCARDED, 1);\n', ''),
    'host-map-counted-twice': (MEMORY,
        'if (!(old & HERMIT_W_HOSTMAPPED))\n\t\thermit_count', 'hermit_count'),
    'bad-frame-stale-copy': (E + 'poison.c',
        'lost = dirty || !(v->word & HERMIT_W_COPY);',
        'lost = !(v->word & HERMIT_W_COPY);'),
    # what is compared with what was sent, and when that is noted
    **{f'{what}-are-used': [(E + 'copy.c', 'return -EBADMSG;', 'return 0;'),
                            ('tests/unit/engine/server.c', 'kind = fiber_random(4)',
                             f'kind = {kind}')]
       for kind, what in enumerate(('zeros', 'old-contents', 'other-pages', 'flipped-bits'))},
    'ahead-unchecked': (E + 'fault.c',
        'if (!io->status)\n\t\tio->status = hermit_copy_check',
        'if (!io->status && !req->prefetch)\n\t\tio->status = hermit_copy_check'),
    'demand-unchecked': (E + 'fault.c',
        'if (!io->status)\n\t\tio->status = hermit_copy_check',
        'if (!io->status && req->prefetch)\n\t\tio->status = hermit_copy_check'),
    'sync-unchecked': (E + 'fault.c',
        'WARN_ON_ONCE(!s.done) ||\n\t    hermit_copy_check(r, idx, w, page, 0, false)',
        'WARN_ON_ONCE(!s.done)'),
    'peek-unchecked': (E + 'peek.c',
        'if (!io->status)\n\t\tio->status = hermit_copy_check',
        'if (0)\n\t\tio->status = hermit_copy_check'),
    'crc-of-another-page': (E + 'reclaim.c',
        'hermit_copy_note(r, v->idx, page);\n\t\treq->io.same',
        'hermit_copy_note(r, v->idx, page); req->io.crc = 0;\n\t\treq->io.same'),
    'missing-without-word': (E + 'sweep.c',
        'atomic64_cmpxchg(hermit_word(r, idx), expected, new) != expected)',
        'hermit_word_apply(hermit_word(r, idx), HERMIT_EV_LOSE, 0, &expected, &new))'),
    'missing-is-asked-again': (E + 'copy.c',
        'if (!hermit_lose(r, idx, expected)) {', 'if (1) {'),
    'wrong-is-asked-for-ever': (E + 'copy.c',
        '} else if (copy_stays_wrong(copy, was, crc) &&', '} else if (0 &&'),
    'wrong-once-is-lost': (E + 'copy.c',
        '} else if (times == TIMES_MAX &&\n\t\t   ((now - since) & SINCE_MAX) >= HERMIT_WRONG_S) {', '} else if (1) {'),
    'verdict-without-word': (E + 'copy.c',
        'if (atomic64_read(hermit_word(r, idx)) != expected) {', 'if (0) {'),
    'note-before-unmap': [(E + 'reclaim.c', 'hermit_copy_note(r, v->idx, page);\n\t\treq->io.same', '0;\n\t\treq->io.same'),
        (E + 'reclaim.c', 'if (b.s.nr)\n\t\thermit_unmap',
         'for (i = 0; i < b.s.nr; i++)\n'
         '\t\thermit_copy_note(r, b.s.v[i].idx, b.s.v[i].page);\n'
         '\tif (b.s.nr)\n\t\thermit_unmap')],
    'note-after-word': [(E + 'reclaim.c', 'hermit_copy_note(r, v->idx, page);\n\t\treq->io.same', '0;\n\t\treq->io.same'),
        (E + 'reclaim.c', 'hermit_count(r, HERMIT_C_EVICTED_DIRTY, 1);',
         'hermit_copy_note(r, req->idx, page);\n'
         '\t\t\thermit_count(r, HERMIT_C_EVICTED_DIRTY, 1);')],
    'note-not-renewed': (E + 'reclaim.c', '= again ? hermit_copy_noted', '= again || (v->word & HERMIT_W_COPY) ? hermit_copy_noted'),
    # what has left, in frames that nobody needed yet
    'standby-of-another-leave': [(E + 'standby.c',
        'READ_ONCE(page_folio(page)->index) == idx &&\n\t       READ_ONCE(page_private(page)) == w;',
        'READ_ONCE(page_folio(page)->index) == idx;')],
    'standby-word-not-exchanged': (E + 'standby.c',
        'if (atomic64_cmpxchg(hermit_word(r, idx), w, new) == w)\n\t\treturn true;',
        'atomic64_set(hermit_word(r, idx), new);\n\tif (1)\n\t\treturn true;'),
    'standby-taken-twice': (E + 'standby.c',
        'standby_remove(r, page);\n\tif (atomic64_cmpxchg',
        'set_page_private(page, 0);\n\tif (atomic64_cmpxchg'),
    'standby-is-dirty': (E + 'reclaim.c',
        'dirty = TestClearPageDirty(page);', 'dirty = PageDirty(page);'),
    'standby-is-no-room': (E + 'pool.h',
        'return READ_ONCE(r->pool.nr) + READ_ONCE(r->pool.nr_standby);',
        'return READ_ONCE(r->pool.nr);', E + 'pool.c', E + 'wait.c', E + 'fault.c', E + 'threads.c'),
    'standby-hit-not-counted': (E + 'standby.c',
        'hermit_count(r, HERMIT_C_STANDBY_HITS, 1);', ''),
    # several servers: who has a page, and when that is noted
    'set-done-by-the-first': (PART,
        'atomic_set(&w->left, hweight8(members));',
        'atomic_set(&w->left, whole->op == HERMIT_IO_WRITE ? 1 : hweight8(members));'),
    'set-discard-done-by-the-first': (PART,
        'atomic_set(&w->left, hweight8(members));',
        'atomic_set(&w->left, whole->op == HERMIT_IO_DISCARD ? 1 : hweight8(members));'),
    'set-names-who-was-asked': (PART,
        'whole->members = atomic_read(&w->acked);',
        'whole->members = atomic_read(&w->acked) ? atomic_read(&w->asked) : 0;'),
    'set-asks-anybody': (PART,
        'READ_ONCE(s->readable) & whole->members & ~asked', 'READ_ONCE(s->readable) & ~asked'),
    'set-writes-on-during-close': (PART,
        'if (!READ_ONCE(s->closing))\n\t\tmember = write_next', 'member = write_next'),
    'set-one-is-missing-all-is': (PART,
        '} else if (!(whole->members & ~w->missing)) {', '} else if (w->missing) {'),
    'set-back-is-not-told': (SET,
        'if (s->readable >> member & 1)\n\t\thermit_part_ask_again(s, 0, 0);', ''),
    'set-writes-one-too-few': (PART,
        'most = s->replicas - min(have, s->replicas);',
        'most = s->replicas - min(have, s->replicas);\n\tmost = most > 1 ? most - 1 : most;'),
    'acknowledged-before-the-sweep': (E + 'sweep.c',
        'wait_event(r->write_wq, !atomic_read(&r->writes));', ';'),
    'sweep-takes-all': (E + 'sweep.c',
        'if (r->replicas && !hermit_holders_drop(r, idx, server)) {',
        'if (r->replicas && (hermit_holders_drop(r, idx, server), 0)) {'),
    'thin-not-counted': (E + 'sweep.c', 'sweep_thins(r, idx, word);\n\t\t\tcontinue;', 'continue;'),
    'thin-counted-for-ever': (E + 'fault.c',
        'hermit_holders_home(r, idx);\n\t\t\treturn true;', 'return true;'),
    'sweep-leaves-the-mask': (E + 'holder.c',
        '} while (!atomic64_try_cmpxchg(copy, &was, was & ~bit));', '} while (0);'),
    'short-is-dropped': (E + 'holder.c',
        'return hweight8(have) < min_t(', 'return 0 && hweight8(have) < min_t('),
    'mask-of-the-last-version': (E + 'copy.c',
        'atomic64_set(hermit_word_copy(r, idx), crc);',
        'atomic64_set(hermit_word_copy(r, idx), crc |'
        ' (atomic64_read(hermit_word_copy(r, idx)) & HERMIT_HOLDERS_MASK));'),
    'mask-after-the-word': [(E + 'reclaim.c',
        'hermit_holders_add(r, req->idx, io->members);', ';'),
        (E + 'reclaim.c', '\thermit_word_wake(r, req->idx);\n\t/*\n\t * A stale copy',
         '\tif (!failed && r->replicas)\n\t\thermit_holders_add(r, req->idx, io->members);\n'
         '\thermit_word_wake(r, req->idx);\n\t/*\n\t * A stale copy')],
    # Sealed regions.
    'number-given-back': (SEAL,
        'to_seal(io->seal.link), sealed);\n',
        'to_seal(io->seal.link), sealed);\n'
        '\tif (io->status)\n\t\tatomic64_sub(1, &to_seal(io->seal.link)->numbers);\n'),
    'sealed-twice-under-one-number': (SEAL, 'bool same = !number;\n\tint ret;\n',
        'bool same = !number;\n\tint ret;\n\n\tif (READ_ONCE(*slot.number))\n'
        '\t\tnumber = READ_ONCE(*slot.number);\n'),
    'plain-page-on-failover': (PART,
        'link->ops->submit_one(link, part_of(whole, member));',
        'part_of(whole, member);\n\tif (whole->op == HERMIT_IO_WRITE && whole->seal.plain)\n'
        '\t\twhole->set->parts[member].io.page = whole->seal.plain;\n'
        '\tlink->ops->submit_one(link, &whole->set->parts[member].io);'),
    'seal-checked-after-install': (SEAL,
        'io->status = ret == -EBADMSG ? -EKEYREJECTED : -EIO;',
        ';'),
    'number-behind-the-tag-of-another': (SEAL,
        '\tmemcpy(slot.tag, tag, sizeof(tag));\n\tWRITE_ONCE(*slot.number, number);',
        '\tmemcpy(slot.tag, tag, sizeof(tag));'),
    'opened-in-a-softirq': (SEAL,
        '\tqueue_delayed_work(hermit_cipher_wq(), &s->work, 0);',
        '\tread_open_next(s);'),
    'late-answer-is-a-forgery': (E + 'copy.c',
        'if (status != -EKEYREJECTED)\n\t\treturn status;',
        'if (status != -EKEYREJECTED)\n\t\treturn status;\n'
        '\thermit_count(r, HERMIT_C_MISMATCHES, 1);'),
}

# What showed a fault once, with what mended it taken out: it shows it again. And what
# a walk is made for: the mover's.
# name: (of known.c, file, old, new), or its edits as above.
MENDS = {
    'standby-used-while-held': ('standby-holds', E + 'pool.c',
        'if (page_ref_count(page) != 1)\n\t\t\theld', 'if (0)\n\t\t\theld'),
    'standby-for-no-host': ('standby-holds', E + 'pool.c',
        'page = pool_pop(r) ?: hermit_standby_oldest(r);', 'page = pool_pop(r);'),
    'nothing-is-moved': ('copies-come-back', E + 'watchdog.c',
        'hermit_mover_look(r);', ''),
    'moved-though-the-word-changed': ('copies-come-back', E + 'mover.c',
        'if (atomic64_cmpxchg(hermit_word(r, req->idx), req->word, w) != req->word) {',
        'atomic64_set(hermit_word(r, req->idx), w);\n\tif (0) {'),
    'moved-when-posted': ('copies-come-back', E + 'mover.c',
        'req->io.done = hermit_write_done;',
        'req->io.done = hermit_write_done;\n'
        '\thermit_holders_add(r, req->idx, (1 << r->nr_servers) - 1);'),
    'moved-from-anybody': ('copies-come-back', E + 'peek.c',
        'req->io.members = hermit_holders(r, idx);',
        'req->io.members = (1 << r->nr_servers) - 1;'),
    'moved-from-a-stale-frame': ('copies-come-back', E + 'mover.c',
        '!req->status && move_begin', 'move_begin'),
    'kept-is-dirty': ('clean-stays-clean', E + 'reclaim.c',
        'if (dirty)\n\t\tSetPageDirty(page);', 'if (dirty || again)\n\t\tSetPageDirty(page);'),
    'sent-in-vain-is-dirty': ('clean-stays-clean', E + 'reclaim.c',
        'if (!io->same)', 'if (1)'),
    'leaving-gets-pages': ('servers-come-and-go', SET,
        'HERMIT_SERVER_UP &&\n\t\t      !(s->leaving & bit);', 'HERMIT_SERVER_UP;'),
    'leaving-counts': ('servers-come-and-go', E + 'holder.c',
        'hermit_holders(r, idx) & ~READ_ONCE(r->servers_leaving);', 'hermit_holders(r, idx);'),
    'drop-looks-at-nothing': ('servers-come-and-go', E + 'sweep.c',
        'if (!force)\n\t\tneeded', 'if (0)\n\t\tneeded'),
    'drop-leaves-masks': ('servers-come-and-go', E + 'sweep.c',
        '*lost = sweep_take(r, server, &lowest);', ';'),
    'drop-waits-for-nobody': ('servers-come-and-go', SET,
        'synchronize_rcu();\n\tWRITE_ONCE(m->link, NULL);', 'WRITE_ONCE(m->link, NULL);'),
    'told-when-it-is-gone': ('servers-come-and-go', [(SET,
        'm->joined && hermit_link_serves(m->state);', 'hermit_link_serves(m->state);'),
        (SET, 'if (m->joined)\n\t\tset_tell', 'set_tell')]),
    'gone-is-waited-for': ('servers-come-and-go', PART,
        'whole->members &= s->present;', ''),
    'mover-goes-on': ('copies-come-back', E + 'region.c',
        'hermit_mover_stop(r);', ''),
    'failed-read-serves': ('failed-reads-are-a-stall', E + 'wait.c',
        'return !w->req->status;', 'return true;'),
    'wrong-answer-serves': ('wrong-answers-are-a-stall', E + 'wait.c',
        'return !w->req->status;', 'return true;'),
    'failed-read-asked-again': ('failed-reads-are-a-stall', E + 'fault.c',
        'jiffies + HERMIT_BACKOFF);', 'jiffies);'),
    'reason-guessed': ('no-memory-is-a-stall', E + 'fault.c',
        'w->kind = ret ? hermit_wait_for(ret) : HERMIT_WAIT_NONE;',
        'w->kind = HERMIT_WAIT_NONE;'),
    'room-looked-at-again': ('no-nap-beside-room', E + 'fault.c',
        'w->kind = ret ? hermit_wait_for(ret) : HERMIT_WAIT_NONE;',
        'w->kind = !ret ? HERMIT_WAIT_NONE : ret == -ENOSPC && hermit_room(r) > 0 ?\n'
        '\t\t  HERMIT_WAIT_BACKOFF : hermit_wait_for(ret);'),
    'signal-not-looked-at': ('kill-ends-a-fault', [
        (MEMORY, 'if (fatal_signal_pending(current)) {', 'if (0) {'),
        (E + 'fault.c', 'w->kind = ret ? hermit_wait_for(ret) : HERMIT_WAIT_NONE;',
         'w->kind = HERMIT_WAIT_NONE;')]),
    'begun-before-since': ('no-stall-without-one', [
        (E + 'wait.c', 'if (!atomic_read(&r->waiters)) {\n\t\tsmp_rmb();',
         'atomic_inc(&r->waiters);\n\tif (atomic_read(&r->waiters) == 1) {'),
        (E + 'wait.c', 'smp_mb__before_atomic();\n\tatomic_inc(&r->waiters);', '')]),
    'starved-evicts-nothing': ('few-pages-go-on', E + 'threads.c',
        'READ_ONCE(r->starved) ||\n\t    atomic_read(&r->room_waiters) || '
        'atomic_read(&r->memory_waiters))', 'atomic_read(&r->room_waiters))'),
    'group-not-looked-at': ('above-memory-high-goes-on', E + 'limit.c',
        'if (room < reserve)', 'if (0)'),
    'born-alive': ('found-is-whole', E + 'region.c',
        'r->dead = true;\n\tr->release', 'r->dead = false;\n\tr->release'),
    'promises': ('host-without-memory', E + 'pressure.c',
        '*freed += given;', '*freed += given + 1;'),
    'vm-keeps-all': ('host-without-memory', E + 'pressure.c',
        'hermit_limit_squeeze(r, max(used >> OOM_SHIFT, OOM_MIN), OOM_HOLD);', '(void)used;'),
    'away-leaves-in-advance': ('nothing-leaves-in-advance', E + 'threads.c',
        'if (!READ_ONCE(r->servers_up))', 'if (0)'),
    'turn-waited-for': ('turns-held-by-others', E + 'turn.c',
        'READ_ONCE(t.given), TURN_WAIT)', 'READ_ONCE(t.given), MAX_SCHEDULE_TIMEOUT)'),
    'bad-frame-to-the-mm': ('poison-stays-here', [
        (MEMORY, 'if (unlikely(PageHWPoison(page))) {', 'if (0) {'),
        (E + 'fault.c', 'if (unlikely(PageHWPoison(page))) {\n\t\t\t\tput_page(page);',
         'if (0) {\n\t\t\t\tput_page(page);')]),
    'request-waited-for': ('fault-waits-for-no-request', E + 'request.c',
        'GFP_NOWAIT | __GFP_NOWARN', 'GFP_KERNEL'),
    'outage-is-pressure': ('outage-is-no-pressure', E + 'wait.c',
        'HERMIT_WAIT_BACKOFF &&\n\t       READ_ONCE(w->region->servers_up);',
        'HERMIT_WAIT_BACKOFF;'),
    'outage-is-slept-through': ('outage-is-no-pressure', E + 'wait.c',
        'nap = min_t(long, timeout, HERMIT_NAP), left', 'nap = timeout, left'),
    'wait-is-no-pressure': ('outage-is-no-pressure', E + 'wait.c',
        'psi_memstall_enter(&flags);', 'flags = 1;'),
    'pread-is-pressure': ('outage-is-no-pressure', E + 'wait.c',
        'w->since && w->kind', 'w->kind'),
    'batch-looks-at-no-group': ('local-pool-grows', E + 'reclaim.c',
        'hermit_limit_look(r);', ''),
    'pool-lends-nothing': ('local-pool-needs-a-page', E + 'reclaim.c',
        'if (status == -ENOSPC)\n\t\thermit_pool_lend(r);\n', ''),
    'reserve-not-refilled': ('local-pool-needs-a-page', E + 'pool.c',
        'if (!reserve_take(r, page)) {', 'if (1) {'),
    'sweep-never-yields': ('loops-yield', E + 'sweep.c',
        'if (!(*idx % HERMIT_CHUNK_PAGES))\n\t\t\tcond_resched();\n', ''),
    'recall-never-yields': ('loops-yield', E + 'recall.c',
        'if (!(look % HERMIT_CHUNK_PAGES))\n\t\t\t\tcond_resched();\n', ''),
    'discard-never-yields': ('loops-yield', E + 'discard.c',
        'if (!(idx % HERMIT_CHUNK_PAGES))\n\t\t\tcond_resched();\n', ''),
    'end-of-words-never-yields': ('loops-yield', E + 'word.c',
        'kfree(r->seals[i].numbers);\n\t\tcond_resched();',
        'kfree(r->seals[i].numbers);'),
    'end-of-pool-never-yields': ('loops-yield', E + 'pool.c',
        'while (pool_give_one(r))\n\t\t\tcond_resched();', 'while (pool_give_one(r))\n\t\t\t;'),
    'limit-frees': ('limit-frees-nothing', [
        (E + 'limit.c', '#include "engine/limit.h"\n',
         '#include "engine/limit.h"\n#include "engine/pool.h"\n'),
        (E + 'limit.c', 'spin_unlock(&r->limit_lock);\n\tlimit_tell(r, was);\n}\n\n'
         'void hermit_limit_squeeze', 'spin_unlock(&r->limit_lock);\n\thermit_pool_shrink(r);'
         '\n\tlimit_tell(r, was);\n}\n\nvoid hermit_limit_squeeze')]),
    'tune-sums-first': ('tune-looks-at-the-clock-first', E + 'tune.c',
        'if (!hermit_sched_due(&r->sched, now, used, limit))\n\t\tgoto unlock;\n', ''),
    'away-reads-eagerly': ('away-reads-once', E + 'fault.c',
        '|| !READ_ONCE(r->servers_up)) {', ') {'),
}

# As in meson.build.
LINK = ['-Wl,--wrap=hermit_waiter_sleep']


def compile_command(build, source):
    for c in json.loads((build / 'compile_commands.json').read_text()):
        if c['file'].endswith(source) and '/walk.p/' in c['output']:
            return c
    sys.exit(f'{build}: {source} is not compiled for the walk')


def mend_edits(name):
    edits = MENDS[name][1:]
    return edits[0] if isinstance(edits[0], list) else [edits]


def edit(root, tmp, name):
    """Changed copies of files, and the sources to compile again."""
    texts, sources = {}, []
    edits = mend_edits(name) if name in MENDS else BUGS[name]
    for file, old, new, *users in edits if isinstance(edits, list) else [edits]:
        text = texts.get(file) or (root / file).read_text()
        if text.count(old) != 1:
            sys.exit(f'{name}: its old text is {text.count(old)} times in {file}; '
                     'bring the list in planted.py up to date')
        texts[file] = text.replace(old, new)
        sources += users or [file]
    for file, text in texts.items():
        copy = tmp / name / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    return list(dict.fromkeys(sources))


def plant(build, root, tmp, name):
    objects = {}
    for file in edit(root, tmp, name):
        command = compile_command(build, file)
        args = shlex.split(command['command'])
        for option in '-MQ', '-MF':
            if option in args:
                del args[args.index(option):args.index(option) + 2]
        args = [x for x in args if x not in ('-MD', '-Werror')]
        out = build / command['output']
        objects[out] = tmp / name / out.name
        args[args.index('-o') + 1] = str(objects[out])
        copy = tmp / name / file
        if copy.exists():
            args[-1] = str(copy)
        # A changed header comes before the one that it was copied from.
        args += ['-w', '-iquote', str(tmp / name / 'kvm-module'),
                 '-iquote', str((root / file).parent),
                 '-iquote', str(root / 'kvm-module/core')]
        subprocess.run(args, cwd=build, check=True)
    others = [o for o in out.parent.glob('*.o') if o not in objects]
    walk = tmp / name / 'walk'
    cc = args[1] if args[0].endswith('ccache') else args[0]
    subprocess.run([cc, '-fsanitize=address,undefined', *LINK, '-o', walk,
                    *objects.values(), *others], check=True)
    return walk


parser = argparse.ArgumentParser()
parser.add_argument('build', type=pathlib.Path)
parser.add_argument('names', nargs='*')
parser.add_argument('--all', action='store_true')
parser.add_argument('--mends', action='store_true')
parser.add_argument('--list', action='store_true')
parser.add_argument('--seconds', type=int, default=60)
parser.add_argument('--seed', default='1')
a = parser.parse_args()
if a.list:
    print('\n'.join([*BUGS, *MENDS]))
    sys.exit()
root = pathlib.Path(__file__).resolve().parents[3]
missed = []
# What fails without a bug would be found everywhere.
good = a.build / 'tests/unit/engine/walk'
if subprocess.run([good, '--runs', '100'], capture_output=True).returncode:
    sys.exit(f'{good} --runs 100: fails with no bug planted')
# All of the list, whatever is asked for: so it cannot fall behind unseen.
with tempfile.TemporaryDirectory() as tmp:
    for name in [*BUGS, *MENDS]:
        edit(root, pathlib.Path(tmp), name)
with tempfile.TemporaryDirectory() as tmp:
    for name in [*BUGS, *MENDS] if a.all else MENDS if a.mends else a.names:
        walk = plant(a.build.resolve(), root, pathlib.Path(tmp), name)
        begin = resource.getrusage(resource.RUSAGE_CHILDREN)
        known = ['--known', MENDS[name][0]] if name in MENDS else []
        run = subprocess.run([walk, *known, '--seed', a.seed, '--cpu-seconds', str(a.seconds)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             errors='replace')
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = (end.ru_utime + end.ru_stime) - (begin.ru_utime + begin.ru_stime)
        said = re.search(r'FAILED.*|ERROR: .*|runtime error.*', run.stderr)
        if run.returncode and said:
            print(f'{name}: found in {took:.1f} s: {said[0][:150]}', flush=True)
        else:
            print(f'{name}: NOT FOUND in {took:.1f} s', flush=True)
            missed.append(name)
sys.exit(f'not found: {", ".join(missed)}' if missed else 0)
