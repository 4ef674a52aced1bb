#include "workspace/ignore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/path.h"

/* A .gitignore comes with the repository: bounded, so that a hostile one costs little. */
#define RULES_FILE_BYTES ((size_t)1 << 20)
#define RULES_PATTERNS_MAX 10000
#define RULES_ARENA_BYTES ((size_t)64 << 20)
#define PATTERN_SEGMENTS_MAX 64

struct pattern {
    struct span text; /* without '!', leading and trailing '/' */
    bool negated;
    bool dir_only;
    bool anchored; /* matches the path relative to its file, not the last name alone */
};

struct rules {
    struct pattern *items;
    size_t n, cap;
};

/* One directory on the way, from the top of the repository down. */
struct dir {
    const char *path; /* "" for the top */
    struct dir *parent;
    bool ignored;
    struct rules rules;
};

struct ignore {
    int top;            /* the repository's top, or the workspace */
    char *prefix;       /* from there to the workspace: "" or "a/b/" */
    struct dir **dirs;  /* sorted by path */
    size_t ndirs, cap;
    struct rules exclude; /* .git/info/exclude */
    struct arena arena;
    bool above_off;     /* rules above the workspace ignore all of it: not meant */
};

/* --- matching one pattern --- */

static bool class_match(struct span name, unsigned char c)
{
    static const struct {
        const char *name;
        const char *ranges; /* pairs */
    } classes[] = {
        { "alnum", "09AZaz" }, { "alpha", "AZaz" },   { "blank", "  \t\t" }, { "digit", "09" },
        { "lower", "az" },     { "upper", "AZ" },     { "space", "  \t\r" }, { "xdigit", "09AFaf" },
        { "cntrl", "\001\037\177\177" }, { "print", " ~" }, { "graph", "!~" }, { "punct", "!/:@[`{~" },
    };
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (span_eqs(name, classes[i].name))
            for (const unsigned char *r = (const unsigned char *)classes[i].ranges; *r; r += 2)
                if (c >= r[0] && c <= r[1])
                    return true;
    return false;
}

/* One bracket expression at p[*i] ('['): -1 malformed, else whether c is in it; *i moves behind it. */
static int bracket_match(struct span p, size_t *i, unsigned char c)
{
    size_t k = *i + 1;
    bool negate = k < p.n && (p.p[k] == '!' || p.p[k] == '^'), hit = false;
    k += negate;
    for (bool first = true;; first = false) {
        if (k >= p.n)
            return -1;
        if (p.p[k] == ']' && !first)
            break;
        if (p.p[k] == '[' && k + 1 < p.n && p.p[k + 1] == ':') {
            size_t end = k + 2;
            while (end + 1 < p.n && !(p.p[end] == ':' && p.p[end + 1] == ']'))
                end++;
            if (end + 1 >= p.n)
                return -1;
            hit |= class_match(span_sub(p, k + 2, end - k - 2), c);
            k = end + 2;
            continue;
        }
        if (p.p[k] == '\\' && ++k >= p.n)
            return -1;
        unsigned char low = (unsigned char)p.p[k++], high = low;
        if (k + 1 < p.n && p.p[k] == '-' && p.p[k + 1] != ']') {
            k++;
            if (p.p[k] == '\\' && ++k >= p.n)
                return -1;
            high = (unsigned char)p.p[k++];
        }
        hit |= c >= low && c <= high;
    }
    *i = k + 1;
    return hit != negate;
}

/* One name against one pattern segment; linear in the product of their lengths. */
static bool name_match(struct span p, struct span s)
{
    size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;
    while (k < s.n) {
        bool ok = false;
        if (i < p.n && p.p[i] == '*') {
            star = i++;
            mark = k;
            continue;
        }
        if (i < p.n) {
            size_t next = i + 1;
            if (p.p[i] == '?') {
                ok = true;
            } else if (p.p[i] == '[') {
                next = i;
                int in = bracket_match(p, &next, (unsigned char)s.p[k]);
                if (in < 0)
                    return false;
                ok = in;
            } else {
                if (p.p[i] == '\\') {
                    if (i + 1 >= p.n)
                        return false;
                    next++;
                }
                ok = p.p[next - 1] == s.p[k];
            }
            if (ok) {
                i = next;
                k++;
                continue;
            }
        }
        if (star == SIZE_MAX)
            return false;
        i = star + 1;
        k = ++mark;
    }
    while (i < p.n && p.p[i] == '*')
        i++;
    return i == p.n;
}

static size_t segments(struct span s, struct span *out, size_t max)
{
    size_t n = 0;
    struct span part;
    while (span_split(&s, '/', &part)) {
        if (n == max)
            return 0;
        out[n++] = part;
    }
    return n;
}

