// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keep a few empty VMs alive until killed, so that no other VM is ever the
 * first or the last of its kind. KVM and the scheduler patch their code when
 * that changes (preempt_notifier_key, kvm_has_noapic_vcpu, apic_sw_disabled),
 * and emulated processors sometimes run into half-patched instructions: "Oops:
 * int3" in __schedule(). Prints "held" when it is done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int must(int r, const char *what)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "kvm-hold: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(void)
{
	int kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");

	for (int apic = 0; apic < 2; apic++) {
		int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");

		if (apic)
			must(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
		must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	}
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}
