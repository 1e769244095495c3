/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-libvirt.h"

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

FakeLibvirt *fake_libvirt;

static virConnectDomainEventMetadataChangeCallback on_change;
static virConnectCloseFunc on_close;
static void *on_close_data;
static bool quiet;

/* Opaque to who uses them. */
#define CONNECTION ((virConnectPtr)fake_libvirt)
#define DOMAIN ((virDomainPtr)fake_libvirt)

static bool
fails (const char *function)
{
  return !g_strcmp0 (fake_libvirt->fails, function);
}

const char *
virGetLastErrorMessage (void)
{
  return fake_libvirt->fails ?: "no error";
}

void
virSetErrorFunc (void *data, virErrorFunc handler)
{
  g_assert_nonnull (handler);
  handler (data, NULL);
  quiet = true;
}

virConnectPtr
virConnectOpen (const char *name)
{
  g_assert_cmpstr (name, ==, "qemu:///system");
  /* it would write its errors to stderr itself */
  g_assert_true (quiet);
  if (fails (__func__))
    return NULL;
  fake_libvirt->open++;
  return CONNECTION;
}

int
virConnectClose (virConnectPtr conn)
{
  g_assert_true (conn == CONNECTION);
  return --fake_libvirt->open;
}

static virDomainPtr
look_up (const char *function, const char *want, const char *have)
{
  if (fails (function) || strcmp (want, have))
    return NULL;
  fake_libvirt->open++;
  return DOMAIN;
}

virDomainPtr
virDomainLookupByName (virConnectPtr conn, const char *name)
{
  return look_up (__func__, name, fake_libvirt->name);
}

virDomainPtr
virDomainLookupByUUIDString (virConnectPtr conn, const char *uuid)
{
  return look_up (__func__, uuid, fake_libvirt->uuid);
}

int
virDomainFree (virDomainPtr dom)
{
  g_assert_true (dom == DOMAIN);
  fake_libvirt->open--;
  return 0;
}

static char *
metadata (unsigned flags)
{
  g_assert_true (flags == VIR_DOMAIN_AFFECT_LIVE
                 || flags == VIR_DOMAIN_AFFECT_CONFIG);
  return flags == VIR_DOMAIN_AFFECT_LIVE ? fake_libvirt->live
                                         : fake_libvirt->config;
}

char *
virDomainGetMetadata (virDomainPtr dom, int type, const char *uri,
                      unsigned flags)
{
  const char *xml = metadata (flags);

  g_assert_cmpint (type, ==, VIR_DOMAIN_METADATA_ELEMENT);
  g_assert_cmpstr (uri, ==, "https://hermit.example/xmlns/libvirt/1");
  return fails (__func__) || !*xml ? NULL : strdup (xml);
}

int
virDomainSetMetadata (virDomainPtr dom, int type, const char *xml,
                      const char *key, const char *uri, unsigned flags)
{
  g_assert_cmpint (type, ==, VIR_DOMAIN_METADATA_ELEMENT);
  g_assert_cmpstr (key, ==, "hermit");
  g_assert_cmpstr (uri, ==, "https://hermit.example/xmlns/libvirt/1");
  if (fails (__func__))
    return -1;
  g_strlcpy (metadata (flags), xml, FAKE_XML);
  return 0;
}

const char *
virDomainGetName (virDomainPtr dom)
{
  return fake_libvirt->name;
}

int
virDomainGetUUIDString (virDomainPtr dom, char *buffer)
{
  if (fails (__func__))
    return -1;
  g_strlcpy (buffer, fake_libvirt->uuid, VIR_UUID_STRING_BUFLEN);
  return 0;
}

int
virDomainIsActive (virDomainPtr dom)
{
  return fake_libvirt->running;
}

int
virEventRegisterDefaultImpl (void)
{
  return fails (__func__) ? -1 : 0;
}

int
virConnectRegisterCloseCallback (virConnectPtr conn, virConnectCloseFunc cb,
                                 void *data, virFreeCallback unused)
{
  on_close = cb;
  on_close_data = data;
  return fails (__func__) ? -1 : 0;
}

int
virConnectSetKeepAlive (virConnectPtr conn, int interval, unsigned count)
{
  g_assert_cmpint (interval, >, 0);
  g_assert_cmpuint (count, >, 0);
  return fails (__func__) ? -1 : 0;
}

int
virConnectDomainEventRegisterAny (virConnectPtr conn, virDomainPtr dom,
                                  int event,
                                  virConnectDomainEventGenericCallback cb,
                                  void *data, virFreeCallback unused)
{
  g_assert_cmpint (event, ==, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE);
  on_change = (virConnectDomainEventMetadataChangeCallback)(void *)cb;
  return fails (__func__) ? -1 : 0;
}

int
virEventRunDefaultImpl (void)
{
  unsigned n = fake_libvirt->told++;

  if (fails (__func__))
    return -1;
  /* who does not notice that it is closed would go on for ever */
  g_assert_cmpuint (n, <=, fake_libvirt->nr_events);
  if (n == fake_libvirt->nr_events)
    {
      on_close (CONNECTION, VIR_CONNECT_CLOSE_REASON_EOF, on_close_data);
      return 0;
    }
  if (fake_libvirt->events[n].live)
    g_strlcpy (fake_libvirt->live, fake_libvirt->events[n].live, FAKE_XML);
  on_change (CONNECTION, DOMAIN, fake_libvirt->events[n].type,
             fake_libvirt->events[n].uri, NULL);
  return 0;
}
