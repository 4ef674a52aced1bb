#include "agent/session.h"

#include <stdlib.h>

#include "base/bind.h"
#include "base/mem.h"
#include "journal/journal.h"

enum {
    PARENTS_MAX = 64,      /* forks of forks */
    PAST_BYTES = 512 << 20,
    PENDING_MAX = 256,
};

struct past_event {
    const char *type;
    struct span members;
};

struct past {
    struct arena *arena;
    struct past_event *items;
    size_t len, cap;
    struct err err;
};

static void past_auto(struct past *p)
{
    free(p->items);
}

static int keep_event(void *ctx, const struct journal_event *ev)
{
    struct past *p = ctx;
    char *members = arena_alloc(p->arena, ev->members.n + 1);
    char *type = arena_strdup(p->arena, ev->type);
    if (!members || !type || !array_grow(&p->items, &p->cap, p->len, 1, sizeof *p->items))
        return err_set(&p->err, ERR_LIMIT, "the session is too large to be read");
    memcpy(members, ev->members.p, ev->members.n);
    p->items[p->len++] = (struct past_event){ type, { members, ev->members.n } };
    return 0;
}

struct found {
    struct journal_session s;
    struct arena *arena;
    bool set;
    int64_t fork_seq;
};

static int keep_session(void *ctx, const struct journal_session *s)
{
    struct found *f = ctx;
    f->s = *s;
    f->s.workspace = arena_strdup(f->arena, s->workspace ? s->workspace : "");
    f->s.parent = s->parent && s->parent[0] ? arena_strdup(f->arena, s->parent) : NULL;
    f->s.status = arena_strdup(f->arena, s->status ? s->status : "open");
    f->s.task = arena_strdup(f->arena, s->task ? s->task : "");
    f->set = f->s.workspace && f->s.status && f->s.task;
    return 0;
}

static int find_session(struct journal *j, const char *id, const char *workspace, struct arena *a, struct found *f, struct err *e)
{
    *f = (struct found){ .arena = a };
    int r = journal_session_find(j, id, workspace, keep_session, f, e);
    if (r < 0)
        return r;
    return f->set ? 0 : err_set(e, ERR_NOMEM, "reading session '%s': out of memory", id ? id : "");
}

struct until {
    struct past *past;
    int64_t seq;
};

static int keep_until(void *ctx, const struct journal_event *ev)
{
    struct until *u = ctx;
    return ev->seq > u->seq ? 1 : keep_event(u->past, ev);
}

