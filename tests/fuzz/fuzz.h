/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_FUZZ_H
#define HERMIT_FUZZ_H
/*
 * What a fuzzed program has: the entry that libFuzzer calls, and good inputs
 * to begin with. They are made by code, so that they follow the protocol when
 * it changes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define FUZZ_INPUT_MAX 65536

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

/* Seed @i at @data, which has room for FUZZ_INPUT_MAX; 0 after the last. */
size_t fuzz_seed (unsigned int i, uint8_t *data);

/* What must hold: else it is a finding. */
static inline void
require (int promise)
{
  if (!promise)
    abort ();
}

#endif /* HERMIT_FUZZ_H */
