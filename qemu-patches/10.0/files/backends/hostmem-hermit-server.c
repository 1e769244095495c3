/*
 * hermit-memory: memory servers and the key that is shared with them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hostmem-hermit-server.h"
#include "qapi/error.h"
#include "qapi/qapi-types-sockets.h"
#include "qemu/cutils.h"
#include "qemu/sockets.h"
#include <netdb.h>
#include <sys/stat.h>

#define KEY_MIN 16              /* as hermit-memserver wants it */

/*
 * The kernel knows no names, so HOST:PORT becomes numbers here: as many
 * addresses as the name has, NULL-terminated.
 */
static char **hermit_resolve(const char *server, const char *address,
                             Error **errp)
{
    g_autoptr(InetSocketAddress) inet = g_new0(InetSocketAddress, 1);
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    int scheme = strcspn(server, ":");
    struct addrinfo hints = {
        .ai_flags = AI_ADDRCONFIG,
        .ai_socktype = SOCK_STREAM,
    };
    char host[NI_MAXHOST], port[NI_MAXSERV];
    struct addrinfo *res = NULL, *ai;
    int rc;

    if (strchr(address, ',') || inet_parse(inet, address, NULL) < 0 ||
        !*inet->host) {
        error_setg(errp, "server '%s' is not of the form %.*s:HOST:PORT",
                   server, scheme, server);
        return NULL;
    }
    rc = getaddrinfo(inet->host, inet->port, &hints, &res);
    for (ai = res; ai && !rc; ai = ai->ai_next) {
        rc = getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host),
                         port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
        if (!rc) {
            g_ptr_array_add(found, g_strdup_printf(
                strchr(host, ':') ? "%.*s:[%s]:%s" : "%.*s:%s:%s", scheme,
                server, host, port));
        }
    }
    if (res) {
        freeaddrinfo(res);
    }
    if (rc) {
        error_setg(errp, "server '%s': cannot resolve the address: %s",
                   server, gai_strerror(rc));
        return NULL;
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&found), false);
}

static char **hermit_server_addresses(const char *server, Error **errp)
{
    g_auto(GStrv) addresses = NULL;
    const char *rest;
    int i;

    if (strstart(server, "local:", NULL)) {
        addresses = g_new0(char *, 2);
        addresses[0] = g_strdup(server);
    } else if (strstart(server, "tcp:", &rest) ||
               strstart(server, "rdma:", &rest)) {
        addresses = hermit_resolve(server, rest, errp);
    } else {
        error_setg(errp, "server '%s': unknown transport; give "
                   "tcp:HOST:PORT, rdma:HOST:PORT or local:", server);
    }
    for (i = 0; addresses && addresses[i]; i++) {
        if (strlen(addresses[i]) >= HERMIT_SERVER_LEN) {
            error_setg(errp, "server '%s': too long", server);
            return NULL;
        }
    }
    return g_steal_pointer(&addresses);
}

char **hermit_servers_fill(struct hermit_create *create, strList *servers,
                           Error **errp)
{
    g_auto(GStrv) first = NULL;
    strList *s;

    for (s = servers; s; s = s->next) {
        g_auto(GStrv) addresses = NULL;

        if (create->nr_servers == HERMIT_MAX_SERVERS) {
            error_setg(errp, "server: at most %d can be given",
                       HERMIT_MAX_SERVERS);
            return NULL;
        }
        addresses = hermit_server_addresses(s->value, errp);
        if (!addresses) {
            return NULL;
        }
        pstrcpy(create->servers[create->nr_servers++], HERMIT_SERVER_LEN,
                addresses[0]);
        if (!first) {
            first = g_steal_pointer(&addresses);
        }
    }
    return first ? g_steal_pointer(&first) : g_new0(char *, 1);
}

/* As hermit-memserver reads it: a newline at the end does not belong to it */
bool hermit_key_fill(struct hermit_create *create, const char *file,
                     Error **errp)
{
    char text[HERMIT_KEY_LEN + 2];      /* a newline, and one too many */
    struct stat st;
    ssize_t n;
    int fd;

    fd = RETRY_ON_EINTR(open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "key-file: cannot open %s", file);
        goto fail;
    }
    if (st.st_mode & S_IRWXO) {
        error_setg(errp, "key-file: %s is open to every user of this host "
                   "(mode %04o): chmod it to 0600 or 0640", file,
                   st.st_mode & 07777);
        goto fail;
    }
    n = RETRY_ON_EINTR(read(fd, text, sizeof(text)));
    if (n < 0) {
        error_setg_errno(errp, errno, "key-file: cannot read %s", file);
        goto fail;
    }
    if (n && text[n - 1] == '\n') {
        n--;
    }
    if (n >= KEY_MIN && n <= HERMIT_KEY_LEN) {
        memcpy(create->key, text, n);
        create->key_len = n;
    }
    explicit_bzero(text, sizeof(text));
    if (!create->key_len) {
        error_setg(errp, "key-file: %s does not hold %d to %d bytes of "
                   "key", file, KEY_MIN, HERMIT_KEY_LEN);
        goto fail;
    }
    close(fd);
    return true;
fail:
    if (fd >= 0) {
        close(fd);
    }
    return false;
}
