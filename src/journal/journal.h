/*
 * journal - the append-only record of what happened; everything shown, resumed or measured is read from it.
 *
 *     struct journal *j;
 *     if (journal_open(path, JOURNAL_CREATE, &j, e) < 0) return err_wrap(e, "opening the journal");
 *     struct journal_session s = { .workspace = "/home/ada/app", .kind = "run" };
 *     journal_session_start(j, &s, e);                             // s.id is now "s1jd5..."
 *     journal_append(j, s.id, "text", SPAN("{\"text\":\"hello\"}"), &seq, e);
 *     journal_read(j, s.id, 0, on_event, ctx, e);                  // in order
 *     journal_destroy(j);
 *
 * An event is a type and the members of one JSON object (docs/design/journal.md lists them; CONTRACT
 * types are public, others are ours: readers ignore what they do not know). Nothing is ever updated
 * or deleted: the status of a session or a change is the last event that says so.
 *
 * What an acknowledged append survives: SIGKILL of this process, always. Power loss: appends since
 * the last checkpoint or journal_sync() may be lost, in order and never in part (SQLite WAL with
 * synchronous=NORMAL: an append costs no fsync; docs/design/journal.md has the measurements).
 *
 * Several processes may have one journal open: appends wait for one another (at most
 * JOURNAL_BUSY_MS). One struct journal belongs to one thread; a private thread of its own carries the
 * checkpoints, so that no append waits for the disk.
 *
 * Secrets never enter: values registered with journal_hide() are replaced in every event.
 */
#ifndef STEAD_JOURNAL_JOURNAL_H
#define STEAD_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

#define JOURNAL_BUSY_MS 10000                    /* another stead writes: wait this long at most */
#define JOURNAL_EVENT_LIMIT ((size_t)16 << 20)   /* one event; larger things are blobs */
#define JOURNAL_BLOB_LIMIT ((size_t)1 << 30)     /* one blob */

struct journal;

enum journal_flags {
    JOURNAL_READ = 0,        /* read-only; ERR_NOT_FOUND when there is no journal yet */
    JOURNAL_WRITE = 1 << 0,  /* append to an existing one */
    JOURNAL_CREATE = 1 << 1, /* write, and make the file and its directories (0700) where missing */
};

int journal_open(const char *path, unsigned flags, struct journal **out, struct err *e) WARN_UNUSED;
void journal_destroy(struct journal *j); /* checkpoints what is open; NULL is allowed */
static inline void journal_auto(struct journal **j)
{
    journal_destroy(*j);
}

/* Bytes (an API key) that must never be stored: replaced by "[secret]" in events, plain or JSON-escaped. Copied; wiped on destroy. */
int journal_hide(struct journal *j, struct span secret, struct err *e) WARN_UNUSED;

/* --- events --- */

struct journal_event {
    int64_t id;          /* position in the whole journal: grows with every append */
    int64_t seq;         /* in its session, from 1, no gaps */
    int64_t time_ms;     /* wall clock */
    const char *session;
    const char *type;
    struct span members; /* the JSON object as appended, on one line: {"text":"..."} */
};

/* Return 0 to go on, > 0 to stop (the reader returns that), negative to fail (with e of the caller's own). Borrowed for the call. */
typedef int (*journal_event_fn)(void *ctx, const struct journal_event *ev);

/* Append. `members` is a JSON object without v, seq, time_ms, session, type; checked. seq may be NULL. Durable (above) on return. */
int journal_append(struct journal *j, const char *session, const char *type, struct span members, int64_t *seq,
                   struct err *e) WARN_UNUSED;

/* Several appends as one: all or none after a crash, and cheaper. Nest not. Subscribers hear of them at commit. */
int journal_begin(struct journal *j, struct err *e) WARN_UNUSED;
int journal_commit(struct journal *j, struct err *e) WARN_UNUSED;
void journal_rollback(struct journal *j);

/* Everything appended so far survives power loss on return (one fsync): before something irreversible, as apply is. */
int journal_sync(struct journal *j, struct err *e) WARN_UNUSED;

/* Called for every event appended through this struct journal, after it is stored; in order of subscription; may append itself. */
int journal_subscribe(struct journal *j, journal_event_fn fn, void *ctx, struct err *e) WARN_UNUSED;
void journal_unsubscribe(struct journal *j, journal_event_fn fn, void *ctx);

/* The public line of CONTRACT: {"v":1,"seq":..,"time_ms":..,"session":"..","type":".."[,members]}, no newline. */
bool journal_event_line(struct buf *out, const struct journal_event *ev);

/* The events of one session after `after_seq` (0: all), in order. ERR_NOT_FOUND for an unknown session. */
int journal_read(struct journal *j, const char *session, int64_t after_seq, journal_event_fn fn, void *ctx,
                 struct err *e) WARN_UNUSED;

