# What our files, which are those of 10.0, have to say otherwise: sed -f.
# Headers moved
s,^#include "exec/memory.h",#include "system/memory.h",
s,^#include "exec/ramblock.h",#include "system/ramblock.h",
s,^#include "hw/boards.h",#include "hw/core/boards.h",
s,^#include "hw/qdev-core.h",#include "hw/core/qdev.h",
s,^#include "hw/resettable.h",#include "hw/core/resettable.h",
# The data of a class is constant
s/_class_init(ObjectClass \*oc, void \*data)/_class_init(ObjectClass *oc, const void *data)/
# There is a second mode in which the memory's fd would be handed over, and modes
# are a mask
/migrate_add_blocker_modes(&h->cpr_blocker, errp,/ {
	N
	s/, errp,\n/,\n/
	s/MIG_MODE_CPR_TRANSFER, -1)/BIT(MIG_MODE_CPR_TRANSFER) |\
                                  BIT(MIG_MODE_CPR_EXEC), errp)/
}
