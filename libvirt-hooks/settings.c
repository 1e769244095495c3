/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "settings.h"

#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <string.h>

#include "element.h"
#include "policy.h"
#include "region-uuid.h"
#include "size.h"

#define EMULATOR "hermit-qemu"
/*
 * What QEMU needs beside the guest's memory, for <memtune>: itself and its
 * threads, and a 256th of the guest's size for page tables and page words.
 */
#define OVERHEAD (256 * 1024 * 1024ULL)
#define OVERHEAD_SHARE 256

typedef struct
{
  const char *xpath;
  const char *why;
} Refusal;

/* An element that is meant for us, and that nobody would read. */
static const Refusal misplaced[] = {
  { "/domain/metadata/hermit:*[2]",
    "<metadata> has a second element in the namespace of <hermit:memory>: "
    "there can be one only, so put what they say into one" },
  { "//hermit:*[not(parent::metadata/parent::domain)]",
    "<hermit:memory> is inside of another element, where it counts for "
    "nothing: put it into <metadata> itself" },
};
#define NEAR_MISS                                                             \
  "/domain/metadata//*[namespace-uri() != '" HERMIT_XML_NAMESPACE "' and ("   \
  "contains(namespace-uri(), '//hermit.example/')"                            \
  " or name() = 'hermit:memory'"                                              \
  " or local-name() = 'memory' and contains(namespace-uri(), 'hermit'))]"

static const Refusal refused[] = {
  { "/domain/memoryBacking/locked",
    "<locked/> cannot be used with <hermit:memory>: locked memory cannot "
    "leave this host" },
  { "/domain/memoryBacking/hugepages",
    "<hugepages/> cannot be used with <hermit:memory>: its pages come and go "
    "one by one" },
  { "/domain/memoryBacking/allocation[@mode='immediate']",
    "<allocation mode='immediate'/> cannot be used with <hermit:memory>: the "
    "memory may be larger than what this host keeps of it" },
  { "/domain/devices/hostdev[@type='pci' or @type='mdev']"
    "|/domain/devices/interface[@type='hostdev']",
    "a passed-through device (<hostdev>, VFIO) cannot be used with "
    "<hermit:memory>: it pins all memory on this host" },
  { "/domain/devices/interface[@type='vdpa']"
    "|/domain/devices/disk[@type='vhostvdpa']",
    "a vDPA device cannot be used with <hermit:memory>: it pins all memory on "
    "this host" },
  { "/domain/devices/disk/descendant-or-self::*[@type='nvme']",
    "<disk type='nvme'> cannot be used with <hermit:memory>: QEMU drives it "
    "by VFIO, which pins all memory on this host; leave the disk to the "
    "host's own driver and use type='block'" },
  { "/domain/*[local-name() = 'commandline']/*[local-name() = 'arg']"
    "[contains(@value, 'vfio') or contains(@value, 'nvme://')]",
    "<qemu:commandline> names a device by VFIO, which cannot be used with "
    "<hermit:memory>: it pins all memory on this host" },
  { "/domain/launchSecurity",
    "<launchSecurity> cannot be used with <hermit:memory>: the host cannot "
    "move encrypted pages" },
  { "/domain/numatune/memory|/domain/numatune/memnode",
    "<numatune> for memory cannot be used with <hermit:memory>: pages are "
    "placed where they are needed" },
  { "/domain/devices/memory[@model='sgx-epc']",
    "<memory model='sgx-epc'> cannot be used with <hermit:memory>: the host "
    "cannot move the pages of an enclave" },
  /* slots are needed by some models only, so they are not enough to look at */
  { "/domain/maxMemory[number(.) > number(/domain/memory)]",
    "<maxMemory> is above <memory>, with room for memory that is plugged in "
    "later, which <hermit:memory> would not limit: leave it out, or with "
    "<memory> devices make it the same as <memory>" },
  { "/domain/maxMemory[@slots > count(/domain/devices/memory)]",
    "<maxMemory> has slots for memory that is plugged in later, which "
    "<hermit:memory> would not limit: give it as many slots as there are "
    "<memory> devices" },
};

