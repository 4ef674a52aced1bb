/*
 * second - another model reads the task, the change and the gates' results, and says what it finds.
 *
 *     struct second_spec s = { .loop = loop, .endpoint = ep, .task = task, .diff = diff, .verdict = &v,
 *                              .weight = FINDING_NOTE };
 *     if (second_review(&s, &arena, &findings, &use, cancel, e) < 0) ...      // no answer that can be used
 *
 * Optional, by policy; the caller has chosen the endpoint and, where it is hosted, has taken the diff through the
 * privacy guard. The model answers through one tool with a fixed schema, so that the answer is a list of findings
 * or nothing. Its word informs: severity is at most `weight`, whatever it says. The diff is marked as data, and a
 * finding about a file that is not in the diff is dropped: text in the change cannot speak through the reviewer.
 */
#ifndef STEAD_VERIFY_SECOND_H
#define STEAD_VERIFY_SECOND_H

#include "base/loop.h"
#include "model/endpoint.h"
#include "verify/verify.h"

#define SECOND_DIFF_BYTES (96u << 10) /* of the diff that is sent; what is left out is said */
#define SECOND_FINDINGS 40u

struct second_spec {
    struct loop *loop;
    struct endpoint *endpoint;
    struct span task, diff;
    const struct verdict *verdict; /* of the gates; may be NULL */
    enum finding_severity weight;  /* most that its findings may weigh */
};

struct second_use { /* tokens of all its replies; -1 unknown */
    int64_t prompt_tokens, completion_tokens;
};

/* Appends to out (findings "second/CLASS"); *use is filled as far as it got. 0, or negative: no answer that can be used. */
int second_review(const struct second_spec *s, struct arena *arena, struct findings *out, struct second_use *use, struct cancel *cancel,
                  struct err *e) WARN_UNUSED;

/* The message and the tool, and what comes back: apart, for tests. */
void second_prompt(const struct second_spec *s, struct buf *out);
int second_read(struct span args, const struct second_spec *s, struct arena *arena, struct findings *out, struct err *e) WARN_UNUSED;

#endif
