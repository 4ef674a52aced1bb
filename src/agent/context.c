#include "agent/context.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/match.h"
#include "base/data.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "sandbox/sandbox.h"

enum {
    PROMPT_LIMIT = 256 << 10,
    ABOVE_MAX = 16,         /* directories above the workspace looked at */
    MENTIONS_MAX = 16,
    LISTED_MAX = 200, /* names of a mentioned directory */
    BYTES_PER_TOKEN = 3,    /* on the safe side for code */
    DEFAULT_WINDOW = 8192,
    SKILL_LINE_BYTES = 300,
};

static const char *const skill_dirs[] = { ".agents/skills", ".claude/skills", ".stead/skills" };

/* Text that fits, cut at a line end with a word about the rest. */
static void add_cut(struct buf *out, struct span text, size_t limit, const char *path)
{
    text = span_trim(text);
    if (text.n <= limit) {
        utf8_add_valid(out, text);
        buf_addc(out, '\n');
        return;
    }
    size_t n = utf8_cut(text, limit);
    const char *nl = memrchr(text.p, '\n', n);
    if (nl && (size_t)(nl - text.p) > n / 2)
        n = (size_t)(nl - text.p);
    utf8_add_valid(out, span_sub(text, 0, n));
    buf_addf(out, "\n[cut: %zu of %zu bytes; read %s for the rest]\n", n, text.n, path);
}

static bool read_inside(const struct context_source *src, const char *path, size_t limit, struct buf *out)
{
    struct err ignored = ERR_INIT;
    return sandbox_read(src->sandbox, path, 0, limit, out, NULL, &ignored) >= 0 && !memchr(buf_str(out), '\0', out->n);
}

/* A regular file of a directory above the workspace: read on the host, nothing of it runs. */
static bool read_above(const char *dir, const char *name, struct buf *out)
{
    AUTO(ptr) char *path = path_join(dir, name);
    if (!path)
        return false;
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    struct err ignored = ERR_INIT;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > PROMPT_LIMIT)
        return false;
    return file_read_fd(fd, path, PROMPT_LIMIT, out, &ignored) >= 0 && !memchr(buf_str(out), '\0', out->n);
}

static bool is_repository_top(const char *dir)
{
    AUTO(ptr) char *git = path_join(dir, ".git");
    struct stat st;
    return git && lstat(git, &st) == 0;
}

struct room {
    size_t left;
};

static void add_notes(struct buf *out, struct room *room, const char *path, struct span text)
{
    text = span_trim(text);
    if (text.n == 0 || room->left < 200)
        return;
    size_t limit = room->left < CONTEXT_FILE_BYTES ? room->left : CONTEXT_FILE_BYTES;
    buf_addf(out, "\n# From %s\n\n", path);
    add_cut(out, text, limit, path);
    room->left -= text.n < limit ? text.n : limit;
}

static void add_above(const struct context_source *src, struct buf *out, struct room *room)
{
    AUTO(ptr) char *dir = strdup(src->workspace);
    if (!dir || is_repository_top(dir))
        return;
    /* Only inside a repository: a note in /home is not this project's. */
    char *chain[ABOVE_MAX];
    size_t n = 0;
    bool top = false;
    while (n < ABOVE_MAX && !top) {
        char *slash = strrchr(dir, '/');
        if (!slash || slash == dir)
            break;
        *slash = '\0';
        chain[n] = strdup(dir);
        if (!chain[n])
            break;
        n++;
        top = is_repository_top(dir);
    }
    for (size_t i = 0; i < n; i++) {
        AUTO(buf) struct buf text = BUF_INIT(PROMPT_LIMIT);
        AUTO(ptr) char *path = path_join(chain[i], "AGENTS.md");
        if (top && path && read_above(chain[i], "AGENTS.md", &text))
            add_notes(out, room, path, buf_span(&text));
    }
    for (size_t i = 0; i < n; i++)
        free(chain[i]);
}

static bool front_value(struct span front, const char *key, struct span *value)
{
    struct span line;
    while (span_line(&front, &line)) {
        size_t n = strlen(key);
        if (!span_starts(line, key) || line.n <= n || line.p[n] != ':')
            continue;
        struct span v = span_trim(span_sub(line, n + 1, line.n));
        if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
            v = span_sub(v, 1, v.n - 2);
        *value = v;
        return v.n > 0;
    }
    return false;
}

bool context_skill(struct span text, struct span *name, struct span *description)
{
    struct span line, rest = text;
    if (!span_line(&rest, &line) || !span_eqs(span_trim(line), "---"))
        return false;
    struct span front = { rest.p, 0 };
    while (span_line(&rest, &line)) {
        if (span_eqs(span_trim(line), "---"))
            return front_value(front, "name", name) && front_value(front, "description", description);
        front.n = (size_t)(line.p + line.n - front.p);
    }
    return false;
}

