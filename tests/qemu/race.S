/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole of a guest, a ROM of 64 KiB: it writes to the pages 0x20 to 0x7f,
 * over and over, until there is an order in page 0x11. From then on it writes
 * only what is ordered, to page 0x7f, and that it is done, to page 0x10.
 */
	.code16
start:
	mov	$0xff, %al		/* no interrupts: those need QEMU's lock */
	out	%al, $0x21
	out	%al, $0xa1
	xor	%cx, %cx
again:
	mov	$0x1100, %ax
	mov	%ax, %ds
	mov	0, %bx
	cmp	%cx, %bx
	jne	obey
	mov	$0x2000, %ax
write:
	mov	%ax, %ds
	incw	0
	add	$0x100, %ax
	cmp	$0x8000, %ax
	jb	write
	jmp	again
obey:
	mov	%bx, %cx
	mov	$0x7f00, %ax
	mov	%ax, %ds
	mov	%bx, 0
	mov	$0x1000, %ax
	mov	%ax, %ds
	mov	%bx, 0
	mov	$0x1100, %ax
	mov	%ax, %ds
wait:
	mov	0, %bx
	cmp	%cx, %bx
	je	wait
	jmp	obey

	.org	0xfff0
	jmp	start
	.org	0xffff
	.byte	0
