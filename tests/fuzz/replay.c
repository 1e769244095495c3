/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A main() for fuzzed programs without libFuzzer: as a test it runs the seeds
 * and hundreds of mutations of each, always the same ones, and then the
 * files of a folder: what reaches further, and findings of the past.
 *
 *   fuzz-NAME-replay [DIR]
 *   fuzz-NAME-replay --write DIR    put the seeds there, for libFuzzer
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MUTATIONS 500

static uint64_t random_state = 0x4d4d5248;

static uint32_t
random_below (uint32_t n)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32) % n;
}

/* Change @data a little. Returns its new size, never 0. */
static size_t
mutate (uint8_t *data, size_t size)
{
  static const uint64_t interesting[] = { 0,     1,          4095,     4096,
                                          4097,  1u << 30,   1u << 31, ~0u,
                                          ~0ULL, ~0ULL << 12 };
  uint32_t at = random_below (size), length = 1 + random_below (8), to;
  uint64_t word = interesting[random_below (10)];

  if (length > size - at)
    length = size - at;
  switch (random_below (6))
    {
    case 0:
      data[at] ^= 1u << random_below (8);
      break;
    case 1:
      memcpy (data + at, &word, length);
      break;
    case 2:
      for (uint32_t i = 0; i < length; i++)
        data[at + i] = random_below (256);
      break;
    case 3: /* cut */
      return at ? at : size;
    case 4: /* take a frame's worth out */
      length = size - at < 32 ? size - at : 32;
      memmove (data + at, data + at + length, size - at - length);
      return size - length ? size - length : 1;
    default: /* repeat a piece elsewhere */
      to = random_below (size);
      length = 32 * (1 + random_below (130));
      if (length > size - at)
        length = size - at;
      if (length > size - to)
        length = size - to;
      memmove (data + to, data + at, length);
    }
  return size;
}

/* On a copy of its own size, so that ASan sees a step beyond it. */
static void
run (const uint8_t *data, size_t size)
{
  uint8_t *copy = malloc (size ? size : 1);

  memcpy (copy, data, size);
  LLVMFuzzerTestOneInput (copy, size);
  free (copy);
}

static void
run_seeds (uint8_t *seed, uint8_t *work)
{
  unsigned int i, runs = 0;
  size_t size;

  for (i = 0; (size = fuzz_seed (i, seed)); i++)
    {
      run (seed, size);
      for (unsigned int m = 0; m < MUTATIONS; m++, runs++)
        {
          size_t now = size;

          memcpy (work, seed, size);
          for (uint32_t n = 1 + random_below (4); n; n--)
            now = mutate (work, now);
          run (work, now);
        }
    }
  printf ("%u seeds, %u mutations\n", i, runs);
}

static int
write_seeds (const char *dir, uint8_t *seed)
{
  size_t size;

  for (unsigned int i = 0; (size = fuzz_seed (i, seed)); i++)
    {
      char path[4096];
      FILE *f;

      snprintf (path, sizeof (path), "%s/seed-%02u", dir, i);
      f = fopen (path, "wb");
      if (!f || fwrite (seed, 1, size, f) != size || fclose (f))
        {
          perror (path);
          return EXIT_FAILURE;
        }
    }
  return EXIT_SUCCESS;
}

static int
run_file (const char *path, uint8_t *data)
{
  FILE *f = fopen (path, "rb");
  size_t size;

  if (!f)
    {
      perror (path);
      return EXIT_FAILURE;
    }
  size = fread (data, 1, FUZZ_INPUT_MAX, f);
  fclose (f);
  printf ("%s: %zu bytes\n", path, size);
  fflush (stdout);
  run (data, size);
  return EXIT_SUCCESS;
}

static int
run_files (const char *dir, uint8_t *data)
{
  int result = EXIT_SUCCESS;
  DIR *d = opendir (dir);
  struct dirent *e;

  if (!d)
    {
      perror (dir);
      return EXIT_FAILURE;
    }
  while (result == EXIT_SUCCESS && (e = readdir (d)))
    {
      char path[4096];

      if (e->d_name[0] == '.')
        continue;
      snprintf (path, sizeof (path), "%s/%s", dir, e->d_name);
      result = run_file (path, data);
    }
  closedir (d);
  return result;
}

int
main (int argc, char **argv)
{
  static uint8_t seed[FUZZ_INPUT_MAX], work[FUZZ_INPUT_MAX];

  if (argc == 3 && !strcmp (argv[1], "--write"))
    return write_seeds (argv[2], seed);
  run_seeds (seed, work);
  return argc > 1 ? run_files (argv[1], work) : EXIT_SUCCESS;
}