static void add_skills(const struct context_source *src, struct buf *out, struct room *room)
{
    AUTO(arena) struct arena a = ARENA_INIT(8 << 20);
    size_t shown = 0;
    for (size_t d = 0; d < COUNT_OF(skill_dirs); d++) {
        struct sandbox_entry *f = NULL;
        size_t n = 0;
        bool truncated;
        struct err ignored = ERR_INIT;
        struct sandbox_stat st;
        /* A list is a process inside, a look is not: most repositories have none of these. */
        if (sandbox_stat(src->sandbox, skill_dirs[d], &st, &ignored) < 0 || st.type != SANDBOX_DIR)
            continue;
        if (sandbox_list(src->sandbox, skill_dirs[d], SANDBOX_LIST_RECURSIVE, 2000, &a, &f, &n, &truncated, src->cancel, &ignored) < 0)
            continue;
        for (size_t i = 0; i < n && shown < CONTEXT_SKILLS_MAX && room->left > SKILL_LINE_BYTES; i++) {
            if (strcmp(path_base(f[i].path), "SKILL.md") != 0)
                continue;
            AUTO(buf) struct buf text = BUF_INIT(CONTEXT_FILE_BYTES);
            AUTO(ptr) char *path = path_join(skill_dirs[d], f[i].path);
            struct span name, description;
            if (!path || !read_inside(src, path, CONTEXT_FILE_BYTES - 1, &text) || !context_skill(buf_span(&text), &name, &description))
                continue;
            size_t before = out->n;
            if (shown++ == 0)
                buf_adds(out, "\n# Skills: read the file before work that it is about\n\n");
            buf_adds(out, "- ");
            utf8_add_valid(out, span_sub(name, 0, 60));
            buf_adds(out, ": ");
            utf8_add_valid(out, span_sub(description, 0, utf8_cut(description, SKILL_LINE_BYTES)));
            buf_addf(out, " (%s)\n", path);
            size_t used = out->n - before;
            room->left -= used < room->left ? used : room->left;
        }
    }
}

int context_system(const struct context_source *src, int64_t window_tokens, struct buf *out, struct err *e)
{
    struct span text = data_find("prompts/system.md"), marker = SPAN("{{workspace}}");
    if (!text.p)
        return err_set(e, ERR_INTERNAL, "prompts/system.md is missing from the program's data");
    text = span_trim(text);
    for (ptrdiff_t at; (at = span_find(text, marker)) >= 0; text = span_sub(text, (size_t)at + marker.n, text.n)) {
        buf_add(out, text.p, (size_t)at);
        utf8_add_valid(out, span_of(src->workspace));
    }
    buf_add_span(out, text);
    buf_addc(out, '\n');
    int64_t window = window_tokens > 0 ? window_tokens : DEFAULT_WINDOW;
    struct room room = { (size_t)window / 8 * BYTES_PER_TOKEN };
    AUTO(buf) struct buf notes = BUF_INIT(PROMPT_LIMIT);
    if (read_inside(src, "AGENTS.md", PROMPT_LIMIT - 1, &notes))
        add_notes(out, &room, "AGENTS.md", buf_span(&notes));
    add_above(src, out, &room);
    for (size_t i = 0; src->files && src->files[i]; i++) {
        AUTO(buf) struct buf file = BUF_INIT(PROMPT_LIMIT);
        if (strcmp(src->files[i], "AGENTS.md") != 0 && read_inside(src, src->files[i], PROMPT_LIMIT - 1, &file))
            add_notes(out, &room, src->files[i], buf_span(&file));
    }
    add_skills(src, out, &room);
    if (src->map && src->map[0])
        buf_addf(out, "\n# Map of the repository (not all of it)\n\n%s\n", src->map);
    while (out->n > 0 && out->p[out->n - 1] == '\n')
        buf_truncate(out, out->n - 1);
    return buf_check(out, e);
}

/* --- notes of directories --- */

void context_notes_finish(struct context_notes *n)
{
    for (size_t i = 0; i < n->len; i++)
        free(n->dirs[i]);
    free(n->dirs);
    *n = (struct context_notes){ 0 };
}

static bool enter(struct context_notes *n, struct span dir)
{
    for (size_t i = 0; i < n->len; i++)
        if (span_eqs(dir, n->dirs[i]))
            return false;
    char *copy = span_dup(dir);
    if (!copy || !array_grow(&n->dirs, &n->cap, n->len, 1, sizeof *n->dirs)) {
        free(copy);
        return false;
    }
    n->dirs[n->len++] = copy;
    return true;
}

