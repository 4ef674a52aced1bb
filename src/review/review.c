#include "review/review.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bind.h"
#include "base/mem.h"
#include "verify/rules.h"
#include "verify/verify.h"

#define REVIEW_ARENA_BYTES ((size_t)1 << 30) /* hunks of the largest change that can be diffed */

struct decision {
    size_t item;
    enum review_state before;
    const char *comment_before;
};

struct review {
    const struct change *change;
    const struct verdict *verdict;
    struct arena arena;
    struct review_item *items;
    size_t nitems;
    struct decision *undo;
    size_t nundo, undo_cap;
    int64_t active_ms, last_ms;
};

static const char *const state_names[] = { [REVIEW_OPEN] = "open", [REVIEW_APPROVE] = "approved", [REVIEW_REJECT] = "rejected" };

const char *review_state_name(enum review_state s)
{
    return state_names[s];
}

bool review_finding_at(const struct finding *x, const struct change_file *f, const struct hunk *h)
{
    if (!x->file || strcmp(x->file, f->path) != 0)
        return false;
    bool whole = h->kind != HUNK_TEXT || x->line == 0;
    return whole || (x->line >= h->new_start && x->line < h->new_start + (h->new_lines ? h->new_lines : 1));
}

static size_t findings_at(const struct review *r, const struct change_file *f, const struct hunk *h)
{
    size_t n = 0;
    for (size_t i = 0; r->verdict && i < r->verdict->findings.len; i++)
        n += review_finding_at(&r->verdict->findings.items[i], f, h);
    return n;
}

/* Has a test that passed run over the change? Lines that none has are read first. */
static bool is_tested(const struct verdict *v)
{
    for (size_t i = 0; v && i < v->ngates; i++) {
        const struct gate_result *g = &v->gates[i];
        if (g->gate->kind == GATE_TEST && (g->verdict == VERDICT_PASS || g->tests_passed))
            return true;
    }
    return false;
}

static int risk_of(const struct review *r, const struct change_file *f, size_t nfindings, const char **why)
{
    if (f->guard) {
        *why = f->guard_why;
        return 0;
    }
    if (nfindings) {
        *why = "has findings";
        return 1;
    }
    switch (path_classify(f->path)) {
    case PATH_CI:
    case PATH_CONFIG:
    case PATH_CONFTEST:
    case PATH_SNAPSHOT:
        *why = "changes a check";
        return 2;
    case PATH_TEST:
        *why = f->kind == CHANGE_DELETED ? "deletes a test" : "changes a test";
        return f->kind == CHANGE_DELETED ? 2 : 3;
    case PATH_SOURCE:
        if (f->now.binary || f->now.symlink) {
            *why = "";
            return 4;
        }
        *why = is_tested(r->verdict) ? "" : "no test has run over it";
        return is_tested(r->verdict) ? 4 : 2;
    case PATH_LOCK:
        *why = "changes dependencies";
        return 3;
    default:
        *why = "";
        return 5;
    }
}

static int by_risk(const void *a, const void *b)
{
    const struct review_item *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->hunk < y->hunk ? -1 : x->hunk > y->hunk;
}

static int add_file(struct review *r, const struct change_file *f, size_t *cap, struct err *e)
{
    struct diff_file d;
    int rc = diff_file(r->change, f, &r->arena, &d, e);
    if (rc < 0)
        return rc;
    if (!array_grow((void *)&r->items, cap, r->nitems, d.nhunks, sizeof *r->items))
        return err_set(e, ERR_NOMEM, "out of memory");
    int rank = 9;
    size_t first = r->nitems;
    for (size_t k = 0; k < d.nhunks; k++) {
        struct review_item *it = &r->items[r->nitems++];
        *it = (struct review_item){ .file = f, .hunk = &d.hunks[k] };
        it->nfindings = findings_at(r, f, it->hunk);
        it->rank = risk_of(r, f, it->nfindings, &it->why);
        rank = it->rank < rank ? it->rank : rank;
    }
    for (size_t k = first; k < r->nitems; k++)
        r->items[k].rank = rank; /* a file's hunks stay together */
    return 0;
}

int review_create(const struct change *c, const struct verdict *v, struct review **out, struct err *e)
{
    struct review *r = calloc(1, sizeof *r);
    size_t cap = 0;
    if (!r)
        return err_set(e, ERR_NOMEM, "cannot review: out of memory");
    r->change = c;
    r->verdict = v;
    arena_init(&r->arena, REVIEW_ARENA_BYTES);
    for (size_t i = 0; i < c->nfiles; i++)
        if (add_file(r, &c->files[i], &cap, e) < 0) {
            review_destroy(r);
            return err_wrap(e, "reading '%s'", c->files[i].path);
        }
    if (r->nitems)
        qsort(r->items, r->nitems, sizeof *r->items, by_risk);
    *out = r;
    return 0;
}

void review_destroy(struct review *r)
{
    if (!r)
        return;
    arena_finish(&r->arena);
    free(r->items);
    free(r->undo);
    free(r);
}

size_t review_items(const struct review *r, const struct review_item **items)
{
    *items = r->items;
    return r->nitems;
}

const struct verdict *review_verdict(const struct review *r)
{
    return r->verdict;
}

const struct change *review_change(const struct review *r)
{
    return r->change;
}

