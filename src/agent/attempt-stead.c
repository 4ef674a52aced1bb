/* stead's own loop: how an attempt begins, takes over a conversation, runs, and ends. */
#include <stdlib.h>

#include "agent/repomap.h"
#include "agent/session.h"
#include "agent/stead-internal.h"

#define LOG_MODULE "agent"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "model/dialect.h"
#include "model/endpoint.h"
#include "model/profile.h"
#include "model/row.h"
#include "sandbox/sandbox.h"
#include "workspace/layer.h"

enum {
    DEFAULT_STEPS = 100,
    DEFAULT_COMMAND_MS = 120 * 1000,
    DEFAULT_OUTPUT_BYTES = 16 << 10,
    LEAST_OUTPUT_BYTES = 1500,
    MAP_LEAST_WINDOW = 16000, /* tokens: below, a map takes the place of the work */
    MAP_TOKENS = 1000, /* ten seconds of prefill on a processor */
    RESUME_BYTES = 256 << 20,
};

static void stead_destroy(void *state);

static const char *goal_name(enum attempt_goal g)
{
    return g == ATTEMPT_CHANGE ? "change" : g == ATTEMPT_ANSWER ? "answer" : "either";
}

int stead_tell(struct stead *s, const char *kind, struct span text, bool expand, struct err *e)
{
    char *copy = span_dup(text);
    if (!copy || !array_grow(&s->queue, &s->queue_cap, s->nqueue, 1, sizeof *s->queue)) {
        free(copy);
        return err_set(e, ERR_NOMEM, "keeping a message: out of memory");
    }
    s->queue[s->nqueue++] = (struct told){ copy, text.n, kind, expand };
    return 0;
}

static void forward_output(void *ctx, const char *id, struct span piece)
{
    struct stead *s = ctx;
    if (s->events.on_tool_output)
        s->events.on_tool_output(s->events.ctx, id, piece);
}

static void forward_written(void *ctx, const char *path, struct span before, struct span after)
{
    struct stead *s = ctx;
    s->events.on_written(s->events.ctx, path, before, after);
}

/* Which tools: `names` (of a session taken over) or, NULL, those that suit the model. */
static size_t choose_tools(const struct stead *s, const char *names, const struct tool *chosen[8])
{
    size_t n = 0;
    const struct model_row *row = model_row_for(s->spec.endpoint->model);
    bool patches = row->edit && strcmp(row->edit, "patch") == 0;
    for (size_t i = 0; tools[i] && n < 8; i++) {
        const struct tool *t = tools[i];
        bool offered = t == &tool_patch ? patches : !(patches && t == &tool_edit);
        if (names) {
            struct span rest = span_of(names), name;
            offered = false;
            while (span_split(&rest, ',', &name))
                offered |= span_eqs(name, t->name);
        }
        if (offered)
            chosen[n++] = t;
    }
    return n;
}

struct opening {
    struct buf prompt;
    const char *tools; /* names, comma-separated */
    struct session_state past;
    bool resumed, whole, other_model;
};

static int make_chat(struct stead *s, struct opening *o, struct err *e)
{
    const struct tool *chosen[8];
    struct tool_schema schemas[8];
    struct buf texts[8];
    size_t n = choose_tools(s, o->tools, chosen);
    AUTO(buf) struct buf names = BUF_INIT(400);
    for (size_t i = 0; i < n; i++) {
        buf_init(&texts[i], 16 << 10);
        bind_schema(chosen[i]->args, &texts[i]);
        schemas[i] = (struct tool_schema){ chosen[i]->name, chosen[i]->summary, buf_span(&texts[i]) };
        buf_addf(&names, "%s%s", i ? "," : "", chosen[i]->name);
    }
    struct chat_options co = { .instructions = buf_span(&o->prompt), .tools = schemas, .ntools = n };
    int r = chat_create(s->spec.loop, s->spec.endpoint, &co, &s->chat, e);
    for (size_t i = 0; i < n; i++)
        buf_finish(&texts[i]);
    if (r < 0)
        return r;
    o->tools = arena_span(&s->arena, buf_span(&names));
    return o->tools ? 0 : err_set(e, ERR_NOMEM, "starting an attempt: out of memory");
}

static int64_t window_of(const struct endpoint *ep)
{
    return ep->profile && ep->profile->context_tokens ? ep->profile->context_tokens : ep->context_tokens;
}

