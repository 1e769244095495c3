// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page word, exhaustively: every state, every combination of flags, every
 * event, against a table written from the prose of pageword.h and
 * of the design; then the structural rules that the table itself must obey;
 * then the set of words that actors which keep the rules can reach.
 */
#include "core/pageword.h"
#include "check.h"

#define W HERMIT_W_INFLIGHT
#define C HERMIT_W_COPY
#define H HERMIT_W_HOSTMAPPED
#define R HERMIT_W_RESCUED
#define F HERMIT_W_FOREIGN
#define U HERMIT_W_HOSTUSED
#define P HERMIT_W_PREFETCHED
#define FLAGS (W | C | H | R | F | U | P)
#define STAMP ((u64)HERMIT_W_STAMP_MASK << HERMIT_W_STAMP_SHIFT)
#define VALUE (HERMIT_W_VALUE_MASK << HERMIT_W_VALUE_SHIFT)

#define S(state) (1u << HERMIT_##state)
#define NSTATES 7

static const u64 flag_list[] = { W, C, H, R, F, U, P };
#define NFLAGS (sizeof(flag_list) / sizeof(*flag_list))

static u64 nth_flags(unsigned int n)
{
	u64 flags = 0;
	unsigned int i;

	for (i = 0; i < NFLAGS; i++)
		if (n & (1u << i))
			flags |= flag_list[i];
	return flags;
}

static const char *show(u64 w)
{
	static char text[4][96];
	static int turn;
	char *t = text[turn++ & 3];

	snprintf(t, sizeof(text[0]), "%s%s%s%s%s%s%s%s stamp %u value %llx",
		 hermit_state_name(hermit_word_state(w)), w & W ? " W" : "",
		 w & C ? " C" : "", w & H ? " H" : "", w & R ? " R" : "",
		 w & F ? " F" : "", w & U ? " U" : "", w & P ? " P" : "",
		 hermit_word_stamp(w), (unsigned long long)hermit_word_value(w));
	return t;
}

/*
 * The words that mean something, from the description of the states and
 * flags:
 *  - ABSENT has nothing local, so nothing but W and C;
 *  - REMOTE and FETCHING: the remote copy is the page, so C and no more;
 *  - LOST has nothing;
 *  - R is a message to the owner of EVICTING, and EVICTING with W has none;
 *  - with W it is out of all page tables, so not H;
 *  - U is of a page that the host has mapped: with H;
 *  - F speaks about the request behind W, of a page that was touched after a
 *    discard: it has no copy, and no prefetch brought it. EVICTING has none,
 *    since a word with W is never selected.
 */
static bool legal(u64 w)
{
	const u64 f = w & FLAGS;

	if (f & F && (!(f & W) || f & (C | P)))
		return false;
	if (f & U && !(f & H))
		return false;
	switch (hermit_word_state(w)) {
	case HERMIT_ABSENT:
		return !(w & ~(W | C | HERMIT_W_STATE));
	case HERMIT_LOCAL:
	case HERMIT_DISCARDING:
		return !(f & R);
	case HERMIT_EVICTING:
		return !(f & F) && !(f & W && f & (R | H));
	case HERMIT_REMOTE:
	case HERMIT_FETCHING:
		return f == C;
	case HERMIT_LOST:
		return w == HERMIT_LOST;
	}
	return false;
}

/* ---- The specification ---- */

enum payload {
	SAME,		/* value and stamp stay */
	FRESH,		/* @value and @stamp of the call */
	FRESH_VALUE,	/* @value, the old stamp */
	NOTHING,	/* all zero */
};

struct rule {
	enum hermit_event ev;
	unsigned int from;	/* S() | S() */
	u64 with, without;	/* flags that must and must not be there */
	int to;			/* a state, or -1 for the same */
	u64 clear, set;		/* flags; clear is applied first */
	enum payload payload;
	int rc;
};

#define PAGED (S(LOCAL) | S(EVICTING) | S(DISCARDING))
#define ANY (PAGED | S(ABSENT) | S(REMOTE) | S(FETCHING) | S(LOST))