/* Whole path against a pattern with '/'; "**" segments by dynamic programming, so that no pattern is slow. */
static bool path_match(struct span pattern, struct span path)
{
    struct span p[PATTERN_SEGMENTS_MAX], s[512];
    size_t np = segments(pattern, p, COUNT_OF(p)), ns = segments(path, s, COUNT_OF(s));
    if (!np || !ns)
        return false;
    bool row[COUNT_OF(s) + 1] = { true }; /* row[k]: the segments so far match the first k names */
    for (size_t i = 0; i < np; i++) {
        if (span_eqs(p[i], "**")) {
            bool any = false, last = i + 1 == np;
            for (size_t k = 0; k <= ns; k++) {
                bool here = row[k];
                row[k] = last ? any : (any || here); /* a trailing one stands for at least one name */
                any |= here;
            }
            continue;
        }
        for (size_t k = ns; k > 0; k--)
            row[k] = row[k - 1] && name_match(p[i], s[k - 1]);
        row[0] = false;
    }
    return row[ns];
}

/* --- reading rules --- */

static bool pattern_parse(struct span line, struct pattern *out)
{
    *out = (struct pattern){ 0 };
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    while (line.n && line.p[line.n - 1] == ' ') {
        size_t slashes = 0;
        while (slashes + 1 < line.n && line.p[line.n - 2 - slashes] == '\\')
            slashes++;
        if (slashes & 1)
            break;
        line.n--;
    }
    if (!line.n || line.p[0] == '#')
        return false;
    if (line.p[0] == '!') {
        out->negated = true;
        line = span_sub(line, 1, line.n);
    }
    if (line.n && line.p[line.n - 1] == '/') {
        out->dir_only = true;
        line.n--;
    }
    if (span_findc(line, '/') >= 0)
        out->anchored = true;
    if (line.n && line.p[0] == '/')
        line = span_sub(line, 1, line.n);
    out->text = line;
    return line.n > 0;
}

static void rules_parse(struct rules *r, struct span text, struct arena *a)
{
    struct span copy = { arena_span(a, text), text.n }, line;
    if (!copy.p)
        return;
    if (span_starts(copy, "\xef\xbb\xbf"))
        copy = span_sub(copy, 3, copy.n);
    struct pattern p;
    struct span count = copy;
    size_t n = 0;
    while (span_line(&count, &line))
        n += pattern_parse(line, &p);
    n = n < RULES_PATTERNS_MAX ? n : RULES_PATTERNS_MAX;
    r->items = n ? arena_array(a, n, sizeof *r->items) : NULL;
    while (r->items && r->n < n && span_line(&copy, &line))
        if (pattern_parse(line, &p))
            r->items[r->n++] = p;
}

static void rules_read(struct ignore *ig, struct rules *r, const char *path, bool links)
{
    AUTO(fd) int fd = path_open_beneath(ig->top, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
                                        links ? 0 : PATH_NO_SYMLINKS);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    AUTO(buf) struct buf text = BUF_INIT(RULES_FILE_BYTES + 65536);
    struct err e = ERR_INIT;
    if (file_read_fd(fd, path, RULES_FILE_BYTES, &text, &e) == 0)
        rules_parse(r, buf_span(&text), &ig->arena);
}

/* -1 no rule says anything, 0 taken in, 1 ignored */
static int rules_match(const struct rules *r, struct span rel, struct span name, bool is_dir)
{
    for (size_t i = r->n; i-- > 0;) {
        const struct pattern *p = &r->items[i];
        if (p->dir_only && !is_dir)
            continue;
        if (p->anchored ? path_match(p->text, rel) : name_match(p->text, name))
            return !p->negated;
    }
    return -1;
}

/* --- directories --- */

static struct span last_name(struct span path)
{
    for (size_t i = path.n; i-- > 0;)
        if (path.p[i] == '/')
            return span_sub(path, i + 1, path.n);
    return path;
}

/* By the rules of `d` and of the directories above it. */
static bool match_from(struct ignore *ig, const struct dir *d, struct span path, bool is_dir)
{
    struct span name = last_name(path);
    for (; d; d = d->parent) {
        size_t n = strlen(d->path);
        int m = rules_match(&d->rules, n ? span_sub(path, n + 1, path.n) : path, name, is_dir);
        if (m >= 0)
            return m;
    }
    return !ig->above_off && rules_match(&ig->exclude, path, name, is_dir) == 1;
}

