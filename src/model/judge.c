/* The ladder: what a whole reply is worth, and what to say to the model when it is worth nothing. */
#define LOG_MODULE "chat"
#include <stdio.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/chat-internal.h"
#include "model/control.h"
#include "model/leak.h"
#include "model/row.h"
#include "model/schema.h"

#define NAME_MAX_BYTES 64 /* of a tool, also in the APIs */

/* One call as it came, and what became of it. */
struct candidate {
    struct span id, name, args; /* args: as it will be kept */
    enum call_source source;
    bool object;    /* the arguments are a JSON object: may enter the history */
    bool usable;
    char problem[800]; /* a schema's complaint, with its object */
};

static struct span keep(struct arena *a, struct span s)
{
    const char *p = s.n ? arena_span(a, s) : "";
    return (struct span){ p ? p : "", p ? s.n : 0 };
}

/* Control tokens that a model copied as we had broken them up. */
static struct span joined(const struct chat *c, struct span s, struct arena *a)
{
    AUTO(buf) struct buf whole = BUF_INIT(s.n + 1);
    return c->behaviour.escape_control && control_join(&whole, s) ? keep(a, buf_span(&whole)) : s;
}

/* Known prefixes that models put before a name: "functions.read" (harmony), "default_api.read" (Gemma). */
static struct span bare_name(struct span name)
{
    static const char *const prefixes[] = { "functions.", "function.", "default_api.", "tools.", "tool." };
    name = span_trim(name);
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (span_starts(name, prefixes[i]))
            return span_sub(name, strlen(prefixes[i]), name.n);
    return name;
}

