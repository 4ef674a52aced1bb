#include "agent/repomap.h"

#include <stdlib.h>

#include "agent/match.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "sandbox/sandbox.h"

enum {
    TAGS_MAX = 200000,
    TAGS_BYTES = 32 << 20,
    BYTES_PER_TOKEN = 4,
    FILE_DEFINITIONS = 12, /* shown of one file */
    SIGNATURE_BYTES = 100,
    TIMEOUT_MS = 5000,     /* a map is a help, not worth a wait */
};

struct tag {
    struct span name, file, signature;
    int64_t line;
    unsigned uses;
};

struct use {
    struct span name;
    unsigned files;
};

struct file {
    struct span path;
    size_t first, n; /* of the tags, sorted by file */
    double rank;
};

static int compare_span(struct span a, struct span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_use_name(const void *a, const void *b)
{
    return compare_span(((const struct use *)a)->name, ((const struct use *)b)->name);
}

/* By file, then most used first, then by line. */
static int by_file(const void *pa, const void *pb)
{
    const struct tag *a = pa, *b = pb;
    int c = compare_span(a->file, b->file);
    if (c)
        return c;
    if (a->uses != b->uses)
        return a->uses < b->uses ? 1 : -1;
    return (a->line > b->line) - (a->line < b->line);
}

static int by_line(const void *pa, const void *pb)
{
    const struct tag *a = pa, *b = pb;
    return (a->line > b->line) - (a->line < b->line);
}

static int by_rank(const void *pa, const void *pb)
{
    const struct file *a = pa, *b = pb;
    if (a->rank != b->rank)
        return a->rank < b->rank ? 1 : -1;
    return compare_span(a->path, b->path);
}

static int by_path(const void *pa, const void *pb)
{
    return compare_span(((const struct file *)pa)->path, ((const struct file *)pb)->path);
}

/* What a reader looks for; not members, variables, keys of data files, headings. */
static const char *const kinds[] = {
    "function", "func", "method", "class", "struct", "interface", "trait", "type", "enum", "module", "namespace",
    "package", "subroutine", "procedure", "implementation", "object", "record", "typedef", "union", "prototype",
};

static bool is_definition(struct span kind)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (span_eqs(kind, kinds[i]))
            return true;
    return false;
}

/* log2, rounded down, of 1 + n: a name that is everywhere is not a hundred times as important. */
static double weight_of(unsigned n)
{
    unsigned bits = 0;
    for (n++; n > 1; n >>= 1)
        bits++;
    return bits;
}

/* A file of tests tells less of what there is. */
static double place_of(struct span path)
{
    return span_find(path, SPAN("test")) >= 0 ? 0.25 : 1.0;
}

/* NAME<tab>FILE<tab>LINE;"<tab>KIND<tab>line:N<tab>signature:(...) */
static bool parse_tag(struct span line, struct tag *t)
{
    struct span field, number = { 0 }, kind = { 0 };
    struct err ignored = ERR_INIT;
    *t = (struct tag){ 0 };
    if (line.n == 0 || line.p[0] == '!')
        return false;
    for (int i = 0; span_split(&line, '\t', &field); i++) {
        if (i == 0)
            t->name = field;
        else if (i == 1)
            t->file = span_starts(field, "./") ? span_sub(field, 2, field.n) : field;
        else if (i == 3)
            kind = field;
        else if (span_starts(field, "line:"))
            number = span_sub(field, 5, field.n);
        else if (span_starts(field, "signature:"))
            t->signature = span_sub(field, 10, field.n);
    }
    return t->name.n > 1 && t->file.n > 0 && is_definition(kind) && parse_i64(number, 1, INT32_MAX, &t->line, &ignored) >= 0;
}

static unsigned uses_of(const struct use *uses, size_t n, struct span name)
{
    struct use key = { name, 0 };
    const struct use *u = n ? bsearch(&key, uses, n, sizeof *uses, by_use_name) : NULL;
    return u ? u->files : 1;
}

static size_t read_uses(struct span text, struct use *uses, size_t max)
{
    size_t n = 0;
    struct span line, name;
    while (n < max && span_line(&text, &line)) {
        int64_t files;
        struct err ignored = ERR_INIT;
        line = span_trim(line);
        if (!span_split(&line, ' ', &name) || !line.p || parse_i64(span_trim(line), 1, INT32_MAX, &files, &ignored) < 0)
            continue;
        uses[n++] = (struct use){ name, (unsigned)files };
    }
    qsort(uses, n, sizeof *uses, by_use_name);
    return n;
}

static void add_file(struct buf *out, struct tag *tags, const struct file *f)
{
    size_t n = f->n < FILE_DEFINITIONS ? f->n : FILE_DEFINITIONS;
    qsort(tags + f->first, n, sizeof *tags, by_line);
    buf_add_span(out, f->path);
    buf_addc(out, '\n');
    for (size_t i = f->first; i < f->first + n; i++) {
        struct span sig = span_sub(tags[i].signature, 0, SIGNATURE_BYTES);
        buf_addf(out, " %lld %.*s%.*s\n", (long long)tags[i].line, (int)tags[i].name.n, tags[i].name.p, (int)sig.n, sig.n ? sig.p : "");
    }
}

