/* catalogue.c - see catalogue.h. */
#include "inference/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clean.h"
#include "base/data.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"

enum { C_NAME, C_ARCH, C_KIND, C_PARAMS, C_ACTIVE, C_LAYERS, C_FULL, C_KV_HEADS, C_HEAD_DIM, C_WINDOW, C_WINDOW_LAYERS,
       C_WINDOW_KV, C_WINDOW_HEAD, C_CONTEXT, C_LICENCE, C_Q4_NAME, C_Q4_GB, C_Q4_BASIS, C_Q8_GB, C_Q8_BASIS, C_SOURCES,
       C_NOTES, COLUMNS };
static const char header[] = "name,arch,kind,params_b,active_b,layers,full_layers,kv_heads,head_dim,window,window_layers,"
                             "window_kv_heads,window_head_dim,context,licence,q4_name,q4_gb,q4_basis,q8_gb,q8_basis,sources,notes";
#define VOCAB_GUESS 150000

struct reader {
    const char *file;
    int line;
    int (*fn)(void *ctx, const struct catalogue_model *m);
    void *ctx;
    struct err *e;
};

/* Cut the next field off *rest (RFC 4180, on one line): false when the quoting is broken. */
static bool next_field(struct span *rest, struct buf *out)
{
    buf_reset(out);
    size_t i = 0;
    if (i < rest->n && rest->p[i] == '"') {
        for (i++;; i++) {
            if (i >= rest->n)
                return false;
            if (rest->p[i] != '"')
                buf_addc(out, rest->p[i]);
            else if (i + 1 < rest->n && rest->p[i + 1] == '"')
                buf_addc(out, rest->p[i++]);
            else
                break;
        }
        i++;
    } else {
        while (i < rest->n && rest->p[i] != ',')
            buf_addc(out, rest->p[i++]);
    }
    if (i < rest->n && rest->p[i] != ',')
        return false;
    i++;
    rest->p += i < rest->n ? i : rest->n;
    rest->n -= i < rest->n ? i : rest->n;
    return true;
}

static int wrong(const struct reader *r, const char *what)
{
    (void)err_set(r->e, ERR_INPUT, "%s:%d: %s", r->file, r->line, what);
    err_hint(r->e, "the first line names the columns; data/catalogue/models.csv shows how they are filled");
    return -ERR_INPUT;
}

/* The number in a column; 0 where it is empty and need not be there. */
static int number(const struct reader *r, char **f, int column, bool needed, double *out)
{
    struct err ignored = ERR_INIT;
    struct span names = span_of(header), name = { "", 0 };
    char what[160], text[40];
    *out = 0;
    if ((!f[column][0] && !needed) || parse_f64(span_of(f[column]), 0, 1e9, out, &ignored) == 0)
        return 0;
    for (int i = 0; i <= column; i++)
        (void)span_split(&names, ',', &name);
    (void)snprintf(what, sizeof what, "%.*s is '%s', expected a number of 0 or more", (int)name.n, name.p, clean_into(text, sizeof text, span_of(f[column]), CLEAN_LINE));
    return wrong(r, what);
}

static bool integer(const char *text, int64_t max, int32_t *out)
{
    struct err ignored = ERR_INIT;
    int64_t v = 0;
    if (text[0] && parse_i64(span_of(text), 0, max, &v, &ignored) < 0)
        return false;
    *out = (int32_t)v;
    return true;
}

/* What the row does not say and the estimate of compute buffers wants: a usual transformer of that size. */
static void guess_rest(struct shape *s, double params_b, double active_b)
{
    double dense = (active_b > 0 ? active_b : params_b) * 1e9;
    double embd = sqrt(dense / (12.0 * s->layers));
    s->embd = (int32_t)(embd / 256 + 1) * 256;
    s->ff = s->embd * 7 / 2;
    s->vocab = VOCAB_GUESS;
    s->experts = active_b > 0 && active_b < 0.6 * params_b ? 64 : 0;
    s->heads = s->embd / 128;
}