/* The first rule that fits applies; an event without one is -EINVAL. */
static const struct rule rules[] = {
	/*
	 * A touch of an absent page: clean of any copy; a request still on
	 * the wire carries another page than this.
	 */
	{ HERMIT_EV_INSTALL_ZERO, S(ABSENT), W, 0, HERMIT_LOCAL, FLAGS, W | F, FRESH, 0 },
	{ HERMIT_EV_INSTALL_ZERO, S(ABSENT), 0, W, HERMIT_LOCAL, FLAGS, 0, FRESH, 0 },
	/* What was read is what the server holds. */
	{ HERMIT_EV_INSTALL_READ, S(REMOTE) | S(FETCHING), 0, 0, HERMIT_LOCAL, FLAGS, C, FRESH, 0 },
	{ HERMIT_EV_FETCH_BEGIN, S(REMOTE), 0, 0, HERMIT_FETCHING, 0, 0, SAME, 0 },
	/* An entry into REMOTE: a new generation; but no new eviction. */
	{ HERMIT_EV_FETCH_FAIL, S(FETCHING), 0, 0, HERMIT_REMOTE, FLAGS, C, FRESH_VALUE, 0 },
	{ HERMIT_EV_HOST_MAP, S(LOCAL), 0, 0, -1, 0, H | U, SAME, 0 },
	{ HERMIT_EV_RESCUE, S(EVICTING), W, 0, HERMIT_LOCAL, 0, 0, SAME, 0 },
	{ HERMIT_EV_RESCUE, S(EVICTING), 0, W, -1, 0, R, SAME, 0 },

	/* The hand passes by a page that the host used, and then no more. */
	{ HERMIT_EV_PASS, S(LOCAL), 0, 0, -1, U, 0, SAME, 0 },
	{ HERMIT_EV_EVICT_BEGIN, S(LOCAL), 0, W, HERMIT_EVICTING, 0, 0, SAME, 0 },
	{ HERMIT_EV_HOST_UNMAP, S(EVICTING) | S(DISCARDING), 0, 0, -1, H | U, 0, SAME, 0 },
	{ HERMIT_EV_EVICT_KEEP, S(EVICTING), 0, W, HERMIT_LOCAL, R, 0, SAME, 0 },
	{ HERMIT_EV_EVICT_WRITE, S(EVICTING), 0, W | R | H, -1, 0, W, SAME, 0 },
	{ HERMIT_EV_EVICT_DROP, S(EVICTING), C, W | R | H, HERMIT_REMOTE, FLAGS, C, FRESH, 0 },
	/* Zeros need no copy; one that is there is discarded. */
	{ HERMIT_EV_EVICT_ZERO, S(EVICTING), C, W | R | H, HERMIT_ABSENT, FLAGS, C | W, NOTHING, 0 },
	{ HERMIT_EV_EVICT_ZERO, S(EVICTING), 0, C | W | R | H, HERMIT_ABSENT, FLAGS, 0, NOTHING, 0 },
	{ HERMIT_EV_EVICT_LOSE, S(EVICTING), 0, W | R | H, HERMIT_LOST, FLAGS, 0, NOTHING, 0 },

	/* Completions clear W, and F with it. */
	{ HERMIT_EV_WRITE_OK, S(EVICTING), W, 0, HERMIT_REMOTE, FLAGS, C, FRESH, 0 },
	{ HERMIT_EV_WRITE_OK, ANY, W, F, -1, W, C, SAME, 0 },
	{ HERMIT_EV_WRITE_OK, ANY, W | F, 0, -1, W | F, 0, SAME, 0 },
	{ HERMIT_EV_WRITE_FAIL, S(EVICTING), W, 0, HERMIT_LOCAL, W | F, 0, SAME, 0 },
	{ HERMIT_EV_WRITE_FAIL, ANY, W, 0, -1, W | F, 0, SAME, 0 },
	/* EVICTING + W is a write; no discard of it can complete. */
	{ HERMIT_EV_DISCARD_OK, S(ABSENT), W, 0, -1, W | F | C, 0, SAME, 0 },
	{ HERMIT_EV_DISCARD_OK, ANY & ~S(EVICTING), W, 0, -1, W | F, 0, SAME, 0 },
	{ HERMIT_EV_DISCARD_FAIL, ANY & ~S(EVICTING), W, 0, -1, W | F, 0, SAME, 0 },

	/* A stale copy is discarded, unless a request is out already. */
	{ HERMIT_EV_DISCARD_BEGIN, S(ABSENT), C, W, -1, 0, W, SAME, 0 },
	{ HERMIT_EV_DISCARD_BEGIN, S(ABSENT), 0, 0, -1, 0, 0, SAME, 0 },
	{ HERMIT_EV_DISCARD_BEGIN, S(LOST), 0, 0, HERMIT_ABSENT, FLAGS, 0, NOTHING, 0 },
	{ HERMIT_EV_DISCARD_BEGIN, S(REMOTE) | S(FETCHING), 0, 0, HERMIT_ABSENT, FLAGS, C | W, NOTHING, 0 },
	{ HERMIT_EV_DISCARD_BEGIN, S(LOCAL), 0, 0, HERMIT_DISCARDING, 0, 0, SAME, 0 },
	{ HERMIT_EV_DISCARD_BEGIN, S(EVICTING), W, 0, HERMIT_DISCARDING, 0, 0, SAME, 0 },
	{ HERMIT_EV_DISCARD_BEGIN, S(EVICTING), 0, W, -1, 0, R, SAME, -EAGAIN },
	{ HERMIT_EV_DISCARD_BEGIN, S(DISCARDING), 0, 0, -1, 0, 0, SAME, -EAGAIN },
	/* One request at a time: with W, the copy waits for the next. */
	{ HERMIT_EV_DISCARD_DONE, S(DISCARDING), W | C, H, HERMIT_ABSENT, FLAGS, W | C, NOTHING, 0 },
	{ HERMIT_EV_DISCARD_DONE, S(DISCARDING), W, C | H, HERMIT_ABSENT, FLAGS, W, NOTHING, 0 },
	{ HERMIT_EV_DISCARD_DONE, S(DISCARDING), C, W | H, HERMIT_ABSENT, FLAGS, W | C, NOTHING, 0 },
	{ HERMIT_EV_DISCARD_DONE, S(DISCARDING), 0, W | C | H, HERMIT_ABSENT, FLAGS, 0, NOTHING, 0 },

	{ HERMIT_EV_LOSE, S(REMOTE) | S(FETCHING), 0, 0, HERMIT_LOST, FLAGS, 0, NOTHING, 0 },
	{ HERMIT_EV_LOSE, ANY, 0, 0, -1, C, 0, SAME, 0 },
};

