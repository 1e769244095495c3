/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_TURN_H
#define HERMIT_TURN_H
/* The host's cap on batches, shared by weight. Task context; may sleep. */
struct hermit_region;

/* Waits for no longer than the batches of others take. */
void hermit_turn_begin(struct hermit_region *r);
/* @pages: what the batch was good for. */
void hermit_turn_end(struct hermit_region *r, unsigned int pages);

#endif /* HERMIT_TURN_H */
