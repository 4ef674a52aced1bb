#include "journal/journal.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "journal/members.h"
#include "journal/store.h"

#define SECRET_MIN 6 /* a shorter "secret" would blank out ordinary words */
#define TASK_TITLE 200

/* Every type that stead itself appends; others may be added by callers and are kept as they are. */
struct event_type {
    const char *name;
    bool fact; /* measurements read it: journal_facts */
};

static const struct event_type event_types[] = {
    /* CONTRACT */
    { "task", true }, { "route", true }, { "step", true }, { "text", false }, { "tool_call", false },
    { "tool_result", true }, { "checkpoint", false }, { "gate", true }, { "finding", true }, { "escalate", true },
    { "approval", true }, { "apply", true }, { "error", true }, { "result", true },
    /* internal: docs/design/journal.md */
    { "attempt", true }, { "change", true }, { "decision", true }, { "edited", true }, { "fix", true }, { "prompt", false },
    { "reply", false }, { "review", true }, { "second", true }, { "sent", true }, { "told", true }, { "undo", true },
    { "user", true }, { "verdict", true },
};

struct subscriber {
    journal_event_fn fn; /* NULL: unsubscribed while events were being told */
    void *ctx;
};

struct pending { /* appended inside begin/commit, not told yet */
    struct journal_event ev;
    char *text; /* owns session, type and members */
};

struct journal {
    struct store *store;
    char *path;
    struct subscriber *subscribers;
    size_t nsubscribers, subscribers_cap;
    struct pending *pending;
    size_t npending, pending_cap;
    struct span *secrets; /* owned bytes */
    size_t nsecrets, secrets_cap;
    struct buf hidden, fact; /* reused from append to append */
    bool begun;
};

int journal_open(const char *path, unsigned flags, struct journal **out, struct err *e)
{
    AUTO(journal) struct journal *j = calloc(1, sizeof *j);
    if (!j || !(j->path = strdup(path)))
        return err_set(e, ERR_NOMEM, "cannot open journal '%s': out of memory", path);
    buf_init(&j->hidden, JOURNAL_EVENT_LIMIT);
    buf_init(&j->fact, JOURNAL_EVENT_LIMIT);
    if (store_open(path, flags, &j->store, e) < 0)
        return -(int)e->kind;
    *out = TAKE(j);
    return 0;
}

static void forget_pending(struct journal *j)
{
    for (size_t i = 0; i < j->npending; i++)
        free(j->pending[i].text);
    j->npending = 0;
}

void journal_destroy(struct journal *j)
{
    if (!j)
        return;
    if (j->begun)
        journal_rollback(j);
    store_close(j->store);
    for (size_t i = 0; i < j->nsecrets; i++) {
        char *p = (char *)(uintptr_t)j->secrets[i].p;
        mem_wipe(p, j->secrets[i].n);
        free(p);
    }
    forget_pending(j);
    free(j->secrets);
    free(j->pending);
    free(j->subscribers);
    buf_finish(&j->hidden);
    buf_finish(&j->fact);
    free(j->path);
    free(j);
}

const char *journal_path(const struct journal *j)
{
    return j->path;
}

/* --- secrets --- */

static int keep_secret(struct journal *j, struct span secret, struct err *e)
{
    char *copy = span_dup(secret);
    if (!copy || !array_grow((void **)&j->secrets, &j->secrets_cap, j->nsecrets, 1, sizeof *j->secrets)) {
        free(copy);
        return err_set(e, ERR_NOMEM, "cannot keep a secret out of the journal: out of memory");
    }
    j->secrets[j->nsecrets++] = (struct span){ copy, secret.n };
    return 0;
}

int journal_hide(struct journal *j, struct span secret, struct err *e)
{
    if (secret.n < SECRET_MIN)
        return 0;
    if (keep_secret(j, secret, e) < 0)
        return -(int)e->kind;
    AUTO(buf) struct buf quoted = BUF_INIT(secret.n * 6 + 16);
    buf_add_json(&quoted, secret);
    struct span escaped = span_sub(buf_span(&quoted), 1, quoted.n - 2);
    if (!span_eq(escaped, secret))
        return keep_secret(j, escaped, e);
    return 0;
}

