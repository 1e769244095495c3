# SPDX-License-Identifier: GPL-2.0-or-later
"""sosreport: what is asked for when something is wrong on a memory node."""
from sos.report.plugins import IndependentPlugin, Plugin

CONTROL = "/run/hermit-memserver/control"


class HermitMemserver(Plugin, IndependentPlugin):

    short_desc = "Hermit-VM: memory lent to virtual machines on other hosts"
    plugin_name = "hermit_memserver"
    profiles = ("virt", "memory")
    packages = ("hermit-memserver",)

    def setup(self):
        # whoever has a key gets at the memory of all VMs
        self.add_forbidden_path(["/etc/hermit/key", "/etc/hermit/keys"])
        self.add_copy_spec([
            "/etc/default/hermit-memserver",
            "/etc/systemd/system/hermit-memserver.service.d",
        ])
        self.add_cmd_output([
            f"hermit-memserver --control {CONTROL} status",
            f"hermit-memserver --control {CONTROL} list",
            "systemctl status hermit-memserver",
        ])
        self.add_journal(units="hermit-memserver")
