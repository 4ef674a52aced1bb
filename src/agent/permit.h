/*
 * permit - leaving the sandbox: asked once, remembered by rule, recorded with who decided.
 *
 *     struct permit_request r = { .kind = PERMIT_PUBLISH, .argv = argv, .why = "the task asks for a release" };
 *     int ok = permit_ask(p, &r, e);           // 1 allowed, 0 refused, negative failed
 *
 * Inside the sandbox nothing asks: that is what it is for. What asks is what leaves it: a network host, a
 * mount, publishing, a guarded file in a change, sending to a hosted endpoint. A rule names a kind and a
 * pattern. For commands the pattern is the leading words of the *parsed* argument vector ("npm publish"),
 * compared word by word; a command line that a shell would not read as one plain command (a pipe, a
 * substitution, a redirection, several commands) has no argument vector and matches no rule. Rules are a
 * convenience, never the boundary: that is the sandbox.
 *
 * The order: policy's refusals; rules remembered for this workspace; the person, where one is there; else no.
 * Each answer is an `approval` event (`what`, `decision`, `by`: "policy", "rule: ...", "person").
 */
#ifndef STEAD_AGENT_PERMIT_H
#define STEAD_AGENT_PERMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "base/err.h"

struct journal;

enum permit_kind { PERMIT_NET, PERMIT_MOUNT, PERMIT_PUBLISH, PERMIT_GUARD, PERMIT_HOSTED, PERMIT_KINDS };
const char *permit_kind_name(enum permit_kind k); /* "net", "mount", "publish", "guard", "hosted" */

struct permit_request {
    enum permit_kind kind;
    const char *what;         /* HOST[:PORT], SRC:DST:rw, path in a change, endpoint name; not for PERMIT_PUBLISH */
    const char *const *argv;  /* PERMIT_PUBLISH: the command, NULL-terminated */
    const char *why;          /* one sentence for the person; may be NULL */
};

enum permit_answer {
    PERMIT_NO,
    PERMIT_ONCE,
    PERMIT_ALWAYS, /* remembered as a rule for this workspace */
    PERMIT_NEVER,  /* remembered too */
};

struct permit_options {
    struct journal *journal;
    const char *session;
    const char *workspace;
    bool (*policy)(void *ctx, const struct permit_request *r, bool *allow); /* true: decided by configuration; may be NULL */
    /* Ask the person; may wait. `rule` is what would be remembered. NULL: nobody is there, the answer is no. */
    enum permit_answer (*ask)(void *ctx, const struct permit_request *r, const char *rule);
    void *ctx;
};

struct permit;
int permit_create(const struct permit_options *o, struct permit **out, struct err *e) WARN_UNUSED;
void permit_destroy(struct permit *p);
static inline void permit_auto(struct permit **p)
{
    permit_destroy(*p);
}

int permit_ask(struct permit *p, const struct permit_request *r, struct err *e) WARN_UNUSED;

/* The rules remembered for the workspace, in order: "allow publish npm publish"; and forgetting one by its text. */
int permit_rules(struct permit *p, struct arena *a, struct strings *out, struct err *e) WARN_UNUSED;
int permit_forget(struct permit *p, const char *rule, struct err *e) WARN_UNUSED;

/* A command line as an argument vector, when it is one plain command of literal words: 1, else 0 (says why in `why`, may be NULL). */
int permit_parse_command(struct span command, struct arena *a, struct strings *argv, const char **why);
/* Does the pattern (leading words, "*" for any one word) match? */
bool permit_match(const char *pattern, const char *const *argv);

#endif
