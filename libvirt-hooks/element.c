/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "element.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "policy.h"
#include "size.h"

/* NULL, or a document with a root. */
static xmlDoc *
element_parse (const char *xml, GError **error)
{
  xmlDoc *doc = xmlReadMemory (xml, strlen (xml), NULL, NULL,
                               XML_PARSE_NONET | XML_PARSE_NOERROR
                                   | XML_PARSE_NOWARNING);

  if (doc && xmlDocGetRootElement (doc))
    return doc;
  xmlFreeDoc (doc);
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
               "libvirt gave metadata that is not XML: %s", xml);
  return NULL;
}

gboolean
hermit_element_limit (const char *xml, guint64 *limit, double *ratio,
                      GError **error)
{
  xmlDoc *doc = element_parse (xml, error);
  xmlNode *root = xmlDocGetRootElement (doc);
  char *size, *share;
  gboolean ok;

  *limit = 0;
  *ratio = 0;
  if (!doc)
    return FALSE;
  size = (char *)xmlGetNoNsProp (root, (const xmlChar *)"limit");
  share = (char *)xmlGetNoNsProp (root, (const xmlChar *)"local-ratio");
  ok = !size != !share;
  if (!ok)
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                 "<hermit:memory>: give either local-ratio or limit");
  else
    ok = size ? hermit_size_parse (size, limit, error)
              : hermit_ratio_parse (share, ratio, error);
  xmlFree (size);
  xmlFree (share);
  xmlFreeDoc (doc);
  return ok;
}

gboolean
hermit_element_policy (const char *xml, struct hermit_policy *policy,
                       GError **error)
{
  xmlDoc *doc = element_parse (xml, error);
  xmlNode *root = xmlDocGetRootElement (doc);
  const char *name;
  gboolean ok = doc != NULL;

  memset (policy, 0, sizeof (*policy));
  for (guint i = 0; ok && (name = hermit_policy_name (i)); i++)
    {
      char *value = (char *)xmlGetNoNsProp (root, (const xmlChar *)name);

      ok = !value || hermit_policy_set (policy, name, value, error);
      if (!ok)
        g_prefix_error (error, "<hermit:memory>: ");
      xmlFree (value);
    }
  xmlFreeDoc (doc);
  return ok;
}

char *
hermit_element_change (const char *xml, const char *attribute,
                       const char *value, GError **error)
{
  xmlDoc *doc = element_parse (xml, error);
  xmlNode *root = xmlDocGetRootElement (doc);
  xmlBuffer *buffer;
  char *out;

  if (!doc)
    return NULL;
  if (!strcmp (attribute, "limit") || !strcmp (attribute, "local-ratio"))
    {
      xmlUnsetProp (root, (const xmlChar *)"limit");
      xmlUnsetProp (root, (const xmlChar *)"local-ratio");
    }
  xmlSetProp (root, (const xmlChar *)attribute, (const xmlChar *)value);
  buffer = xmlBufferCreate ();
  xmlNodeDump (buffer, doc, root, 0, 0);
  out = g_strdup ((const char *)xmlBufferContent (buffer));
  xmlBufferFree (buffer);
  xmlFreeDoc (doc);
  return out;
}
