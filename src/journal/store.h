/*
 * store - where the journal's rows lie. Private to this folder; journal.c is the only caller.
 *
 * store-sqlite.c is the one implementation today and the only file with SQL. A PostgreSQL store for
 * teams implements this header beside it (then struct store gets a table of functions). The contract:
 *   - store_append numbers events of a session 1, 2, 3 ... without gaps, also with several writers;
 *   - what returned 0 survives SIGKILL; after store_sync it survives power loss;
 *   - readers see whole transactions only.
 * Inputs were checked by journal.c. Strings handed to callbacks live for the call.
 */
#ifndef STEAD_JOURNAL_STORE_H
#define STEAD_JOURNAL_STORE_H

#include "journal/journal.h"

struct store;

int store_open(const char *path, unsigned flags, struct store **out, struct err *e) WARN_UNUSED;
void store_close(struct store *s);

int store_begin(struct store *s, struct err *e) WARN_UNUSED;
int store_commit(struct store *s, struct err *e) WARN_UNUSED;
void store_rollback(struct store *s);
int store_sync(struct store *s, struct err *e) WARN_UNUSED;

/* Sets ev->id and ev->seq. `fact` (p NULL: none) is the shortened form for store_facts. Inside or outside begin/commit. */
int store_append(struct store *s, struct journal_event *ev, struct span fact, struct err *e) WARN_UNUSED;
int store_read(struct store *s, const char *session, int64_t after_seq, journal_event_fn fn, void *ctx, struct err *e);
int store_last(struct store *s, const char *session, const char *type, struct buf *out, int64_t *seq, struct err *e);
int store_facts(struct store *s, int64_t since_ms, int64_t until_ms, int64_t after_id, journal_event_fn fn, void *ctx,
                struct err *e);

int store_session_put(struct store *s, const struct journal_session *x, struct err *e) WARN_UNUSED;
/* `first_task` and `last_result` are the members of those events or "". id: exact or prefix, NULL: all. */
typedef int (*store_session_fn)(void *ctx, struct journal_session *session, struct span first_task, struct span last_result);
int store_sessions(struct store *s, const char *id, const char *workspace, size_t limit, store_session_fn fn, void *ctx,
                   struct err *e);

int store_change_put(struct store *s, const struct journal_change *c, int64_t now_ms, struct err *e) WARN_UNUSED;
int store_changes(struct store *s, const char *id, const char *workspace, const char *status, size_t limit,
                  journal_change_fn fn, void *ctx, struct err *e);

int store_blob_put(struct store *s, const char *hash, struct span data, struct err *e) WARN_UNUSED;
int store_blob_get(struct store *s, const char *hash, size_t limit, struct buf *out, struct err *e) WARN_UNUSED;
bool store_blob_has(struct store *s, const char *hash);

int store_state_put(struct store *s, const char *key, struct span value, int64_t now_ms, struct err *e) WARN_UNUSED;
int store_state_get(struct store *s, const char *key, struct buf *out, struct err *e);

int store_check(struct store *s, struct journal_check *out, struct err *e) WARN_UNUSED;

#endif