static int system_prompt(struct stead *s, struct opening *o, struct err *e)
{
    buf_init(&o->prompt, 1 << 20);
    int64_t window = window_of(s->spec.endpoint);
    AUTO(buf) struct buf map = BUF_INIT(256 << 10);
    if (s->spec.repo_map && (window == 0 || window >= MAP_LEAST_WINDOW)) {
        struct err why = ERR_INIT;
        int64_t tokens = window > 0 && window / 16 < MAP_TOKENS ? window / 16 : MAP_TOKENS;
        struct repomap_options mo = { .sandbox = s->spec.sandbox, .cache_dir = s->spec.cache_dir, .workspace = s->spec.workspace, .tokens = tokens };
        if (repomap_make(&mo, &map, &s->own_cancel, &why) < 0)
            log_info("no map of the repository: %s", why.text);
    }
    s->context.map = buf_str(&map);
    int r = context_system(&s->context, window, &o->prompt, e);
    s->context.map = NULL;
    return r;
}

/* Take over a conversation: its very bytes where the endpoint is the same, else its messages. */
static int take_over(struct stead *s, struct opening *o, struct err *e)
{
    const char *dialect = s->spec.endpoint->dialect->name;
    bool same = strcmp(o->past.model, s->spec.endpoint->model) == 0 && strcmp(o->past.dialect, dialect) == 0;
    int r = -ERR_CONFLICT;
    if (same)
        r = chat_restore(s->chat, o->past.prefix, e);
    if (r < 0 && (!same || e->kind == ERR_CONFLICT)) {
        err_reset(e);
        o->other_model = true;
        r = chat_adopt(s->chat, o->past.dialect, o->past.prefix, e);
    }
    if (r < 0)
        return err_wrap(e, "going on with session %s", o->past.id);
    s->owed = o->past.owed;
    buf_adds(&s->task, o->past.task);
    return 0;
}

static int open_past(struct stead *s, struct opening *o, struct arena *arena, struct err *e)
{
    /* All of it, with messages that were told but not answered, unless an earlier step is asked for. */
    int r = session_load(s->spec.journal, s->spec.resume_from, NULL, arena, &o->past, e);
    o->whole = r >= 0 && (s->spec.resume_step == 0 || s->spec.resume_step == o->past.step);
    if (r >= 0 && !o->whole)
        r = session_load_at(s->spec.journal, s->spec.resume_from, NULL, s->spec.resume_step, arena, &o->past, e);
    if (r < 0)
        return r;
    o->resumed = o->past.prefix.n > 0;
    if (!o->resumed)
        return 0;
    o->tools = o->past.tools;
    buf_init(&o->prompt, 1 << 20);
    if (!o->past.prompt_blob[0])
        return err_set(e, ERR_NOT_FOUND, "session %s has no recorded system prompt", o->past.id);
    return journal_blob_get(s->spec.journal, o->past.prompt_blob, 1 << 20, &o->prompt, e);
}

/* The last step number of the session that the attempt adds to. */
static int last_step(struct stead *s, struct err *e)
{
    AUTO(buf) struct buf members = BUF_INIT(64 << 10);
    int r = journal_last(s->spec.journal, s->spec.session, "step", &members, NULL, e);
    if (r <= 0)
        return r;
    AUTO(json) json_t *json = NULL;
    r = json_parse(buf_span(&members), BIND_TOLERANT, &json, e);
    if (r >= 0)
        s->step = json_integer_value(json_object_get(json, "n"));
    return r;
}

static int record_start(struct stead *s, const struct opening *o, struct err *e)
{
    struct hash_hex prompt;
    int r = journal_blob_put(s->spec.journal, buf_span(&o->prompt), &prompt, e);
    if (r < 0)
        return r;
    const struct endpoint *ep = s->spec.endpoint;
    struct record_attempt a = {
        .maker = "stead", .endpoint = ep->name, .url = ep->url, .model = ep->model, .dialect = ep->dialect->name,
        .goal = goal_name(s->spec.goal), .layer = s->spec.layer ? layer_id(s->spec.layer) : "", .tools = o->tools,
        .local = ep->local, .prompt_blob = prompt.s,
    };
    return record_attempt(&s->record, &a, e);
}

