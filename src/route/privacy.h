/*
 * privacy - the guard over what leaves for a hosted endpoint: on the very bytes that would be sent.
 *
 *     struct privacy *p;
 *     privacy_create(values, &p, e);                                 // data/detectors + configuration
 *     struct privacy_input in = { .bytes = request_body, .paths = files_in_it };
 *     privacy_check(p, &in, &arena, &out, &result, e);
 *     switch (result.action) {
 *     case PRIVACY_SEND: case PRIVACY_REDACTED: ... send `out`, append result.hash as a `sent` event
 *     case PRIVACY_ASK: ... a person looks at result.findings; yes: again with in.approved = true
 *     case PRIVACY_BLOCK: ... nothing leaves: escalate (ESCALATE_PRIVACY)
 *     }
 *
 * Looked for: secrets (known forms, assignments to telling names, text that looks random), personal data, marks that a
 * file carries, and content of paths that must not leave. Each kind is blocked, redacted or asked about, as
 * configuration says. The bytes are read as they are and in the other ways in which a reader would understand them: JSON's
 * escapes undone (twice), percent signs undone, without colours and characters that nobody sees, strings put together ("a" + "b") and
 * words that a line's end broke, base64 and hexadecimal decoded;
 * so that a key inside a serialised prompt is seen as in a file. What redaction leaves is looked at again; what cannot be checked is blocked.
 * Check again for every fallback target: the budget and the endpoint differ, and so may the bytes.
 *
 * Findings say which detector and where, never what. One thread; bounded time a byte.
 */
#ifndef STEAD_ROUTE_PRIVACY_H
#define STEAD_ROUTE_PRIVACY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "base/hash.h"
#include "config/config.h"

#define PRIVACY_BYTES_MOST ((size_t)64 << 20) /* a larger request is blocked */

enum privacy_kind { PRIVACY_SECRET, PRIVACY_PERSONAL, PRIVACY_MARK, PRIVACY_PATH };
const char *privacy_kind_name(enum privacy_kind k);

enum privacy_action { PRIVACY_SEND, PRIVACY_REDACTED, PRIVACY_ASK, PRIVACY_BLOCK };
const char *privacy_action_name(enum privacy_action a);

struct privacy_finding {
    enum privacy_kind kind;
    const char *detector;  /* "github-token"; for a path the path */
    size_t from, to;       /* in the bytes; both 0 for a path that was only named to us */
    size_t line;           /* from 1 */
};

struct privacy_input {
    struct span bytes;
    struct strings paths;  /* files whose content is among the bytes, relative to the workspace */
    bool (*kept)(void *ctx, const char *path); /* must this path's content stay, whatever its name (a link, a mark)? May be NULL */
    void *ctx;
    bool approved;         /* a person has seen the findings and lets what "ask" covers pass */
};

struct privacy_result {
    enum privacy_action action;
    struct privacy_finding *findings;
    size_t nfindings;
    size_t redactions;
    struct hash_hex hash;  /* of what may be sent: SEND, REDACTED */
    const char *reason;    /* one sentence; "" when there is nothing to say */
};

struct privacy;

/* Kept: `values` (guard, and the relative entries of policy.local_only_paths). */
int privacy_create(const struct config_values *values, struct privacy **out, struct err *e) WARN_UNUSED;
void privacy_destroy(struct privacy *p);
static inline void privacy_auto(struct privacy **p)
{
    privacy_destroy(*p);
}

/* What may be sent is appended to `out` (nothing for ASK and BLOCK). Strings of the result live in the arena. */
int privacy_check(struct privacy *p, const struct privacy_input *in, struct arena *a, struct buf *out,
                  struct privacy_result *result, struct err *e) WARN_UNUSED;

/* Must the content of this path never leave? */
bool privacy_path(const struct privacy *p, const char *path);

/* Appends what came back, with the marks that stood for what was redacted undone (placeholder.h); how many there were. */
size_t privacy_restore(const struct privacy *p, struct span text, struct buf *out);

/* Members of the `sent` event: {"endpoint":..,"hash":..,"bytes":..,"redactions":..}. */
bool privacy_sent(struct buf *out, const char *endpoint, const struct privacy_result *r, size_t bytes);

#endif
