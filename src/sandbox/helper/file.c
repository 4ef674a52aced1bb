/*
 * file - read, write, stat, remove, list: the model's hands that need no command.
 *
 * Paths are resolved by the kernel inside this root, without magic links (/proc/self/fd would lead to the helper's
 * own descriptors), and nothing on proc is touched (/proc/self is the helper). No capability is in effect here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/helper/helper.h"

int open_inside(int dir, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static int64_t pack_mode(const struct stat *st)
{
    char type = S_ISREG(st->st_mode) ? 'f' : S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : 'o';
    return type | (int64_t)(st->st_mode & 07777) << 8;
}

static int64_t mtime(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void reply_stat(uint32_t id, const struct stat *st)
{
    reply(id, WIRE_OK, st->st_size, mtime(st), pack_mode(st), NULL, 0, -1);
}

void file_read(const struct wire *w, const char *path)
{
    static char chunk[WIRE_INLINE];
    struct stat st;
    int fd = open_inside(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return reply_fail(w->id, errno, 0, "cannot read", path);
    int sys = 0;
    if (fstat(fd, &st) < 0)
        sys = errno;
    else if (S_ISDIR(st.st_mode))
        sys = EISDIR;
    else if (!S_ISREG(st.st_mode) || st.st_dev == H.proc_dev)
        sys = EINVAL;
    if (sys) {
        (void)close(fd);
        return reply_fail(w->id, sys, 0, sys == EINVAL ? "not a regular file" : "cannot read", path);
    }
    int64_t at = w->a, left = w->b;
    while (left > 0) {
        ssize_t n = pread(fd, chunk, left < (int64_t)sizeof chunk ? (size_t)left : sizeof chunk, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            sys = errno;
            (void)close(fd);
            return reply_fail(w->id, sys, 0, "cannot read", path);
        }
        if (n == 0)
            break;
        at += n;
        left -= n;
        if (at >= st.st_size || !left) { /* the last piece travels with the answer: one record for most files */
            (void)close(fd);
            return reply(w->id, WIRE_OK, st.st_size, mtime(&st), pack_mode(&st), chunk, (size_t)n, -1);
        }
        reply(w->id, WIRE_DATA, 1, 0, 0, chunk, (size_t)n, -1);
    }
    (void)close(fd);
    reply_stat(w->id, &st);
}

void file_stat(const struct wire *w, const char *path)
{
    struct stat st;
    int fd = open_inside(AT_FDCWD, path, O_PATH | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0)
        reply_fail(w->id, errno, 0, "cannot stat", path);
    else
        reply_stat(w->id, &st);
    if (fd >= 0)
        (void)close(fd);
}

/* The directory that holds `path`, and the last part in *name. */
static int open_parent(const char *path, const char **name)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = (size_t)(slash - path);
    if (n >= sizeof dir || !slash[1] || !strcmp(slash + 1, ".") || !strcmp(slash + 1, "..")) {
        errno = EINVAL;
        return -1;
    }
    memcpy(dir, path, n);
    dir[n] = '\0';
    *name = slash + 1;
    struct stat st;
    int fd = open_inside(AT_FDCWD, n ? dir : "/", O_PATH | O_DIRECTORY);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev == H.proc_dev)) {
        (void)close(fd);
        errno = EACCES;
        return -1;
    }
    return fd;
}

void file_remove(const struct wire *w, const char *path)
{
    const char *name;
    int dir = open_parent(path, &name);
    int r = dir < 0 ? -1 : unlinkat(dir, name, 0);
    if (r < 0 && errno == EISDIR)
        r = unlinkat(dir, name, AT_REMOVEDIR);
    if (r < 0)
        reply_fail(w->id, errno, 0, "cannot remove", path);
    else
        reply(w->id, WIRE_OK, 0, 0, 0, NULL, 0, -1);
    if (dir >= 0)
        (void)close(dir);
}