static int copy_spec(struct stead *s, const struct attempt_spec *spec, struct err *e)
{
    s->spec = *spec;
    s->spec.session = arena_strdup(&s->arena, spec->session);
    s->spec.workspace = arena_strdup(&s->arena, spec->workspace);
    s->spec.cache_dir = spec->cache_dir ? arena_strdup(&s->arena, spec->cache_dir) : NULL;
    size_t n = 0;
    while (spec->context_files && spec->context_files[n])
        n++;
    const char **files = arena_array(&s->arena, n + 1, sizeof *files);
    for (size_t i = 0; files && i < n; i++)
        files[i] = arena_strdup(&s->arena, spec->context_files[i]);
    if (!s->spec.session || !s->spec.workspace || !files)
        return err_set(e, ERR_NOMEM, "starting an attempt: out of memory");
    s->spec.context_files = files;
    if (spec->events)
        s->events = *spec->events;
    struct attempt_limits *l = &s->spec.limits;
    if (l->max_steps <= 0)
        l->max_steps = DEFAULT_STEPS;
    if (l->command_ms <= 0)
        l->command_ms = DEFAULT_COMMAND_MS;
    if (l->output_bytes == 0) {
        /* One result may take an eighth of the window: three bytes a token, at least a screenful. */
        int64_t window = window_of(spec->endpoint);
        int64_t bytes = window > 0 ? window * 3 / 8 : DEFAULT_OUTPUT_BYTES;
        l->output_bytes = bytes < LEAST_OUTPUT_BYTES     ? LEAST_OUTPUT_BYTES
                          : bytes > DEFAULT_OUTPUT_BYTES ? DEFAULT_OUTPUT_BYTES
                                                         : (size_t)bytes;
    }
    return 0;
}

static int queue_task(struct stead *s, struct err *e)
{
    const struct attempt_spec *spec = &s->spec;
    if (spec->task.n == 0)
        return 0;
    if (spec->evidence.n == 0)
        return stead_tell(s, "task", spec->task, true, e);
    AUTO(buf) struct buf text = BUF_INIT(MESSAGE_BYTES);
    int r = context_expand(&s->context, &s->notes, spec->task, 64 << 10, &text, e);
    if (r < 0)
        return r;
    buf_adds(&text, "\n\n");
    buf_add_span(&text, spec->evidence);
    r = buf_check(&text, e);
    return r < 0 ? r : stead_tell(s, "task", buf_span(&text), false, e);
}

static int begin(struct stead *s, struct opening *o, struct arena *arena, struct err *e)
{
    int r = s->spec.resume_from ? open_past(s, o, arena, e) : 0;
    if (r >= 0 && !o->resumed)
        r = system_prompt(s, o, e);
    if (r >= 0)
        r = make_chat(s, o, e);
    if (r >= 0 && o->resumed)
        r = take_over(s, o, e);
    if (r >= 0)
        r = last_step(s, e);
    if (r >= 0 && o->resumed && o->past.step > s->step)
        s->step = o->past.step;
    if (r >= 0)
        r = record_start(s, o, e);
    if (r < 0)
        return r;
    const int *steps;
    s->has_past = o->resumed && s->spec.layer && layer_steps(s->spec.layer, &steps) > 0;
    /* The same session and the same bytes: the journal has them. Else they are recorded whole. */
    if (o->resumed && !o->other_model && o->whole && strcmp(o->past.id, s->spec.session) == 0)
        s->recorded = chat_prefix(s->chat).n;
    else if (o->resumed)
        r = stead_record_prompt(s, "whole", e);
    for (size_t i = 0; i < o->past.npending && r >= 0; i++)
        r = stead_tell(s, "told", span_of(o->past.pending[i]), false, e);
    return r < 0 ? r : queue_task(s, e);
}

static int stead_start(const struct attempt_spec *spec, void **state, struct err *e)
{
    struct stead *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "starting an attempt: out of memory");
    arena_init(&s->arena, 4 << 20);
    struct buf *texts[] = { &s->told_text, &s->files, &s->said, &s->last };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        buf_init(texts[i], NOTES_BYTES);
    buf_init(&s->task, MESSAGE_BYTES);
    buf_init(&s->text, 1 << 20);
    id_make("a", s->id);
    int r = copy_spec(s, spec, e);
    s->record = (struct recorder){ .journal = spec->journal, .session = s->spec.session, .attempt = s->id, .endpoint = spec->endpoint->name };
    s->cancel = &s->own_cancel;
    s->env = (struct tool_env){ .loop = spec->loop, .sandbox = spec->sandbox, .workspace = s->spec.workspace, .cancel = s->cancel,
                                .output_bytes = s->spec.limits.output_bytes, .command_ms = s->spec.limits.command_ms,
                                .vision = spec->endpoint->profile && spec->endpoint->profile->behaviour.vision,
                                .on_output = forward_output, .on_written = s->events.on_written ? forward_written : NULL, .ctx = s };
    s->context = (struct context_source){ .sandbox = spec->sandbox, .workspace = s->spec.workspace, .files = s->spec.context_files };
    AUTO(arena) struct arena past = ARENA_INIT(RESUME_BYTES);
    struct opening o = { 0 };
    if (r >= 0)
        r = begin(s, &o, &past, e);
    buf_finish(&o.prompt);
    s->spec.task = s->spec.evidence = (struct span){ 0 };
    if (r < 0) {
        stead_destroy(s);
        return r;
    }
    *state = s;
    return 0;
}

