/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_BACKENDS_H
#define HERMIT_BACKENDS_H
/*
 * QEMU's command line, as libvirt writes it, with the objects that are the
 * guest's RAM turned into hermit-memory ones.
 *
 * RAM is what -machine memory-backend=, -numa memdev= and the devices pc-dimm
 * and virtio-mem name. The files of NVDIMM, virtio-pmem and ivshmem are what
 * somebody wants to keep, and are not touched; QEMU is told that it may have
 * them, and refuses any other memory backend. No other argument is touched.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The least limit of a region with so many reclaim threads: hermit_floor(). */
typedef uint64_t HermitFloor (uint32_t reclaim_threads);

/*
 * @config is what the qemu hook wrote; @floor is asked where a limit has to be
 * split. On failure false, and *@error is a sentence to be freed; @argv then is
 * not to be used.
 */
bool hermit_backends_convert (int argc, char **argv, const json_t *config,
                              HermitFloor *floor, char **error);

/*
 * What comes after the first word @option of @argv, with one dash or two, or
 * NULL. It may stand where another option has its value: whoever asks takes
 * nothing on trust.
 */
const char *hermit_args_find (int argc, char **argv, const char *option);

#endif
