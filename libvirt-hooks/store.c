/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "store.h"

#include "element.h"

#ifdef HAVE_LIBVIRT
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>

static void
be_quiet (void *data, virErrorPtr e)
{
}

static void
set_error (GError **error, const char *what)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", what,
               virGetLastErrorMessage ());
}

static gboolean
domain_set (virDomainPtr dom, const char *attribute, const char *value,
            guint flags, GError **error)
{
  char *xml = virDomainGetMetadata (dom, VIR_DOMAIN_METADATA_ELEMENT,
                                    HERMIT_XML_NAMESPACE, flags);
  g_autofree char *changed = NULL;

  if (!xml)
    {
      set_error (error, "it has no <hermit:memory> in <metadata>");
      return FALSE;
    }
  changed = hermit_element_change (xml, attribute, value, error);
  free (xml);
  if (!changed)
    return FALSE;
  if (virDomainSetMetadata (dom, VIR_DOMAIN_METADATA_ELEMENT, changed,
                            HERMIT_XML_PREFIX, HERMIT_XML_NAMESPACE, flags)
      < 0)
    {
      set_error (error, "libvirt does not take the change");
      return FALSE;
    }
  return TRUE;
}

gboolean
hermit_store_set (const char *domain, const char *attribute, const char *value,
                  gboolean next_start, GError **error)
{
  virConnectPtr conn;
  virDomainPtr dom = NULL;
  gboolean ok = FALSE;

  virSetErrorFunc (NULL, be_quiet);
  conn = virConnectOpen ("qemu:///system");
  if (!conn)
    {
      set_error (error, "cannot reach libvirt");
      return FALSE;
    }
  dom = virDomainLookupByName (conn, domain);
  if (!dom)
    dom = virDomainLookupByUUIDString (conn, domain);
  if (!dom)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                 "'%s': libvirt has no domain of this name or UUID", domain);
  else
    {
      ok = domain_set (dom, attribute, value,
                       next_start ? VIR_DOMAIN_AFFECT_CONFIG
                                  : VIR_DOMAIN_AFFECT_LIVE,
                       error);
      if (!ok)
        g_prefix_error (error, "domain '%s': ", domain);
      virDomainFree (dom);
    }
  virConnectClose (conn);
  return ok;
}

#else

gboolean
hermit_store_set (const char *domain, const char *attribute, const char *value,
                  gboolean next_start, GError **error)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
               "this hermitctl was built without libvirt");
  return FALSE;
}

#endif