/* One after the other, each from its opened parent: a magic link on the way would lead to our own descriptors. */
static void make_parents(const char *path)
{
    char part[PATH_MAX];
    const char *name;
    for (size_t i = 1; path[i] && i < sizeof part; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        int dir = open_parent(part, &name);
        if (dir < 0)
            continue;
        (void)mkdirat(dir, name, 0755);
        (void)close(dir);
    }
}

static int put_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t k = write(fd, data, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        data += k;
        n -= (size_t)k;
    }
    return 0;
}

/* Temporary file in the same directory, renamed over the name: a reader sees the old or the new content. */
static int replace(int dir, const char *name, const char *data, size_t n, int mode, bool fresh)
{
    static unsigned counter;
    char number[24], tmp[48];
    struct stat st;
    text_i64(number, ++counter);
    (void)text_join(tmp, sizeof tmp, (const char *const[]){ ".stead-write-", number, NULL });
    bool there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && fresh) {
        errno = EEXIST;
        return -1;
    }
    if (there && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
    if (there && faccessat(dir, name, W_OK, AT_EACCESS) < 0)
        return -1;
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    int r = put_all(fd, data, n);
    if (mode || there)
        r = r < 0 || fchmod(fd, (mode_t)(mode ? mode : (int)(st.st_mode & 0777))) < 0 ? -1 : 0;
    r = close(fd) < 0 || r < 0 ? -1 : renameat(dir, tmp, dir, name);
    if (r < 0) {
        int sys = errno;
        (void)unlinkat(dir, tmp, 0);
        errno = sys;
    }
    return r;
}

void file_write(const struct wire *w, const char *payload, size_t n)
{
    const char *path = payload, *name = NULL;
    size_t used = strlen(path) + 1;
    char real[PATH_MAX];
    if (w->b & 1)
        make_parents(path);
    /* A symbolic link is written through, as open(2) would: the name behind it is what gets replaced. */
    int fd = open_inside(AT_FDCWD, path, O_PATH);
    if (fd >= 0) {
        char link[40], number[24];
        text_i64(number, fd);
        (void)text_join(link, sizeof link, (const char *const[]){ "/proc/self/fd/", number, NULL });
        ssize_t k = readlink(link, real, sizeof real - 1);
        if (k > 0 && real[0] == '/') {
            real[k] = '\0';
            path = real;
        }
        (void)close(fd);
    }
    int dir = open_parent(path, &name);
    int r = dir < 0 ? -1 : replace(dir, name, payload + used, n - used, (int)(w->a & 0777), w->b & 2);
    if (r < 0)
        reply_fail(w->id, errno, 0, "cannot write", payload);
    else
        reply(w->id, WIRE_OK, 0, 0, 0, NULL, 0, -1);
    if (dir >= 0)
        (void)close(dir);
}

/* --- list: in a child of its own, so plain recursion and memory that nobody frees --- */

struct pattern {
    char *text;     /* without the marks that the flags say */
    bool negate, dir_only, anchored;
};

struct ignore {
    const struct ignore *up; /* the directory above */
    const char *base;        /* path from the walk's root to this directory, "" or "a/b/" */
    size_t base_n;
    struct pattern *rows;
    size_t n;
};

static struct {
    int out;
    int64_t flags, left;
    char buffer[16384];
    size_t used;
} L;

static void list_flush(void)
{
    if (put_all(L.out, L.buffer, L.used) < 0)
        _exit(1);
    L.used = 0;
}

static void list_put(const char *p, size_t n)
{
    if (L.used + n > sizeof L.buffer)
        list_flush();
    if (n > sizeof L.buffer)
        _exit(1);
    memcpy(L.buffer + L.used, p, n);
    L.used += n;
}

static const char *match_class(const char *p, char c, bool *ok)
{
    bool negate = *p == '!' || *p == '^', hit = false;
    if (negate)
        p++;
    for (bool first = true; *p && (first || *p != ']'); first = false) {
        char lo = *p++;
        if (lo == '\\' && *p)
            lo = *p++;
        char hi = lo;
        if (*p == '-' && p[1] && p[1] != ']') {
            hi = p[1];
            p += 2;
        }
        if ((unsigned char)c >= (unsigned char)lo && (unsigned char)c <= (unsigned char)hi)
            hit = true;
    }
    *ok = hit != negate && c != '/';
    return *p == ']' ? p + 1 : p;
}