static int spec(u64 old, enum hermit_event ev, u64 value, unsigned int stamp,
		u64 *new)
{
	const u64 keep = STAMP | VALUE;
	const struct rule *r;
	u64 w;

	*new = old;
	for (r = rules; r < rules + sizeof(rules) / sizeof(*rules); r++) {
		if (r->ev != ev || !(r->from & (1u << hermit_word_state(old))) ||
		    (old & r->with) != r->with || old & r->without)
			continue;
		w = r->to < 0 ? hermit_word_state(old) : (u64)r->to;
		w |= ((old & FLAGS) & ~r->clear) | r->set;
		if (r->payload == SAME)
			w |= old & keep;
		else if (r->payload == FRESH)
			w |= (u64)stamp << HERMIT_W_STAMP_SHIFT |
			     value << HERMIT_W_VALUE_SHIFT;
		else if (r->payload == FRESH_VALUE)
			w |= (old & STAMP) | value << HERMIT_W_VALUE_SHIFT;
		*new = w;
		return r->rc;
	}
	return -EINVAL;
}

/* ---- Rules that hold whatever the table says ---- */

static bool is_completion(enum hermit_event ev)
{
	return ev == HERMIT_EV_WRITE_OK || ev == HERMIT_EV_WRITE_FAIL ||
	       ev == HERMIT_EV_DISCARD_OK || ev == HERMIT_EV_DISCARD_FAIL;
}