int repomap_rank(struct span tags_text, struct span uses_text, size_t bytes, struct buf *out, struct err *e)
{
    size_t ntags = lines_count(tags_text), max_uses = lines_count(uses_text);
    if (ntags > TAGS_MAX)
        ntags = TAGS_MAX;
    if (max_uses > TAGS_MAX)
        max_uses = TAGS_MAX;
    AUTO(ptr) struct tag *tags = calloc(ntags + 1, sizeof *tags);
    AUTO(ptr) struct use *uses = calloc(max_uses + 1, sizeof *uses);
    AUTO(ptr) struct file *files = calloc(ntags + 1, sizeof *files);
    if (!tags || !uses || !files)
        return err_set(e, ERR_NOMEM, "ranking definitions: out of memory");
    size_t nuses = read_uses(uses_text, uses, max_uses), n = 0, nfiles = 0;
    struct span line;
    while (n < ntags && span_line(&tags_text, &line)) {
        if (!parse_tag(line, &tags[n]))
            continue;
        tags[n].uses = uses_of(uses, nuses, tags[n].name);
        n++;
    }
    qsort(tags, n, sizeof *tags, by_file);
    for (size_t i = 0; i < n; i++) {
        if (nfiles == 0 || !span_eq(files[nfiles - 1].path, tags[i].file))
            files[nfiles++] = (struct file){ tags[i].file, i, 0, 0 };
        struct file *f = &files[nfiles - 1];
        /* The most used names only (they come first): a file is not important for being long. */
        if (f->n < FILE_DEFINITIONS)
            f->rank += weight_of(tags[i].uses) * place_of(f->path);
        f->n++;
    }
    qsort(files, nfiles, sizeof *files, by_rank);
    size_t shown = 0, used = 0;
    for (; shown < nfiles; shown++) {
        struct buf one = BUF_INIT(64 << 10);
        add_file(&one, tags, &files[shown]);
        size_t size = one.n;
        buf_finish(&one);
        if (used + size > bytes)
            break;
        used += size;
    }
    qsort(files, shown, sizeof *files, by_path);
    for (size_t i = 0; i < shown; i++)
        add_file(out, tags, &files[i]);
    return buf_check(out, e);
}

static int capture(const struct repomap_options *o, const char *script, struct buf *out, struct cancel *cancel, struct err *e)
{
    struct sandbox_exec x = { .argv = (const char *const[]){ "sh", "-c", script, NULL }, .timeout_ms = TIMEOUT_MS };
    struct sandbox_result r = { 0 };
    int rc = sandbox_exec(o->sandbox, &x, out, &r, cancel, e);
    if (rc < 0)
        return rc;
    if (r.timed_out)
        return err_set(e, ERR_TIMEOUT, "reading the repository took longer than %d s", TIMEOUT_MS / 1000);
    if (r.status == 127)
        return err_set(e, ERR_UNAVAILABLE, "universal-ctags and ripgrep are not both installed");
    return r.status == 0 ? 0 : err_set(e, ERR_IO, "reading the repository failed with status %d", r.status);
}

/* Which files there are, and when they were last written: the key of the cache. */
static const char state_script[] = "command -v rg >/dev/null && command -v ctags >/dev/null || exit 127\n"
                                   "rg --files -0 --sort path | xargs -0 -r stat -c '%n %s %.9Y'";
static const char tags_script[] = "rg --files --sort path | ctags --fields=+nSK --excmd=number --sort=no --languages=-JSON,-Markdown,-YAML,-XML,-HTML,-CSS,-Make,-ReStructuredText,-Asciidoc,-Iniconf -L - -f - 2>/dev/null";
/* In how many files each name occurs. */
static const char uses_script[] = "rg -oN --no-heading --with-filename '[A-Za-z_][A-Za-z0-9_]{2,}' | LC_ALL=C sort -u | "
                                  "sed 's/^.*://' | LC_ALL=C sort | uniq -c | awk '{print $2, $1}'";

int repomap_make(const struct repomap_options *o, struct buf *out, struct cancel *cancel, struct err *e)
{
    AUTO(buf) struct buf state = BUF_INIT(TAGS_BYTES);
    int r = capture(o, state_script, &state, cancel, e);
    if (r < 0)
        return r;
    buf_addf(&state, "\n%s\n%lld", o->workspace, (long long)o->tokens);
    struct hash_hex key = hash_bytes(buf_str(&state), state.n);
    AUTO(ptr) char *path = NULL;
    if (o->cache_dir) {
        AUTO(buf) struct buf name = BUF_INIT(8192);
        buf_addf(&name, "%s/maps/%s.txt", o->cache_dir, key.s);
        path = buf_take(&name);
    }
    struct err ignored = ERR_INIT;
    if (path && file_read(path, out->limit - out->n, out, &ignored) >= 0)
        return 0;
    AUTO(buf) struct buf tags = BUF_INIT(TAGS_BYTES);
    AUTO(buf) struct buf uses = BUF_INIT(TAGS_BYTES);
    r = capture(o, tags_script, &tags, cancel, e);
    if (r >= 0)
        r = capture(o, uses_script, &uses, cancel, e);
    size_t at = out->n;
    if (r >= 0)
        r = repomap_rank(buf_span(&tags), buf_span(&uses), (size_t)o->tokens * BYTES_PER_TOKEN, out, e);
    if (r < 0)
        return err_wrap(e, "making a map of the repository");
    if (path) {
        AUTO(ptr) char *dir = span_dup(path_dir(path));
        if (dir && path_mkdirs(dir, 0700, &ignored) >= 0)
            (void)!file_write_atomic(path, span_sub(buf_span(out), at, out->n), 0600, false, &ignored);
    }
    return 0;
}