static int fill_layers(const struct reader *r, char **f, struct catalogue_model *m)
{
    struct shape *s = &m->shape;
    int32_t full, kv, head, window_layers, window_kv, window_head;
    if (!integer(f[C_LAYERS], SHAPE_LAYERS_MAX, &s->layers) || s->layers < 1 || !integer(f[C_FULL], SHAPE_LAYERS_MAX, &full) ||
        !integer(f[C_KV_HEADS], 65536, &kv) || !integer(f[C_HEAD_DIM], 65536, &head) ||
        !integer(f[C_WINDOW], INT32_MAX, &s->window) || !integer(f[C_WINDOW_LAYERS], SHAPE_LAYERS_MAX, &window_layers) ||
        !integer(f[C_WINDOW_KV], 65536, &window_kv) || !integer(f[C_WINDOW_HEAD], 65536, &window_head) ||
        full > s->layers || window_layers > s->layers - full)
        return wrong(r, "the numbers of layers and heads do not fit together");
    s->layer = calloc((size_t)s->layers, sizeof *s->layer);
    if (!s->layer)
        return err_set(r->e, ERR_NOMEM, "out of memory");
    s->latent = strcmp(m->kind, "latent") == 0;
    m->kv_known = kv > 0 && head > 0;
    for (int32_t i = 0; i < s->layers; i++) {
        struct shape_layer *l = &s->layer[i];
        bool window = i >= full && i < full + window_layers;
        l->attention = i < full || window;
        l->window = window;
        l->kv_heads = window ? window_kv : kv;
        l->head_k = l->head_v = window ? window_head : head;
    }
    return 0;
}

static int give(const struct reader *r, struct catalogue_model *m, const char *quant, const char *basis, double gb)
{
    if (gb <= 0)
        return 0;
    m->basis = basis;
    (void)snprintf(m->shape.quant, sizeof m->shape.quant, "%s", quant);
    m->shape.file_bytes = m->shape.weight_bytes = m->shape.mapped_bytes = (int64_t)(gb * 1e9);
    m->shape.active_bytes = m->shape.params > 0 ? (int64_t)((double)m->shape.weight_bytes * (double)m->shape.active_params /
                                                            (double)m->shape.params)
                                                : m->shape.weight_bytes;
    return r->fn(r->ctx, m);
}

static int read_row(const struct reader *r, char **f)
{
    struct catalogue_model m = { f[C_NAME], f[C_ARCH], f[C_KIND], f[C_LICENCE], f[C_SOURCES], f[C_NOTES], "", false, { .layers = 0 } };
    double params, active, q4, q8, context;
    static const char *const kinds[] = { "full", "window", "hybrid", "latent" };
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        known |= strcmp(kinds[i], m.kind) == 0;
    if (!m.name[0] || !known)
        return wrong(r, "expected a name, and full, window, hybrid or latent as kind");
    if (number(r, f, C_PARAMS, true, &params) < 0 || number(r, f, C_ACTIVE, false, &active) < 0 || number(r, f, C_Q4_GB, false, &q4) < 0 ||
        number(r, f, C_Q8_GB, false, &q8) < 0 || number(r, f, C_CONTEXT, true, &context) < 0)
        return -r->e->kind;
    if (q4 <= 0 && q8 <= 0)
        return wrong(r, "neither q4_gb nor q8_gb says how large the file is");
    if (fill_layers(r, f, &m) < 0) {
        shape_finish(&m.shape);
        return -r->e->kind;
    }
    (void)snprintf(m.shape.name, sizeof m.shape.name, "%s", m.name);
    (void)snprintf(m.shape.arch, sizeof m.shape.arch, "%s", m.arch);
    m.shape.params = (int64_t)(params * 1e9);
    m.shape.active_params = (int64_t)((active > 0 ? active : params) * 1e9);
    m.shape.ctx_train = (int64_t)context;
    guess_rest(&m.shape, params, active);
    int rc = give(r, &m, f[C_Q4_NAME][0] ? f[C_Q4_NAME] : "Q4_K_M", f[C_Q4_BASIS], q4);
    if (rc == 0)
        rc = give(r, &m, "Q8_0", f[C_Q8_BASIS], q8);
    shape_finish(&m.shape);
    return rc;
}