/* `text` with each secret replaced: itself where there is none, else j->hidden. */
static struct span hide(struct journal *j, struct span text)
{
    for (size_t i = 0; i < j->nsecrets; i++) {
        struct span rest = text;
        ptrdiff_t at = span_find(rest, j->secrets[i]);
        if (at < 0)
            continue;
        struct buf out = BUF_INIT(JOURNAL_EVENT_LIMIT + 4096);
        for (; at >= 0; at = span_find(rest, j->secrets[i])) {
            buf_add(&out, rest.p, (size_t)at);
            buf_adds(&out, "[secret]");
            rest = span_sub(rest, (size_t)at + j->secrets[i].n, rest.n);
        }
        buf_add_span(&out, rest);
        buf_finish(&j->hidden);
        j->hidden = out;
        text = buf_span(&j->hidden);
    }
    return text;
}

/* --- appending --- */

bool journal_type_is_fact(const char *type)
{
    for (size_t i = 0; i < COUNT_OF(event_types); i++)
        if (strcmp(event_types[i].name, type) == 0)
            return event_types[i].fact;
    return false;
}

static int check_type(const char *type, struct err *e)
{
    size_t n = strspn(type, "abcdefghijklmnopqrstuvwxyz_");
    if (n == 0 || n > 32 || type[n])
        return err_set(e, ERR_INTERNAL, "'%.40s' is not an event type", type);
    return 0;
}

/* The members without the long ones, in j->fact. Fails also where a member has a name of the envelope. */
static int shorten(struct journal *j, struct span members, struct err *e)
{
    static const char *const envelope[] = { "v", "seq", "time_ms", "session", "type" };
    struct members it = members_of(members);
    struct member m;
    buf_reset(&j->fact);
    buf_addc(&j->fact, '{');
    while (members_next(&it, &m)) {
        for (size_t i = 0; i < COUNT_OF(envelope); i++)
            if (span_eqs(m.name, envelope[i]))
                return err_set(e, ERR_INTERNAL, "an event has a member '%s', which the journal sets itself", envelope[i]);
        if (m.raw.n > JOURNAL_FACT_STRING + 2)
            continue;
        if (j->fact.n > 1)
            buf_addc(&j->fact, ',');
        buf_addc(&j->fact, '"');
        buf_add_span(&j->fact, m.name);
        buf_adds(&j->fact, "\":");
        buf_add_span(&j->fact, m.raw);
    }
    buf_addc(&j->fact, '}');
    return buf_check(&j->fact, e);
}

static void tell(struct journal *j, const struct journal_event *ev)
{
    size_t n = j->nsubscribers;
    for (size_t i = 0; i < n && i < j->nsubscribers; i++)
        if (j->subscribers[i].fn)
            (void)j->subscribers[i].fn(j->subscribers[i].ctx, ev); /* a reader's failure is its own */
}

/* Copy an event until the commit. */
static int postpone(struct journal *j, const struct journal_event *ev, struct err *e)
{
    size_t ns = strlen(ev->session) + 1, nt = strlen(ev->type) + 1;
    char *text = malloc(ns + nt + ev->members.n + 1);
    if (!text || !array_grow((void **)&j->pending, &j->pending_cap, j->npending, 1, sizeof *j->pending)) {
        free(text);
        return err_set(e, ERR_NOMEM, "cannot write the journal: out of memory");
    }
    struct pending *p = &j->pending[j->npending++];
    *p = (struct pending){ *ev, text };
    memcpy(text, ev->session, ns);
    memcpy(text + ns, ev->type, nt);
    memcpy(text + ns + nt, ev->members.p, ev->members.n);
    p->ev.session = text;
    p->ev.type = text + ns;
    p->ev.members.p = text + ns + nt;
    return 0;
}

