/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_TEST_MARKS_H
#define HERMIT_TEST_MARKS_H
/* HERMIT_MARK() of engine/mark.h, counted. The linker makes the list of all. */
struct mark {
	const char *name;
	unsigned long long passed;
};

#define HERMIT_MARK(n) do {						\
	static struct mark _mark = { #n, 0 };				\
	static struct mark *const _listed				\
		__attribute__((section("hermit_marks"), used)) = &_mark; \
	(void)_listed;							\
	_mark.passed++;							\
} while (0)

extern struct mark *const __start_hermit_marks[], *const __stop_hermit_marks[];

#endif /* HERMIT_TEST_MARKS_H */
