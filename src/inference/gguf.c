/* gguf.c - see gguf.h. */
#include "inference/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define ARENA_MAX (256u << 20)
#define WINDOW (256u << 10) /* bytes read at once */

enum { /* types of values, as written in the file */
    T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_STRING, T_ARRAY, T_U64, T_I64, T_F64, T_COUNT
};
static const uint8_t type_size[T_COUNT] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

struct reader { /* a file through a window, or memory */
    int fd;             /* -1: all of it is in `data` */
    const char *data;
    size_t from, n;     /* data holds [from, from + n) */
    uint64_t pos, end;
    char *window;
};

/* --- reading ---------------------------------------------------------------------------------- */

static int cut_off(struct err *e, const struct reader *r)
{
    return err_set(e, ERR_INPUT, "not a whole GGUF file: it ends inside its header, at byte %llu", (unsigned long long)r->end);
}

/* The next n bytes, n <= WINDOW, or NULL at the end. */
static const char *take(struct reader *r, size_t n, struct err *e)
{
    if (n > r->end - r->pos) {
        (void)cut_off(e, r);
        return NULL;
    }
    if (r->fd < 0) {
        const char *p = r->data + r->pos;
        r->pos += n;
        return p;
    }
    if (r->pos < r->from || r->pos + n > r->from + r->n) {
        ssize_t got = pread(r->fd, r->window, WINDOW, (off_t)r->pos);
        if (got < 0 || (size_t)got < n) {
            if (got < 0)
                (void)err_sys(e, "cannot read");
            else
                (void)cut_off(e, r);
            return NULL;
        }
        r->from = (size_t)r->pos;
        r->n = (size_t)got;
        r->data = r->window;
    }
    const char *p = r->data + (r->pos - r->from);
    r->pos += n;
    return p;
}

static int skip(struct reader *r, uint64_t n, struct err *e)
{
    if (n > r->end - r->pos)
        return cut_off(e, r);
    r->pos += n;
    return 0;
}

static int take_u32(struct reader *r, uint32_t *out, struct err *e)
{
    const char *p = take(r, 4, e);
    if (!p)
        return -e->kind;
    memcpy(out, p, 4);
    return 0;
}

static int take_u64(struct reader *r, uint64_t *out, struct err *e)
{
    const char *p = take(r, 8, e);
    if (!p)
        return -e->kind;
    memcpy(out, p, 8);
    return 0;
}

/* A string: kept in the arena when it has at most `keep` bytes, else skipped (p NULL). */
static int take_text(struct reader *r, struct arena *a, uint64_t keep, struct span *out, struct err *e)
{
    uint64_t n = 0;
    *out = (struct span){ NULL, 0 };
    if (take_u64(r, &n, e) < 0)
        return -e->kind;
    if (n > GGUF_STRING_MAX || n > r->end - r->pos)
        return err_set(e, ERR_LIMIT, "a string of %llu bytes at byte %llu", (unsigned long long)n, (unsigned long long)r->pos);
    if (n > keep)
        return skip(r, n, e);
    char *p = arena_alloc(a, (size_t)n + 1);
    if (!p)
        return err_set(e, ERR_LIMIT, "the header needs too much memory");
    for (size_t done = 0; done < n;) {
        size_t part = (size_t)n - done < WINDOW ? (size_t)n - done : WINDOW;
        const char *from = take(r, part, e);
        if (!from)
            return -e->kind;
        memcpy(p + done, from, part);
        done += part;
    }
    *out = (struct span){ p, (size_t)n };
    return 0;
}

static enum gguf_kind kind_of(uint32_t type)
{
    switch (type) {
    case T_F32:
    case T_F64: return GGUF_FLOAT;
    case T_BOOL: return GGUF_BOOL;
    case T_STRING: return GGUF_TEXT;
    case T_ARRAY: return GGUF_LIST;
    default: return GGUF_INT;
    }
}

