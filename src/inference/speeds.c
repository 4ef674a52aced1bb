/* speeds.c - see speeds.h. */
#include "inference/speeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"

struct row {
    const char *id;
    double decode, prompt;
    int64_t at;
};
static const struct field row_fields[] = {
    { "id", FIELD_STRING, FIELD(row, id), FIELD_REQUIRED, 1, 64, "hash of path, size and time" },
    { "decode", FIELD_F64, FIELD(row, decode), FIELD_REQUIRED, 0, 0, "tokens a second" },
    { "prompt", FIELD_F64, FIELD(row, prompt), 0, 0, 0, "prompt tokens a second" },
    { "at", FIELD_I64, FIELD(row, at), 0, 0, INT64_MAX, "when, unix ms" },
    { 0 },
};
struct table {
    struct bind_array rows;
};
static const struct field table_fields[] = {
    { "speeds", FIELD_OBJECTS, FIELD(table, rows), 0, 0, SPEEDS_MAX, "", .fields = row_fields, .elem_size = sizeof(struct row) },
    { 0 },
};

static bool identify(const char *model, struct hash_hex *out)
{
    struct stat st;
    char text[4096 + 64];
    AUTO(ptr) char *real = realpath(model, NULL);
    if (!real || stat(real, &st) < 0)
        return false;
    (void)snprintf(text, sizeof text, "%s|%lld|%lld", real, (long long)st.st_size, (long long)st.st_mtim.tv_sec);
    *out = hash_bytes(text, strlen(text));
    return true;
}

static void load(const char *dir, struct arena *mem, struct table *out)
{
    struct err ignored = ERR_INIT;
    AUTO(ptr) char *path = path_join(dir, "speeds.json");
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    AUTO(json) json_t *json = NULL;
    *out = (struct table){ { NULL, 0 } };
    if (path && file_read(path, text.limit, &text, &ignored) == 0 &&
        json_parse(buf_span(&text), BIND_TOLERANT, &json, &ignored) == 0 &&
        bind_load(json, table_fields, out, BIND_TOLERANT, mem, &ignored) < 0)
        *out = (struct table){ { NULL, 0 } };
}

int speeds_find(const char *dir, const char *model, struct speed *out)
{
    AUTO(arena) struct arena mem = ARENA_INIT(4 << 20);
    struct table t;
    struct hash_hex id;
    if (!identify(model, &id))
        return 0;
    load(dir, &mem, &t);
    for (size_t i = 0; i < t.rows.len; i++) {
        const struct row *r = (const struct row *)t.rows.items + i;
        if (strcmp(r->id, id.s) == 0) {
            *out = (struct speed){ r->decode, r->prompt, r->at };
            return 1;
        }
    }
    return 0;
}

static double blend(double old, double new)
{
    return old > 0 ? new > 0 ? old * 0.75 + new * 0.25 : old : new;
}

int speeds_note(const char *dir, const char *model, const struct speed *s, struct err *e)
{
    AUTO(arena) struct arena mem = ARENA_INIT(4 << 20);
    struct table t;
    struct hash_hex id;
    if (s->decode <= 0)
        return err_set(e, ERR_INPUT, "a speed of %.3f tokens a second", s->decode);
    if (!identify(model, &id))
        return err_sys(e, "cannot open the model '%s'", model);
    if (path_mkdirs(dir, 0700, e) < 0)
        return -e->kind;
    load(dir, &mem, &t);
    struct row *rows = arena_array(&mem, t.rows.len + 1, sizeof *rows);
    if (!rows)
        return err_set(e, ERR_NOMEM, "out of memory");
    size_t n = 0;
    struct row mine = { id.s, s->decode, s->prompt, clock_unix_ms() };
    for (size_t i = 0; i < t.rows.len; i++) {
        const struct row *r = (const struct row *)t.rows.items + i;
        if (strcmp(r->id, id.s) == 0) {
            mine.decode = blend(r->decode, s->decode);
            mine.prompt = blend(r->prompt, s->prompt);
        } else {
            rows[n++] = *r;
        }
    }
    rows[n++] = mine;
    size_t drop = n > SPEEDS_MAX ? n - SPEEDS_MAX : 0;
    struct table out = { { rows + drop, n - drop } };
    AUTO(json) json_t *json = bind_dump(table_fields, &out);
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    AUTO(ptr) char *path = path_join(dir, "speeds.json");
    if (!json || !path || !buf_add_json_value(&text, json))
        return err_set(e, ERR_NOMEM, "out of memory");
    return file_write_atomic(path, buf_span(&text), 0600, false, e);
}