/* The last event of a type in a session: 1 found (members copied into out), 0 none. seq may be NULL. */
int journal_last(struct journal *j, const char *session, const char *type, struct buf *out, int64_t *seq,
                 struct err *e) WARN_UNUSED;

/*
 * Facts: for the event types that measurements use (journal_type_is_fact), each event's members with
 * strings longer than JOURNAL_FACT_STRING bytes left out, in the order of appending; quick to scan
 * (a million in well under a second). From `since_ms` up to but not including `until_ms` (0: no end),
 * and with id > after_id.
 */
#define JOURNAL_FACT_STRING 200
bool journal_type_is_fact(const char *type);
int journal_facts(struct journal *j, int64_t since_ms, int64_t until_ms, int64_t after_id, journal_event_fn fn,
                  void *ctx, struct err *e) WARN_UNUSED;

/* --- sessions --- */

struct journal_session {
    char id[ID_SIZE];      /* out of journal_session_start */
    const char *workspace; /* absolute path */
    const char *kind;      /* run, chat, harness, sandbox, verify, ... */
    const char *parent;    /* the session it was forked from, or NULL */
    int64_t fork_seq;      /* the parent's events up to here are its past */
    /* out of the readers: */
    int64_t created_ms, updated_ms;
    int64_t events;        /* = last seq */
    const char *status;    /* of its `result` event; "open" when there is none */
    const char *task;      /* text of its first `asked` or `task` event, at most 200 bytes; "" */
};

int journal_session_start(struct journal *j, struct journal_session *s, struct err *e) WARN_UNUSED;

typedef int (*journal_session_fn)(void *ctx, const struct journal_session *s);
/* Newest first; only those of a workspace unless NULL; at most `limit` (0: all). */
int journal_sessions(struct journal *j, const char *workspace, size_t limit, journal_session_fn fn, void *ctx,
                     struct err *e) WARN_UNUSED;
/* One by ID or unambiguous prefix of it, or the latest of `workspace` that holds anything when id is NULL: the function is called once. */
int journal_session_find(struct journal *j, const char *id, const char *workspace, journal_session_fn fn, void *ctx,
                         struct err *e) WARN_UNUSED;

/* --- changes: drafts found by ID, whatever session made them --- */

struct journal_change {
    const char *id;        /* c... (id_make) */
    const char *session;
    const char *workspace;
    const char *status;    /* draft, verified, red, pending, approved, applied, discarded, reverted: the owner's words */
    const char *blob;      /* hash of the serialised change, or NULL to keep the one stored before */
    const char *members;   /* JSON object for listings (files, gates, ...), or NULL to keep */
    int64_t created_ms, updated_ms; /* out of the readers */
};

/* New, or a new status of a known one. Recorded as an internal `change` event of its session in the same transaction. */
int journal_change_put(struct journal *j, const struct journal_change *c, struct err *e) WARN_UNUSED;
typedef int (*journal_change_fn)(void *ctx, const struct journal_change *c);
/* Newest first; of one workspace and/or status unless NULL. */
int journal_changes(struct journal *j, const char *workspace, const char *status, journal_change_fn fn, void *ctx,
                    struct err *e) WARN_UNUSED;
/* By ID or unambiguous prefix; latest of `workspace` when id is NULL. ERR_NOT_FOUND, ERR_CONFLICT (ambiguous). */
int journal_change_find(struct journal *j, const char *id, const char *workspace, journal_change_fn fn, void *ctx,
                        struct err *e) WARN_UNUSED;

/* --- blobs: bytes by the SHA-256 of their content, stored once --- */

int journal_blob_put(struct journal *j, struct span data, struct hash_hex *out, struct err *e) WARN_UNUSED;
/* Appended to out; its hash is checked (ERR_IO when the stored bytes do not match). */
int journal_blob_get(struct journal *j, const char *hash, size_t limit, struct buf *out, struct err *e) WARN_UNUSED;
bool journal_blob_has(struct journal *j, const char *hash);

/* --- small state beside the record (circuit breakers, spent budgets): last value wins --- */

int journal_state_put(struct journal *j, const char *key, struct span value, struct err *e) WARN_UNUSED;
/* 1 found (appended to out), 0 absent. */
int journal_state_get(struct journal *j, const char *key, struct buf *out, struct err *e) WARN_UNUSED;

/* --- maintenance --- */

struct journal_check {
    int schema;            /* version of the file */
    int64_t events, sessions, blobs, bytes;
    char problem[200];     /* "" when sound */
};
int journal_check(struct journal *j, struct journal_check *out, struct err *e) WARN_UNUSED;
const char *journal_path(const struct journal *j);

#endif