static void structure(u64 old, enum hermit_event ev, int rc, u64 new,
		      u64 value)
{
	const enum hermit_state s = hermit_word_state(old);
	const enum hermit_state t = hermit_word_state(new);
	const bool entered_remote = t == HERMIT_REMOTE && s != HERMIT_REMOTE;

#define RULE(cond) CHECK(cond, "%s of %s -> %d, %s", hermit_event_name(ev), \
			 show(old), rc, show(new))
	RULE(rc == 0 || rc == -EAGAIN || rc == -EINVAL);
	RULE(rc != -EINVAL || new == old);
	if (rc == -EAGAIN)
		RULE((new & ~R) == (old & ~R));
	RULE(legal(new) || !legal(old));

	/* At most one write: W comes and goes by these events only. */
	if (old & W && !(new & W))
		RULE(is_completion(ev));
	if (!(old & W) && new & W)
		RULE(ev == HERMIT_EV_EVICT_WRITE || ev == HERMIT_EV_EVICT_ZERO ||
		     ev == HERMIT_EV_DISCARD_BEGIN ||
		     ev == HERMIT_EV_DISCARD_DONE);
	if (ev == HERMIT_EV_EVICT_BEGIN && old & W)
		RULE(rc == -EINVAL);
	if (is_completion(ev) && rc == 0)
		RULE(old & W && !(new & (W | F)));

	/* A page leaves a word by these alone, and never changes in place. */
	if (hermit_word_has_page(old)) {
		if (hermit_word_has_page(new))
			RULE(hermit_word_value(new) == hermit_word_value(old));
		else
			RULE((ev == HERMIT_EV_WRITE_OK && s == HERMIT_EVICTING) ||
			     ev == HERMIT_EV_EVICT_DROP ||
			     ev == HERMIT_EV_EVICT_ZERO ||
			     ev == HERMIT_EV_EVICT_LOSE ||
			     ev == HERMIT_EV_DISCARD_DONE);
	} else if (hermit_word_has_page(new)) {
		RULE(ev == HERMIT_EV_INSTALL_ZERO || ev == HERMIT_EV_INSTALL_READ);
		RULE(hermit_word_value(new) == value);
	}
	/* Every entry into REMOTE takes the new generation. */
	if (entered_remote)
		RULE(hermit_word_value(new) == value);
	if (t == HERMIT_FETCHING || (s == HERMIT_REMOTE && t == s))
		RULE(hermit_word_value(new) == hermit_word_value(old));

	/* Only the owner leaves EVICTING without W; only a write with. */
	if (s == HERMIT_EVICTING && t != s && !(old & W)) {
		RULE(ev == HERMIT_EV_EVICT_KEEP || ev == HERMIT_EV_EVICT_DROP ||
		     ev == HERMIT_EV_EVICT_ZERO || ev == HERMIT_EV_EVICT_LOSE);
		if (t != HERMIT_LOCAL)
			RULE(!(old & (H | R)));
	}
	if (s == HERMIT_EVICTING && !(old & W) && new & W)
		RULE(!(old & (H | R)));
	if (s == HERMIT_DISCARDING && t != s)
		RULE(ev == HERMIT_EV_DISCARD_DONE && !(old & H));
	if (new & H && !(old & H))
		RULE(ev == HERMIT_EV_HOST_MAP && s == HERMIT_LOCAL);
	if (old & H && !(new & H))
		RULE(ev == HERMIT_EV_HOST_UNMAP);
	/* One turn for a mapping, of a page that stays. */
	if (new & U && !(old & U))
		RULE(ev == HERMIT_EV_HOST_MAP);
	if (old & U && !(new & U))
		RULE(ev == HERMIT_EV_HOST_UNMAP ||
		     (ev == HERMIT_EV_PASS && s == HERMIT_LOCAL));

	/*
	 * A copy is believed after a write or a read, and never of a foreign
	 * page; LOST is left by a discard alone.
	 */
	if (new & C && !(old & C) && legal(old))
		RULE(ev == HERMIT_EV_WRITE_OK && !(old & F));
	if (t == HERMIT_REMOTE)
		RULE(ev == HERMIT_EV_WRITE_OK || old & C || !legal(old));
	if (ev == HERMIT_EV_LOSE)
		RULE(!(new & C) && t != HERMIT_REMOTE && t != HERMIT_FETCHING);
	if (s == HERMIT_LOST && t != s)
		RULE(ev == HERMIT_EV_DISCARD_BEGIN && t == HERMIT_ABSENT);