void
hermit_settings_free (HermitSettings *settings)
{
  g_free (settings->name);
  g_free (settings->uuid);
  json_decref (settings->properties);
  g_free (settings);
}

static void G_GNUC_PRINTF (2, 3) fail (GError **error, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_propagate_error (error, g_error_new_valist (G_FILE_ERROR,
                                                G_FILE_ERROR_INVAL, format,
                                                args));
  va_end (args);
}

static xmlNode *
find_node (xmlXPathContext *xpath, const char *path)
{
  xmlXPathObject *found
      = xmlXPathEvalExpression ((const xmlChar *)path, xpath);
  xmlNode *node = found && !xmlXPathNodeSetIsEmpty (found->nodesetval)
                      ? found->nodesetval->nodeTab[0]
                      : NULL;

  xmlXPathFreeObject (found);
  return node;
}

static char *
find_text (xmlXPathContext *xpath, const char *path)
{
  xmlNode *node = find_node (xpath, path);
  xmlChar *content = node ? xmlNodeGetContent (node) : NULL;
  char *text = content ? g_strdup ((const char *)content) : NULL;

  xmlFree (content);
  return text;
}

/* libvirt gives KiB to hooks, whatever the user wrote. */
static guint64
find_size (xmlXPathContext *xpath, const char *path)
{
  g_autofree char *text = find_text (xpath, path);

  return text ? g_ascii_strtoull (text, NULL, 10) * 1024 : 0;
}

static char *
attribute (xmlNode *node, const char *name)
{
  xmlChar *value = xmlGetNoNsProp (node, (const xmlChar *)name);
  char *text = value ? g_strdup ((const char *)value) : NULL;

  xmlFree (value);
  return text;
}

/* The first thing that is wrong, without libxml's newline. */
static void
keep_message (void *data, const xmlError *e)
{
  char **message = data;

  if (!*message)
    *message = g_strchomp (g_strdup (e->message));
}

static gboolean
validate (xmlNode *node, const char *schema, GError **error)
{
  g_autofree char *message = NULL;
  xmlRelaxNGParserCtxt *parser = xmlRelaxNGNewParserCtxt (schema);
  xmlRelaxNG *rng = parser ? xmlRelaxNGParse (parser) : NULL;
  xmlRelaxNGValidCtxt *valid = rng ? xmlRelaxNGNewValidCtxt (rng) : NULL;
  xmlDoc *doc = xmlNewDoc ((const xmlChar *)"1.0");
  int ret = -1;

  if (valid)
    {
      xmlRelaxNGSetValidStructuredErrors (valid,
                                          (xmlStructuredErrorFunc)keep_message,
                                          &message);
      xmlDocSetRootElement (doc, xmlDocCopyNode (node, doc, 1));
      ret = xmlRelaxNGValidateDoc (valid, doc);
    }
  if (!valid)
    fail (error, "cannot read the schema %s", schema);
  else if (ret)
    fail (error, "<hermit:memory> is not as it should be: %s (see %s)",
          message ?: "unknown reason", schema);
  xmlFreeDoc (doc);
  xmlRelaxNGFreeValidCtxt (valid);
  xmlRelaxNGFree (rng);
  xmlRelaxNGFreeParserCtxt (parser);
  return !ret;
}

static void
put_integer (json_t *properties, xmlNode *node, const char *name)
{
  g_autofree char *value = attribute (node, name);

  if (value)
    json_object_set_new (properties, name,
                         json_integer (g_ascii_strtoull (value, NULL, 10)));
}

static void
put_string (json_t *properties, xmlNode *node, const char *name)
{
  g_autofree char *value = attribute (node, name);

  if (value)
    json_object_set_new (properties, name, json_string (value));
}

/* The techniques' switches. */
static gboolean
put_policy (json_t *properties, xmlNode *node, GError **error)
{
  struct hermit_policy policy = { 0 };
  const char *name;

  for (guint i = 0; (name = hermit_policy_name (i)); i++)
    {
      g_autofree char *value = attribute (node, name);

      if (!value)
        continue;
      if (!hermit_policy_set (&policy, name, value, error))
        {
          g_prefix_error (error, "<hermit:memory>: ");
          return FALSE;
        }
      json_object_set_new (properties, name,
                           hermit_policy_json (&policy, name));
    }
  return TRUE;
}

