// SPDX-License-Identifier: GPL-2.0-or-later
/* mark begin|end: what recorder.c waits for. */
#include <string.h>

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "begin"))
		__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x01, 0xba, 0xfe, 0xca");
	else if (argc == 2 && !strcmp(argv[1], "end"))
		__asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00, 0x02, 0xba, 0xfe, 0xca");
	else
		return 2;
	return 0;
}
