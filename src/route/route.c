#include "route/route.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define STOPS_MOST 64
#define CONTEXT_HEADROOM 2048 /* tokens for the reply and the next tool result */

/* --- chains --- */

static const char *plain_chain[] = { "local-small", "local-large", "hosted", "person" };
static const char *careful_chain[] = { "local-large", "local-small", "hosted", "person" };
static const char *hard_chain[] = { "hosted", "local-large", "local-small", "person" };

struct strings route_chain(const struct config_policy *p, const struct classification *c)
{
    const struct config_chain *chosen = NULL;
    for (size_t i = 0; i < p->nchains; i++) {
        if (strcmp(p->chains[i].task_class, c->row->name) == 0) {
            chosen = &p->chains[i];
            break;
        }
        if (strcmp(p->chains[i].task_class, "default") == 0)
            chosen = &p->chains[i];
    }
    if (chosen)
        return (struct strings){ chosen->stops, chosen->nstops };
    if (c->row->poor || c->cost == COST_HIGH)
        return (struct strings){ hard_chain, COUNT_OF(hard_chain) };
    if (c->cost == COST_MEDIUM)
        return (struct strings){ careful_chain, COUNT_OF(careful_chain) };
    return (struct strings){ plain_chain, COUNT_OF(plain_chain) };
}

static bool at_stop(const struct route_candidate *c, const char *stop)
{
    if (strcmp(stop, "hosted") == 0)
        return !c->local;
    if (strcmp(stop, "local") == 0)
        return c->local;
    if (strcmp(stop, "local-small") == 0)
        return c->local && !c->large;
    if (strcmp(stop, "local-large") == 0)
        return c->local && c->large;
    return strcmp(stop, c->name) == 0;
}

/* --- hours --- */

static int day_number(struct span s)
{
    static const char names[] = "sunmontuewedthufrisat";
    for (int d = 0; d < 7; d++)
        if (s.n >= 3 && strncasecmp(s.p, names + d * 3, 3) == 0)
            return d;
    return -1;
}

static bool on_day(const char *days, int weekday)
{
    if (!days)
        return true;
    struct span rest = span_of(days), part;
    while (span_split(&rest, ',', &part)) {
        part = span_trim(part);
        ptrdiff_t dash = span_findc(part, '-');
        int from = day_number(part);
        int to = dash < 0 ? from : day_number(span_trim(span_sub(part, (size_t)dash + 1, part.n)));
        if (from < 0 || to < 0)
            continue;
        for (int d = from;; d = (d + 1) % 7) { /* fri-mon goes round the week */
            if (d == weekday)
                return true;
            if (d == to)
                break;
        }
    }
    return false;
}

static int minutes_of(const char *t) /* "08:30", checked when the configuration was read */
{
    return strlen(t) == 5 ? ((t[0] - '0') * 10 + t[1] - '0') * 60 + (t[3] - '0') * 10 + t[4] - '0' : 0;
}

bool route_hours(const struct config_policy *p, const struct route_now *now)
{
    if (p->nhours == 0)
        return true;
    for (size_t i = 0; i < p->nhours; i++) {
        const struct config_hours *h = &p->hours[i];
        int from = minutes_of(h->from), to = minutes_of(h->to);
        if (from <= to) {
            if (on_day(h->days, now->weekday) && now->minute >= from && now->minute < to)
                return true;
        } else if ((on_day(h->days, now->weekday) && now->minute >= from) ||
                   (on_day(h->days, (now->weekday + 6) % 7) && now->minute < to)) {
            return true; /* over midnight: belongs to the day on which it began */
        }
    }
    return false;
}

const char *route_local_only(const struct config_policy *p, const char *workspace, const char *home)
{
    for (size_t i = 0; i < p->nlocal_only_paths; i++) {
        const char *entry = p->local_only_paths[i], *rest = workspace;
        if (*entry == '~' && home && (entry[1] == '/' || !entry[1])) {
            size_t n = strlen(home);
            if (strncmp(workspace, home, n) != 0)
                continue;
            rest = workspace + n;
            entry++;
        } else if (*entry != '/') {
            continue;
        }
        size_t n = strlen(entry);
        while (n && entry[n - 1] == '/')
            n--;
        if (strncmp(rest, entry, n) == 0 && (rest[n] == '/' || !rest[n]))
            return p->local_only_paths[i];
    }
    return NULL;
}

/* --- objections: each looks at one candidate; the text says why not, or NULL --- */

struct check_context {
    const struct route_input *in;
    const struct config_policy *policy;
    struct arena *arena;
};

static const char *not_wanted(const struct check_context *x, const struct route_candidate *c)
{
    const char *w = x->in->wanted;
    return w && strcmp(w, c->name) != 0 && strcmp(w, c->url) != 0 ? "another endpoint was asked for" : NULL;
}

static const char *was_tried(const struct check_context *x, const struct route_candidate *c)
{
    (void)x;
    return c->tried ? "has tried this task already" : NULL;
}