/* limit and local-ratio, of which there is one. */
static gboolean
read_limit (xmlNode *node, guint64 size, json_t *properties, guint64 *limit,
            GError **error)
{
  g_autofree char *text = attribute (node, "limit");
  g_autofree char *share = attribute (node, "local-ratio");
  double ratio;

  if (!text == !share)
    {
      fail (error, "<hermit:memory>: give either local-ratio or limit");
      return FALSE;
    }
  if (share)
    {
      if (!hermit_ratio_parse (share, &ratio, error))
        {
          g_prefix_error (error, "<hermit:memory>: local-ratio: ");
          return FALSE;
        }
      json_object_set_new (properties, "local-ratio", json_real (ratio));
      *limit = hermit_ratio_of (size, ratio);
      return TRUE;
    }
  if (!hermit_size_parse (text, limit, error))
    {
      g_prefix_error (error, "<hermit:memory>: limit: ");
      return FALSE;
    }
  json_object_set_new (properties, "limit", json_integer (*limit));
  return TRUE;
}

/* One or more, with blanks between. What each looks like is the schema's. */
static gboolean
put_servers (json_t *properties, xmlNode *node, GError **error)
{
  g_autofree char *text = attribute (node, "server");
  g_autofree char *replicas = attribute (node, "replicas");
  g_auto (GStrv) words = g_strsplit_set (text ?: "", " ", -1);
  g_autoptr (GPtrArray) servers = g_ptr_array_new ();
  guint64 copies = replicas ? g_ascii_strtoull (replicas, NULL, 10) : 0;

  for (guint i = 0; words[i]; i++)
    {
      if (!*words[i])
        continue;
      if (g_ptr_array_find_with_equal_func (servers, words[i], g_str_equal,
                                            NULL))
        {
          fail (error,
                "<hermit:memory>: server '%s' is named twice: two copies on "
                "one server are as good as one",
                words[i]);
          return FALSE;
        }
      g_ptr_array_add (servers, words[i]);
    }
  for (guint i = 0; servers->len > 1 && i < servers->len; i++)
    if (g_str_has_prefix (servers->pdata[i], "local:"))
      {
        fail (error,
              "<hermit:memory>: server '%s' is memory of this host, which "
              "cannot be one of several servers: give tcp: or rdma: ones",
              (const char *)servers->pdata[i]);
        return FALSE;
      }
  if (servers->len > HERMIT_MAX_SERVERS)
    {
      fail (error, "<hermit:memory>: %u servers are named, at most %d can be",
            servers->len, HERMIT_MAX_SERVERS);
      return FALSE;
    }
  if (copies > MAX (servers->len, 1))
    {
      fail (error,
            "<hermit:memory>: replicas %" G_GUINT64_FORMAT
            " is more than there are servers, %u: name more in server, or "
            "ask for fewer replicas",
            copies, MAX (servers->len, 1));
      return FALSE;
    }
  if (servers->len)
    {
      json_t *list = json_array ();

      for (guint i = 0; i < servers->len; i++)
        json_array_append_new (list, json_string (servers->pdata[i]));
      json_object_set_new (properties, "server", list);
    }
  put_integer (properties, node, "replicas");
  return TRUE;
}

static json_t *
read_properties (xmlNode *node, guint64 size, guint64 *limit, GError **error)
{
  json_t *properties = json_object ();

  if (!read_limit (node, size, properties, limit, error)
      || !put_servers (properties, node, error)
      || !put_policy (properties, node, error))
    {
      json_decref (properties);
      return NULL;
    }
  put_string (properties, node, "key-file");
  put_string (properties, node, "on-stall");
  put_integer (properties, node, "fault-timeout");
  put_integer (properties, node, "reclaim-threads");
  return properties;
}