#undef RULE
}

static void test_table(void)
{
	static const u64 values[] = { 0, 0x123456789aULL, HERMIT_W_VALUE_MASK };
	static const unsigned int stamps[] = { 0, 0x5a5, HERMIT_W_STAMP_MASK };
	unsigned int s, n, e, i, words = 0, legals = 0;

	for (s = 0; s < NSTATES; s++)
	for (n = 0; n < 1u << NFLAGS; n++)
	for (i = 0; i < 9; i++) {
		u64 old = hermit_word_make((enum hermit_state)s, nth_flags(n),
					   values[i % 3], stamps[i / 3]);
		const u64 value = 0xfedcba9876ULL ^ values[i % 3];
		const unsigned int stamp = 0x3c3 ^ stamps[i / 3];

		words++;
		legals += legal(old);
		for (e = 0; e < HERMIT_NR_EVENTS; e++) {
			const enum hermit_event ev = (enum hermit_event)e;
			u64 got, want;
			const int rc = hermit_word_next(old, ev, value, stamp, &got);
			const int src = spec(old, ev, value, stamp, &want);

			/*
			 * No event is possible in a word that means nothing;
			 * there, only the way out has to agree.
			 */
			CHECK(rc == src && (legal(old) ? got == want :
			      hermit_word_state(got) == hermit_word_state(want)),
			      "%s of %s: %d, %s instead of %d, %s",
			      hermit_event_name(ev), show(old), rc, show(got),
			      src, show(want));
			if (legal(old))
				structure(old, ev, rc, got, value);
		}
	}
	printf("%u words, %u of them legal, x %u events\n", words, legals,
	       (unsigned int)HERMIT_NR_EVENTS);
}

/* ---- Reachability ---- */

/*
 * What the word does not say and the actors know: what is on the wire, and
 * whether the request still carries the word's own page.
 */
enum wire { IDLE, WRITING, WRITING_OWN, DISCARDING_COPY };

struct node {
	u64 word;
	enum wire wire;
};

static struct node nodes[4096];
static unsigned int nr_nodes;

static void reach(u64 word, enum wire wire)
{
	unsigned int i;

	for (i = 0; i < nr_nodes; i++)
		if (nodes[i].word == word && nodes[i].wire == wire)
			return;
	if (nr_nodes == sizeof(nodes) / sizeof(*nodes)) {
		CHECK(0, "more words than are plausible");
		return;
	}
	nodes[nr_nodes++] = (struct node){ word, wire };
}

/* What the actors are allowed to do; the word function refuses the rest. */
static bool may(const struct node *n, enum hermit_event ev)
{
	switch (ev) {
	case HERMIT_EV_WRITE_OK:
	case HERMIT_EV_WRITE_FAIL:
		return n->wire == WRITING || n->wire == WRITING_OWN;
	case HERMIT_EV_DISCARD_OK:
	case HERMIT_EV_DISCARD_FAIL:
		return n->wire == DISCARDING_COPY;
	default:
		return true;
	}
}

/*
 * WRITING: the request carries the page of the word, which the word owns.
 * WRITING_OWN: it carries another page, or the word has none: its own.
 */
static void follow(const struct node *n, enum hermit_event ev, u64 new)
{
	const u64 old = n->word;
	enum wire wire = n->wire;
	const bool own = hermit_word_state(old) == HERMIT_ABSENT || old & F;

	if (ev == HERMIT_EV_WRITE_OK || ev == HERMIT_EV_WRITE_FAIL)
		CHECK(own == (wire == WRITING_OWN),
		      "%s: the word does not tell whose page the request carries",
		      show(old));
	if (is_completion(ev)) {
		wire = IDLE;
	} else if (new & W && !(old & W)) {
		CHECK(wire == IDLE, "%s of %s: two requests on the wire",
		      hermit_event_name(ev), show(old));
		wire = ev == HERMIT_EV_EVICT_WRITE ? WRITING : DISCARDING_COPY;
	} else if (ev == HERMIT_EV_DISCARD_DONE && wire == WRITING) {
		wire = WRITING_OWN;
	}
	CHECK(!!(new & W) == (wire != IDLE), "%s of %s: W does not tell %s",
	      hermit_event_name(ev), show(old), show(new));
	reach(new, wire);
}

