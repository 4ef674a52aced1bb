#include "verify/gate.h"

#include <stdlib.h>

#include "base/path.h"
#include "verify/detect-internal.h"
#include "verify/ecosystem.h"
#include "verify/reader.h"

static const char *const kind_names[] = {
    [GATE_FORMAT] = "format", [GATE_LINT] = "lint", [GATE_TYPES] = "types",
    [GATE_BUILD] = "build",   [GATE_TEST] = "test", [GATE_CUSTOM] = "custom",
};
_Static_assert(COUNT_OF(kind_names) == GATE_KINDS, "a name for each kind");

const char *gate_kind_name(enum gate_kind k)
{
    return kind_names[k];
}

bool gate_kind_parse(struct span name, enum gate_kind *out)
{
    if (span_eqs(name, "type"))
        name = SPAN("types");
    for (int i = 0; i < GATE_KINDS; i++)
        if (span_eqs(name, kind_names[i])) {
            *out = (enum gate_kind)i;
            return true;
        }
    return false;
}

const char *gate_verdict_name(enum gate_verdict v)
{
    static const char *const names[] = {
        [VERDICT_PASS] = "pass",   [VERDICT_FAIL] = "fail",       [VERDICT_FLAKY] = "flaky",
        [VERDICT_ERROR] = "error", [VERDICT_SKIPPED] = "skipped",
    };
    return names[v];
}

const char *detect_path(struct detection *d, const char *name)
{
    const char *p = *d->dir ? arena_printf(d->arena, "%s/%s", d->dir, name) : arena_strdup(d->arena, name);
    if (!p)
        d->nomem = true;
    return p ? p : "";
}

int detect_read(struct detection *d, const char *name, struct buf *out)
{
    buf_reset(out);
    return tree_read(&d->in->base, detect_path(d, name), DETECT_FILE_BYTES, out);
}

static int64_t default_timeout(enum gate_kind k)
{
    return k == GATE_FORMAT || k == GATE_LINT || k == GATE_TYPES ? GATE_QUICK_TIMEOUT_MS : GATE_TIMEOUT_MS;
}

static bool add(struct gates *out, struct gate g)
{
    if (!array_grow((void **)&out->items, &out->cap, out->len, 1, sizeof *out->items))
        return false;
    out->items[out->len++] = g;
    return true;
}

/* What repairs what this command finds, when the table knows its tool: "cargo fmt" for "cargo fmt --check". */
static const char *known_fix(struct span command)
{
    const struct ecosystem *rows;
    size_t n;
    struct err ignored = ERR_INIT;
    if (ecosystems_load(&rows, &n, &ignored) < 0)
        return NULL;
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < rows[i].ngates; k++) {
            const struct ecosystem_gate *g = &rows[i].gates[k];
            struct span rest = span_of(g->fix), first, second = SPAN("");
            if (!g->fix || strcmp(g->kind, "format") != 0 || !span_split(&rest, ' ', &first) || span_eqs(first, "git"))
                continue;
            if (span_split(&rest, ' ', &second) && second.n && second.p[0] != '-' && second.p[0] != '.')
                first.n = (size_t)(second.p + second.n - first.p);
            if (span_eq(span_sub(command, 0, first.n), first) && (command.n == first.n || command.p[first.n] == ' '))
                return g->fix;
        }
    return NULL;
}

void detect_offer(struct detection *d, struct gate g)
{
    if (d->out->len >= GATE_MAX || (d->taken & (1u << g.kind)))
        return;
    for (size_t i = 0; i < d->out->len; i++)
        if (!strcmp(d->out->items[i].command, g.command) && !strcmp(d->out->items[i].cwd, d->dir))
            return;
    g.cwd = d->dir;
    if (g.kind == GATE_FORMAT && !g.fix)
        g.fix = known_fix(span_of(g.command));
    if (*d->dir && !(g.name = arena_printf(d->arena, "%s: %s", d->dir, g.name)))
        d->nomem = true;
    if (!g.timeout_ms)
        g.timeout_ms = default_timeout(g.kind);
    if (!g.name || !g.command || !g.from || !add(d->out, g))
        d->nomem = true;
    d->given |= 1u << g.kind;
}

/* --- explicit gates: names and defaults --- */

