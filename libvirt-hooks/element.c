/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "element.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

char *
hermit_element_change (const char *xml, const char *attribute,
                       const char *value, GError **error)
{
  xmlDoc *doc = xmlReadMemory (xml, strlen (xml), NULL, NULL,
                               XML_PARSE_NONET | XML_PARSE_NOERROR
                                   | XML_PARSE_NOWARNING);
  xmlNode *root = doc ? xmlDocGetRootElement (doc) : NULL;
  xmlBuffer *buffer;
  char *out;

  if (!root)
    {
      xmlFreeDoc (doc);
      g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                   "libvirt gave metadata that is not XML: %s", xml);
      return NULL;
    }
  xmlUnsetProp (root, (const xmlChar *)"limit");
  xmlUnsetProp (root, (const xmlChar *)"local-ratio");
  xmlSetProp (root, (const xmlChar *)attribute, (const xmlChar *)value);
  buffer = xmlBufferCreate ();
  xmlNodeDump (buffer, doc, root, 0, 0);
  out = g_strdup ((const char *)xmlBufferContent (buffer));
  xmlBufferFree (buffer);
  xmlFreeDoc (doc);
  return out;
}