void context_notes_for(struct context_notes *n, const struct context_source *src, const char *path, struct buf *out)
{
    size_t w = strlen(src->workspace);
    if (strncmp(path, src->workspace, w) == 0 && path[w] == '/')
        path += w + 1;
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    if (!path_is_safe_relative(path))
        return;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        struct span dir = { path, (size_t)(slash - path) };
        if (n->len > 2000 || !enter(n, dir))
            continue;
        AUTO(buf) struct buf text = BUF_INIT(PROMPT_LIMIT);
        AUTO(buf) struct buf name = BUF_INIT(8192);
        buf_add_span(&name, dir);
        buf_adds(&name, "/AGENTS.md");
        if (!read_inside(src, buf_str(&name), CONTEXT_FILE_BYTES, &text) || span_trim(buf_span(&text)).n == 0)
            continue;
        buf_addf(out, "\n\n[notes for this directory, from %s]\n", buf_str(&name));
        add_cut(out, buf_span(&text), CONTEXT_FILE_BYTES / 2, buf_str(&name));
        if (out->n > 0 && out->p[out->n - 1] == '\n')
            buf_truncate(out, out->n - 1);
    }
}

/* --- mentions --- */

static bool path_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-/+@~:", c) != NULL || (c & 0x80);
}

bool context_mention(struct span *rest, struct span *path)
{
    for (size_t i = 0; i < rest->n; i++) {
        if (rest->p[i] != '@')
            continue;
        if (i > 0 && path_byte(rest->p[i - 1]))
            continue;
        size_t from = i + 1, to = from;
        if (from < rest->n && rest->p[from] == '"') { /* a name with blanks */
            ptrdiff_t close = span_findc(span_sub(*rest, from + 1, rest->n), '"');
            if (close <= 0 || memchr(rest->p + from + 1, '\n', (size_t)close))
                continue;
            *path = span_sub(*rest, from + 1, (size_t)close);
            *rest = span_sub(*rest, from + 2 + (size_t)close, rest->n);
            return true;
        }
        while (to < rest->n && rest->p[to] && path_byte(rest->p[to]) && rest->p[to] != ':')
            to++;
        size_t end = to;
        /* The full stop of the sentence is not the name's. */
        while (end > from && strchr(".,-", rest->p[end - 1]))
            end--;
        if (end == from)
            continue;
        *path = span_sub(*rest, from, end - from);
        *rest = span_sub(*rest, to, rest->n);
        return true;
    }
    return false;
}

/* What a directory holds, as "name", "name/"; false when it is none. */
static bool add_listing(const struct context_source *src, const char *name, struct buf *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(4 << 20);
    struct sandbox_entry *entries;
    struct err ignored = ERR_INIT;
    size_t n;
    bool more;
    if (sandbox_list(src->sandbox, name, SANDBOX_LIST_IGNORE | SANDBOX_LIST_DIRS, LISTED_MAX, &a, &entries, &n, &more, src->cancel, &ignored) < 0)
        return false;
    buf_addf(out, "\n\n%s%s\n", name, name[0] && name[strlen(name) - 1] == '/' ? ":" : "/:");
    for (size_t i = 0; i < n; i++) {
        utf8_add_valid(out, span_of(entries[i].path));
        buf_adds(out, entries[i].type == SANDBOX_DIR ? "/" : "");
        buf_adds(out, i + 1 < n ? "\n" : more ? "\n..." : "");
    }
    return true;
}

int context_expand(const struct context_source *src, struct context_notes *notes, struct span text, size_t limit_bytes, struct buf *out,
                   struct err *e)
{
    utf8_add_valid(out, text);
    struct span rest = text, seen[MENTIONS_MAX], path;
    size_t n = 0, left = limit_bytes;
    while (n < MENTIONS_MAX && context_mention(&rest, &path)) {
        bool again = false;
        for (size_t i = 0; i < n; i++)
            again |= span_eq(seen[i], path);
        AUTO(ptr) char *name = span_dup(path);
        AUTO(buf) struct buf file = BUF_INIT(PROMPT_LIMIT);
        if (again || !name)
            continue;
        if (!read_inside(src, name, CONTEXT_MENTION_BYTES + 1, &file)) {
            if (add_listing(src, name, out))
                seen[n++] = path;
            continue;
        }
        seen[n++] = path;
        size_t limit = left < CONTEXT_MENTION_BYTES ? left : CONTEXT_MENTION_BYTES;
        struct span content = buf_span(&file);
        bool whole = content.n <= limit;
        if (!whole)
            content = span_sub(content, 0, utf8_cut(content, limit));
        buf_addf(out, "\n\n%s:\n", name);
        AUTO(buf) struct buf numbered = BUF_INIT(PROMPT_LIMIT);
        lines_number(&numbered, content, 1, lines_count(content), 0, 1000);
        utf8_add_valid(out, buf_span(&numbered));
        if (!whole)
            buf_addf(out, "\n[cut: read %s for the rest]", name);
        left -= content.n;
        context_notes_for(notes, src, name, out);
    }
    return buf_check(out, e);
}