static bool sane_name(struct span s)
{
    if (!s.n || s.n > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' || s.p[i] == '-'))
            return false;
    return true;
}

static void list_tools(const struct chat *c, struct buf *b)
{
    for (size_t i = 0; i < c->ntools; i++)
        buf_addf(b, "%s%s", i ? ", " : "", c->tools[i].sent.name);
}

/* Check one call; fills args, usable or problem. */
static void examine(struct chat *c, struct candidate *k, struct arena *a)
{
    struct span raw = span_trim(k->args);
    k->name = keep(a, bare_name(k->name));
    const struct chat_tool *t = chat_tool_find(c, k->name);
    AUTO(json) json_t *j = NULL;
    if (!raw.n) {
        j = json_object(); /* a call without arguments; the schema decides whether that is enough */
        raw = SPAN("{}");
    } else {
        j = leak_object(raw);
        json_t *text = j ? NULL : json_loadb(raw.p, raw.n, JSON_DECODE_ANY, NULL);
        if (json_is_string(text)) { /* an object written into a string once too often */
            j = leak_object((struct span){ json_string_value(text), json_string_length(text) });
            raw = (struct span){ "", 0 };
        }
        json_decref(text);
    }
    k->object = json_is_object(j);
    if (!t) {
        AUTO(buf) struct buf names = BUF_INIT(4096);
        char shown[80];
        list_tools(c, &names);
        clean_into(shown, sizeof shown, k->name, CLEAN_LINE);
        snprintf(k->problem, sizeof k->problem, "error: there is no tool '%s'; the tools are: %.180s", shown, buf_str(&names));
        k->args = k->object ? keep(a, raw) : (struct span){ "", 0 };
        return;
    }
    if (!k->object) {
        snprintf(k->problem, sizeof k->problem, "error: the arguments of '%s' are not a JSON object; nothing was run", t->sent.name);
        return;
    }
    struct err why = ERR_INIT;
    int changed = schema_coerce(t->check, j);
    char *again = NULL;
    json_t *strict = changed || !raw.n ? NULL : json_loadb(raw.p, raw.n, JSON_REJECT_DUPLICATES, NULL);
    if (!strict) /* repaired on the way: write it anew */
        again = json_dumps(j, JSON_COMPACT);
    json_decref(strict);
    k->args = keep(a, again ? span_of(again) : raw);
    free(again);
    if (schema_check(t->check, j, &why) < 0)
        snprintf(k->problem, sizeof k->problem, "error: %s: %s; nothing was run", t->sent.name, why.text);
    else
        k->usable = k->args.n > 0;
}

/* <think>...</think> at the start, or an end without a beginning (the template opened it). */
static void split_thinking(struct span *text, struct span *thinking)
{
    static const char *const begins[] = { "<think>", "<thinking>" }, *const ends[] = { "</think>", "</thinking>" };
    struct span s = *text;
    size_t lead = 0;
    while (lead < s.n && (unsigned char)s.p[lead] <= ' ')
        lead++;
    for (size_t i = 0; i < 2; i++) {
        struct span inner = span_sub(s, lead, s.n);
        bool begun = span_starts(inner, begins[i]);
        if (begun)
            inner = span_sub(inner, strlen(begins[i]), inner.n);
        ptrdiff_t end = span_find(inner, span_of(ends[i]));
        if (end < 0 && begun) { /* thought to the end and never answered */
            *thinking = span_trim(inner);
            *text = (struct span){ "", 0 };
            return;
        }
        if (end < 0 || (!begun && span_find(span_sub(inner, 0, (size_t)end), span_of(begins[i])) >= 0))
            continue;
        *thinking = span_trim(span_sub(inner, 0, (size_t)end));
        struct span rest = span_sub(inner, (size_t)end + strlen(ends[i]), inner.n);
        while (rest.n && (rest.p[0] == '\n' || rest.p[0] == '\r'))
            rest = span_sub(rest, 1, rest.n);
        *text = rest;
        return;
    }
}

static bool known_name(void *ctx, struct span name)
{
    return chat_tool_find(ctx, bare_name(name)) != NULL;
}

/* Append the assistant's words, if there are any to keep, and what we say to it. */
static int explain(struct chat *c, struct span said, const char *instead, const char *text, struct err *e)
{
    struct message a = { .role = MESSAGE_ASSISTANT, .text = span_trim(said).n ? said : span_of(instead) };
    struct message u = { .role = MESSAGE_USER, .text = span_of(text) };
    int rc = chat_write(c, &a, e);
    if (rc >= 0)
        rc = chat_write(c, &u, e);
    return rc < 0 ? rc : JUDGE_REASK;
}

int judge_server_parse(struct chat *c, struct err *e)
{
    return explain(c, (struct span){ "", 0 }, "(a tool call that could not be read)",
                   "Your last tool call could not be read, so nothing was run. Call the tool again with complete, valid JSON arguments.", e);
}

/* Some servers count from call_0 in every reply. Both dialects write an id in the same way. */
static bool id_was_used(const struct chat *c, struct span id)
{
    char text[NAME_MAX_BYTES + 16];
    int n = snprintf(text, sizeof text, "\"id\":\"%.*s\"", (int)id.n, id.p);
    return memmem(c->wire.bytes.p, c->wire.bytes.n, text, (size_t)n) != NULL;
}

/* The calls go into the history with our answer to those that cannot run. */
static int record(struct chat *c, struct candidate *k, size_t n, struct span text, struct span reasoning, struct span signature, struct arena *a,
                  struct reply *out, struct err *e)
{
    struct said_call said[CHAT_MAX_CALLS];
    size_t nsaid = 0, usable = 0;
    for (size_t i = 0; i < n; i++) {
        if (!k[i].object || !sane_name(k[i].name))
            continue;
        char id[16];
        bool own = c->behaviour.nine_char_ids || !sane_name(k[i].id);
        for (size_t m = 0; m < i && !own; m++)
            own = span_eq(k[m].id, k[i].id);
        own = own || id_was_used(c, k[i].id);
        if (own) {
            chat_make_id(c, id);
            k[i].id = keep(a, span_of(id));
        } else {
            k[i].id = keep(a, k[i].id);
            c->next_id++;
        }
        said[nsaid++] = (struct said_call){ k[i].id, k[i].name, k[i].args };
        usable += k[i].usable;
    }
    struct message m = { .role = MESSAGE_ASSISTANT, .text = text, .reasoning = reasoning, .signature = signature, .calls = said, .ncalls = nsaid };
    if (c->behaviour.reasoning != REPLAY_NONE)
        c->reasoning_bytes += reasoning.n;
    int rc = chat_write(c, &m, e);
    out->calls = usable ? arena_array(a, usable, sizeof *out->calls) : NULL;
    if (rc >= 0 && usable && !out->calls)
        rc = err_set(e, ERR_NOMEM, "cannot keep the reply: out of memory");
    for (size_t i = 0; rc >= 0 && i < n; i++) {
        if (!k[i].object || !sane_name(k[i].name)) {
            if (k[i].problem[0])
                buf_addf(&c->note, "%s%s", c->note.n ? "\n" : "", k[i].problem);
            continue;
        }
        rc = chat_pend(c, k[i].id, k[i].name, e);
        if (rc < 0)
            break;
        struct chat_pending *p = &c->pending[rc];
        if (k[i].usable) {
            out->calls[out->ncalls++] = (struct tool_call){ arena_span(a, k[i].id), arena_span(a, k[i].name), k[i].args, k[i].source };
        } else {
            buf_adds(&p->result, k[i].problem);
            p->answered = true;
        }
    }
    return rc < 0 ? rc : 0;
}

static bool cut_short(const struct chat *c, const struct collect *r)
{
    if (r->finish == FINISH_LENGTH)
        return true;
    return r->usage.completion_tokens >= c->max_tokens; /* "stop" at the cap is a cut (quirks 27, 38) */
}

/* A prompt that only grew cannot have fewer tokens than before (quirks 22, 23). */
static bool silently_truncated(const struct chat *c, const struct collect *r)
{
    int64_t now = r->usage.prompt_tokens, window = c->ep->context_tokens;
    if (now <= 0)
        return false;
    if (r->usage.cached_tokens > 0 && now < c->prompt_tokens)
        now += r->usage.cached_tokens; /* some count only what they read anew */
    /* A cut prompt fills the window, or half of it; and templates drop the thinking of earlier turns. */
    bool near = window ? now * 5 >= window * 2 : now >= 1000;
    int64_t before = c->prompt_tokens - (int64_t)(c->reasoning_bytes * 2 / 5);
    if (before > 0 && now * 5 < before * 4 && near)
        return true;
    return c->behaviour.count_prompt && c->wire.bytes.n > 16384 && (size_t)now * 12 < c->wire.bytes.n && near;
}

static void count(struct chat *c, const struct collect *r, struct reply *out)
{
    out->usage = r->usage;
    if (r->usage.prompt_tokens > 0) {
        c->prompt_tokens = r->usage.prompt_tokens;
        c->counted_tokens = r->usage.prompt_tokens;
        c->counted_bytes = c->wire.bytes.n;
    }
}

static size_t gather_native(struct chat *c, struct collect *r, struct candidate *k, struct arena *a)
{
    size_t n = 0;
    for (size_t i = 0; i < r->ncalls; i++) {
        const struct collect_call *from = &r->calls[i];
        if (!from->name[0] && !from->args.n)
            continue; /* an empty shell that some streams begin with */
        memset(&k[n], 0, sizeof k[n]);
        k[n].id = span_of(from->id);
        k[n].name = span_of(from->name);
        k[n].args = joined(c, buf_span(&from->args), a);
        k[n].source = CALL_NATIVE;
        if (from->odd)
            snprintf(k[n].problem, sizeof k[n].problem, "error: the name of the tool could not be read; nothing was run");
        else
            examine(c, &k[n], a);
        n++;
    }
    return n;
}

static size_t gather_leaked(struct chat *c, const struct leak_found *f, struct candidate *k, struct arena *a)
{
    size_t n = 0;
    for (; n < f->ncalls && n < CHAT_MAX_CALLS; n++) {
        memset(&k[n], 0, sizeof k[n]);
        k[n].name = f->calls[n].name;
        k[n].args = f->calls[n].args;
        k[n].source = c->constrained ? CALL_CONSTRAINED : CALL_LEAKED;
        examine(c, &k[n], a);
    }
    return n;
}

static size_t usable_of(const struct candidate *k, size_t n)
{
    size_t u = 0;
    for (size_t i = 0; i < n; i++)
        u += k[i].usable;
    return u;
}

/* No call of the reply can run: say why. `last`: there will be no other try. */
static int refuse_calls(struct chat *c, struct candidate *k, size_t n, struct span text, struct span reasoning, struct collect *r, struct arena *a,
                        struct reply *out, const char **why, struct err *e)
{
    size_t objects = 0;
    *why = k[0].problem[0] ? arena_strdup(a, k[0].problem + (strncmp(k[0].problem, "error: ", 7) ? 0 : 7)) : "unreadable tool call";
    for (size_t i = 0; i < n; i++)
        objects += k[i].object && sane_name(k[i].name);
    if (!objects)
        return explain(c, text, "(a tool call that could not be read)", arena_printf(a, "%s. Call the tool again with complete, valid JSON arguments.", k[0].problem), e);
    int rc = record(c, k, n, text, reasoning, buf_span(&r->signature), a, out, e);
    if (rc >= 0)
        rc = chat_flush(c, e);
    return rc < 0 ? rc : JUDGE_REASK;
}

int judge(struct chat *c, struct collect *r, bool last, struct arena *a, struct reply *out, const char **why, struct err *e)
{
    AUTO(ptr) struct candidate *k = calloc(CHAT_MAX_CALLS, sizeof *k);
    if (!k)
        return err_set(e, ERR_NOMEM, "cannot read the reply: out of memory");
    AUTO(buf) struct buf valid = BUF_INIT(2 * (size_t)CHAT_MAX_REPLY_BYTES);
    struct span text = buf_span(&r->text), thinking = buf_span(&r->reasoning);
    if (!utf8_valid(text) && utf8_add_valid(&valid, text))
        text = buf_span(&valid);
    text = joined(c, text, a);
    if (!thinking.n)
        split_thinking(&text, &thinking);
    bool truncated = silently_truncated(c, r), cut = cut_short(c, r);
    count(c, r, out);
    if (truncated)
        return JUDGE_CONTEXT;
    *why = "the reply was empty";

    size_t n = gather_native(c, r, k, a);
    struct leak_found *f = NULL;
    if (!n && c->ntools && text.n) {
        f = arena_alloc(a, sizeof *f);
        const struct model_row *row = model_row_for(c->ep->model);
        struct leak_in in = { text, known_name, c, a };
        if (f && leak_find(&in, &row->leaks, f) > 0) {
            n = gather_leaked(c, f, k, a);
            if (f->weak && !usable_of(k, n) && !f->cut && out->repairs > 0)
                n = 0; /* asked once and written again: it is meant as text */
            if (n || !f->weak)
                text = f->text;
            log_debug("%zu calls recovered from %s markup", n, f->format);
        } else {
            f = NULL;
        }
    }
    if (!n && !f && !span_trim(text).n && c->ntools && thinking.n && !cut) {
        /* Some templates put the call inside the thinking. Nothing else came: look there. */
        f = arena_alloc(a, sizeof *f);
        const struct model_row *row = model_row_for(c->ep->model);
        struct leak_in in = { thinking, known_name, c, a };
        if (f && leak_find(&in, &row->leaks, f) > 0 && !f->weak) {
            n = gather_leaked(c, f, k, a);
            thinking = f->text;
        } else {
            f = NULL;
        }
    }
    struct span kept_reasoning = keep(a, thinking);
    out->reasoning = kept_reasoning;
    out->text = keep(a, text);

    if (cut && (n || (f && f->cut))) {
        *why = "the reply was cut at the token limit inside a tool call";
        return explain(c, text, "(a tool call that was cut off)",
                       arena_printf(a, "Your reply was cut at the limit of %lld tokens in the middle of a tool call, so nothing was run. Make the call smaller: change or "
                                       "write a part at a time.", (long long)c->max_tokens), e);
    }
    c->tried_call |= f && (f->cut || f->unreadable);
    if (f && !n && (f->cut || f->unreadable)) {
        *why = f->cut ? "a tool call was not written to its end" : "a tool call written as text could not be read";
        return explain(c, text, "(a tool call that could not be read)",
                       "Your tool call could not be read, so nothing was run. Call the tool again with complete, valid JSON arguments.", e);
    }
    size_t usable = usable_of(k, n);
    c->tried_call |= n > 0;
    if (n && !usable)
        return refuse_calls(c, k, n, text, kept_reasoning, r, a, out, why, e);
    if (n) {
        out->finish = FINISH_CALLS;
        for (size_t i = 0; i < n; i++)
            c->stats.leaked_calls += k[i].usable && k[i].source == CALL_LEAKED;
        return record(c, k, n, text, kept_reasoning, buf_span(&r->signature), a, out, e);
    }
    if (!span_trim(text).n) {
        const char *say = cut ? "You spent the whole reply on thinking and gave no answer. Decide now: call one tool, or answer."
                              : "Your reply was empty. Go on: call a tool, or answer.";
        *why = cut ? "the reply was all thinking" : "the reply was empty";
        if (last)
            return JUDGE_REASK;
        struct message u = { .role = MESSAGE_USER, .text = span_of(say) };
        if (cut) /* a turn was taken: roles stay in alternation */
            return explain(c, (struct span){ "", 0 }, "(thinking)", say, e);
        int rc = chat_write(c, &u, e);
        return rc < 0 ? rc : JUDGE_REASK;
    }
    out->finish = cut ? FINISH_LENGTH : r->finish;
    struct message m = { .role = MESSAGE_ASSISTANT, .text = text, .reasoning = kept_reasoning, .signature = buf_span(&r->signature) };
    if (c->behaviour.reasoning != REPLAY_NONE)
        c->reasoning_bytes += kept_reasoning.n;
    int rc = chat_write(c, &m, e);
    return rc < 0 ? rc : JUDGE_USABLE;
}