static int take_explicit(const struct detect_input *in, struct arena *arena, struct gates *out, struct err *e)
{
    for (size_t i = 0; i < in->nexplicit; i++) {
        struct gate g = in->explicit_gates[i];
        if (!g.command || !*g.command)
            return err_set(e, ERR_USAGE, "a gate without a command");
        if (g.reader && !reader_find(g.reader))
            return err_set(e, ERR_USAGE, "gate '%s': unknown reader '%s'", g.command, g.reader);
        enum gate_kind kind;
        const char *needs;
        struct span run;
        if (g.kind == GATE_CUSTOM && command_is_check(span_of(g.command), &kind, &needs, &run))
            g.kind = kind; /* named by a person: never skipped for a missing program, that is its failure */
        g.cwd = g.cwd ? g.cwd : "";
        g.named_fix = g.fix != NULL;
        if (g.kind == GATE_FORMAT && !g.fix)
            g.fix = known_fix(span_of(g.command));
        if (*g.cwd && !path_is_safe_relative(g.cwd))
            return err_set(e, ERR_USAGE, "gate '%s': cwd '%s' is not inside the workspace", g.command, g.cwd);
        if (!g.name) {
            struct span n = span_trim(span_of(g.command));
            g.name = arena_span(arena, span_sub(n, 0, 60));
        }
        g.from = g.from ? g.from : "--gate";
        g.timeout_ms = g.timeout_ms ? g.timeout_ms : default_timeout(g.kind);
        g.explicit_gate = true;
        if (!g.name || !add(out, g))
            return err_set(e, ERR_NOMEM, "gate '%s': out of memory", g.command);
    }
    return 0;
}

/* --- packages: the directories that the change touches and the root --- */

static bool is_package(const struct tree *t, const char *dir, struct arena *arena, struct err *e)
{
    const struct ecosystem *rows;
    size_t n;
    if (ecosystems_load(&rows, &n, e) < 0)
        return false;
    struct strings names = tree_list(t, dir, arena);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].root_only || rows[i].unless)
            continue; /* rows that guess from loose files make no package */
        for (unsigned k = 0; k < rows[i].nmarkers; k++)
            if (ecosystem_has(t, dir, names, rows[i].markers[k], rows[i].contains))
                return true;
    }
    return false;
}

/* The nearest directory above `path`, but not the root, that is a package; "" when there is none. */
static const char *package_of(const struct tree *t, const char *path, struct arena *arena, struct err *e)
{
    struct span dir = path_dir(path);
    while (dir.n && !span_eqs(dir, ".")) {
        AUTO(arena) struct arena scratch = ARENA_INIT(16u << 20);
        const char *d = arena_span(arena, dir);
        if (d && is_package(t, d, &scratch, e))
            return d;
        ptrdiff_t slash = -1;
        for (size_t i = 0; i < dir.n; i++)
            if (dir.p[i] == '/')
                slash = (ptrdiff_t)i;
        dir = span_sub(dir, 0, slash > 0 ? (size_t)slash : 0);
    }
    return "";
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static struct strings packages(const struct detect_input *in, struct arena *arena, struct err *e)
{
    size_t n = in->changed.len < 2000 ? in->changed.len : 2000; /* enough to know the packages of any change */
    struct strings all = { arena_array(arena, n + 1, sizeof(char *)), 0 };
    if (!all.items)
        return all;
    const char *last_dir = NULL, *last = "";
    size_t last_n = 0;
    for (size_t i = 0; i < n; i++) {
        struct span d = path_dir(in->changed.items[i]);
        if (!last_dir || last_n != d.n || memcmp(last_dir, d.p, d.n) != 0)
            last = package_of(&in->base, in->changed.items[i], arena, e);
        last_dir = d.p, last_n = d.n;
        all.items[all.len++] = last;
    }
    all.items[all.len++] = "";
    qsort(all.items, all.len, sizeof *all.items, by_text);
    size_t k = 0;
    for (size_t i = 0; i < all.len; i++)
        if (!k || strcmp(all.items[k - 1], all.items[i]) != 0)
            all.items[k++] = all.items[i];
    all.len = k;
    return all;
}

static int by_kind(const void *a, const void *b)
{
    const struct gate *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    /* a package before the whole */
    bool xr = !*x->cwd, yr = !*y->cwd;
    if (xr != yr)
        return xr ? 1 : -1;
    int c = strcmp(x->cwd, y->cwd);
    return c ? c : strcmp(x->name, y->name);
}

int gate_detect(const struct detect_input *in, struct arena *arena, struct gates *out, struct err *e)
{
    static const struct detect_source *const sources[] = {
        &detect_agents, &detect_ci, &detect_make, &detect_package, &detect_table,
    };
    if (in->nexplicit)
        return take_explicit(in, arena, out, e);
    struct strings dirs = packages(in, arena, e);
    if (!dirs.items)
        return err_set(e, ERR_NOMEM, "detecting gates: out of memory");
    for (size_t i = 0; i < dirs.len; i++) {
        struct detection d = { .in = in, .arena = arena, .out = out, .dir = dirs.items[i] };
        d.names = tree_list(&in->base, d.dir, arena);
        for (size_t s = 0; s < COUNT_OF(sources); s++) {
            if (in->table_only && sources[s] != &detect_table)
                continue;
            d.given = 0;
            int r = sources[s]->look(&d, e);
            if (r < 0)
                return err_wrap(e, "detecting gates from %s", sources[s]->name);
            d.taken |= d.given;
        }
        if (d.nomem)
            return err_set(e, ERR_NOMEM, "detecting gates: out of memory");
    }
    if (out->len)
        qsort(out->items, out->len, sizeof *out->items, by_kind);
    return 0;
}
