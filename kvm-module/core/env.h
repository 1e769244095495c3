/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HERMIT_CORE_ENV_H
#define HERMIT_CORE_ENV_H
/*
 * The one header that core/ and wire/ may include. They are compiled twice,
 * into hermit.ko and into userland (memserver, unit tests, fuzzers), and get
 * every name they use from here: integer types, errno values, byte order.
 * They never allocate, lock, sleep or read a clock.
 */
#ifdef __KERNEL__

#include <linux/types.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <asm/byteorder.h>

#else

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <linux/types.h>	/* __le16 ..; glibc pulls it in too */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define cpu_to_le16(x) htole16(x)
#define cpu_to_le32(x) htole32(x)
#define cpu_to_le64(x) htole64(x)
#define le16_to_cpu(x) le16toh(x)
#define le32_to_cpu(x) le32toh(x)
#define le64_to_cpu(x) le64toh(x)

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif
#ifndef __packed
#define __packed __attribute__((__packed__))
#endif

/* Of a word that another thread may write: one load, one store. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

static inline int ilog2(u64 v)
{
	return 63 - __builtin_clzll(v);
}

static inline u64 div64_u64(u64 a, u64 b)
{
	return a / b;
}

#endif /* __KERNEL__ */
#endif /* HERMIT_CORE_ENV_H */