int journal_append(struct journal *j, const char *session, const char *type, struct span members, int64_t *seq,
                   struct err *e)
{
    if (check_type(type, e) < 0)
        return -(int)e->kind;
    if (members.n > JOURNAL_EVENT_LIMIT)
        return err_set(e, ERR_LIMIT, "event '%s' of session %s has %zu bytes; at most %zu go into the journal", type,
                       session, members.n, JOURNAL_EVENT_LIMIT);
    if (members_check(members, e) < 0)
        return err_wrap(e, "event '%s' of session %s", type, session);
    members = hide(j, members);
    if (shorten(j, members, e) < 0)
        return err_wrap(e, "event '%s' of session %s", type, session);
    struct journal_event ev = { .session = session, .type = type, .members = members, .time_ms = clock_unix_ms() };
    struct span none = { NULL, 0 };
    if (store_append(j->store, &ev, journal_type_is_fact(type) ? buf_span(&j->fact) : none, e) < 0)
        return -(int)e->kind;
    if (seq)
        *seq = ev.seq;
    if (!j->nsubscribers)
        return 0;
    if (j->begun)
        return postpone(j, &ev, e);
    /* j->hidden may be reused by a subscriber that appends: the event keeps its own bytes */
    struct buf kept = j->hidden;
    buf_init(&j->hidden, JOURNAL_EVENT_LIMIT);
    tell(j, &ev);
    buf_finish(&kept);
    return 0;
}

int journal_begin(struct journal *j, struct err *e)
{
    if (j->begun)
        return err_set(e, ERR_INTERNAL, "journal_begin inside journal_begin");
    if (store_begin(j->store, e) < 0)
        return -(int)e->kind;
    j->begun = true;
    return 0;
}

int journal_commit(struct journal *j, struct err *e)
{
    j->begun = false;
    if (store_commit(j->store, e) < 0) {
        forget_pending(j);
        return -(int)e->kind;
    }
    struct pending *p = TAKE(j->pending); /* subscribers may append */
    size_t n = j->npending;
    j->npending = j->pending_cap = 0;
    for (size_t i = 0; i < n; i++) {
        tell(j, &p[i].ev);
        free(p[i].text);
    }
    free(p);
    return 0;
}

void journal_rollback(struct journal *j)
{
    j->begun = false;
    forget_pending(j);
    store_rollback(j->store);
}

int journal_sync(struct journal *j, struct err *e)
{
    if (j->begun)
        return err_set(e, ERR_INTERNAL, "journal_sync inside journal_begin");
    return store_sync(j->store, e);
}

int journal_subscribe(struct journal *j, journal_event_fn fn, void *ctx, struct err *e)
{
    if (!array_grow((void **)&j->subscribers, &j->subscribers_cap, j->nsubscribers, 1, sizeof *j->subscribers))
        return err_set(e, ERR_NOMEM, "cannot follow the journal: out of memory");
    j->subscribers[j->nsubscribers++] = (struct subscriber){ fn, ctx };
    return 0;
}

void journal_unsubscribe(struct journal *j, journal_event_fn fn, void *ctx)
{
    for (size_t i = 0; i < j->nsubscribers; i++)
        if (j->subscribers[i].fn == fn && j->subscribers[i].ctx == ctx)
            j->subscribers[i].fn = NULL; /* the place stays: this may run inside tell() */
    while (j->nsubscribers && !j->subscribers[j->nsubscribers - 1].fn)
        j->nsubscribers--;
}

bool journal_event_line(struct buf *out, const struct journal_event *ev)
{
    buf_addf(out, "{\"v\":1,\"seq\":%lld,\"time_ms\":%lld,\"session\":", (long long)ev->seq, (long long)ev->time_ms);
    buf_add_json(out, span_of(ev->session));
    buf_adds(out, ",\"type\":");
    buf_add_json(out, span_of(ev->type));
    struct span rest = span_trim(span_sub(ev->members, 1, ev->members.n));
    if (rest.n > 1)
        buf_addc(out, ',');
    return buf_add_span(out, rest);
}

/* --- reading --- */

int journal_read(struct journal *j, const char *session, int64_t after_seq, journal_event_fn fn, void *ctx, struct err *e)
{
    return store_read(j->store, session, after_seq, fn, ctx, e);
}

int journal_last(struct journal *j, const char *session, const char *type, struct buf *out, int64_t *seq, struct err *e)
{
    return store_last(j->store, session, type, out, seq, e);
}

int journal_facts(struct journal *j, int64_t since_ms, int64_t until_ms, int64_t after_id, journal_event_fn fn, void *ctx,
                  struct err *e)
{
    return store_facts(j->store, since_ms, until_ms, after_id, fn, ctx, e);
}

/* --- sessions --- */