static int64_t decode_int(const char *p, uint32_t type)
{
    switch (type) {
    case T_U8:
    case T_BOOL: return (uint8_t)*p;
    case T_I8: return (int8_t)*p;
    case T_U16: { uint16_t v; memcpy(&v, p, 2); return v; }
    case T_I16: { int16_t v; memcpy(&v, p, 2); return v; }
    case T_U32: { uint32_t v; memcpy(&v, p, 4); return v; }
    case T_I32: { int32_t v; memcpy(&v, p, 4); return v; }
    case T_U64: { uint64_t v; memcpy(&v, p, 8); return v > INT64_MAX ? INT64_MAX : (int64_t)v; }
    default: { int64_t v; memcpy(&v, p, 8); return v; }
    }
}

static int take_scalar(struct reader *r, uint32_t type, struct gguf_value *v, struct err *e)
{
    const char *p = take(r, type_size[type], e);
    if (!p)
        return -e->kind;
    if (type == T_F32) {
        float f;
        memcpy(&f, p, 4);
        v->f = (double)f;
    } else if (type == T_F64) {
        memcpy(&v->f, p, 8);
    } else {
        v->i = decode_int(p, type);
    }
    return 0;
}

static int take_list(struct reader *r, struct gguf *g, struct gguf_value *v, struct err *e)
{
    uint32_t type = 0;
    if (take_u32(r, &type, e) < 0 || take_u64(r, &v->n, e) < 0)
        return -e->kind;
    if (type >= T_COUNT || type == T_ARRAY)
        return err_set(e, ERR_INPUT, "key '%.80s': a list of type %u", v->key, type);
    v->of = kind_of(type);
    if (type == T_STRING) {
        if (v->n > (r->end - r->pos) / 8)
            return cut_off(e, r);
        for (uint64_t i = 0; i < v->n; i++) {
            struct span ignored;
            if (take_text(r, &g->arena, 0, &ignored, e) < 0)
                return -e->kind;
        }
        return 0;
    }
    if (v->n > (r->end - r->pos) / type_size[type])
        return cut_off(e, r);
    if (v->of == GGUF_FLOAT || v->n > GGUF_ARRAY_KEPT)
        return skip(r, v->n * type_size[type], e);
    v->items = arena_array(&g->arena, (size_t)v->n + 1, sizeof *v->items);
    if (!v->items)
        return err_set(e, ERR_LIMIT, "the header needs too much memory");
    for (uint64_t i = 0; i < v->n; i++) {
        const char *p = take(r, type_size[type], e);
        if (!p)
            return -e->kind;
        v->items[i] = decode_int(p, type);
    }
    return 0;
}

static int take_value(struct reader *r, struct gguf *g, struct gguf_value *v, struct err *e)
{
    struct span key;
    uint32_t type = 0;
    if (take_text(r, &g->arena, 65535, &key, e) < 0)
        return -e->kind;
    if (!key.p || memchr(key.p, 0, key.n))
        return err_set(e, ERR_INPUT, !key.p ? "the key before byte %llu is too long" : "the key before byte %llu is not text",
                       (unsigned long long)r->pos);
    v->key = key.p;
    if (take_u32(r, &type, e) < 0)
        return -e->kind;
    if (type >= T_COUNT)
        return err_set(e, ERR_INPUT, "key '%.80s': type %u", v->key, type);
    v->kind = kind_of(type);
    int rc;
    if (type == T_ARRAY)
        rc = take_list(r, g, v, e);
    else if (type == T_STRING)
        rc = take_text(r, &g->arena, GGUF_TEXT_KEPT, &v->text, e);
    else
        rc = take_scalar(r, type, v, e);
    return rc < 0 && e->kind != ERR_INPUT ? err_wrap(e, "key '%.80s'", v->key) : rc;
}

