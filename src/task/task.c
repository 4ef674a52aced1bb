#include "task/task-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/session.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#define LOG_MODULE "task"
#include "base/log.h"

#define TURN_ARENA_BYTES ((size_t)1 << 30) /* a change's diff and the evidence of its gates */
#define BRIEF_BYTES 6000
#define DEFAULT_ROUNDS 3

const char *task_status_name(enum task_status s)
{
    static const char *const names[] = {
        [TASK_VERIFIED] = "verified", [TASK_UNCHANGED] = "unchanged", [TASK_RED] = "red",       [TASK_STOPPED] = "stopped",
        [TASK_UNSERVED] = "unserved", [TASK_PENDING] = "pending",     [TASK_FAILED] = "failed",
    };
    _Static_assert(COUNT_OF(names) == TASK_STATUSES, "one name per status");
    return names[s];
}

void task_stage(struct task *t, const char *fmt, ...)
{
    char text[240];
    va_list ap;
    if (!t->spec.events || !t->spec.events->on_stage)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t->spec.events->on_stage(t->spec.events->ctx, text);
}

static int find_session(void *ctx, const struct journal_session *s)
{
    struct task *t = ctx;
    (void)snprintf(t->session, sizeof t->session, "%s", s->id);
    return 1;
}

static int open_session(struct task *t, struct err *e)
{
    if (t->spec.resume) {
        int r = journal_session_find(t->spec.journal, t->spec.resume, t->spec.workspace, find_session, t, e);
        if (r < 0)
            return r;
        (void)snprintf(t->resume_from, sizeof t->resume_from, "%s", t->session);
        return 0;
    }
    struct journal_session s = { .workspace = t->spec.workspace, .kind = t->spec.kind ? t->spec.kind : "run" };
    int r = journal_session_start(t->spec.journal, &s, e);
    (void)snprintf(t->session, sizeof t->session, "%s", s.id);
    return r;
}

int task_open(const struct task_spec *spec, struct task **out, struct err *e)
{
    if (spec->harness && !attempt_maker_find(spec->harness)) {
        err_set(e, ERR_USAGE, "no harness '%s'", spec->harness);
        err_hint(e, "known: stead");
        return -ERR_USAGE;
    }
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "cannot start a task: out of memory");
    t->spec = *spec;
    t->choice = -1;
    t->values = config_values(spec->config);
    t->state_dir = config_state_dir(spec->config);
    t->cache_dir = config_cache_dir(spec->config);
    arena_init(&t->arena, TASK_ARENA_BYTES);
    arena_init(&t->turn, TURN_ARENA_BYTES);
    struct apply_resumed resumed = { 0 };
    int r = apply_resume(t->state_dir, spec->workspace, &resumed, e);
    if (r == 0 && resumed.unresolved)
        log_warn("%s", resumed.note);
    if (r == 0)
        r = sandbox_sweep(t->state_dir, e);
    if (r == 0)
        r = layer_sweep(t->state_dir, e);
    if (r == 0)
        r = open_session(t, e);
    if (r == 0)
        r = task_permit(t, e);
    if (r == 0)
        r = journal_subscribe(spec->journal, task_seen, t, e);
    if (r < 0) {
        task_close(t);
        return r;
    }
    task_look_for_edits(t);
    *out = t;
    return 0;
}

static bool is_chat(const struct task *t)
{
    return t->spec.kind && strcmp(t->spec.kind, "chat") == 0;
}

/* What was applied, or came to nothing, needs no layer any more; drafts keep theirs for resume. */
static int drop_layer(struct task *t, struct err *e)
{
    attempt_destroy(t->attempt);
    t->attempt = NULL;
    sandbox_destroy(t->sandbox);
    t->sandbox = NULL;
    t->sandbox_ready = false;
    int r = layer_discard(t->layer, e);
    layer_destroy(t->layer);
    t->layer = NULL;
    return r;
}