/* gitignore(5): * and ? stop at a slash, ** does not. `budget` bounds the work a hostile pattern can cause. */
static bool match(const char *p, const char *s, int *budget)
{
    for (; *p; s++) {
        if (--*budget < 0)
            return false;
        if (*p == '*') {
            bool deep = p[1] == '*';
            if (deep && p[2] == '/') {
                for (const char *t = s;; t++) {
                    if (match(p + 3, t, budget))
                        return true;
                    t = strchr(t, '/');
                    if (!t)
                        return false;
                }
            }
            while (*p == '*')
                p++;
            for (const char *t = s;; t++) {
                if (match(p, t, budget))
                    return true;
                if (!*t || (*t == '/' && !deep) || *budget < 0)
                    return false;
            }
        }
        if (!*s)
            return false;
        if (*p == '?') {
            if (*s == '/')
                return false;
            p++;
        } else if (*p == '[') {
            bool ok;
            p = match_class(p + 1, *s, &ok);
            if (!ok)
                return false;
        } else {
            if (*p == '\\' && p[1])
                p++;
            if (*p++ != *s)
                return false;
        }
    }
    return !*s;
}

static char *slurp(int dir, const char *name, size_t *n)
{
    struct stat st;
    int fd = open_inside(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    char *p = NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= 1 << 20 && (p = malloc((size_t)st.st_size + 1))) {
        ssize_t got = read(fd, p, (size_t)st.st_size);
        *n = got > 0 ? (size_t)got : 0;
        p[*n] = '\0';
    }
    (void)close(fd);
    return p;
}

static void ignore_load(struct ignore *g, int dir, const char *name)
{
    size_t n;
    char *text = slurp(dir, name, &n);
    if (!text)
        return;
    size_t lines = 1;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    struct pattern *rows = realloc(g->rows, (g->n + lines) * sizeof *rows);
    if (!rows)
        return;
    g->rows = rows;
    for (char *line = text; line && *line;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        size_t k = strlen(line);
        while (k && (line[k - 1] == '\r' || (line[k - 1] == ' ' && !(k > 1 && line[k - 2] == '\\'))))
            line[--k] = '\0';
        struct pattern p = { .text = line };
        if (*p.text == '!') {
            p.negate = true;
            p.text++;
        }
        k = strlen(p.text);
        if (k && p.text[k - 1] == '/') {
            p.dir_only = true;
            p.text[k - 1] = '\0';
        }
        p.anchored = strchr(p.text, '/');
        if (*p.text == '/')
            p.text++;
        if (*line != '#' && *p.text)
            g->rows[g->n++] = p;
        line = next;
    }
}

/* The last pattern that matches decides; the nearest file first. `path` is from the walk's root of patterns. */
static bool ignored(const struct ignore *g, const char *path, bool dir)
{
    for (; g; g = g->up) {
        const char *rel = path + g->base_n, *base = strrchr(rel, '/');
        base = base ? base + 1 : rel;
        for (size_t i = g->n; i-- > 0;) {
            const struct pattern *p = &g->rows[i];
            int budget = 20000;
            if (p->dir_only && !dir)
                continue;
            if (match(p->text, p->anchored ? rel : base, &budget))
                return !p->negate;
        }
    }
    return false;
}