static int take_tensor(struct reader *r, struct gguf *g, struct gguf_tensor *t, struct err *e)
{
    struct span name;
    if (take_text(r, &g->arena, 255, &name, e) < 0)
        return -e->kind;
    if (!name.p || memchr(name.p, 0, name.n))
        return err_set(e, ERR_INPUT, !name.p ? "a tensor's name before byte %llu is too long" : "a tensor's name before byte %llu is not text",
                       (unsigned long long)r->pos);
    t->name = name.p;
    if (take_u32(r, &t->ndims, e) < 0)
        return -e->kind;
    if (t->ndims > 4)
        return err_set(e, ERR_INPUT, "tensor '%s': %u dimensions", t->name, t->ndims);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < 4; i++) {
        t->dims[i] = 1;
        if (i < t->ndims && take_u64(r, &t->dims[i], e) < 0)
            return -e->kind;
        if (__builtin_mul_overflow(elements, t->dims[i], &elements) || elements > INT64_MAX / 64)
            return err_set(e, ERR_LIMIT, "tensor '%s' is too large", t->name);
    }
    if (take_u32(r, &t->type, e) < 0 || take_u64(r, &t->offset, e) < 0)
        return -e->kind;
    const struct gguf_type *type = gguf_type(t->type);
    if (!type || !type->bytes)
        return err_set(e, ERR_UNSUPPORTED, "tensor '%s': its type %u is not known", t->name, t->type);
    if (t->dims[0] % type->block)
        return err_set(e, ERR_INPUT, "tensor '%s': rows of %llu do not divide into blocks of %u", t->name,
                       (unsigned long long)t->dims[0], type->block);
    t->bytes = elements / type->block * type->bytes;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

/* `first`: the name of the first of n things of `size` bytes. */
static int check_names(const void *first, size_t n, size_t size, const char *what, struct err *e)
{
    AUTO(ptr) const char **names = calloc(n + 1, sizeof *names);
    if (!names)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        memcpy(&names[i], (const char *)first + i * size, sizeof *names);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return err_set(e, ERR_INPUT, "%s '%.80s' is there twice", what, names[i]);
    return 0;
}

/* Every tensor inside the file, behind the header, one behind the other: what llama.cpp asks for, too. */
static int check_offsets(struct gguf *g, uint64_t pos, struct err *e)
{
    int64_t alignment = gguf_i64(g, "general.alignment", 32);
    if (alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)))
        return err_set(e, ERR_INPUT, "general.alignment is %lld", (long long)alignment);
    uint64_t expected = 0;
    g->data_offset = (pos + (uint64_t)alignment - 1) / (uint64_t)alignment * (uint64_t)alignment;
    for (size_t i = 0; i < g->ntensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        uint64_t end;
        if (t->offset != expected)
            return err_set(e, ERR_INPUT, "tensor '%s' lies at byte %llu of the data, expected %llu", t->name, (unsigned long long)t->offset,
                           (unsigned long long)expected);
        if (__builtin_add_overflow(g->data_offset, t->offset, &end) || __builtin_add_overflow(end, t->bytes, &end))
            return err_set(e, ERR_INPUT, "tensor '%s' lies outside the file", t->name);
        if (end > g->file_bytes) {
            (void)err_set(e, ERR_INPUT, "tensor '%s' ends at byte %llu of a file of %llu", t->name, (unsigned long long)end,
                          (unsigned long long)g->file_bytes);
            err_hint(e, "the file is not whole: download it again");
            return -e->kind;
        }
        if (__builtin_add_overflow(g->tensor_bytes, t->bytes, &g->tensor_bytes))
            return err_set(e, ERR_LIMIT, "the tensors are too large");
        expected = (t->offset + t->bytes + (uint64_t)alignment - 1) / (uint64_t)alignment * (uint64_t)alignment;
    }
    return 0;
}