int task_apply(struct task *t, struct task_result *r, struct err *e)
{
    if (!t->change || !t->change->nfiles)
        return err_set(e, ERR_NOT_FOUND, "there is no change to apply");
    int rc = task_apply_now(t, r, e);
    if (rc == 0 && r->applied) {
        rc = drop_layer(t, e);
        (void)snprintf(t->resume_from, sizeof t->resume_from, "%s", t->session);
        t->resume_step = 0;
        task_drop_change(t);
    }
    return rc;
}

int task_undo(struct task *t, int *step, struct err *e)
{
    const int *steps;
    if (!t->layer)
        return err_set(e, ERR_NOT_FOUND, "nothing was written yet");
    int rc = t->sandbox ? task_sandbox_ready(t, e) : 0; /* a turn that nothing could serve leaves it begun */
    size_t n = layer_steps(t->layer, &steps);
    if (*step < 0)
        *step = n > 1 ? steps[n - 2] : 0;
    if (rc == 0)
        rc = layer_undo(t->layer, t->sandbox, *step, e);
    if (rc == 0 && t->attempt)
        rc = attempt_undone(t->attempt, *step, e);
    return rc == 0 ? task_read_change(t, e) : rc; /* what would be shown and applied from now on */
}

const struct change *task_change(const struct task *t)
{
    return t->change;
}

void task_close(struct task *t)
{
    if (!t)
        return;
    journal_unsubscribe(t->spec.journal, task_seen, t);
    attempt_destroy(t->attempt);
    sandbox_destroy(t->sandbox);
    change_destroy(t->change);
    layer_destroy(t->layer);
    permit_destroy(t->permit);
    endpoints_destroy(t->endpoints);
    endpoints_destroy(t->engine);
    endpoint_destroy(t->hosted);
    endpoint_destroy(t->second);
    turns_destroy(t->turn_here.turns);
    turns_destroy(t->second_turn.turns);
    classes_destroy(t->classes);
    privacy_destroy(t->privacy);
    free(t->seen);
    free(t->tried);
    buf_finish(&t->evidence);
    task_forget_gates(t);
    arena_finish(&t->turn);
    arena_finish(&t->arena);
    free(t);
}

const char *task_session(const struct task *t)
{
    return t->session;
}

struct attempt *task_attempt(struct task *t)
{
    return t->attempt;
}

const struct endpoint *task_endpoint(const struct task *t)
{
    return t->endpoint;
}

/* The workspace's file system cannot carry an overlay: a copy of it can. `e` says why, and stays where that does not help either. */
static int begin_on_copy(struct task *t, struct err *e)
{
    struct err why = *e;
    const char *backend = t->sandbox_spec.backend;
    if (t->sandbox_spec.base || (backend && strcmp(backend, "native") != 0))
        return -(int)e->kind;
    if (layer_copy_base(t->layer, e) < 0) {
        if (e->kind == ERR_UNSUPPORTED)
            *e = why;
        return -(int)e->kind;
    }
    t->sandbox_spec.base = layer_base(t->layer);
    return sandbox_begin(t->spec.loop, &t->sandbox_spec, &t->sandbox, e);
}

