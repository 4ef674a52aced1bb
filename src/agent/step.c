/* One step: what was told, a request, its reply, and then either tool calls or the end of the run. */
#include <stdarg.h>

#include "agent/compact.h"
#include "agent/stead-internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "journal/journal.h"
#include "model/endpoint.h"
#include "sandbox/sandbox.h"

int stead_end(struct attempt_result *result, enum attempt_status status, const char *fmt, ...)
{
    result->status = status;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(result->reason, sizeof result->reason, fmt, ap);
    va_end(ap);
    return 0;
}

int stead_cancelled(struct stead *s, struct attempt_result *result)
{
    if (s->time_up) {
        char limit[24];
        (void)snprintf(result->hint, sizeof result->hint, "give it longer with --timeout");
        return stead_end(result, ATTEMPT_BUDGET, "the time limit of %s is used up", format_duration(s->spec.limits.timeout_ms, limit));
    }
    return stead_end(result, ATTEMPT_INTERRUPTED, "%s", s->cancel->why ? s->cancel->why : "interrupted");
}

void stead_note(struct buf *b, struct span text)
{
    if (text.n > NOTES_BYTES / 4)
        text = span_sub(text, text.n - NOTES_BYTES / 4, text.n);
    if (b->n + text.n + 2 > NOTES_BYTES)
        buf_erase(b, 0, b->n / 2);
    if (b->n > 0 && b->p[b->n - 1] != '\n')
        buf_adds(b, "\n");
    buf_add_span(b, text);
}

int stead_record_prompt(struct stead *s, const char *kind, struct err *e)
{
    struct span bytes = chat_prefix(s->chat);
    size_t at = s->recorded;
    if (bytes.n < at || strcmp(kind, "whole") == 0)
        at = 0;
    if (bytes.n == at && strcmp(kind, "ask") == 0)
        return 0;
    int r = record_prompt(&s->record, kind, s->step, at, span_sub(bytes, at, bytes.n), e);
    if (r >= 0)
        s->recorded = bytes.n;
    return r;
}

static int deliver_one(struct stead *s, const struct told *t, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(MESSAGE_BYTES);
    int64_t room = chat_room_tokens(s->chat);
    int r = 0;
    if (t->expand)
        r = context_expand(&s->context, &s->notes, (struct span){ t->text, t->n }, (size_t)(room > 0 ? room : 8192), &text, e);
    else
        buf_add(&text, t->text, t->n);
    if (r >= 0)
        r = buf_check(&text, e);
    if (r >= 0)
        r = chat_add_user(s->chat, buf_span(&text), e);
    if (r >= 0)
        r = record_user(&s->record, t->kind, buf_span(&text), e);
    if (r < 0)
        return err_wrap(e, "adding a message");
    if (s->task.n == 0)
        buf_add_span(&s->task, buf_span(&text));
    else
        stead_note(&s->told_text, buf_span(&text));
    s->owed = true;
    return 0;
}

static int deliver(struct stead *s, struct err *e)
{
    int r = 0;
    while (s->nqueue > 0 && r >= 0) {
        /* Out of the queue first: reading a mentioned file serves callbacks, which may add to it. */
        struct told t = s->queue[0];
        memmove(s->queue, s->queue + 1, --s->nqueue * sizeof *s->queue);
        r = deliver_one(s, &t, e);
        free(t.text);
    }
    return r;
}

int stead_compact(struct stead *s, int64_t *freed, struct err *e)
{
    struct compact_notes notes = { buf_span(&s->task), buf_span(&s->told_text), buf_span(&s->files), buf_span(&s->said), buf_span(&s->last) };
    int64_t room = chat_room_tokens(s->chat), before = chat_estimate_tokens(s->chat), after = before;
    if (room <= 0)
        room = before;
    const char *how = "";
    int r = compact_chat(s->chat, &notes, room, &after, &how, e);
    if (r < 0)
        return err_wrap(e, "making room in the conversation");
    *freed = before - after;
    int rc = record_compact(&s->record, how, before, after, e);
    if (rc >= 0)
        rc = stead_record_prompt(s, "whole", e);
    return rc < 0 ? rc : r;
}