static int parse(struct reader *r, struct gguf *g, struct err *e)
{
    const char *magic = take(r, 4, e);
    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return err_set(e, ERR_INPUT, "not a GGUF file");
    uint64_t tensors = 0, values = 0;
    if (take_u32(r, &g->version, e) < 0)
        return -e->kind;
    if (g->version == 2u << 24 || g->version == 3u << 24)
        return err_set(e, ERR_UNSUPPORTED, "a GGUF file for big-endian machines");
    if (g->version != 2 && g->version != 3)
        return err_set(e, ERR_UNSUPPORTED, "GGUF version %u; versions 2 and 3 are known", g->version);
    if (take_u64(r, &tensors, e) < 0 || take_u64(r, &values, e) < 0)
        return -e->kind;
    if (tensors > GGUF_TENSORS_MAX || values > GGUF_KEYS_MAX)
        return err_set(e, ERR_LIMIT, "%llu tensors and %llu keys", (unsigned long long)tensors, (unsigned long long)values);
    /* a key takes 13 bytes at least, a tensor 24: counts that the file cannot hold cost no memory */
    if (values > (r->end - r->pos) / 13 || tensors > (r->end - r->pos) / 24)
        return cut_off(e, r);

    g->values = arena_array(&g->arena, (size_t)values + 1, sizeof *g->values);
    g->tensors = arena_array(&g->arena, (size_t)tensors + 1, sizeof *g->tensors);
    if (!g->values || !g->tensors)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (; g->nvalues < values; g->nvalues++)
        if (take_value(r, g, &g->values[g->nvalues], e) < 0)
            return -e->kind;
    for (; g->ntensors < tensors; g->ntensors++)
        if (take_tensor(r, g, &g->tensors[g->ntensors], e) < 0)
            return -e->kind;
    if (check_names(&g->values->key, g->nvalues, sizeof *g->values, "key", e) < 0 ||
        check_names(&g->tensors->name, g->ntensors, sizeof *g->tensors, "tensor", e) < 0)
        return -e->kind;
    return check_offsets(g, r->pos, e);
}

static int parse_all(struct reader *r, uint64_t file_bytes, struct gguf **out, struct err *e)
{
    AUTO(gguf) struct gguf *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_NOMEM, "out of memory");
    arena_init(&g->arena, ARENA_MAX);
    g->file_bytes = file_bytes;
    if (parse(r, g, e) < 0)
        return -e->kind;
    *out = TAKE(g);
    return 0;
}

int gguf_parse(struct span data, uint64_t file_bytes, struct gguf **out, struct err *e)
{
    struct reader r = { .fd = -1, .data = data.p, .n = data.n, .end = data.n };
    return parse_all(&r, file_bytes ? file_bytes : data.n, out, e);
}

int gguf_open(const char *path, struct gguf **out, struct err *e)
{
    struct stat st;
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "cannot open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "'%s' is not a file", path);
    AUTO(ptr) char *window = malloc(WINDOW);
    if (!window)
        return err_set(e, ERR_NOMEM, "cannot read '%s': out of memory", path);
    struct reader r = { .fd = fd, .window = window, .end = (uint64_t)st.st_size };
    if (r.end > GGUF_HEADER_MAX)
        r.end = GGUF_HEADER_MAX;
    if (parse_all(&r, (uint64_t)st.st_size, out, e) < 0)
        return err_wrap(e, "'%s'", path);
    return 0;
}

void gguf_destroy(struct gguf *g)
{
    if (!g)
        return;
    arena_finish(&g->arena);
    free(g);
}

/* --- asking ------------------------------------------------------------------------------------ */

const struct gguf_value *gguf_find(const struct gguf *g, const char *key)
{
    for (size_t i = 0; i < g->nvalues; i++)
        if (strcmp(g->values[i].key, key) == 0)
            return &g->values[i];
    return NULL;
}

struct span gguf_text(const struct gguf *g, const char *key)
{
    const struct gguf_value *v = gguf_find(g, key);
    return v && v->kind == GGUF_TEXT ? v->text : (struct span){ NULL, 0 };
}

static int64_t number(const struct gguf_value *v, int64_t absent)
{
    return v && (v->kind == GGUF_INT || v->kind == GGUF_BOOL) ? v->i : absent;
}

int64_t gguf_i64(const struct gguf *g, const char *key, int64_t absent)
{
    return number(gguf_find(g, key), absent);
}

const struct gguf_value *gguf_find_arch(const struct gguf *g, const char *key)
{
    char full[256];
    struct span arch = gguf_text(g, "general.architecture");
    if (!arch.p || (size_t)snprintf(full, sizeof full, "%.*s.%s", (int)arch.n, arch.p, key) >= sizeof full)
        return NULL;
    return gguf_find(g, full);
}

