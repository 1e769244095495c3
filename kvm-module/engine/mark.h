/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_MARK_H
#define HERMIT_MARK_H
/*
 * HERMIT_MARK(name): a test has to come by here. Nothing in the kernel. One for
 * each row of the failure table of docs/architecture.md, and for each race that
 * the code is made for; what compiles the engine with marks counts them, and
 * fails when one is never passed (tests/unit/engine).
 */
#ifdef HERMIT_MARK_HEADER
#include HERMIT_MARK_HEADER
#else
#define HERMIT_MARK(name) do { } while (0)
#endif

#endif /* HERMIT_MARK_H */
