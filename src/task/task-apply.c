#include "task/task-internal.h"

#include <stdio.h>

static int keep(struct task *t, enum change_status status, const char *journal_status, struct err *e)
{
    struct buf b = BUF_INIT(16 << 20), members = BUF_INIT(16 << 20);
    int r = change_set_status(t->state_dir, t->change->id, status, NULL, e);
    if (r == 0 && t->verified_once) {
        json_t *j = verdict_json(&t->verdict);
        buf_add_json_value(&b, j);
        json_decref(j);
        r = buf_check(&b, e);
        if (r == 0)
            r = change_set_results(t->state_dir, t->change->id, buf_span(&b), e);
    }
    if (r == 0 && change_json(t->change, &members)) {
        const struct journal_change record = { .id = t->change->id, .session = t->session, .workspace = t->spec.workspace,
                                               .status = journal_status, .members = buf_str(&members) };
        r = journal_change_put(t->spec.journal, &record, e);
    }
    buf_finish(&b);
    buf_finish(&members);
    return r;
}

static int trailers(struct task *t, struct strings *out)
{
    const char **lines = arena_array(&t->turn, t->verdict.ngates + 3, sizeof *lines);
    size_t n = 0;
    if (!lines)
        return -ERR_NOMEM;
    lines[n++] = arena_printf(&t->turn, "Assisted-by: stead:%s", t->endpoint ? t->endpoint->model : "unknown");
    for (size_t i = 0; t->verified_once && i < t->verdict.ngates; i++)
        lines[n++] = arena_printf(&t->turn, "Gate: %s: %s", t->verdict.gates[i].gate->name,
                                  gate_verdict_name(t->verdict.gates[i].verdict));
    lines[n++] = arena_printf(&t->turn, "Stead-session: %s", t->session);
    for (size_t i = 0; i < n; i++)
        if (!lines[i])
            return -ERR_NOMEM;
    *out = (struct strings){ lines, n };
    return 0;
}

/* Guarded and conflicting files, named: at most three. */
static void name_files(const struct apply_result *a, enum apply_outcome which, char *out, size_t size)
{
    size_t n = 0, named = 0;
    out[0] = '\0';
    for (size_t i = 0; i < a->nfiles && n < size; i++) {
        if (a->files[i].outcome != which)
            continue;
        int w = snprintf(out + n, size - n, "%s%s (%s)", named ? "; " : "", a->files[i].path, a->files[i].why);
        n += w > 0 ? (size_t)w : 0;
        if (++named == 3)
            break;
    }
}

static int carry_in(struct task *t, const struct task_decision *d, struct task_result *r, struct err *e)
{
    struct apply_options opt = { .state_dir = t->state_dir, .change = t->change, .approved = t->change->hash.s,
                                 .guard_ok = d->guard_ok, .mode = APPLY_TREE };
    struct apply_result a = { 0 };
    if (trailers(t, &opt.trailers) < 0)
        return err_set(e, ERR_NOMEM, "applying the change: out of memory");
    struct err failed = ERR_INIT;
    int rc = apply_change(&opt, &t->turn, &a, &failed);
    if (rc < 0 && rc != -ERR_CONFLICT && rc != -ERR_DENIED) {
        *e = failed;
        return err_wrap(e, "applying the change");
    }
    r->conflicts = a.nconflicts;
    if (event_apply(t, &a, e) < 0)
        return -(int)e->kind;
    if (rc < 0) {
        char names[300];
        name_files(&a, rc == -ERR_CONFLICT ? APPLY_CONFLICT : APPLY_GUARDED, names, sizeof names);
        r->status = TASK_PENDING;
        r->exit = 6;
        (void)snprintf(r->reason, sizeof r->reason, "%s: %.300s",
                       rc == -ERR_CONFLICT ? "not applied, you changed the same lines meanwhile"
                                           : "not applied, these files need their own approval",
                       names[0] ? names : failed.text);
        (void)snprintf(r->hint, sizeof r->hint,
                       rc == -ERR_CONFLICT ? "`stead change diff %s` shows the change; apply the rest with `stead review %s`"
                                           : "look with `stead change diff %s`, then `stead change apply --guard-ok PATH %s`",
                       t->change->id, t->change->id);
        return keep(t, CHANGE_PENDING, "pending", e);
    }
    r->applied = true;
    int kept = keep(t, CHANGE_APPLIED, "applied", e);
    if (kept == 0)
        kept = change_set_status(t->state_dir, t->change->id, CHANGE_APPLIED, a.id, e);
    return kept;
}

static int ask(struct task *t, struct task_decision *d, struct err *e)
{
    const struct task_events *ev = t->spec.events;
    *d = (struct task_decision){ .verdict = DECISION_LATER };
    if (!ev || !ev->decide)
        return 0;
    return ev->decide(ev->ctx, t->change, t->verified_once ? &t->verdict : NULL, &t->turn, d, e);
}

