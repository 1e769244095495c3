// SPDX-License-Identifier: GPL-2.0-only
/*
 * hermit.ko: guest memory larger than the host memory it may use. Links
 * neither KVM nor RDMA; hermit-kvm.ko and hermit-rdma.ko register with it.
 */
#include <linux/module.h>
#include <asm/cpufeature.h>

#include "control.h"
#include "core/crc.h"
#include "engine/pressure.h"
#include "engine/request.h"
#include "link/cipher.h"
#include "link/transport.h"
#include "machine_check.h"

static int __init hermit_init(void)
{
	int ret;

	if (!boot_cpu_has(X86_FEATURE_XMM4_2)) {
		pr_err("hermit: this processor has no crc32 instruction (SSE 4.2): what servers answer could not be checked\n");
		return -ENODEV;
	}
	hermit_crc_init();
	ret = hermit_req_init();
	if (ret)
		return ret;
	ret = hermit_pressure_init();
	if (ret)
		goto exit_req;
	ret = hermit_cipher_init();
	if (ret)
		goto exit_pressure;
	ret = hermit_transport_register(&hermit_transport_local);
	if (ret)
		goto exit_cipher;
	ret = hermit_transport_register(&hermit_transport_tcp);
	if (ret)
		goto unregister_local;
	ret = hermit_control_init();
	if (ret)
		goto unregister_tcp;
	hermit_machine_check_init();
	return 0;

unregister_tcp:
	hermit_transport_unregister(&hermit_transport_tcp);
unregister_local:
	hermit_transport_unregister(&hermit_transport_local);
exit_cipher:
	hermit_cipher_exit();
exit_pressure:
	hermit_pressure_exit();
exit_req:
	hermit_req_exit();
	return ret;
}

static void __exit hermit_exit(void)
{
	hermit_machine_check_exit();
	hermit_control_exit();
	hermit_transport_unregister(&hermit_transport_tcp);
	hermit_transport_unregister(&hermit_transport_local);
	hermit_cipher_exit();
	hermit_pressure_exit();
	hermit_req_exit();
}

module_init(hermit_init);
module_exit(hermit_exit);
MODULE_LICENSE("GPL");
/* that of meson.build: "hermitctl doctor" compares */
MODULE_VERSION("0.1.0");
MODULE_DESCRIPTION("Transparent remote memory for virtual machines");