int task_sandbox_begin(struct task *t, const char *reopen, struct err *e)
{
    struct layer_options opt = { .session = t->session };
    int r;
    if (t->sandbox && sandbox_alive(t->sandbox))
        return 0;
    sandbox_destroy(t->sandbox);
    t->sandbox = NULL;
    t->sandbox_ready = false;
    if (!t->layer) {
        r = -ERR_NOT_FOUND;
        if (reopen && reopen[0])
            r = layer_open(t->state_dir, reopen, &t->layer, e);
        if (r == -ERR_NOT_FOUND) /* a new one; also where the old one was applied or discarded */
            r = layer_create(t->spec.workspace, t->state_dir, &opt, &t->layer, e);
        if (r < 0)
            return err_wrap(e, "preparing the workspace");
    }
    const struct config_sandbox *c = &t->values->sandbox;
    t->sandbox_spec = (struct sandbox_spec){
        .workspace = t->spec.workspace,
        .state_dir = t->state_dir,
        .limits = { .memory_bytes = c->memory_bytes, .disk_bytes = c->disk_bytes, .inodes = c->inodes, .pids = (int)c->pids,
                    .cpus = c->cpus },
        .backend = t->spec.backend ? t->spec.backend : c->backend && strcmp(c->backend, "auto") != 0 ? c->backend : NULL,
    };
    const char **keep = arena_array(&t->arena, c->nenv + 1, sizeof *keep);
    if (!keep)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < c->nenv; i++)
        keep[i] = c->env[i];
    t->sandbox_spec.env_keep = keep;
    struct sandbox_mount *mounts = arena_array(&t->arena, c->nmounts + 1, sizeof *mounts);
    if (!mounts)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < c->nmounts; i++)
        if (sandbox_parse_mount(c->mounts[i], &t->arena, &mounts[i], e) < 0)
            return err_wrap(e, "sandbox.mounts");
    t->sandbox_spec.mounts = mounts;
    t->sandbox_spec.nmounts = c->nmounts;
    for (size_t i = 0; i < c->nallow; i++)
        if (sandbox_parse_exception(c->allow[i], &t->sandbox_spec.exceptions, e) < 0)
            return err_wrap(e, "sandbox.allow");
    layer_overlay(t->layer, &t->sandbox_spec.overlay);
    t->sandbox_spec.base = layer_base(t->layer);
    r = sandbox_begin(t->spec.loop, &t->sandbox_spec, &t->sandbox, e);
    if (r == -ERR_UNSUPPORTED)
        r = begin_on_copy(t, e);
    return r < 0 ? err_wrap(e, "starting the sandbox") : 0;
}

int task_sandbox_ready(struct task *t, struct err *e)
{
    if (t->sandbox_ready)
        return 0;
    int r = sandbox_ready(t->sandbox, e);
    if (r == -ERR_UNSUPPORTED) {
        sandbox_destroy(t->sandbox);
        t->sandbox = NULL;
        r = begin_on_copy(t, e);
        r = r < 0 ? r : sandbox_ready(t->sandbox, e);
    }
    if (r < 0) {
        sandbox_destroy(t->sandbox);
        t->sandbox = NULL;
        return err_wrap(e, "starting the sandbox");
    }
    t->sandbox_ready = true;
    if (layer_kind(t->layer) == LAYER_TMPFS) {
        int fd = sandbox_tmpfs(t->sandbox);
        if (fd >= 0)
            r = layer_adopt(t->layer, fd, e);
    }
    if (layer_note(t->layer)[0])
        task_stage(t, "%s", layer_note(t->layer));
    return r < 0 ? r : 0;
}

int task_sandbox_start(struct task *t, struct err *e)
{
    int r = task_sandbox_begin(t, NULL, e);
    return r < 0 ? r : task_sandbox_ready(t, e);
}

/* A map helps where a model cannot list the files: from some hundreds on, at about a hundred bytes of index each. */
static bool is_large(const char *workspace)
{
    enum { INDEX_BYTES = 30000 };
    AUTO(ptr) char *index = path_join(workspace, ".git/index");
    struct stat st;
    return index && stat(index, &st) == 0 && st.st_size >= INDEX_BYTES;
}

/* context.files of the configuration, ended by NULL. */
static const char *const *context_files(struct task *t)
{
    size_t n = t->values->context.nfiles;
    const char **files = arena_array(&t->arena, n + 1, sizeof *files);
    if (files && n > 0)
        memcpy(files, t->values->context.files, n * sizeof *files);
    return files;
}

/* The tighter of two bounds, where 0 is none; `used` counts against the second. */
static int64_t tighter(int64_t a, int64_t b, int64_t used)
{
    int64_t left = b > used ? b - used : 1;
    return b <= 0 ? a : a <= 0 || left < a ? left : a;
}