static int approved(struct task *t, const struct task_decision *d, const char *by, struct task_result *r, struct err *e)
{
    if (event_approval(t, t->change->hash.s, "approved", by, e) < 0)
        return -(int)e->kind;
    if (d->hunks.len) {
        struct change *part = NULL;
        int rc = change_select(t->change, &d->hunks, &part, e);
        if (rc == 0)
            rc = change_save(part, t->state_dir, e);
        if (rc < 0) {
            change_destroy(part);
            return err_wrap(e, "taking the approved hunks");
        }
        change_destroy(t->change);
        t->change = part;
        (void)snprintf(r->change, sizeof r->change, "%s", part->id);
    }
    if (d->apply)
        return carry_in(t, d, r, e);
    return keep(t, r->status == TASK_VERIFIED ? CHANGE_VERIFIED : CHANGE_PENDING,
                r->status == TASK_VERIFIED ? "approved" : "pending", e);
}

int task_apply_now(struct task *t, struct task_result *r, struct err *e)
{
    struct task_decision d = { .verdict = DECISION_APPROVE, .apply = true };
    r->files = t->change->nfiles;
    (void)snprintf(r->change, sizeof r->change, "%s", t->change->id);
    int rc = change_save(t->change, t->state_dir, e);
    if (rc == 0)
        rc = event_approval(t, t->change->hash.s, "approved", "person", e);
    return rc < 0 ? rc : carry_in(t, &d, r, e);
}

/* Why a person must look at this change, whatever the gates say; NULL when nobody needs to. */
static const char *needs_person(const struct task *t)
{
    if (t->person) /* the class of the task or its failure cost: the route said why */
        return t->route.person_reason ? t->route.person_reason : "the route says so";
    if (t->goal == ATTEMPT_ANSWER) /* what a class promises of failure cost does not hold for a change that nobody asked for */
        return "a question was asked and files were changed, so a person decides";
    for (size_t i = 0; i < t->change->nfiles; i++)
        if (t->change->files[i].guard)
            return "the change touches guarded files, which need a person";
    return NULL;
}

int task_decide(struct task *t, struct task_result *r, struct err *e)
{
    bool green = t->verified_once && t->verdict.state == VERIFY_VERIFIED;
    bool red = t->verified_once && t->verdict.state == VERIFY_RED;
    struct task_decision d = { .verdict = DECISION_LATER, .apply = t->spec.apply };
    (void)snprintf(r->change, sizeof r->change, "%s", t->change->id);
    r->files = t->change->nfiles;
    if (change_save(t->change, t->state_dir, e) < 0)
        return err_wrap(e, "keeping the change");
    if (t->spec.approve != TASK_ASK && t->spec.events && t->spec.events->on_change)
        t->spec.events->on_change(t->spec.events->ctx, t->change, t->verified_once ? &t->verdict : NULL);
    if (red) {
        r->status = TASK_RED;
        r->exit = 3;
        (void)snprintf(r->reason, sizeof r->reason, "%s", t->verdict.reason);
        (void)snprintf(r->hint, sizeof r->hint, "the draft is kept: `stead review %s`, or go on with `stead resume %s`",
                       t->change->id, t->session);
        return keep(t, CHANGE_RED, "red", e);
    }
    r->status = green ? TASK_VERIFIED : TASK_PENDING;
    r->exit = green ? 0 : 6;
    if (!green) {
        (void)snprintf(r->reason, sizeof r->reason, "%s",
                       t->verified_once ? t->verdict.reason : "no gate has looked at this change");
        (void)snprintf(r->hint, sizeof r->hint, "`stead review %s` shows it and applies what you approve", t->change->id);
    }
    const char *by = "person";
    if (t->spec.approve == TASK_AUTO && (green || t->spec.no_gates) && !needs_person(t)) {
        d.verdict = DECISION_APPROVE;
        by = t->spec.approver ? t->spec.approver : "--approve auto";
        if (!green) { /* --approve auto with --no-gates is that person's word, and recorded as such */
            r->status = TASK_VERIFIED;
            r->exit = 0;
            r->reason[0] = r->hint[0] = '\0';
            (void)snprintf(r->reason, sizeof r->reason, "approved by %s without gates", by);
        }
    } else if (t->spec.approve == TASK_ASK) {
        int rc = ask(t, &d, e);
        if (rc < 0)
            return rc;
    } else if (t->spec.approve == TASK_AUTO && needs_person(t)) {
        r->status = TASK_PENDING;
        r->exit = 6;
        (void)snprintf(r->reason, sizeof r->reason, "%s", needs_person(t));
        (void)snprintf(r->hint, sizeof r->hint, "`stead review %s` shows it and applies what you approve", t->change->id);
    }
    switch (d.verdict) {
    case DECISION_APPROVE:
        if (!green && strcmp(by, "person") == 0) {
            r->status = TASK_VERIFIED; /* a person's approval settles what no gate could */
            r->exit = 0;
            r->reason[0] = r->hint[0] = '\0';
        }
        return approved(t, &d, by, r, e);
    case DECISION_REJECT:
        r->status = TASK_PENDING;
        r->exit = 6;
        (void)snprintf(r->reason, sizeof r->reason, "rejected in review");
        (void)snprintf(r->hint, sizeof r->hint, "`stead resume %s \"what to do differently\"` goes on; `stead change discard %s` drops it",
                       t->session, t->change->id);
        if (event_approval(t, t->change->hash.s, "rejected", "person", e) < 0)
            return -(int)e->kind;
        return keep(t, CHANGE_DRAFT, "draft", e);
    case DECISION_LATER:
        break;
    }
    return keep(t, green ? CHANGE_VERIFIED : CHANGE_PENDING, green ? "verified" : "pending", e);
}
