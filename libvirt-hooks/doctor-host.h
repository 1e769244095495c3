/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HERMIT_DOCTOR_HOST_H
#define HERMIT_DOCTOR_HOST_H
/*
 * What of this host itself "hermitctl doctor" looks at. Files are below
 * HERMIT_ROOT, which is empty but in tests.
 */
#include "findings.h"

/* Kernel, KVM, modules, /dev/hermit, clock. */
void hermit_doctor_kernel (HermitFindings *findings);
/* libvirtd, the hook, qemu.conf, QEMU, AppArmor, the key, the id of the host. */
void hermit_doctor_libvirt (HermitFindings *findings);

#endif