int64_t gguf_arch_i64(const struct gguf *g, const char *key, int64_t absent)
{
    return number(gguf_find_arch(g, key), absent);
}

int64_t gguf_arch_at(const struct gguf *g, const char *key, size_t i, int64_t absent)
{
    const struct gguf_value *v = gguf_find_arch(g, key);
    if (v && v->kind == GGUF_LIST)
        return v->items && i < v->n ? v->items[i] : absent;
    return number(v, absent);
}

/* Block sizes: ggml-common.h of the pinned llama.cpp. */
static const struct gguf_type types[] = {
    [0] = { "F32", 1, 4 },        [1] = { "F16", 1, 2 },         [2] = { "Q4_0", 32, 18 },     [3] = { "Q4_1", 32, 20 },
    [6] = { "Q5_0", 32, 22 },     [7] = { "Q5_1", 32, 24 },      [8] = { "Q8_0", 32, 34 },     [9] = { "Q8_1", 32, 36 },
    [10] = { "Q2_K", 256, 84 },   [11] = { "Q3_K", 256, 110 },   [12] = { "Q4_K", 256, 144 },  [13] = { "Q5_K", 256, 176 },
    [14] = { "Q6_K", 256, 210 },  [15] = { "Q8_K", 256, 292 },   [16] = { "IQ2_XXS", 256, 66 }, [17] = { "IQ2_XS", 256, 74 },
    [18] = { "IQ3_XXS", 256, 98 }, [19] = { "IQ1_S", 256, 50 },  [20] = { "IQ4_NL", 32, 18 },  [21] = { "IQ3_S", 256, 110 },
    [22] = { "IQ2_S", 256, 82 },  [23] = { "IQ4_XS", 256, 136 }, [24] = { "I8", 1, 1 },        [25] = { "I16", 1, 2 },
    [26] = { "I32", 1, 4 },       [27] = { "I64", 1, 8 },        [28] = { "F64", 1, 8 },       [29] = { "IQ1_M", 256, 56 },
    [30] = { "BF16", 1, 2 },      [34] = { "TQ1_0", 256, 54 },   [35] = { "TQ2_0", 256, 66 },  [39] = { "MXFP4", 32, 17 },
    [40] = { "NVFP4", 64, 36 },   [41] = { "Q1_0", 128, 18 },    [42] = { "Q2_0", 64, 18 },
};

const struct gguf_type *gguf_type(uint32_t type)
{
    return type < COUNT_OF(types) && types[type].name ? &types[type] : NULL;
}

/* enum llama_ftype of the pinned llama.h. */
static const char *const file_types[] = {
    [0] = "F32",      [1] = "F16",     [2] = "Q4_0",    [3] = "Q4_1",     [7] = "Q8_0",    [8] = "Q5_0",   [9] = "Q5_1",
    [10] = "Q2_K",    [11] = "Q3_K_S", [12] = "Q3_K_M", [13] = "Q3_K_L",  [14] = "Q4_K_S", [15] = "Q4_K_M", [16] = "Q5_K_S",
    [17] = "Q5_K_M",  [18] = "Q6_K",   [19] = "IQ2_XXS", [20] = "IQ2_XS", [21] = "Q2_K_S", [22] = "IQ3_XS", [23] = "IQ3_XXS",
    [24] = "IQ1_S",   [25] = "IQ4_NL", [26] = "IQ3_S",  [27] = "IQ3_M",   [28] = "IQ2_S",  [29] = "IQ2_M", [30] = "IQ4_XS",
    [31] = "IQ1_M",   [32] = "BF16",   [36] = "TQ1_0",  [37] = "TQ2_0",   [38] = "MXFP4",  [39] = "NVFP4", [40] = "Q1_0",
    [41] = "Q2_0",
};

const char *gguf_file_type(const struct gguf *g)
{
    int64_t t = gguf_i64(g, "general.file_type", -1);
    return t >= 0 && (size_t)t < COUNT_OF(file_types) && file_types[t] ? file_types[t] : "?";
}
