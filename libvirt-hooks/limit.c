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

/* Before the first is set: the kernel would refuse the second by its part. */
static gboolean
check_share (const HermitRegion *r, guint64 limit, guint64 total,
             GError **error)
{
  guint64 share = share_of (limit, r->st.region_size, total);
  guint64 need = MIN (r->st.floor, r->st.region_size);

  if (share >= need)
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "limit %" G_GUINT64_FORMAT " is split by size, and %s would "
               "get %" G_GUINT64_FORMAT " of its %" G_GUINT64_FORMAT
               " bytes: it needs %" G_GUINT64_FORMAT " on this host, so the "
               "limit has to be at least %" G_GUINT64_FORMAT,
               limit, r->st.name, share, (guint64)r->st.region_size, need,
               (guint64)(((unsigned __int128)need * total
                          + r->st.region_size - 1)
                         / r->st.region_size));
  return FALSE;
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
  for (guint i = 0; i < regions->len && regions->len > 1 && !ratio; i++)
    if (!check_share (regions->pdata[i], limit, total, error))
      return FALSE;
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
