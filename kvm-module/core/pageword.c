// SPDX-License-Identifier: GPL-2.0-only
#include "pageword.h"

static const char *const state_names[] = {
	[HERMIT_ABSENT] = "absent",
	[HERMIT_LOCAL] = "local",
	[HERMIT_EVICTING] = "evicting",
	[HERMIT_DISCARDING] = "discarding",
	[HERMIT_REMOTE] = "remote",
	[HERMIT_FETCHING] = "fetching",
	[HERMIT_LOST] = "lost",
};

static const char *const event_names[HERMIT_NR_EVENTS] = {
	[HERMIT_EV_INSTALL_ZERO] = "install-zero",
	[HERMIT_EV_INSTALL_READ] = "install-read",
	[HERMIT_EV_FETCH_BEGIN] = "fetch-begin",
	[HERMIT_EV_FETCH_FAIL] = "fetch-fail",
	[HERMIT_EV_HOST_MAP] = "host-map",
	[HERMIT_EV_RESCUE] = "rescue",
	[HERMIT_EV_PASS] = "pass",
	[HERMIT_EV_EVICT_BEGIN] = "evict-begin",
	[HERMIT_EV_HOST_UNMAP] = "host-unmap",
	[HERMIT_EV_EVICT_KEEP] = "evict-keep",
	[HERMIT_EV_EVICT_WRITE] = "evict-write",
	[HERMIT_EV_EVICT_DROP] = "evict-drop",
	[HERMIT_EV_EVICT_ZERO] = "evict-zero",
	[HERMIT_EV_EVICT_LOSE] = "evict-lose",
	[HERMIT_EV_WRITE_OK] = "write-ok",
	[HERMIT_EV_WRITE_FAIL] = "write-fail",
	[HERMIT_EV_DISCARD_OK] = "discard-ok",
	[HERMIT_EV_DISCARD_FAIL] = "discard-fail",
	[HERMIT_EV_DISCARD_BEGIN] = "discard-begin",
	[HERMIT_EV_DISCARD_DONE] = "discard-done",
	[HERMIT_EV_LOSE] = "lose",
};

const char *hermit_state_name(enum hermit_state s)
{
	if ((unsigned int)s >= sizeof(state_names) / sizeof(state_names[0]))
		return "invalid";
	return state_names[s];
}

const char *hermit_event_name(enum hermit_event ev)
{
	if ((unsigned int)ev >= HERMIT_NR_EVENTS)
		return "invalid";
	return event_names[ev];
}