int journal_session_start(struct journal *j, struct journal_session *s, struct err *e)
{
    id_make("s", s->id);
    s->created_ms = s->updated_ms = clock_unix_ms();
    struct journal_session row = *s;
    if (!row.kind)
        row.kind = "run";
    if (!row.workspace)
        return err_set(e, ERR_INTERNAL, "a session needs a workspace");
    return store_session_put(j->store, &row, e);
}

struct session_reader {
    journal_session_fn fn;
    void *ctx;
    const char *wanted; /* exact ID or prefix */
    int seen;
    char first[ID_SIZE];
};

static void member_into(struct span members, const char *name, size_t limit, struct buf *out)
{
    struct members it = members_of(members);
    struct member m;
    while (members_next(&it, &m))
        if (span_eqs(m.name, name))
            member_text(&m, out);
    if (out->n > limit)
        buf_truncate(out, limit);
}

static int on_session(void *ctx, struct journal_session *s, struct span first_task, struct span last_result)
{
    struct session_reader *r = ctx;
    if (r->wanted && strcmp(r->wanted, s->id) != 0 && r->seen++ > 0)
        return 1; /* ambiguous */
    AUTO(buf) struct buf task = BUF_INIT(JOURNAL_EVENT_LIMIT);
    AUTO(buf) struct buf status = BUF_INIT(JOURNAL_EVENT_LIMIT);
    member_into(first_task, "text", TASK_TITLE, &task);
    member_into(last_result, "status", 64, &status);
    while (task.n && ((unsigned char)task.p[task.n - 1] & 0x80) && task.n >= TASK_TITLE - 3)
        buf_truncate(&task, task.n - 1); /* a character cut in two */
    s->task = buf_str(&task);
    s->status = status.n ? buf_str(&status) : "open";
    return r->fn(r->ctx, s);
}

int journal_sessions(struct journal *j, const char *workspace, size_t limit, journal_session_fn fn, void *ctx,
                     struct err *e)
{
    struct session_reader r = { fn, ctx, NULL, 0, "" };
    return store_sessions(j->store, NULL, workspace, limit, on_session, &r, e);
}

/* First pass of a find: how many match, and which is the one? */
static int count_session(void *ctx, struct journal_session *s, struct span first_task, struct span last_result)
{
    struct session_reader *r = ctx;
    (void)first_task, (void)last_result;
    if (!r->wanted[0] && !s->events && !s->parent)
        return 0; /* killed before its first event: nothing to go on with */
    if (!r->seen++ || strcmp(s->id, r->wanted) == 0)
        memcpy(r->first, s->id, sizeof r->first);
    return !r->wanted[0]; /* the latest is enough */
}

int journal_session_find(struct journal *j, const char *id, const char *workspace, journal_session_fn fn, void *ctx,
                         struct err *e)
{
    struct session_reader r = { fn, ctx, id ? id : "", 0, "" };
    int ret = store_sessions(j->store, id, id ? NULL : workspace, id ? 3 : 0, count_session, &r, e);
    if (ret < 0)
        return ret;
    if (r.seen == 0) {
        err_set(e, ERR_NOT_FOUND, id ? "there is no session '%s'" : "there is no session of this workspace%s", id ? id : "");
        err_hint(e, "`stead session list` shows those there are");
        return -(int)e->kind;
    }
    if (r.seen > 1 && strcmp(r.first, r.wanted) != 0) {
        err_set(e, ERR_CONFLICT, "'%s' is the beginning of several sessions' IDs", id);
        err_hint(e, "type more of it; `stead session list` shows them");
        return -(int)e->kind;
    }
    char exact[ID_SIZE];
    memcpy(exact, r.first, sizeof exact);
    struct session_reader again = { fn, ctx, NULL, 0, "" };
    return store_sessions(j->store, exact, NULL, 1, on_session, &again, e);
}

/* --- changes --- */

int journal_change_put(struct journal *j, const struct journal_change *c, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(JOURNAL_EVENT_LIMIT);
    buf_adds(&b, "{\"id\":");
    buf_add_json(&b, span_of(c->id));
    buf_adds(&b, ",\"status\":");
    buf_add_json(&b, span_of(c->status));
    if (c->blob) {
        buf_adds(&b, ",\"blob\":");
        buf_add_json(&b, span_of(c->blob));
    }
    if (c->members) {
        buf_adds(&b, ",\"about\":");
        buf_adds(&b, c->members);
    }
    buf_addc(&b, '}');
    if (buf_check(&b, e) < 0)
        return err_wrap(e, "change %s", c->id);
    bool own = !j->begun;
    if (own && journal_begin(j, e) < 0)
        return -(int)e->kind;
    if (store_change_put(j->store, c, clock_unix_ms(), e) < 0 ||
        journal_append(j, c->session, "change", buf_span(&b), NULL, e) < 0) {
        if (own)
            journal_rollback(j);
        return err_wrap(e, "change %s", c->id);
    }
    return own ? journal_commit(j, e) : 0;
}

