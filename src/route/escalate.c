#include "route/escalate.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

static const struct {
    const char *name, *kind, *words;
} causes[] = {
    [ESCALATE_GATES_RED] = { "gates-red", "quality", "its change still fails the gates" },
    [ESCALATE_LOOP] = { "loop", "quality", "it repeated itself" },
    [ESCALATE_NO_EFFECT] = { "no-effect", "quality", "it changed nothing" },
    [ESCALATE_GAVE_UP] = { "gave-up", "quality", "nothing usable came from it" },
    [ESCALATE_CONTEXT] = { "context", "context", "the task does not fit its context" },
    [ESCALATE_DOWN] = { "down", "outage", "it failed or cannot be reached" },
    [ESCALATE_OVERLOAD] = { "overload", "outage", "it is overloaded or still loading" },
    [ESCALATE_SLOW] = { "slow", "latency", "it is too slow" },
    [ESCALATE_BUDGET] = { "budget", "policy", "a budget is used up" },
    [ESCALATE_PRIVACY] = { "privacy", "policy", "the privacy guard let nothing leave for it" },
};
static_assert(COUNT_OF(causes) == ESCALATE_CAUSES, "a row per cause");

const char *escalate_cause_name(enum escalate_cause c)
{
    return c < ESCALATE_CAUSES ? causes[c].name : "?";
}

const char *escalate_cause_kind(enum escalate_cause c)
{
    return c < ESCALATE_CAUSES ? causes[c].kind : "?";
}

/* The contract's code for a task that ends here: red (3), stopped (4), unserved (5), pending (6). */
static int exit_of(enum escalate_cause c, bool has_draft)
{
    switch (c) {
    case ESCALATE_GATES_RED: return 3;
    case ESCALATE_LOOP:
    case ESCALATE_NO_EFFECT:
    case ESCALATE_GAVE_UP:
    case ESCALATE_CONTEXT:
    case ESCALATE_BUDGET: return 4;
    case ESCALATE_DOWN:
    case ESCALATE_OVERLOAD:
    case ESCALATE_SLOW: return has_draft ? 4 : 5;
    case ESCALATE_PRIVACY: return has_draft ? 6 : 5;
    case ESCALATE_CAUSES: break;
    }
    return 4;
}

static const char *name_of(const struct escalate_input *in, int i)
{
    return i >= 0 && (size_t)i < in->route->ncandidates ? in->route->candidates[i].name : "the endpoint";
}

/* The same endpoint once more: a passing failure, before anything of the reply was shown or stored. */
static bool may_repeat(const struct escalate_input *in, int64_t *wait_ms)
{
    bool passing = in->cause == ESCALATE_DOWN || in->cause == ESCALATE_OVERLOAD;
    if (!passing || in->token_seen || in->retries >= RETRY_MOST)
        return false;
    int64_t wait = (int64_t)RETRY_WAIT_MS << in->retries;
    if (in->retry_after_ms > wait)
        wait = in->retry_after_ms;
    *wait_ms = wait;
    return wait <= RETRY_WAIT_MOST_MS;
}

int escalate_decide(const struct escalate_input *in, struct arena *a, struct escalation *out, struct err *e)
{
    const struct config_policy *p = &in->route->values->policy;
    const char *from = name_of(in, in->from), *words = causes[in->cause].words;
    *out = (struct escalation){ .to = -1 };
    if (may_repeat(in, &out->wait_ms)) {
        out->action = ESCALATE_AGAIN;
        out->reason = arena_printf(a, "%s: %s; asked again in %lld ms", from, words, (long long)out->wait_ms);
        return out->reason ? 0 : err_set(e, ERR_NOMEM, "escalating: out of memory");
    }
    const char *bound = NULL;
    if (in->escalations >= p->max_escalations)
        bound = "policy.max_escalations is reached";
    struct route r = { .choice = -1 };
    if (!bound) {
        struct route_candidate *c = arena_array(a, in->route->ncandidates + 1, sizeof *c);
        if (!c)
            return err_set(e, ERR_NOMEM, "escalating: out of memory");
        memcpy(c, in->route->candidates, in->route->ncandidates * sizeof *c);
        if (in->from >= 0 && (size_t)in->from < in->route->ncandidates)
            c[in->from].tried = true;
        struct route_input next = *in->route; /* a named endpoint is no dead end either: its task may go on, by policy */
        next.candidates = c;
        if (route_decide(&next, a, &r, e) < 0)
            return -(int)e->kind;
        if (r.choice < 0)
            bound = next.wanted ? "no other endpoint was asked for" : "no other endpoint may or can serve it";
    }
    if (bound) {
        out->action = ESCALATE_PERSON;
        out->exit = exit_of(in->cause, in->has_draft);
        out->reason = arena_printf(a, "%s: %s, and %s: a person goes on from here", from, words, bound);
    } else {
        out->action = ESCALATE_TO;
        out->to = r.choice;
        out->clean_layer = p->clean_handoff;
        out->reason = arena_printf(a, "%s: %s; %s goes on", from, words, name_of(in, r.choice));
    }
    return out->reason ? 0 : err_set(e, ERR_NOMEM, "escalating: out of memory");
}

/* --- handoff --- */

/* The beginning and the end of a text, at most `room` bytes, cut at lines where possible. */
static void add_shortened(struct buf *out, struct span text, size_t room)
{
    static const char mark[] = "\n[... shortened ...]\n";
    if (text.n <= room) {
        buf_add_span(out, text);
    } else if (room > sizeof mark + 64) {
        size_t half = (room - sizeof mark) / 2;
        buf_add_span(out, span_sub(text, 0, utf8_cut(text, half)));
        buf_adds(out, mark);
        size_t from = text.n - half;
        while (from < text.n && ((unsigned char)text.p[from] & 0xc0) == 0x80)
            from++;
        buf_add_span(out, span_sub(text, from, text.n));
    }
    if (out->n && out->p[out->n - 1] != '\n')
        buf_addc(out, '\n');
}

bool handoff_write(const struct handoff *h, struct buf *out)
{
    size_t start = out->n;
    buf_add_span(out, span_trim(h->task));
    buf_adds(out, "\n\nThis was tried before:\n");
    for (size_t i = 0; i < h->nattempts; i++) {
        const struct handoff_attempt *t = &h->attempts[i];
        buf_addf(out, "- %s%s%s: %lld steps, %s%s%s\n", t->endpoint, t->model && *t->model ? ", " : "", t->model ? t->model : "",
                 (long long)t->steps, t->status, t->reason && *t->reason ? ": " : "", t->reason ? t->reason : "");
    }
    size_t used = out->n - start, room = h->limit_bytes > used + 512 ? h->limit_bytes - used - 512 : 0;
    size_t for_evidence = h->evidence.n < room / 2 ? h->evidence.n : room / 2;
    size_t for_diff = h->diff.n < room - for_evidence ? h->diff.n : room - for_evidence;
    if (h->diff.n && for_diff) {
        buf_adds(out, h->clean_layer ? "\nIts change, which was taken back (the files are as they were at first):\n"
                                     : "\nIts change, which is in the files now:\n");
        add_shortened(out, h->diff, for_diff);
    } else if (!h->diff.n) {
        buf_adds(out, "\nIt left no change.\n");
    }
    if (h->evidence.n && for_evidence) {
        buf_adds(out, "\nStill failing:\n");
        add_shortened(out, h->evidence, for_evidence);
    }
    return !out->failed;
}