/* Events of the session, those of its parents up to where it was forked first. */
static int read_past(struct journal *j, const struct found *own, struct past *p, struct err *e)
{
    struct found chain[PARENTS_MAX];
    size_t n = 0;
    chain[n++] = *own;
    while (chain[n - 1].s.parent) {
        if (n == PARENTS_MAX)
            return err_set(e, ERR_LIMIT, "session %s was forked more than %d times", own->s.id, PARENTS_MAX);
        int r = find_session(j, chain[n - 1].s.parent, NULL, p->arena, &chain[n], e);
        if (r < 0)
            return err_wrap(e, "the parent of session %s", chain[n - 1].s.id);
        n++;
    }
    for (size_t i = n; i-- > 0;) {
        struct until u = { p, i > 0 ? chain[i - 1].s.fork_seq : INT64_MAX };
        int r = journal_read(j, chain[i].s.id, 0, keep_until, &u, e);
        if (p->err.kind) {
            *e = p->err;
            return -(int)e->kind;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- replay --- */

struct replay {
    struct journal *journal;
    struct arena *arena;
    struct session_state *s;
    struct buf prefix;
    int64_t last_calls;
    int64_t tentative_checkpoint;
};

static const char *string_of(struct replay *r, const json_t *json, const char *key)
{
    const json_t *v = json_object_get(json, key);
    const char *text = json_string_value(v);
    char *copy = arena_span(r->arena, (struct span){ text ? text : "", text ? json_string_length(v) : 0 });
    return copy ? copy : "";
}

static int64_t int_of(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static int replay_prompt(struct replay *r, const json_t *json, struct err *e)
{
    struct session_state *s = r->s;
    int64_t at = int_of(json, "at");
    if (at < 0 || (size_t)at > r->prefix.n)
        return err_set(e, ERR_PROTOCOL, "session %s: a record of its conversation is missing", s->id);
    buf_truncate(&r->prefix, (size_t)at);
    const char *blob = json_string_value(json_object_get(json, "blob"));
    const json_t *text = json_object_get(json, "text");
    int rc = 0;
    if (blob)
        rc = journal_blob_get(r->journal, blob, PAST_BYTES, &r->prefix, e);
    else
        buf_add(&r->prefix, json_string_value(text), json_string_length(text));
    if (rc >= 0)
        rc = buf_check(&r->prefix, e);
    if (rc < 0)
        return err_wrap(e, "session %s", s->id);
    s->npending = 0;
    const char *kind = json_string_value(json_object_get(json, "kind"));
    if (kind && strcmp(kind, "step") == 0) {
        s->step = int_of(json, "step");
        s->checkpoint = r->tentative_checkpoint;
        s->torn = false;
        s->owed = r->last_calls > 0;
    } else if (kind && strcmp(kind, "ask") == 0)
        s->owed = true;
    return 0;
}

static int replay_one(struct replay *r, const char *type, const json_t *json, struct err *e)
{
    struct session_state *s = r->s;
    if (strcmp(type, "prompt") == 0)
        return replay_prompt(r, json, e);
    if (strcmp(type, "task") == 0 && !s->task[0])
        s->task = string_of(r, json, "text");
    else if (strcmp(type, "attempt") == 0) {
        s->endpoint = string_of(r, json, "endpoint");
        s->endpoint_url = string_of(r, json, "url");
        s->model = string_of(r, json, "model");
        s->dialect = string_of(r, json, "dialect");
        s->tools = string_of(r, json, "tools");
        s->prompt_blob = string_of(r, json, "prompt");
        s->layer = string_of(r, json, "layer");
        s->goal = string_of(r, json, "goal");
    } else if (strcmp(type, "layer") == 0)
        s->layer = string_of(r, json, "layer"); /* a fork's own */
    else if (strcmp(type, "asked") == 0) {
        s->unsaid = string_of(r, json, "text");
        if (!s->task[0])
            s->task = s->unsaid;
    } else if (strcmp(type, "user") == 0) {
        s->unsaid = "";
        if (!s->task[0] && strcmp(string_of(r, json, "kind"), "task") == 0)
            s->task = string_of(r, json, "text");
        if (s->npending < PENDING_MAX)
            s->pending[s->npending++] = string_of(r, json, "text");
    } else if (strcmp(type, "step") == 0) {
        s->torn = true;
        s->last_n = int_of(json, "n");
        r->last_calls = int_of(json, "calls");
        s->prompt_tokens += int_of(json, "prompt_tokens");
        s->completion_tokens += int_of(json, "completion_tokens");
    } else if (strcmp(type, "checkpoint") == 0)
        r->tentative_checkpoint = int_of(json, "step");
    else if (strcmp(type, "result") == 0) {
        s->status = string_of(r, json, "status");
        s->change = string_of(r, json, "change");
    }
    return 0;
}

enum { BEFORE_STEPS = -1 };

/* State after events[0..n), or after `stop` is complete when that comes first (0: all; BEFORE_STEPS: the first request as it was sent). */
static int replay(struct replay *r, const struct past *p, size_t n, int64_t stop, struct err *e)
{
    struct session_state *s = r->s;
    for (size_t i = 0; i < n; i++) {
        AUTO(json) json_t *json = NULL;
        if (stop == BEFORE_STEPS && strcmp(p->items[i].type, "step") == 0)
            return 0;
        int rc = json_parse(p->items[i].members, BIND_TOLERANT, &json, e);
        if (rc < 0)
            return err_wrap(e, "session %s", s->id);
        if (strcmp(p->items[i].type, "undo") == 0) {
            int64_t to = int_of(json, "step");
            struct session_state kept = *s;
            buf_reset(&r->prefix);
            r->last_calls = r->tentative_checkpoint = 0;
            s->step = s->checkpoint = 0;
            s->npending = 0;
            s->torn = s->owed = false;
            rc = replay(r, p, i, to > 0 ? to : BEFORE_STEPS, e);
            if (rc < 0)
                return rc;
            s->prompt_tokens = kept.prompt_tokens;
            s->completion_tokens = kept.completion_tokens;
            s->last_n = kept.last_n;
            continue;
        }
        rc = replay_one(r, p->items[i].type, json, e);
        if (rc < 0)
            return rc;
        if (stop > 0 && s->step == stop && !s->torn && strcmp(p->items[i].type, "prompt") == 0)
            return 0;
    }
    return 0;
}

bool session_internal(const char *type)
{
    return strcmp(type, "prompt") == 0 || strcmp(type, "asked") == 0;
}

int session_load_at(struct journal *j, const char *id, const char *workspace, int64_t step, struct arena *a, struct session_state *out,
                    struct err *e)
{
    struct found f;
    int r = find_session(j, id, workspace, a, &f, e);
    if (r < 0)
        return r;
    AUTO(past) struct past p = { .arena = a, .err = ERR_INIT };
    r = read_past(j, &f, &p, e);
    if (r < 0)
        return r;
    struct session_state s = {
        .workspace = f.s.workspace, .task = "", .status = f.s.status, .endpoint = "", .endpoint_url = "", .model = "", .dialect = "",
        .tools = "", .prompt_blob = "", .layer = "", .change = "", .goal = "", .unsaid = "", .created_ms = f.s.created_ms, .updated_ms = f.s.updated_ms,
    };
    memcpy(s.id, f.s.id, sizeof s.id);
    (void)snprintf(s.parent, sizeof s.parent, "%s", f.s.parent ? f.s.parent : "");
    s.pending = arena_array(a, PENDING_MAX, sizeof *s.pending);
    if (!s.pending)
        return err_set(e, ERR_NOMEM, "reading session %s: out of memory", s.id);
    struct replay rp = { .journal = j, .arena = a, .s = &s, .prefix = BUF_INIT(PAST_BYTES) };
    r = replay(&rp, &p, p.len, step, e);
    if (r >= 0 && step > 0 && s.step != step)
        r = err_set(e, ERR_INPUT, "session %s has no step %lld: its steps are 1 to %lld", s.id, (long long)step, (long long)s.step);
    char *prefix = r >= 0 ? arena_alloc(a, rp.prefix.n + 1) : NULL;
    if (r >= 0 && !prefix)
        r = err_set(e, ERR_NOMEM, "reading session %s: out of memory", s.id);
    if (r >= 0) {
        memcpy(prefix, buf_str(&rp.prefix), rp.prefix.n);
        s.prefix = (struct span){ prefix, rp.prefix.n };
        *out = s;
    }
    buf_finish(&rp.prefix);
    return r < 0 ? r : 0;
}

int session_load(struct journal *j, const char *id, const char *workspace, struct arena *a, struct session_state *out, struct err *e)
{
    return session_load_at(j, id, workspace, 0, a, out, e);
}

int session_undo(struct journal *j, const struct session_state *s, int64_t step, struct err *e)
{
    if (step < 0 || step > s->step)
        return err_set(e, ERR_INPUT, "session %s has no step %lld: its steps are 1 to %lld", s->id, (long long)step, (long long)s->step);
    char members[64];
    int n = snprintf(members, sizeof members, "{\"step\":%lld}", (long long)step);
    return journal_append(j, s->id, "undo", (struct span){ members, (size_t)n }, NULL, e);
}

/* Seq of the event with which `step` became complete. */
struct seek {
    int64_t step, seq;
};

static int seek_step(void *ctx, const struct journal_event *ev)
{
    struct seek *s = ctx;
    if (s->step <= 0) {
        s->seq = ev->seq;
        return 0;
    }
    if (strcmp(ev->type, "prompt") != 0)
        return 0;
    AUTO(json) json_t *json = NULL;
    struct err ignored = ERR_INIT;
    if (json_parse(ev->members, BIND_TOLERANT, &json, &ignored) < 0)
        return 0;
    const char *kind = json_string_value(json_object_get(json, "kind"));
    if (kind && strcmp(kind, "step") == 0 && int_of(json, "step") == s->step)
        s->seq = ev->seq;
    return 0;
}

int session_fork(struct journal *j, const struct session_state *s, int64_t step, char out[ID_SIZE], struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
    const char *from = s->id;
    struct seek seek = { step, 0 };
    if (step < 0 || step > s->step)
        return err_set(e, ERR_INPUT, "session %s has no step %lld: its steps are 1 to %lld", s->id, (long long)step, (long long)s->step);
    /* A step of the past before an earlier fork is a step of that parent. */
    for (int i = 0; i < PARENTS_MAX; i++) {
        int r = journal_read(j, from, 0, seek_step, &seek, e);
        if (r < 0)
            return r;
        if (seek.seq > 0)
            break;
        struct found f;
        r = find_session(j, from, NULL, &a, &f, e);
        if (r < 0)
            return r;
        if (!f.s.parent)
            return err_set(e, ERR_INPUT, "session %s has no complete step %lld", s->id, (long long)step);
        from = f.s.parent;
    }
    struct journal_session n = { .workspace = s->workspace, .kind = "fork", .parent = from, .fork_seq = seek.seq };
    int r = journal_session_start(j, &n, e);
    if (r < 0)
        return err_wrap(e, "forking session %s", s->id);
    memcpy(out, n.id, sizeof n.id);
    return 0;
}