static gboolean
check_domain (xmlXPathContext *xpath, guint64 size, guint64 limit,
              GError **error)
{
  g_autofree char *emulator = find_text (xpath, "/domain/devices/emulator");
  guint64 hard = find_size (xpath, "/domain/memtune/hard_limit");
  guint64 needed = limit + OVERHEAD + size / OVERHEAD_SHARE;

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    if (find_node (xpath, refused[i].xpath))
      {
        fail (error, "%s", refused[i].why);
        return FALSE;
      }
  if (!emulator || !g_str_has_suffix (emulator, "/" EMULATOR))
    {
      fail (error,
            "<emulator> is %s: <hermit:memory> needs the path of " EMULATOR
            " there",
            emulator ?: "missing");
      return FALSE;
    }
  if (limit > size)
    {
      fail (error,
            "<hermit:memory>: limit %" G_GUINT64_FORMAT " is above the "
            "domain's memory, %" G_GUINT64_FORMAT,
            limit, size);
      return FALSE;
    }
  if (hard && hard < needed)
    {
      fail (error,
            "<memtune>: with hard_limit %" G_GUINT64_FORMAT " KiB the host "
            "would kill QEMU: the limit of <hermit:memory> and QEMU itself "
            "need %" G_GUINT64_FORMAT " KiB",
            hard / 1024, needed / 1024);
      return FALSE;
    }
  return TRUE;
}

/* What the domain seems to want of us is what it gets, or it does not start. */
static gboolean
check_metadata (xmlXPathContext *xpath, gboolean found, GError **error)
{
  g_autofree char *emulator = find_text (xpath, "/domain/devices/emulator");
  xmlNode *near = find_node (xpath, NEAR_MISS);

  for (guint i = 0; i < G_N_ELEMENTS (misplaced); i++)
    if (find_node (xpath, misplaced[i].xpath))
      {
        fail (error, "%s", misplaced[i].why);
        return FALSE;
      }
  if (near)
    {
      fail (error,
            "<%s> in <metadata> has the namespace '%s', so it counts for "
            "nothing: <hermit:memory> needs xmlns:hermit='"
            HERMIT_XML_NAMESPACE "'",
            (const char *)near->name,
            near->ns ? (const char *)near->ns->href : "");
      return FALSE;
    }
  if (!found && emulator && g_str_has_suffix (emulator, "/" EMULATOR))
    {
      fail (error,
            "<emulator> is %s, and <metadata> has no <hermit:memory>: the "
            "domain would have no limit; add the element, or name QEMU itself "
            "as <emulator>",
            emulator);
      return FALSE;
    }
  return TRUE;
}

HermitSettings *
hermit_settings_read (const char *xml, const char *schema, GError **error)
{
  g_autoptr (HermitSettings) settings = g_new0 (HermitSettings, 1);
  xmlDoc *doc = xmlReadMemory (xml, strlen (xml), NULL, NULL,
                               XML_PARSE_NONET | XML_PARSE_NOERROR
                                   | XML_PARSE_NOWARNING);
  xmlXPathContext *xpath = doc ? xmlXPathNewContext (doc) : NULL;
  guint64 size, limit;
  HermitUuid uuid;
  xmlNode *node;
  gboolean ok = FALSE;

  if (!xpath)
    {
      fail (error, "libvirt gave no domain XML");
      goto out;
    }
  xmlXPathRegisterNs (xpath, (const xmlChar *)HERMIT_XML_PREFIX,
                      (const xmlChar *)HERMIT_XML_NAMESPACE);
  settings->name = find_text (xpath, "/domain/name");
  settings->uuid = find_text (xpath, "/domain/uuid");
  if (!settings->name || !settings->uuid)
    {
      fail (error, "the domain XML has no name or no uuid");
      goto out;
    }
  /* It becomes a path. */
  if (!hermit_uuid_parse (settings->uuid, uuid))
    {
      fail (error, "'%s' is not a UUID", settings->uuid);
      goto out;
    }
  node = find_node (xpath, "/domain/metadata/hermit:*");
  ok = !schema || check_metadata (xpath, node != NULL, error);
  if (!ok || !node)
    goto out;
  size = find_size (xpath, "/domain/memory");
  settings->properties = read_properties (node, size, &limit, error);
  ok = settings->properties
       && (!schema
           || (validate (node, schema, error)
               && check_domain (xpath, size, limit, error)));
out:
  xmlXPathFreeContext (xpath);
  xmlFreeDoc (doc);
  return ok ? g_steal_pointer (&settings) : NULL;
}