int journal_changes(struct journal *j, const char *workspace, const char *status, journal_change_fn fn, void *ctx,
                    struct err *e)
{
    return store_changes(j->store, NULL, workspace, status, 0, fn, ctx, e);
}

struct change_finder {
    const char *wanted;
    int seen;
    char first[ID_SIZE];
};

static int count_change(void *ctx, const struct journal_change *c)
{
    struct change_finder *f = ctx;
    if ((!f->seen++ || strcmp(c->id, f->wanted) == 0) && strlen(c->id) < sizeof f->first)
        memcpy(f->first, c->id, strlen(c->id) + 1);
    return 0;
}

int journal_change_find(struct journal *j, const char *id, const char *workspace, journal_change_fn fn, void *ctx,
                        struct err *e)
{
    struct change_finder f = { id ? id : "", 0, "" };
    int ret = store_changes(j->store, id, id ? NULL : workspace, NULL, id ? 3 : 1, count_change, &f, e);
    if (ret < 0)
        return ret;
    if (f.seen == 0) {
        err_set(e, ERR_NOT_FOUND, id ? "there is no change '%s'" : "there is no change of this workspace%s", id ? id : "");
        err_hint(e, "`stead change list` shows those there are");
        return -(int)e->kind;
    }
    if (f.seen > 1 && id && strcmp(f.first, id) != 0) {
        err_set(e, ERR_CONFLICT, "'%s' is the beginning of several changes' IDs", id);
        err_hint(e, "type more of it; `stead change list` shows them");
        return -(int)e->kind;
    }
    return store_changes(j->store, f.first, NULL, NULL, 1, fn, ctx, e);
}

/* --- blobs, state, maintenance --- */

int journal_blob_put(struct journal *j, struct span data, struct hash_hex *out, struct err *e)
{
    if (data.n > JOURNAL_BLOB_LIMIT)
        return err_set(e, ERR_LIMIT, "%zu bytes are too many for one blob of the journal (at most %zu)", data.n,
                       JOURNAL_BLOB_LIMIT);
    *out = hash_bytes(data.p, data.n);
    return store_blob_put(j->store, out->s, data, e);
}

static bool is_hash(const char *hash)
{
    return strlen(hash) == HASH_HEX_SIZE - 1 && strspn(hash, "0123456789abcdef") == HASH_HEX_SIZE - 1;
}

int journal_blob_get(struct journal *j, const char *hash, size_t limit, struct buf *out, struct err *e)
{
    if (!is_hash(hash))
        return err_set(e, ERR_INPUT, "'%.70s' is not the hash of a blob", hash);
    size_t before = out->n;
    if (store_blob_get(j->store, hash, limit, out, e) < 0)
        return -(int)e->kind;
    struct hash_hex found = hash_bytes(buf_str(out) + before, out->n - before);
    if (strcmp(found.s, hash) != 0) {
        buf_truncate(out, before);
        err_set(e, ERR_IO, "blob %.12s of journal '%s' is damaged: its bytes do not match its hash", hash, j->path);
        err_hint(e, "power was lost while it was written, or the disk fails; what needs it must be made again");
        return -(int)e->kind;
    }
    return 0;
}

bool journal_blob_has(struct journal *j, const char *hash)
{
    return is_hash(hash) && store_blob_has(j->store, hash);
}

int journal_state_put(struct journal *j, const char *key, struct span value, struct err *e)
{
    return store_state_put(j->store, key, value, clock_unix_ms(), e);
}

int journal_state_get(struct journal *j, const char *key, struct buf *out, struct err *e)
{
    return store_state_get(j->store, key, out, e);
}

int journal_check(struct journal *j, struct journal_check *out, struct err *e)
{
    return store_check(j->store, out, e);
}
