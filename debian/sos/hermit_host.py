# SPDX-License-Identifier: GPL-2.0-or-later
"""sosreport: what is asked for when something is wrong on a compute host."""
from sos.report.plugins import IndependentPlugin, Plugin


class HermitHost(Plugin, IndependentPlugin):

    short_desc = "Hermit-VM: virtual machines with memory on memory servers"
    plugin_name = "hermit_host"
    profiles = ("virt", "memory")
    packages = ("hermit-host", "hermit-dkms")

    def setup(self):
        # whoever has a key gets at the memory of all VMs
        self.add_forbidden_path(["/etc/hermit/key", "/etc/hermit/keys"])
        self.add_copy_spec([
            "/etc/default/hermit-modules",
            "/etc/libvirt/qemu.conf",
            "/run/hermit",
            "/var/lib/dkms/hermit/*/*/*/log/make.log",
            "/var/lib/hermit-modules/failed",
        ])
        self.add_cmd_output([
            "hermitctl doctor --json",
            "hermitctl stat --json",
            "hermitctl top --count 2 --interval 5 --json",
            "dkms status -m hermit",
            "modinfo hermit",
        ])
        self.add_journal(units=["hermit-modules", "hermit-follow"])