static void test_reachable(void)
{
	unsigned int i, e, s, per_state[NSTATES] = { 0 };
	unsigned int stuck;

	reach(0, IDLE);
	for (i = 0; i < nr_nodes; i++) {
		const struct node n = nodes[i];

		for (e = 0; e < HERMIT_NR_EVENTS; e++) {
			u64 new;
			int rc;

			if (!may(&n, (enum hermit_event)e))
				continue;
			rc = hermit_word_next(n.word, (enum hermit_event)e, 7, 9,
					      &new);
			if (rc == -EINVAL) {
				/* A request must always be able to end. */
				CHECK(!is_completion((enum hermit_event)e),
				      "%s of %s refused",
				      hermit_event_name((enum hermit_event)e),
				      show(n.word));
				continue;
			}
			follow(&n, (enum hermit_event)e, new);
			/* The fault path marks what a prefetch brought. */
			if (e == HERMIT_EV_INSTALL_READ)
				follow(&n, (enum hermit_event)e, new | P);
		}
		if (hermit_word_state(n.word) == HERMIT_LOCAL) {
			reach(n.word & ~P, n.wire);
		}
	}
	for (i = 0; i < nr_nodes; i++) {
		const u64 w = nodes[i].word;

		CHECK(legal(w), "reachable: %s", show(w));
		per_state[hermit_word_state(w)]++;

		/* From everywhere there is a way to go on. */
		for (stuck = 1, e = 0; e < HERMIT_NR_EVENTS; e++) {
			u64 new;

			if (may(&nodes[i], (enum hermit_event)e) &&
			    !hermit_word_next(w, (enum hermit_event)e, 8, 9, &new) &&
			    hermit_word_state(new) != hermit_word_state(w))
				stuck = 0;
		}
		/* HOST_UNMAP comes first there. */
		if (stuck)
			CHECK(hermit_word_state(w) == HERMIT_DISCARDING && w & H,
			      "nothing leads out of %s", show(w));
	}
	for (s = 0; s < NSTATES; s++)
		CHECK(per_state[s], "%s is never reached",
		      hermit_state_name((enum hermit_state)s));
	printf("%u reachable words (with what is on the wire):", nr_nodes);
	for (s = 0; s < NSTATES; s++)
		printf(" %s %u", hermit_state_name((enum hermit_state)s),
		       per_state[s]);
	putchar('\n');
}

static void test_names(void)
{
	unsigned int i;

	for (i = 0; i < NSTATES; i++)
		CHECK(strcmp(hermit_state_name((enum hermit_state)i), "invalid"),
		      "state %u has no name", i);
	for (i = 0; i < HERMIT_NR_EVENTS; i++)
		CHECK(hermit_event_name((enum hermit_event)i) &&
		      strcmp(hermit_event_name((enum hermit_event)i), "invalid"),
		      "event %u has no name", i);
	CHECK(!strcmp(hermit_state_name((enum hermit_state)NSTATES), "invalid"),
	      "a state that is none");
	CHECK(!strcmp(hermit_event_name(HERMIT_NR_EVENTS), "invalid"),
	      "an event that is none");
}

/* The fields do not overlap, and what goes in comes out. */
static void test_fields(void)
{
	const u64 w = hermit_word_make(HERMIT_LOST, FLAGS, ~0ULL, ~0u);
	const u64 unused = 1ULL << 10;

	CHECK((HERMIT_W_STATE ^ FLAGS ^ unused ^ STAMP ^ VALUE) == ~0ULL &&
	      FLAGS == HERMIT_W_FLAGS, "the fields do not fill the word");
	CHECK(hermit_word_state(w) == HERMIT_LOST && (w & FLAGS) == FLAGS &&
	      hermit_word_stamp(w) == HERMIT_W_STAMP_MASK &&
	      hermit_word_value(w) == HERMIT_W_VALUE_MASK, "%s", show(w));
}

int main(void)
{
	test_fields();
	test_names();
	test_table();
	test_reachable();
	return check_report("pageword");
}
