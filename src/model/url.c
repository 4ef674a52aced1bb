#include "model/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/clean.h"
#include "base/num.h"

#define set(field, ...) ((size_t)snprintf((field), sizeof(field), __VA_ARGS__) < sizeof(field))

static int bad(struct err *e, const char *text, const char *why)
{
    char shown[160];
    clean_into(shown, sizeof shown, span_of(text), CLEAN_LINE);
    err_set(e, ERR_INPUT, "'%s' is not the address of an endpoint: %s", shown, why);
    err_hint(e, "write it as http://HOST:PORT or unix:///PATH.sock");
    return -ERR_INPUT;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Percent-decoding of a socket's path; false for a broken escape or a NUL. */
static bool unescape(struct span s, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
                return false;
            c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
            i += 2;
        }
        if (!c || n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

/* Where the API lies under the path that was given: none means /v1; one that is given is believed. */
static bool set_paths(struct url *u, struct span path)
{
    while (span_ends(path, "/"))
        path.n--;
    if (!path.n)
        return set(u->api, "/v1") && set(u->root, "%s", "");
    if (!set(u->api, "%.*s", (int)path.n, path.p))
        return false;
    if (span_ends(path, "/v1"))
        path.n -= 3;
    return set(u->root, "%.*s", (int)path.n, path.p);
}

static int parse_socket(const char *text, struct span sock, struct span path, struct url *u, struct err *e)
{
    if (!sock.n || !unescape(sock, u->socket, sizeof u->socket) || u->socket[0] != '/')
        return bad(e, text, "the socket needs an absolute path");
    if (strstr(u->socket, ":/"))
        return bad(e, text, "the path of the socket holds ':/', which begins the path of the API");
    if (strlen(u->socket) >= 108)
        return bad(e, text, "the path of a unix socket is at most 107 bytes long");
    if (!set_paths(u, path) || !set(u->origin, "http://localhost"))
        return bad(e, text, "it is too long");
    bool plain = !strcmp(u->api, "/v1");
    if (!set(u->text, "unix://%s%s%s", u->socket, plain ? "" : ":", plain ? "" : u->api))
        return bad(e, text, "it is too long");
    return 0;
}

static int parse_authority(const char *text, struct span auth, struct url *u, struct err *e)
{
    if (span_findc(auth, '@') >= 0)
        return bad(e, "(hidden)", "it holds a user name or key; keys belong in the environment, a file or a command");
    struct span host = auth, port = { "", 0 };
    if (span_starts(auth, "[")) {
        ptrdiff_t end = span_findc(auth, ']');
        if (end < 0)
            return bad(e, text, "the bracket of the address is not closed");
        host = span_sub(auth, 1, (size_t)end - 1);
        struct span rest = span_sub(auth, (size_t)end + 1, auth.n);
        if (rest.n && rest.p[0] != ':')
            return bad(e, text, "what follows the address is not a port");
        port = span_sub(rest, 1, rest.n);
    } else if (span_findc(auth, ':') >= 0) {
        ptrdiff_t c = span_findc(auth, ':');
        host = span_sub(auth, 0, (size_t)c);
        port = span_sub(auth, (size_t)c + 1, auth.n);
        if (!port.n)
            return bad(e, text, "the port is missing");
    }
    if (span_starts(auth, "[") && span_findc(host, ':') < 0)
        return bad(e, text, "what stands in brackets is not an IPv6 address");
    if (!host.n || !set(u->host, "%.*s", (int)host.n, host.p))
        return bad(e, text, "the host is missing or too long");
    for (size_t i = 0; i < host.n; i++)
        if ((unsigned char)host.p[i] <= ' ' || host.p[i] == 0x7f || strchr("\"<>\\^`{|}[]", host.p[i]))
            return bad(e, text, "the host has a character that no host name has");
    int64_t n = 0;
    if (port.n && parse_i64(port, 1, 65535, &n, e) < 0)
        return bad(e, text, "the port is not a number from 1 to 65535");
    u->port = (int)n;
    return 0;
}

int url_parse(const char *text, struct url *out, struct err *e)
{
    struct url u = { 0 };
    struct span s = span_trim(span_of(text));
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return bad(e, text, "it holds a control character");
    if (s.n >= URL_MAX - 16)
        return bad(e, text, "it is too long");

    int rc;
    if (span_starts(s, "unix://")) {
        struct span sock = span_sub(s, 7, s.n), path = { "", 0 };
        ptrdiff_t c = span_find(sock, SPAN(":/"));
        if (c >= 0) {
            path = span_sub(sock, (size_t)c + 1, sock.n);
            sock.n = (size_t)c;
        }
        rc = parse_socket(text, sock, path, &u, e);
    } else if (span_starts(s, "unix:/")) {
        rc = parse_socket(text, span_sub(s, 5, s.n), (struct span){ "", 0 }, &u, e);
    } else if (span_starts(s, "http+unix://")) {
        struct span rest = span_sub(s, 12, s.n), path = { "", 0 };
        ptrdiff_t c = span_findc(rest, '/');
        if (c >= 0) {
            path = span_sub(rest, (size_t)c, rest.n);
            rest.n = (size_t)c;
        }
        rc = parse_socket(text, rest, path, &u, e);
    } else {
        struct span rest = s;
        if (span_starts(s, "https://")) {
            u.tls = true;
            rest = span_sub(s, 8, s.n);
        } else if (span_starts(s, "http://")) {
            rest = span_sub(s, 7, s.n);
        } else if (span_find(s, SPAN("://")) >= 0) {
            return bad(e, text, "the scheme is not http, https or unix");
        }
        struct span path = { "", 0 };
        ptrdiff_t c = span_findc(rest, '/');
        if (c >= 0) {
            path = span_sub(rest, (size_t)c, rest.n);
            rest.n = (size_t)c;
        }
        if (span_findc(path, '?') >= 0 || span_findc(path, '#') >= 0)
            return bad(e, text, "it holds a query");
        rc = parse_authority(text, rest, &u, e);
        if (rc >= 0) {
            bool v6 = strchr(u.host, ':') != NULL;
            char port[8] = "";
            if (u.port)
                snprintf(port, sizeof port, ":%d", u.port);
            if (!set_paths(&u, path) || !set(u.origin, "%s://%s%s%s%s", u.tls ? "https" : "http", v6 ? "[" : "", u.host, v6 ? "]" : "", port) ||
                !set(u.text, "%s%s", u.origin, strcmp(u.api, "/v1") != 0 ? u.api : ""))
                rc = bad(e, text, "it is too long");
        }
    }
    if (rc < 0)
        return rc;
    *out = u;
    return 0;
}

static bool private_v4(uint32_t a)
{
    return (a >> 24) == 127 || (a >> 24) == 10 || (a >> 20) == 0xac1 || (a >> 16) == 0xc0a8 || (a >> 16) == 0xa9fe ||
           (a >> 22) == (0x64400000u >> 22); /* 100.64/10: carrier-grade NAT, also Tailscale */
}

bool url_is_local(const struct url *u)
{
    if (u->socket[0])
        return true;
    struct in_addr a4;
    struct in6_addr a6;
    if (inet_pton(AF_INET, u->host, &a4) == 1)
        return private_v4(ntohl(a4.s_addr));
    if (inet_pton(AF_INET6, u->host, &a6) == 1) {
        if (IN6_IS_ADDR_V4MAPPED(&a6)) {
            uint32_t v4;
            memcpy(&v4, a6.s6_addr + 12, 4);
            return private_v4(ntohl(v4));
        }
        return IN6_IS_ADDR_LOOPBACK(&a6) || IN6_IS_ADDR_LINKLOCAL(&a6) || (a6.s6_addr[0] & 0xfe) == 0xfc;
    }
    struct span h = span_of(u->host);
    return span_eqs(h, "localhost") || span_ends(h, ".localhost") || span_ends(h, ".local") || span_ends(h, ".internal") ||
           span_ends(h, ".lan") || span_ends(h, ".home.arpa") || span_findc(h, '.') < 0;
}