static int no_room(struct stead *s, struct attempt_result *result, const struct reply *reply)
{
    int64_t window = reply && reply->n_ctx > 0 ? reply->n_ctx : s->spec.endpoint->context_tokens;
    result->model_error = MODEL_ERR_CONTEXT;
    (void)snprintf(result->hint, sizeof result->hint, "serve the model with a larger context, or give a smaller task");
    if (window <= 0)
        return stead_end(result, ATTEMPT_CONTEXT, "the task does not fit the context of '%s'", s->spec.endpoint->name);
    return stead_end(result, ATTEMPT_CONTEXT, "the task does not fit the context of '%s' (%lld tokens)", s->spec.endpoint->name,
                     (long long)window);
}

static int over_budget(struct stead *s, struct attempt_result *result)
{
    const struct attempt_limits *l = &s->spec.limits;
    if (s->steps >= l->max_steps) {
        (void)snprintf(result->hint, sizeof result->hint, "allow more with --max-steps");
        return stead_end(result, ATTEMPT_BUDGET, "the limit of %lld steps is used up", (long long)l->max_steps);
    }
    if (l->max_tokens > 0 && s->computed_tokens >= l->max_tokens) {
        (void)snprintf(result->hint, sizeof result->hint, "allow more with --max-tokens");
        return stead_end(result, ATTEMPT_BUDGET, "the limit of %lld tokens is used up", (long long)l->max_tokens);
    }
    return 1;
}

static void count_tokens(struct stead *s, const struct reply *reply)
{
    const struct reply_usage *u = &reply->usage;
    int64_t prompt = u->prompt_tokens >= 0 ? u->prompt_tokens : chat_estimate_tokens(s->chat);
    /* Where the server does not say what it reused: the conversation only grows, so what is new is computed. */
    int64_t cached = u->cached_tokens >= 0 ? u->cached_tokens : prompt >= s->last_prompt ? s->last_prompt : 0;
    int64_t completion = u->completion_tokens >= 0 ? u->completion_tokens : (int64_t)(reply->text.n + reply->reasoning.n) / 4;
    s->prompt_tokens += prompt;
    s->cached_tokens += cached;
    s->completion_tokens += completion;
    s->computed_tokens += prompt - cached + completion;
    s->last_prompt = prompt;
}

static int reply_failed(struct stead *s, const struct reply *reply, const struct err *why, struct attempt_result *result, struct err *e)
{
    result->model_error = (int)reply->failure;
    result->retry_after_ms = reply->retry_after_ms;
    (void)snprintf(result->hint, sizeof result->hint, "%s", why->hint);
    switch (reply->failure) {
    case MODEL_ERR_CANCELLED:
        return stead_cancelled(s, result);
    case MODEL_ERR_CONTEXT: {
        int64_t freed = 0;
        if (s->compacted_now)
            return no_room(s, result, reply);
        int r = stead_compact(s, &freed, e);
        if (r < 0)
            return r;
        if (r > 0 || freed <= 0)
            return no_room(s, result, reply);
        s->compacted_now = true;
        s->last_prompt = 0;
        return 1;
    }
    case MODEL_ERR_MODEL:
        return stead_end(result, ATTEMPT_GAVE_UP, "%s", why->text);
    case MODEL_ERR_LOCAL:
        *e = *why;
        return -(int)(why->kind ? why->kind : ERR_INTERNAL);
    default:
        return stead_end(result, ATTEMPT_ENDPOINT, "%s", why->text);
    }
}

static int nudge(struct stead *s, const char *text, struct err *e)
{
    s->nudges++;
    int r = stead_tell(s, "nudge", span_of(text), false, e);
    return r < 0 ? r : 1;
}

