/*
 * hermit-memory: disks that the main loop serves
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit-disks.h"
#include "hw/qdev-core.h"
#include "qobject/qlist.h"
#include "qemu/error-report.h"
#include "qom/qom-qobject.h"
#include "system/block-backend.h"

/* Set by their properties, before there is a context to be looked at */
static bool hermit_has_iothread(Object *dev)
{
    QObject *mapping;
    bool found;

    if (object_property_find(dev, "iothread") &&
        object_property_get_link(dev, "iothread", NULL)) {
        return true;
    }
    if (!object_property_find(dev, "iothread-vq-mapping")) {
        return false;
    }
    mapping = object_property_get_qobject(dev, "iothread-vq-mapping", NULL);
    found = mapping && !qlist_empty(qobject_to(QList, mapping));
    qobject_unref(mapping);
    return found;
}

static DeviceState *hermit_parent(DeviceState *dev)
{
    return dev->parent_bus ? dev->parent_bus->parent : NULL;
}

/* As the user named it, be it the PCI device in front of a virtio one */
static char *hermit_disk_name(BlockBackend *blk, DeviceState *dev)
{
    while (dev && !dev->id) {
        dev = hermit_parent(dev);
    }
    return dev ? g_strdup(dev->id) : blk_get_attached_dev_id(blk);
}

void hermit_disks_check(const char *id)
{
    BlockBackend *blk = NULL;

    while ((blk = blk_all_next(blk))) {
        DeviceState *disk = blk_get_attached_dev(blk), *dev = disk;
        g_autofree char *name = NULL;

        /* A disk on a SCSI bus is served by who serves the controller */
        while (dev && !hermit_has_iothread(OBJECT(dev))) {
            dev = hermit_parent(dev);
        }
        if (!disk || dev) {
            continue;
        }
        name = hermit_disk_name(blk, disk);
        warn_report("hermit-memory '%s': disk '%s' has no iothread: while no "
                    "page arrives the monitor may not answer; give it an "
                    "iothread if it can have one", id, name);
    }
}
