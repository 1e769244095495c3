/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "follow.h"

#include <stdio.h>
#include <stdlib.h>

#include "element.h"
#include "limit.h"
#include "region.h"

#ifdef HAVE_LIBVIRT
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

/* Seconds between two pings of libvirtd, and how many may be lost. */
#define PING 5
#define PINGS_LOST 3

static gboolean
follow_domain (virDomainPtr dom, GError **error)
{
  char *xml
      = virDomainGetMetadata (dom, VIR_DOMAIN_METADATA_ELEMENT,
                              HERMIT_XML_NAMESPACE, VIR_DOMAIN_AFFECT_LIVE);
  char uuid[VIR_UUID_STRING_BUFLEN];
  g_autoptr (GPtrArray) regions = NULL;
  struct hermit_policy policy;
  guint64 limit;
  double ratio;
  gboolean ok;

  if (!xml || virDomainGetUUIDString (dom, uuid) < 0)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s",
                   virGetLastErrorMessage ());
      free (xml);
      return FALSE;
    }
  ok = hermit_element_limit (xml, &limit, &ratio, error)
       && hermit_element_policy (xml, &policy, error);
  free (xml);
  if (!ok || !(regions = hermit_regions_find (uuid, error)))
    return FALSE;
  return hermit_limit_apply (regions, limit, ratio, error)
         && hermit_policy_apply (regions, &policy, error);
}

static void
on_change (virConnectPtr conn, virDomainPtr dom, int type, const char *uri,
           void *data)
{
  g_autoptr (GError) error = NULL;
  const char *name = virDomainGetName (dom);

  /* That of the next start changes without effect. */
  if (type != VIR_DOMAIN_METADATA_ELEMENT
      || g_strcmp0 (uri, HERMIT_XML_NAMESPACE) || !virDomainIsActive (dom))
    return;
  if (follow_domain (dom, &error))
    printf ("%s: set as its <hermit:memory> says\n", name);
  else
    fprintf (stderr, "hermitctl: %s: %s\n", name, error->message);
  fflush (stdout);
}

static void
on_close (virConnectPtr conn, int reason, void *data)
{
  gboolean *closed = data;

  *closed = TRUE;
}

static void
be_quiet (void *data, virErrorPtr e)
{
}

gboolean
hermit_follow (GError **error)
{
  gboolean closed = FALSE;
  virConnectPtr conn = NULL;

  virSetErrorFunc (NULL, be_quiet);
  if (virEventRegisterDefaultImpl () < 0
      || !(conn = virConnectOpen ("qemu:///system"))
      || virConnectRegisterCloseCallback (conn, on_close, &closed, NULL) < 0
      || virConnectSetKeepAlive (conn, PING, PINGS_LOST) < 0
      || virConnectDomainEventRegisterAny (
             conn, NULL, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
             VIR_DOMAIN_EVENT_CALLBACK (on_change), NULL, NULL)
             < 0)
    {
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                   "cannot follow libvirt: %s", virGetLastErrorMessage ());
      if (conn)
        virConnectClose (conn);
      return FALSE;
    }
  puts ("following");
  fflush (stdout);
  while (!closed && virEventRunDefaultImpl () == 0)
    ;
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "libvirtd went away");
  virConnectClose (conn);
  return FALSE;
}

#else

gboolean
hermit_follow (GError **error)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS,
               "this hermitctl was built without libvirt");
  return FALSE;
}

#endif