int catalogue_parse(const char *name, struct span text, int (*fn)(void *ctx, const struct catalogue_model *m), void *ctx,
                    struct err *e)
{
    struct reader r = { name, 0, fn, ctx, e };
    struct span line;
    bool headed = false;
    while (span_line(&text, &line)) {
        AUTO(arena) struct arena mem = ARENA_INIT(1 << 20);
        AUTO(buf) struct buf field = BUF_INIT(64 << 10);
        char *fields[COLUMNS];
        r.line++;
        if (!line.n || line.p[0] == '#')
            continue;
        if (!headed) {
            if (!span_eqs(line, header)) {
                (void)wrong(&r, "the first line must name the columns");
                err_hint(e, "%s", header);
                return -e->kind;
            }
            headed = true;
            continue;
        }
        for (size_t i = 0; i < COLUMNS; i++) {
            if (i && !line.n && i + 1 < COLUMNS)
                return wrong(&r, "there are fewer columns than the first line names");
            if (!next_field(&line, &field) || !(fields[i] = arena_span(&mem, buf_span(&field))))
                return wrong(&r, "the quotes do not fit together");
        }
        if (line.n)
            return wrong(&r, "there are more columns than the first line names");
        int rc = read_row(&r, fields);
        if (rc)
            return rc;
    }
    return 0;
}

#define BUILT_IN "catalogue/models.csv"

struct all {
    struct arena names;     /* of models in the user's own files */
    const char *own[CATALOGUE_MODELS_MAX];
    size_t nown;
    int (*fn)(void *ctx, const struct catalogue_model *m);
    void *ctx;
    struct err *e;
    int rc;
};

static int note_name(void *ctx, const struct catalogue_model *m)
{
    struct all *a = ctx;
    if (a->nown < COUNT_OF(a->own) && (a->own[a->nown] = arena_strdup(&a->names, m->name)))
        a->nown++;
    return 0;
}

/* A row of a user's own takes the place of the built-in ones of its name. */
static int unless_own(void *ctx, const struct catalogue_model *m)
{
    const struct all *a = ctx;
    for (size_t i = 0; i < a->nown; i++)
        if (strcmp(a->own[i], m->name) == 0)
            return 0;
    return a->fn(a->ctx, m);
}

static int own_names(void *ctx, const char *path, struct span text)
{
    struct all *a = ctx;
    if (strcmp(path_ext(path), ".csv") == 0 && strcmp(path, BUILT_IN) != 0)
        a->rc = catalogue_parse(path, text, note_name, a, a->e);
    return a->rc;
}

static int one_file(void *ctx, const char *path, struct span text)
{
    struct all *a = ctx;
    if (strcmp(path_ext(path), ".csv") == 0)
        a->rc = strcmp(path, BUILT_IN) == 0 ? catalogue_parse(path, text, unless_own, a, a->e) : catalogue_parse(path, text, a->fn, a->ctx, a->e);
    return a->rc;
}

int catalogue_each(int (*fn)(void *ctx, const struct catalogue_model *m), void *ctx, struct err *e)
{
    AUTO(ptr) struct all *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "out of memory");
    arena_init(&a->names, 1 << 20);
    a->fn = fn, a->ctx = ctx, a->e = e;
    if (data_each("catalogue/", own_names, a) == 0)
        (void)data_each("catalogue/", one_file, a);
    arena_finish(&a->names);
    return a->rc;
}
