/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "limit.h"

#include "region.h"
#include "size.h"

/* In integers: a fraction would come out a page below what was asked for. */
static guint64
share_of (guint64 limit, guint64 size, guint64 total)
{
  return (guint64)((unsigned __int128)limit * size / total)
         & ~(guint64)(HERMIT_PAGE_SIZE - 1);
}

gboolean
hermit_limit_apply (GPtrArray *regions, guint64 limit, double ratio,
                    GError **error)
{
  guint64 total = 0;

  for (guint i = 0; i < regions->len; i++)
    total += ((HermitRegion *)regions->pdata[i])->st.region_size;
  if (limit > total)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "limit %" G_GUINT64_FORMAT " is above the size, "
                   "%" G_GUINT64_FORMAT,
                   limit, total);
      return FALSE;
    }
  for (guint i = 0; i < regions->len; i++)
    {
      const HermitRegion *r = regions->pdata[i];
      guint64 share = ratio
                          ? hermit_ratio_of (r->st.region_size, ratio)
                          : share_of (limit, r->st.region_size, total);

      if (!hermit_device_set_limit ((const unsigned char *)r->st.uuid, share,
                                    error))
        {
          g_prefix_error (error, "%s%s: ", r->st.name,
                          i ? " (the others are set)" : "");
          return FALSE;
        }
    }
  return TRUE;
}

gboolean
hermit_policy_apply (GPtrArray *regions, const struct hermit_policy *policy,
                     GError **error)
{
  for (guint i = 0; i < regions->len && policy->set; i++)
    {
      const HermitRegion *r = regions->pdata[i];
      struct hermit_policy p = *policy;

      if (!hermit_device_policy ((const unsigned char *)r->st.uuid, &p, error))
        {
          g_prefix_error (error, "%s%s: ", r->st.name,
                          i ? " (the others are set)" : "");
          return FALSE;
        }
    }
  return TRUE;
}