static int start_attempt(struct task *t, struct span text, struct span evidence, struct err *e)
{
    struct attempt_spec spec = {
        .loop = t->spec.loop,
        .journal = t->spec.journal,
        .session = t->session,
        .endpoint = t->endpoint,
        .sandbox = t->sandbox,
        .layer = t->layer,
        .permit = t->permit,
        .workspace = t->spec.workspace,
        .cache_dir = t->cache_dir,
        .task = text,
        .evidence = evidence,
        .task_class = t->task_class,
        .goal = t->goal,
        .repo_map = is_large(t->spec.workspace),
        .context_files = context_files(t),
        .resume_from = t->resume_from[0] ? t->resume_from : NULL,
        .resume_step = t->resume_step,
        .limits = {
            .max_steps = t->spec.max_steps ? t->spec.max_steps : t->values->limits.max_steps,
            .max_tokens = t->spec.max_tokens ? t->spec.max_tokens : t->values->limits.max_tokens,
            .timeout_ms = t->spec.timeout_ms ? t->spec.timeout_ms : t->values->limits.timeout_ms,
        },
        .events = t->spec.live,
    };
    const struct config_budget *budget = &t->values->policy.budgets.task, *spent = &t->route_input.spent.task;
    spec.limits.max_tokens = tighter(spec.limits.max_tokens, budget->tokens, spent->tokens);
    spec.limits.timeout_ms = tighter(spec.limits.timeout_ms, budget->time_ms, spent->time_ms);
    t->over_budget = false;
    spec.maker = t->spec.harness ? attempt_maker_find(t->spec.harness) : NULL;
    attempt_destroy(t->attempt);
    t->attempt = NULL;
    int r = attempt_start(&spec, &t->attempt, e);
    t->resume_from[0] = '\0'; /* spec names it until here */
    return r < 0 ? err_wrap(e, "starting the attempt") : 0;
}

/* What an attempt's end means when nothing can be verified. */
static void stopped(struct task *t, struct task_result *r)
{
    const struct attempt_result *a = &t->last;
    switch (a->status) {
    case ATTEMPT_ENDPOINT:
        r->status = TASK_UNSERVED;
        r->exit = 5;
        break;
    case ATTEMPT_INTERRUPTED:
        r->status = TASK_FAILED;
        r->exit = 130;
        (void)snprintf(r->hint, sizeof r->hint, "the session is kept: `stead resume %s` continues it", t->session);
        break;
    case ATTEMPT_FAILED:
        r->status = TASK_FAILED;
        r->exit = 1;
        break;
    default:
        r->status = TASK_STOPPED;
        r->exit = 4;
        break;
    }
    (void)snprintf(r->reason, sizeof r->reason, "%s", a->reason);
    if (a->hint[0])
        (void)snprintf(r->hint, sizeof r->hint, "%s", a->hint);
}

static int tell(struct task *t, const char *title, struct span text, struct err *e)
{
    struct buf b = BUF_INIT(128 << 10);
    buf_adds(&b, title);
    buf_add_span(&b, text);
    int r = buf_check(&b, e);
    if (r == 0)
        r = attempt_tell(t->attempt, buf_span(&b), e);
    buf_finish(&b);
    return r;
}

static int verify_change(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    if (change_set_task(t->change, buf_str(&(struct buf){ (char *)(uintptr_t)text.p, text.n, text.n, text.n, 0 }), e) < 0)
        return -(int)e->kind;
    task_stage(t, "checking the change");
    return task_verify(t, text, cancel, e);
}

/* Gates over the change; what can repair by itself does so once, and the gates look again. */
static int verify_and_fix(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    int r = verify_change(t, text, cancel, e);
    if (r == 0 && t->verdict.state == VERIFY_RED)
        r = task_fix(t, cancel, e);
    return r > 0 && t->change->nfiles ? verify_change(t, text, cancel, e) : r;
}