static void list_dir(int dir, const char *path, size_t skip, const struct ignore *up, int depth)
{
    DIR *d = fdopendir(dir);
    if (!d || depth > 200)
        return;
    struct ignore own = { .up = up, .base = path, .base_n = strlen(path) };
    if (L.flags & 2)
        ignore_load(&own, dir, ".gitignore");
    struct dirent *de;
    char full[PATH_MAX * 2];
    while ((de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        const char *name = de->d_name;
        if (!strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        if (L.flags & 2 && !strcmp(name, ".git"))
            continue;
        struct stat st;
        if (own.base_n + strlen(name) + 2 > sizeof full || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        size_t n = text_join(full, sizeof full, (const char *const[]){ path, name, NULL });
        bool is_dir = S_ISDIR(st.st_mode), deeper = is_dir && L.flags & 1;
        if (L.flags & 2 && ignored(&own, full, is_dir))
            continue;
        if (!deeper || L.flags & 4) {
            char number[24], type = (char)(pack_mode(&st) & 0xff);
            if (L.left-- <= 0) {
                list_put("!", 2); /* there is more; with its NUL */
                list_flush();
                _exit(0);
            }
            text_i64(number, st.st_size);
            list_put(&type, 1);
            list_put(number, strlen(number));
            list_put(" ", 1);
            list_put(full + skip, n + 1 - skip);
        }
        if (deeper) {
            int sub = open_inside(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            full[n] = '/';
            full[n + 1] = '\0';
            if (sub >= 0)
                list_dir(sub, full, skip, &own, depth + 1);
        }
    }
    for (size_t i = 0; i < own.n; i++)
        own.rows[i].text = NULL;
    free(own.rows);
    (void)closedir(d);
}

/* The repository that `path` lies in: its root's length in path, and the .gitignore files from there down. */
static const struct ignore *ignore_above(const char *path, size_t *root)
{
    char at[PATH_MAX];
    struct stat st;
    size_t n = strlen(path);
    *root = n;
    for (size_t i = n; i > 0; i--) {
        if (i != n && path[i] != '/')
            continue;
        (void)text_join(at, i + 1 < sizeof at ? i + 1 : sizeof at, (const char *const[]){ path, NULL });
        (void)text_join(at + strlen(at), sizeof at - strlen(at), (const char *const[]){ "/.git", NULL });
        if (lstat(at, &st) == 0) {
            *root = i;
            break;
        }
    }
    struct ignore *chain = NULL;
    for (size_t i = *root; i < n; i++) {
        if (path[i] != '/' && i != *root)
            continue;
        (void)text_join(at, i + 1 < sizeof at ? i + 1 : sizeof at, (const char *const[]){ path, NULL });
        int dir = open_inside(AT_FDCWD, at, O_RDONLY | O_DIRECTORY);
        struct ignore *g = calloc(1, sizeof *g);
        if (!g || dir < 0)
            break;
        g->up = chain;
        g->base_n = i - *root;
        chain = g;
        if (i == *root)
            ignore_load(g, dir, ".git/info/exclude");
        ignore_load(g, dir, ".gitignore");
        (void)close(dir);
        /* patterns below see paths that start after this directory's slash */
        if (g->base_n)
            g->base_n++;
    }
    return chain;
}

void list_run(const char *path, int64_t flags, int64_t max, int out)
{
    L.out = out;
    L.flags = flags;
    L.left = max > 0 ? max : 100000;
    char clean[PATH_MAX];
    size_t n = text_join(clean, sizeof clean, (const char *const[]){ path, NULL }), root = n;
    while (n > 1 && clean[n - 1] == '/')
        clean[--n] = '\0';
    root = n;
    const struct ignore *above = NULL;
    if (flags & 2)
        above = ignore_above(clean, &root);
    int dir = open_inside(AT_FDCWD, clean, O_RDONLY | O_DIRECTORY);
    if (dir < 0)
        _exit(errno == ENOENT ? 2 : errno == ENOTDIR ? 3 : 1);
    char prefix[PATH_MAX + 2] = "";
    size_t skip = 0;
    if (root < n)
        skip = text_join(prefix, sizeof prefix, (const char *const[]){ clean + root + 1, "/", NULL });
    else if (flags & 2) {
        /* the listed directory is the repository's root (or in none): its exclude file counts too */
        struct ignore *g = calloc(1, sizeof *g);
        if (g) {
            ignore_load(g, dir, ".git/info/exclude");
            above = g;
        }
    }
    list_dir(dir, prefix, skip, above, 0);
    list_flush();
    _exit(0);
}