int review_decide(struct review *r, size_t i, enum review_state state, const char *comment, struct err *e)
{
    struct review_item *it = &r->items[i];
    if (!array_grow((void *)&r->undo, &r->undo_cap, r->nundo, 1, sizeof *r->undo))
        return err_set(e, ERR_NOMEM, "out of memory");
    const char *copy = comment && comment[0] ? arena_strdup(&r->arena, comment) : NULL;
    if (comment && comment[0] && !copy)
        return err_set(e, ERR_NOMEM, "out of memory");
    r->undo[r->nundo++] = (struct decision){ i, it->state, it->comment };
    it->state = state;
    it->comment = copy;
    return 0;
}

bool review_undo(struct review *r)
{
    if (!r->nundo)
        return false;
    const struct decision *d = &r->undo[--r->nundo];
    r->items[d->item].state = d->before;
    r->items[d->item].comment = d->comment_before;
    return true;
}

size_t review_decide_named(struct review *r, const char *name, enum review_state state, const char *comment, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < r->nitems; i++)
        if (strcmp(name, "all") == 0 || strcmp(name, r->items[i].file->path) == 0 || strcmp(name, r->items[i].hunk->id) == 0) {
            if (review_decide(r, i, state, comment, e) < 0)
                return 0;
            n++;
        }
    return n;
}

size_t review_count(const struct review *r, enum review_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < r->nitems; i++)
        n += r->items[i].state == state;
    return n;
}

void review_active(struct review *r, int64_t now_ms)
{
    if (r->last_ms) {
        int64_t gap = now_ms - r->last_ms;
        r->active_ms += gap < REVIEW_IDLE_MS ? gap : REVIEW_IDLE_MS;
    }
    r->last_ms = now_ms;
}

int64_t review_active_ms(const struct review *r)
{
    return r->active_ms;
}

void review_save(const struct review *r, struct buf *out)
{
    buf_addf(out, "{\"active_ms\":%lld,\"hunks\":[", (long long)r->active_ms);
    const char *comma = "";
    for (size_t i = 0; i < r->nitems; i++) {
        const struct review_item *it = &r->items[i];
        if (it->state == REVIEW_OPEN && !it->comment)
            continue;
        buf_addf(out, "%s{\"id\":\"%s\",\"state\":\"%s\",\"comment\":", comma, it->hunk->id, state_names[it->state]);
        buf_add_json(out, span_of(it->comment ? it->comment : ""));
        buf_addc(out, '}');
        comma = ",";
    }
    buf_adds(out, "]}");
}

static int restore_one(struct review *r, const json_t *saved, struct err *e)
{
    const char *id = json_string_value(json_object_get(saved, "id")), *name = json_string_value(json_object_get(saved, "state"));
    const char *comment = json_string_value(json_object_get(saved, "comment"));
    size_t state = 0;
    while (name && state < COUNT_OF(state_names) && strcmp(state_names[state], name) != 0)
        state++;
    if (!id || !name || state == COUNT_OF(state_names))
        return err_set(e, ERR_INPUT, "a decision without hunk or state");
    for (size_t i = 0; i < r->nitems; i++)
        if (strcmp(r->items[i].hunk->id, id) == 0)
            return review_decide(r, i, (enum review_state)state, comment, e);
    return 0;
}

int review_restore(struct review *r, struct span saved, struct err *e)
{
    json_t *json = NULL;
    int rc = json_parse(saved, BIND_TOLERANT, &json, e);
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(json, "hunks"), i, one)
        if (rc == 0)
            rc = restore_one(r, one, e);
    int64_t active = json_integer_value(json_object_get(json, "active_ms"));
    if (rc == 0 && active > 0)
        r->active_ms = active;
    json_decref(json);
    return rc;
}

int review_approved(const struct review *r, struct arena *a, struct strings *out, struct err *e)
{
    const char **ids = arena_array(a, r->nitems + 1, sizeof *ids);
    size_t n = 0;
    if (!ids)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < r->nitems; i++)
        if (r->items[i].state == REVIEW_APPROVE && !(ids[n++] = arena_strdup(a, r->items[i].hunk->id)))
            return err_set(e, ERR_NOMEM, "out of memory");
    *out = (struct strings){ ids, n };
    return 0;
}

int review_guard_ok(const struct review *r, struct arena *a, struct strings *out, struct err *e)
{
    const char **paths = arena_array(a, r->nitems + 1, sizeof *paths);
    size_t n = 0;
    if (!paths)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < r->nitems; i++) {
        const struct change_file *f = r->items[i].file;
        if (r->items[i].state != REVIEW_APPROVE || !f->guard || (n && strcmp(paths[n - 1], f->path) == 0))
            continue;
        if (!(paths[n++] = arena_strdup(a, f->path)))
            return err_set(e, ERR_NOMEM, "out of memory");
    }
    *out = (struct strings){ paths, n };
    return 0;
}

bool review_comments(const struct review *r, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < r->nitems; i++) {
        const struct review_item *it = &r->items[i];
        if (it->state != REVIEW_REJECT)
            continue;
        if (first)
            buf_adds(out, "Rejected in review:\n");
        first = false;
        buf_addf(out, "%s:%d: %s\n", it->file->path, it->hunk->new_start, it->comment ? it->comment : "not wanted");
    }
    bool said = false;
    for (size_t i = 0; !first && i < r->nitems; i++) {
        const struct review_item *it = &r->items[i];
        if (it->state == REVIEW_REJECT || !it->comment)
            continue;
        buf_addf(out, "%s%s:%d: %s\n", said ? "" : "Said of the rest:\n", it->file->path, it->hunk->new_start, it->comment);
        said = true;
    }
    return !first;
}