/* Attempt, change, gates; findings go back to the agent until the gates are green or the rounds are used up. */
static int rounds(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    int64_t left = t->values->policy.max_rounds > 0 ? t->values->policy.max_rounds : DEFAULT_ROUNDS;
    for (;;) {
        int r = attempt_run(t->attempt, cancel, &t->last, e);
        if (r < 0)
            return err_wrap(e, "running the attempt");
        if (t->last.status == ATTEMPT_INTERRUPTED || t->last.status == ATTEMPT_FAILED)
            return 0;
        r = task_read_change(t, e);
        if (r < 0)
            return r;
        bool ended = t->last.status == ATTEMPT_FINISHED || t->last.status == ATTEMPT_NO_EFFECT;
        if (!t->change->nfiles && t->evidence.n && ended && left-- > 0) { /* what failed before fails still */
            r = tell(t, "Still failing:\n", buf_span(&t->evidence), e);
            if (r < 0)
                return r;
            continue;
        }
        if (!t->change->nfiles || t->spec.no_gates)
            return 0;
        r = verify_and_fix(t, text, cancel, e);
        if (r == 0)
            r = task_second(t, text, cancel, e);
        if (r < 0)
            return r;
        if (t->verdict.state != VERIFY_RED || t->last.status != ATTEMPT_FINISHED || left-- <= 0)
            return 0;
        struct buf brief = BUF_INIT(64 << 10);
        verdict_brief(&t->verdict, BRIEF_BYTES, &brief);
        r = tell(t, "", buf_span(&brief), e);
        buf_finish(&brief);
        if (r < 0)
            return r;
        task_stage(t, "the gates are red; the agent is told what fails");
    }
}

/* Why this endpoint's attempt did not do it; false when it did, or when no other endpoint would help. */
static bool cause_of(const struct task *t, enum escalate_cause *cause)
{
    switch (t->last.status) {
    case ATTEMPT_ENDPOINT:
        *cause = t->over_budget                                                                           ? ESCALATE_BUDGET
                 : t->last.model_error == MODEL_ERR_GUARD                                                ? ESCALATE_PRIVACY
                 : t->last.model_error == MODEL_ERR_OVERLOAD || t->last.model_error == MODEL_ERR_LOADING ? ESCALATE_OVERLOAD
                 : t->last.model_error == MODEL_ERR_STALLED                                         ? ESCALATE_SLOW
                                                                                                   : ESCALATE_DOWN;
        return true;
    case ATTEMPT_LOOP:
        *cause = ESCALATE_LOOP;
        return true;
    case ATTEMPT_NO_EFFECT:
        *cause = ESCALATE_NO_EFFECT;
        return true;
    case ATTEMPT_GAVE_UP:
        *cause = ESCALATE_GAVE_UP;
        return true;
    case ATTEMPT_CONTEXT:
        *cause = ESCALATE_CONTEXT;
        return true;
    case ATTEMPT_FINISHED:
        *cause = ESCALATE_GATES_RED;
        return t->verified_once && t->verdict.state == VERIFY_RED;
    default:
        return false;
    }
}

/* The attempt that has just ended joins those of this turn. */
static int note_attempt(struct task *t, const char *from, struct err *e)
{
    const char *model = t->endpoint->model ? t->endpoint->model : "";
    const struct handoff_attempt a = { .endpoint = arena_strdup(&t->turn, from), .model = arena_strdup(&t->turn, model),
                                       .status = attempt_status_name(t->last.status), .reason = arena_strdup(&t->turn, t->last.reason),
                                       .steps = t->last.steps };
    if (!a.endpoint || !a.model || !a.reason || !array_grow((void **)&t->tried, &t->tried_cap, t->ntried, 1, sizeof *t->tried))
        return err_set(e, ERR_NOMEM, "handing on: out of memory");
    t->tried[t->ntried++] = a;
    return 0;
}