static struct dir *dir_get(struct ignore *ig, struct span path)
{
    size_t low = 0, high = ig->ndirs;
    while (low < high) {
        size_t mid = (low + high) / 2;
        size_t len = strlen(ig->dirs[mid]->path), n = len < path.n ? len : path.n;
        int c = n ? memcmp(ig->dirs[mid]->path, path.p, n) : 0;
        if (c == 0)
            c = len < path.n ? -1 : len > path.n;
        if (c == 0)
            return ig->dirs[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    struct dir *parent = NULL;
    if (path.n) {
        struct span name = last_name(path);
        size_t up = path.n - name.n;
        parent = dir_get(ig, span_sub(path, 0, up ? up - 1 : 0));
        if (!parent)
            return NULL;
    }
    struct dir *d = arena_alloc(&ig->arena, sizeof *d);
    if (!d || !(d->path = arena_span(&ig->arena, path)))
        return NULL;
    d->parent = parent;
    d->ignored = parent && (parent->ignored || match_from(ig, parent, path, true));
    if (!d->ignored) {
        char *file = arena_printf(&ig->arena, "%s%s.gitignore", d->path, path.n ? "/" : "");
        if (file)
            rules_read(ig, &d->rules, file, false);
    }
    /* the parent's insertion may have moved the place */
    for (low = 0; low < ig->ndirs && strcmp(ig->dirs[low]->path, d->path) < 0; low++)
        ;
    if (!array_grow(&ig->dirs, &ig->cap, ig->ndirs, 1, sizeof(struct dir *)))
        return NULL;
    memmove(&ig->dirs[low + 1], &ig->dirs[low], (ig->ndirs - low) * sizeof(struct dir *));
    ig->dirs[low] = d;
    ig->ndirs++;
    return d;
}

/* The repository that the workspace lies in: its top directory and the way down. */
static int find_top(struct ignore *ig, int dirfd, const char *workspace, struct err *e)
{
    AUTO(ptr) char *up = strdup(workspace);
    if (!up)
        return err_set(e, ERR_NOMEM, "cannot read ignore rules of '%s': out of memory", workspace);
    for (char *end = up + strlen(up); end > up && end[-1] == '/'; *--end = '\0')
        ;
    size_t full = strlen(up);
    for (;;) {
        struct stat st;
        AUTO(ptr) char *git = path_join(*up ? up : "/", ".git");
        if (git && lstat(git, &st) == 0) {
            ig->top = open(*up ? up : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
            size_t n = strlen(up);
            if (ig->top >= 0 && n < full && asprintf(&ig->prefix, "%s/", workspace + n + 1) < 0)
                ig->prefix = NULL;
            break;
        }
        char *slash = strrchr(up, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    if (ig->top < 0)
        ig->top = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
    if (ig->top < 0)
        return err_sys(e, "cannot read ignore rules of '%s'", workspace);
    if (!ig->prefix && !(ig->prefix = strdup("")))
        return err_set(e, ERR_NOMEM, "cannot read ignore rules of '%s': out of memory", workspace);
    return 0;
}

int ignore_create(int dirfd, const char *workspace, struct ignore **out, struct err *e)
{
    AUTO(ignore) struct ignore *ig = calloc(1, sizeof *ig);
    if (!ig)
        return err_set(e, ERR_NOMEM, "cannot read ignore rules of '%s': out of memory", workspace);
    ig->top = -1;
    arena_init(&ig->arena, RULES_ARENA_BYTES);
    if (find_top(ig, dirfd, workspace, e) < 0)
        return -(int)e->kind;
    rules_read(ig, &ig->exclude, ".git/info/exclude", true);
    if (*ig->prefix) {
        /* A home directory kept in git with a rule "*" must not hide the projects below it. */
        struct dir *w = dir_get(ig, (struct span){ ig->prefix, strlen(ig->prefix) - 1 });
        if (w && w->ignored) {
            ig->above_off = true;
            ig->ndirs = 0;
            for (struct dir *d = w; d; d = d->parent)
                d->ignored = false;
            w->parent = NULL;
            char *file = arena_printf(&ig->arena, "%s.gitignore", ig->prefix);
            if (file)
                rules_read(ig, &w->rules, file, false);
            ig->dirs[ig->ndirs++] = w;
        }
    }
    *out = TAKE(ig);
    return 0;
}

void ignore_destroy(struct ignore *ig)
{
    if (!ig)
        return;
    fd_close(&ig->top);
    free(ig->prefix);
    free(ig->dirs);
    arena_finish(&ig->arena);
    free(ig);
}

bool ignore_match(struct ignore *ig, const char *path, bool is_dir)
{
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", ig->prefix, path) < 0) {
        full = NULL;
        return false;
    }
    struct span p = span_of(full), name = last_name(p);
    size_t up = p.n - name.n;
    struct dir *d = dir_get(ig, span_sub(p, 0, up ? up - 1 : 0));
    return d && (d->ignored || match_from(ig, d, p, is_dir));
}

bool ignore_is_cache(const char *path, bool is_dir)
{
    static const char *const dirs[] = { "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache",
                                        "node_modules", ".venv", ".tox", ".nox", ".gradle", ".hypothesis" };
    const char *name = path_base(path);
    for (size_t i = 0; is_dir && i < COUNT_OF(dirs); i++)
        if (strcmp(name, dirs[i]) == 0)
            return true;
    return !is_dir && (strcmp(path_ext(name), ".pyc") == 0 || strcmp(name, ".DS_Store") == 0);
}

bool ignore_match_patterns(const char *const *patterns, size_t n, const char *path, bool is_dir)
{
    struct span whole = span_of(path);
    bool hit = false;
    for (size_t i = 0; i < n; i++) {
        struct pattern p;
        if (!pattern_parse(span_of(patterns[i]), &p))
            continue;
        bool match = false;
        /* the path itself, or a directory above it */
        for (size_t end = 1; end <= whole.n && !match; end++) {
            if (end < whole.n && whole.p[end] != '/')
                continue;
            struct span part = span_sub(whole, 0, end);
            if (p.dir_only && end == whole.n && !is_dir)
                continue;
            match = p.anchored ? path_match(p.text, part) : name_match(p.text, last_name(part));
        }
        if (match)
            hit = !p.negated;
    }
    return hit;
}