static const char *must_stay_local(const struct check_context *x, const struct route_candidate *c)
{
    if (c->local)
        return NULL;
    if (x->in->local_only)
        return x->in->local_only_why ? x->in->local_only_why : "nothing may leave this machine (--local-only)";
    return x->policy->local_only ? "nothing may leave this machine (policy.local_only)" : NULL;
}

static const char *class_not_hosted(const struct check_context *x, const struct route_candidate *c)
{
    if (c->local)
        return NULL;
    const char *name = x->in->class->row->name;
    for (size_t i = 0; i < x->policy->nhosted_classes; i++)
        if (strcmp(x->policy->hosted_classes[i], name) == 0 || strcmp(x->policy->hosted_classes[i], "all") == 0)
            return NULL;
    const char *s = arena_printf(x->arena, "policy.hosted_classes does not name '%s'", name);
    return s ? s : "policy.hosted_classes does not name its class";
}

static const char *outside_hours(const struct check_context *x, const struct route_candidate *c)
{
    return c->local || route_hours(x->policy, &x->in->now) ? NULL : "outside policy.hours";
}

static const char *over_one_budget(const struct check_context *x, const char *name, const struct config_budget *limit,
                                   const struct config_budget *spent, int64_t micro_usd, int64_t tokens)
{
    const char *what = NULL;
    if (limit->micro_usd > 0 && (spent->micro_usd >= limit->micro_usd || micro_usd > limit->micro_usd - spent->micro_usd))
        what = "usd";
    else if (limit->tokens > 0 && (spent->tokens >= limit->tokens || tokens > limit->tokens - spent->tokens))
        what = "tokens";
    else if (limit->time_ms > 0 && spent->time_ms >= limit->time_ms)
        what = "time";
    if (!what)
        return NULL;
    const char *s = arena_printf(x->arena, "policy.budgets.%s.%s is used up", name, what);
    return s ? s : "a budget is used up";
}

static const char *over_budget(const struct check_context *x, const struct route_candidate *c)
{
    const struct config_budget *t = &x->policy->budgets.task;
    if (t->time_ms > 0 && x->in->spent.task.time_ms >= t->time_ms)
        return "policy.budgets.task.time is used up";
    if (t->tokens > 0 && x->in->spent.task.tokens >= t->tokens)
        return "policy.budgets.task.tokens is used up";
    if (c->local)
        return NULL;
    int64_t tokens = x->in->need_tokens > 0 ? x->in->need_tokens : 0; /* at least one request of this size */
    int64_t usd = route_cost(c, tokens, 0);
    const char *why = over_one_budget(x, "task", t, &x->in->spent.task, usd, tokens);
    if (!why)
        why = over_one_budget(x, "day", &x->policy->budgets.day, &x->in->spent.day, usd, tokens);
    if (!why)
        why = over_one_budget(x, "user", &x->policy->budgets.user, &x->in->spent.user, usd, tokens);
    return why;
}

static const char *is_resting(const struct check_context *x, const struct route_candidate *c)
{
    if (!c->breaker || breaker_would_allow(c->breaker, x->in->now.unix_ms))
        return NULL;
    char wait[24];
    int64_t ms = c->breaker->until_ms - x->in->now.unix_ms;
    const char *s = c->breaker->state == BREAKER_OPEN
                        ? arena_printf(x->arena, "failed %d times; asked again in %s", c->breaker->failures, format_duration(ms, wait))
                        : "failed before; a probe is under way";
    return s ? s : "failed before";
}

static const char *is_down(const struct check_context *x, const struct route_candidate *c)
{
    (void)x;
    return c->ready ? NULL : c->problem && *c->problem ? c->problem : "does not answer";
}

static const char *too_small(const struct check_context *x, const struct route_candidate *c)
{
    int64_t need = x->in->need_tokens, room = x->in->wanted ? 0 : CONTEXT_HEADROOM; /* whoever names it may try */
    if (!need || !c->context_tokens || need + room <= c->context_tokens)
        return NULL;
    const long long whole = need + room;
    const char *s = arena_printf(x->arena, "its context of %lld tokens is too small: about %lld are needed", (long long)c->context_tokens, whole);
    return s ? s : "its context is too small";
}

static const char *too_slow(const struct check_context *x, const struct route_candidate *c)
{
    int64_t most = x->policy->max_ttft_ms;
    if (!most || !c->expected_ttft_ms || c->expected_ttft_ms <= most)
        return NULL;
    char is[24], may[24];
    const char *s = arena_printf(x->arena, "its first token is expected after %s, policy.max_ttft is %s",
                                 format_duration(c->expected_ttft_ms, is), format_duration(most, may));
    return s ? s : "its first token is expected too late";
}

static const char *is_full(const struct check_context *x, const struct route_candidate *c)
{
    (void)x;
    return c->slots > 0 && c->busy >= c->slots ? "all its slots are busy" : NULL;
}

/* In this order: what a person decided first, so that the reason names it rather than an accident. */
static const char *(*const checks[])(const struct check_context *, const struct route_candidate *) = {
    not_wanted, must_stay_local, class_not_hosted, outside_hours, over_budget, was_tried, is_resting, is_down, too_small, too_slow, is_full,
};

static const char *objection(const struct check_context *x, const struct route_candidate *c)
{
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        const char *why = checks[i](x, c);
        if (why)
            return why;
    }
    return NULL;
}