/* The next attempt's first words: what was tried and what still fails; the draft's diff where the layer is left behind. */
static int handoff(struct task *t, struct span text, bool clean, struct buf *out, struct err *e)
{
    struct buf diff = BUF_INIT(16 << 20), evidence = BUF_INIT(64 << 10);
    int r = 0;
    if (t->change && t->change->nfiles)
        r = change_diff(t->change, NULL, &diff, e);
    if (t->verified_once)
        verdict_brief(&t->verdict, BRIEF_BYTES, &evidence);
    const struct handoff h = { .task = text, .attempts = t->tried, .nattempts = t->ntried, .diff = buf_span(&diff), .evidence = buf_span(&evidence),
                               .clean_layer = clean, .limit_bytes = 3 * BRIEF_BYTES };
    handoff_write(&h, out);
    buf_finish(&diff);
    buf_finish(&evidence);
    return r < 0 ? r : buf_check(out, e);
}

/* A clean layer for the next attempt: the old one goes, its draft was read into t->change and is in the handoff. */
static int clean_layer(struct task *t, struct err *e)
{
    int r = drop_layer(t, e);
    return r < 0 ? r : task_sandbox_start(t, e);
}

static int escalate(struct task *t, struct span text, enum escalate_cause cause, struct task_result *r, bool *again,
                    struct cancel *cancel, struct err *e)
{
    struct escalation x = { 0 };
    char from[120];
    *again = false;
    (void)snprintf(from, sizeof from, "%s", t->endpoint->name);
    task_health(t, cause != ESCALATE_DOWN && cause != ESCALATE_OVERLOAD && cause != ESCALATE_SLOW, t->last.retry_after_ms);
    int rc = note_attempt(t, from, e);
    if (rc == 0)
        rc = task_escalate(t, cause, (int)r->escalations, &x, cancel, e);
    if (rc < 0)
        return rc;
    if (x.action != ESCALATE_TO)
        return event_escalate(t, from, "person", escalate_cause_name(cause), x.reason ? x.reason : escalate_cause_name(cause), e);
    rc = event_escalate(t, from, t->endpoint->name, escalate_cause_name(cause), x.reason, e);
    r->escalations++;
    t->steps_before += t->last.steps;
    t->prompt_before += t->last.prompt_tokens;
    t->completion_before += t->last.completion_tokens;
    task_stage(t, "%s: going on with %s", escalate_cause_name(cause), t->endpoint->name);
    struct buf words = BUF_INIT(1 << 20);
    if (rc == 0)
        rc = handoff(t, text, x.clean_layer, &words, e);
    if (rc == 0 && x.clean_layer)
        rc = clean_layer(t, e);
    if (rc == 0)
        rc = start_attempt(t, buf_span(&words), SPAN(""), e);
    buf_finish(&words);
    if (rc == 0)
        rc = rounds(t, text, cancel, e);
    *again = rc == 0;
    return rc;
}

/* `words`: what the model is told; `text`: what the turn is about. */
static int serve(struct task *t, struct span words, struct span text, struct task_result *r, struct cancel *cancel, struct err *e)
{
    struct buf first = BUF_INIT(64 << 10);
    int rc = 0;
    bool fresh = !t->attempt || t->resume_from[0];
    if (fresh) {
        if (t->goal == ATTEMPT_CHANGE && !t->spec.resume)
            rc = task_evidence(t, &t->evidence, cancel, e);
        if (t->evidence.n)
            buf_addf(&first, "Failing now:\n%s", buf_str(&t->evidence));
        if (rc == 0)
            rc = start_attempt(t, words, buf_span(&first), e);
    } else {
        rc = attempt_tell(t->attempt, words, e);
    }
    buf_finish(&first);
    if (rc == 0)
        rc = rounds(t, text, cancel, e);
    enum escalate_cause cause;
    bool again = true;
    while (rc == 0 && again && cause_of(t, &cause))
        rc = escalate(t, text, cause, r, &again, cancel, e);
    if (rc == 0 && t->last.status == ATTEMPT_BUDGET && !(t->verified_once && t->verdict.state == VERIFY_VERIFIED))
        rc = event_escalate(t, t->endpoint->name, "person", escalate_cause_name(ESCALATE_BUDGET), t->last.reason, e);
    if (rc == 0 && t->last.status == ATTEMPT_FINISHED)
        task_health(t, true, 0);
    return rc;
}