/* A reply without calls ends the run, unless it is plain that it should not. */
static int turn_ended(struct stead *s, const struct reply *reply, struct attempt_result *result, struct err *e)
{
    s->owed = false;
    int r = stead_record_prompt(s, "step", e);
    if (r < 0)
        return r;
    if (s->nqueue > 0)
        return 1;
    if (reply->finish == FINISH_LENGTH) {
        if (s->nudges >= NUDGES_MAX)
            return stead_end(result, ATTEMPT_GAVE_UP, "the model's replies were cut at the token limit %d times in a row", s->nudges + 1);
        return nudge(s, "Your reply was cut at the token limit. Go on, in smaller pieces.", e);
    }
    if (reply->finish == FINISH_REFUSED)
        return stead_end(result, ATTEMPT_GAVE_UP, "the model refused");
    if (span_trim(reply->text).n == 0) {
        if (s->nudges >= NUDGES_MAX)
            return stead_end(result, ATTEMPT_GAVE_UP, "the model sent an empty reply %d times in a row", s->nudges + 1);
        return nudge(s, "Your reply was empty. Go on with the task, or say what you found.", e);
    }
    s->nudges = 0;
    bool effect = s->files_written > 0 || s->unsaved || s->has_past;
    if (s->spec.goal == ATTEMPT_CHANGE && !effect) {
        if (s->asked_for_effect) {
            (void)snprintf(result->hint, sizeof result->hint, "read its words; a larger model may do it");
            return stead_end(result, ATTEMPT_NO_EFFECT, "the model ended its turn without changing a file");
        }
        s->asked_for_effect = true;
        r = stead_tell(s, "nudge",
                       SPAN("No file has changed so far. If the task needs a change, make it now with the tools. If it does not, say why."), false, e);
        return r < 0 ? r : 1;
    }
    result->status = ATTEMPT_FINISHED;
    return 0;
}

static int before_request(struct stead *s, struct attempt_result *result, struct err *e)
{
    if (s->cancel->raised)
        return stead_cancelled(s, result);
    int r = over_budget(s, result);
    if (r <= 0)
        return r;
    r = deliver(s, e);
    if (r < 0)
        return r;
    int64_t room = chat_room_tokens(s->chat);
    if (room > 0 && chat_estimate_tokens(s->chat) > room && !s->compacted_now) {
        int64_t freed = 0;
        r = stead_compact(s, &freed, e);
        if (r < 0)
            return r;
        s->compacted_now = true;
        s->last_prompt = 0;
        if (r > 0)
            return no_room(s, result, NULL);
    }
    r = stead_record_prompt(s, "ask", e);
    return r < 0 ? r : 1;
}

int stead_step(struct stead *s, struct attempt_result *result, struct err *e)
{
    int r = before_request(s, result, e);
    if (r <= 0)
        return r;
    AUTO(arena) struct arena arena = ARENA_INIT(STEP_ARENA_BYTES);
    struct chat_events ev = { .ctx = s->events.ctx, .on_text = s->events.on_text, .on_reasoning = s->events.on_reasoning,
                              .on_call = s->events.on_call, .on_progress = s->events.on_progress, .on_retry = s->events.on_retry };
    if (s->events.on_request)
        s->events.on_request(s->events.ctx, s->step + 1, chat_estimate_tokens(s->chat), s->spec.endpoint->context_tokens);
    struct reply reply;
    struct err why = ERR_INIT;
    if (chat_reply(s->chat, &ev, s->cancel, &arena, &reply, &why) < 0)
        return reply_failed(s, &reply, &why, result, e);
    s->compacted_now = false;
    s->step++;
    s->steps++;
    count_tokens(s, &reply);
    r = record_step(&s->record, s->step, &reply, e);
    if (r >= 0 && reply.text.n > 0) {
        r = record_text(&s->record, reply.text, e);
        stead_note(&s->said, reply.text);
        buf_reset(&s->text);
        buf_add_span(&s->text, reply.text);
    }
    if (r < 0)
        return r;
    if (reply.ncalls == 0)
        return turn_ended(s, &reply, result, e);
    s->nudges = 0;
    return stead_calls(s, &reply, &arena, result, e);
}