int64_t route_cost(const struct route_candidate *c, int64_t prompt_tokens, int64_t completion_tokens)
{
    __extension__ typedef __int128 wide;
    wide v = (wide)prompt_tokens * c->price_in_micro_usd + (wide)completion_tokens * c->price_out_micro_usd;
    v = (v + 999999) / 1000000;
    return v > INT64_MAX ? INT64_MAX : v < 0 ? 0 : (int64_t)v;
}

const char *route_over_budget(const struct route_input *in, const struct route_candidate *c, struct arena *a)
{
    const struct check_context x = { in, &in->values->policy, a };
    return over_budget(&x, c);
}

/* --- the decision --- */

struct building {
    struct route *out;
    struct arena *arena;
    const char *reasons[32];
    size_t nreasons;
};

static void add_stop(struct route *r, int candidate, const char *stop, bool accepted, const char *reason)
{
    if (r->nstops < STOPS_MOST)
        r->stops[r->nstops++] = (struct route_stop){ candidate, stop, accepted, reason };
}

static void because(struct building *b, const char *text)
{
    if (text && b->nreasons < COUNT_OF(b->reasons))
        b->reasons[b->nreasons++] = text;
}

static bool is_listed(const struct route *r, int candidate)
{
    for (size_t i = 0; i < r->nstops; i++)
        if (r->stops[i].candidate == candidate)
            return true;
    return false;
}

/* Does a person decide, whatever the endpoint? */
static const char *person_for(const struct classification *c, struct arena *a)
{
    if (c->row->poor)
        return arena_printf(a, "%s: models do it badly or mistakes are dear, so a person decides", c->row->title);
    if (c->row->answer)
        return NULL;
    if (c->cost == COST_HIGH)
        return "a failure would cost much, so a person decides";
    if (c->poor_hint)
        return arena_printf(a, "it may be %s, so a person decides", c->poor_hint->title);
    if (c->unsure && c->cost != COST_LOW) /* a cheap failure is caught by the gates, or undone */
        return "the rules are not sure what is asked, so a person decides";
    return NULL;
}

static void explain_class(struct building *b, const struct classification *c)
{
    if (c->chosen)
        because(b, arena_printf(b->arena, "class %s, as asked for", c->row->name));
    else if (c->unsure && c->second)
        because(b, arena_printf(b->arena, "class %s (%d %%), or perhaps %s (%d %%)", c->row->name, c->score, c->second->name, c->second_score));
    else
        because(b, arena_printf(b->arena, "class %s (%d %%)", c->row->name, c->score));
    because(b, arena_printf(b->arena, "failure cost %s", failure_cost_name(c->cost)));
}

int route_decide(const struct route_input *in, struct arena *a, struct route *out, struct err *e)
{
    struct check_context x = { in, &in->values->policy, a };
    struct building b = { .out = out, .arena = a };
    *out = (struct route){ .choice = -1, .stops = arena_array(a, STOPS_MOST, sizeof *out->stops) };
    if (!out->stops)
        return err_set(e, ERR_NOMEM, "routing a task: out of memory");
    explain_class(&b, in->class);
    struct strings chain = route_chain(x.policy, in->class);
    static const char *wanted_chain[] = { "local", "hosted", "person" };
    if (in->wanted) /* a chosen endpoint need not be in the chain; the other checks hold for it */
        chain = (struct strings){ wanted_chain, COUNT_OF(wanted_chain) };
    bool person_last = false;
    for (size_t s = 0; s < chain.len && !person_last; s++) {
        person_last = strcmp(chain.items[s], "person") == 0;
        for (size_t i = 0; i < in->ncandidates && !person_last; i++) {
            const struct route_candidate *c = &in->candidates[i];
            if (!at_stop(c, chain.items[s]) || is_listed(out, (int)i))
                continue;
            const char *why = objection(&x, c);
            if (!why && out->choice < 0) {
                out->choice = (int)i;
                because(&b, arena_printf(a, "%s is the first of the chain that may and can serve it", c->name));
            }
            add_stop(out, (int)i, chain.items[s], !why, why ? why : out->choice == (int)i ? "chosen" : "would be next");
        }
    }
    for (size_t i = 0; i < in->ncandidates; i++) {
        const char *why = is_listed(out, (int)i) ? NULL : objection(&x, &in->candidates[i]);
        if (!is_listed(out, (int)i))
            add_stop(out, (int)i, "", false, why ? why : "not in the chain of its class");
    }
    out->person_reason = person_for(in->class, a);
    if (out->choice < 0)
        out->person_reason = in->ncandidates ? "no endpoint may or can serve it" : "no endpoint is known";
    out->person = out->person_reason != NULL;
    because(&b, out->person_reason);
    const char **reasons = arena_array(a, b.nreasons + 1, sizeof *reasons);
    if (!reasons)
        return err_set(e, ERR_NOMEM, "routing a task: out of memory");
    memcpy(reasons, b.reasons, b.nreasons * sizeof *reasons);
    out->reasons = (struct strings){ reasons, b.nreasons };
    return 0;
}