static int conclude(struct task *t, struct task_result *r, struct err *e)
{
    const char *words = arena_span(&t->turn, t->last.text); /* the attempt may be gone when the caller reads it */
    r->text = words ? (struct span){ words, t->last.text.n } : (struct span){ "", 0 };
    if (t->last.status == ATTEMPT_INTERRUPTED || t->last.status == ATTEMPT_FAILED || !t->change) {
        stopped(t, r);
        return 0;
    }
    if (!t->change->nfiles) {
        if (t->last.status != ATTEMPT_FINISHED) {
            stopped(t, r);
            return 0;
        }
        r->status = TASK_UNCHANGED;
        r->exit = 0;
        return 0;
    }
    /* an attempt that was cut off may still have left a change that the gates accept: they decide, not its ending */
    if (t->last.status != ATTEMPT_FINISHED && !(t->verified_once && t->verdict.state == VERIFY_VERIFIED)) {
        struct task_result why = { 0 };
        stopped(t, &why);
        int rc = task_decide(t, r, e);
        if (rc < 0)
            return rc;
        if (r->status != TASK_RED && !r->applied) {
            r->status = why.status;
            r->exit = why.exit;
            (void)snprintf(r->reason, sizeof r->reason, "%s", why.reason);
        }
        return 0;
    }
    return task_decide(t, r, e);
}

static void fill_counts(struct task *t, struct task_result *r)
{
    r->steps = t->steps_before + t->last.steps;
    r->prompt_tokens = t->prompt_before + t->last.prompt_tokens;
    r->completion_tokens = t->completion_before + t->last.completion_tokens;
    r->endpoint = t->endpoint ? t->endpoint->name : "";
    (void)snprintf(r->session, sizeof r->session, "%s", t->session);
}

static int unserved(struct task *t, struct task_result *r, struct err *e)
{
    struct err why = *e;
    r->status = TASK_UNSERVED;
    r->exit = 5;
    (void)snprintf(r->reason, sizeof r->reason, "%s", why.text);
    (void)snprintf(r->hint, sizeof r->hint, "%s", why.hint);
    err_reset(e);
    return event_error(t, &why, e);
}

/* Whether a name says it all: the embedded engine may have another address by now, and has to be started. */
static bool is_named(const struct task *t, const char *name)
{
    if (strcmp(name, "embedded") == 0)
        return true;
    for (size_t i = 0; i < t->values->nendpoints; i++)
        if (strcmp(t->values->endpoints[i].name, name) == 0)
            return true;
    return false;
}