static void end_jobs(struct stead *s)
{
    for (size_t i = 0; i < s->env.njobs; i++) {
        struct err ignored = ERR_INIT;
        if (sandbox_alive(s->env.sandbox))
            (void)!sandbox_kill(s->env.sandbox, s->env.jobs[i], &ignored);
    }
    s->env.njobs = 0;
}

static void stead_destroy(void *state)
{
    struct stead *s = state;
    if (!s)
        return;
    end_jobs(s);
    chat_destroy(s->chat);
    for (size_t i = 0; i < s->nqueue; i++)
        free(s->queue[i].text);
    free(s->queue);
    context_notes_finish(&s->notes);
    struct buf *texts[] = { &s->task, &s->told_text, &s->files, &s->said, &s->last, &s->text, &s->record.line };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        buf_finish(texts[i]);
    arena_finish(&s->arena);
    free(s);
}

static void time_is_up(void *ctx)
{
    struct stead *s = ctx;
    s->time_up = true;
    cancel_raise(s->cancel, "the time limit is used up");
    loop_wake(s->spec.loop);
}

static void fill(struct stead *s, struct attempt_result *result)
{
    result->wrote = s->files_written > 0 || s->unsaved;
    result->text = buf_span(&s->text);
    result->steps = s->steps;
    result->last_step = s->step;
    result->prompt_tokens = s->prompt_tokens;
    result->cached_tokens = s->cached_tokens;
    result->completion_tokens = s->completion_tokens;
    result->tool_calls = s->tool_calls;
    result->tool_errors = s->tool_errors;
    result->duration_ms = clock_ms() - s->run_started_ms;
}

static int stead_run(void *state, struct cancel *cancel, struct attempt_result *result, struct err *e)
{
    struct stead *s = state;
    s->run_started_ms = clock_ms();
    if (s->nqueue == 0 && !s->owed) {
        fill(s, result);
        return err_set(e, ERR_INPUT, "there is no message that the model has not answered");
    }
    s->cancel = s->env.cancel = s->context.cancel = cancel ? cancel : &s->own_cancel;
    struct loop_source *timer = NULL;
    int64_t limit = s->spec.limits.timeout_ms;
    s->time_up = limit > 0 && s->spent_ms >= limit;
    if (limit > 0 && !s->time_up) {
        timer = loop_timer(s->spec.loop, limit - s->spent_ms, false, time_is_up, s);
        if (!timer)
            return err_set(e, ERR_NOMEM, "setting the time limit: out of memory");
    }
    repeat_reset(&s->repeat);
    s->nudges = 0;
    int r = s->time_up ? stead_cancelled(s, result) : 1;
    bool raised_by_us = false;
    while (r > 0)
        r = stead_step(s, result, e);
    loop_remove(timer);
    raised_by_us = s->time_up && timer;
    /* The caller's token is lent: what the timer raised is taken back. */
    if (raised_by_us && s->cancel->raised > 0)
        s->cancel->raised--;
    fill(s, result);
    s->spent_ms += result->duration_ms;
    s->cancel = s->env.cancel = s->context.cancel = &s->own_cancel;
    if (r < 0)
        return r;
    return record_stop(&s->record, attempt_status_name(result->status), result->reason, e);
}

static int stead_told(void *state, struct span text, struct err *e)
{
    return stead_tell(state, "told", text, !span_starts(text, "Still failing:"), e);
}

static size_t stead_queued(const void *state)
{
    return ((const struct stead *)state)->nqueue;
}

static int64_t stead_free_context(void *state, struct err *e)
{
    int64_t freed = 0;
    int r = stead_compact(state, &freed, e);
    return r < 0 ? r : freed;
}

static void stead_context(const void *state, int64_t *used, int64_t *window)
{
    const struct stead *s = state;
    *used = chat_estimate_tokens(s->chat);
    *window = window_of(s->spec.endpoint);
}

static int stead_undone(void *state, int64_t step, struct err *e)
{
    struct stead *s = state;
    const int *steps;
    bool kept = false;
    size_t n = s->spec.layer ? layer_steps(s->spec.layer, &steps) : 0;
    for (size_t i = 0; i < n; i++)
        kept |= steps[i] > s->step - s->steps;
    if (!kept) {
        s->files_written = 0;
        s->unsaved = false;
    }
    char text[160];
    (void)snprintf(text, sizeof text, "The files were taken back to what they were after step %lld.", (long long)step);
    return stead_tell(s, "undone", span_of(text), false, e);
}

const struct attempt_maker attempt_maker_stead = {
    .name = "stead",
    .summary = "stead's own loop",
    .start = stead_start,
    .run = stead_run,
    .tell = stead_told,
    .queued = stead_queued,
    .compact = stead_free_context,
    .context = stead_context,
    .undone = stead_undone,
    .destroy = stead_destroy,
};