static int turn(struct task *t, struct span text, struct task_result *r, struct cancel *cancel, struct err *e)
{
    static const char go_on[] = "Go on with the task.";
    struct session_state past = { 0 };
    struct span words = text;
    int rc = 0;
    if (t->resume_from[0]) {
        rc = session_load(t->spec.journal, t->resume_from, NULL, &t->arena, &past, e);
        if (rc < 0)
            return rc;
        t->resume_step = past.step;
        if (t->spec.resume && !t->spec.endpoint && past.endpoint_url && past.endpoint_url[0])
            t->spec.endpoint = is_named(t, past.endpoint) ? past.endpoint : past.endpoint_url; /* where its words are cached */
    }
    struct span task = span_of(past.task ? past.task : "");
    if (past.unsaid && past.unsaid[0]) /* killed before it was said */
        words = text.n ? span_of(arena_printf(&t->turn, "%s\n\n%.*s", past.unsaid, (int)text.n, text.p)) : span_of(past.unsaid);
    else if (!text.n) /* a session that waits for the model's answer needs no further word */
        words = past.owed || past.npending ? text : SPAN(go_on);
    if (text.n) /* before anything that takes time */
        rc = event_asked(t, text, e);
    if (!text.n)
        text = task.n ? task : SPAN(go_on);
    if (rc == 0)
        rc = task_sandbox_begin(t, past.layer, e);
    if (rc == 0)
        rc = task_classify(t, task.n ? task : text, e);
    if (rc == 0 && !t->endpoint && !t->spec.resume) /* a question now would cost a kept conversation its place in the cache */
        rc = task_ask_class(t, text, cancel, e);
    if (rc == 0)
        rc = event_task(t, words.n ? words : SPAN(go_on), e);
    if (rc < 0)
        return rc;
    if (!t->endpoint) {
        rc = task_route(t, text, cancel, e);
        if (rc == -ERR_NOT_FOUND || rc == -ERR_UNAVAILABLE)
            return unserved(t, r, e);
        if (rc == 0)
            rc = event_route(t, e);
        if (rc < 0)
            return rc;
    }
    rc = task_sandbox_ready(t, e);
    if (rc == 0 && past.torn) /* the step that was running when we died is made again */
        rc = layer_undo(t->layer, t->sandbox, (int)past.checkpoint, e);
    if (rc == 0)
        rc = serve(t, words, text, r, cancel, e);
    return rc < 0 ? rc : conclude(t, r, e);
}

int task_turn(struct task *t, struct span text, struct task_result *result, struct cancel *cancel, struct err *e)
{
    struct task_result r = { .status = TASK_FAILED, .exit = 1 };
    int64_t began = clock_ms();
    task_drop_change(t);
    arena_reset(&t->turn);
    task_forget_gates(t);
    buf_finish(&t->evidence);
    buf_init(&t->evidence, 64 << 10);
    t->last = (struct attempt_result){ 0 };
    t->steps_before = t->prompt_before = t->completion_before = 0;
    t->ntried = 0;
    t->goal = is_chat(t) ? ATTEMPT_EITHER : ATTEMPT_CHANGE;
    int rc = turn(t, text, &r, cancel, e);
    fill_counts(t, &r);
    r.duration_ms = clock_ms() - began;
    if (rc < 0) {
        struct err failed = *e, ignored = ERR_INIT;
        r.status = TASK_FAILED;
        r.exit = rc == -ERR_CANCELLED ? 130 : rc == -ERR_USAGE ? 2 : t->sandbox ? 1 : rc == -ERR_DENIED ? 7 : 1;
        (void)snprintf(r.reason, sizeof r.reason, "%s", failed.text);
        (void)snprintf(r.hint, sizeof r.hint, "%s", failed.hint);
        /* A session whose layer another process holds is that one's: nothing is written into the midst of its events. */
        r.recorded = !t->spec.resume || t->layer;
        if (r.recorded && (event_error(t, &failed, &ignored) < 0 || event_result(t, &r, &ignored) < 0))
            r.recorded = false;
        *result = r;
        return rc;
    }
    rc = event_result(t, &r, e);
    r.recorded = rc == 0;
    if (!r.recorded) {
        r.status = TASK_FAILED;
        r.exit = 1;
        (void)snprintf(r.reason, sizeof r.reason, "%s", e->text);
    }
    if (rc == 0 && (r.applied || (r.status == TASK_UNCHANGED && !is_chat(t)))) {
        rc = drop_layer(t, e);
        (void)snprintf(t->resume_from, sizeof t->resume_from, "%s", t->session); /* a further turn: the same words, a new layer */
        t->resume_step = 0;
    }
    *result = r;
    return rc;
}
