#include "task/task-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "route/candidate.h"

/*
 * Between a hosted endpoint and everything that would be sent to it. The paths whose content may be among the bytes
 * are those that the agent's tools named, read from the journal's events as they come.
 */

#define GUARD_ARENA_BYTES ((size_t)64 << 20)
#define BYTES_PER_TOKEN 4

void task_see(struct task *t, const char *path)
{
    for (size_t i = 0; path && i < t->nseen; i++)
        if (strcmp(t->seen[i], path) == 0)
            return;
    const char *copy = path ? arena_strdup(&t->arena, path) : NULL;
    if (copy && array_grow((void *)&t->seen, &t->seen_cap, t->nseen, 1, sizeof *t->seen))
        t->seen[t->nseen++] = copy;
}

/* What a shell command reads by name: the words after `<`, and those of commands that show or copy files. */
static void see_command(struct task *t, const char *command)
{
    static const char *const readers[] = { "cat", "head", "tail", "less", "more", "tac", "nl", "sed", "awk", "grep", "egrep", "rg", "cut", "sort",
                                           "xxd", "od", "hexdump", "strings", "base64", "jq", "yq", "diff", "cp", "mv", "ln", "tar", "zip", "source", "." };
    bool reads = false, first = true, from = false;
    for (const char *p = command; *p;) {
        size_t n = strcspn(p, " \t\n;|&<>()'\"`=$");
        char *word = n ? arena_span(&t->arena, (struct span){ p, n }) : NULL;
        if (!n) {
            from = *p == '<' || (from && *p == ' ');
            first |= strchr(";|&\n(`", *p) != NULL;
            p++;
            continue;
        }
        if (word && first) {
            reads = false;
            for (size_t i = 0; i < COUNT_OF(readers); i++)
                reads |= strcmp(path_base(word), readers[i]) == 0;
        } else if (word && (reads || from)) {
            task_see(t, word);
        }
        first = from = false;
        p += n;
    }
}

int task_seen(void *ctx, const struct journal_event *ev)
{
    struct task *t = ctx;
    json_t *m = NULL;
    struct err ignored = ERR_INIT;
    if (strcmp(ev->type, "tool_call") != 0 || strcmp(ev->session, t->session) != 0 || json_parse(ev->members, BIND_TOLERANT, &m, &ignored) < 0)
        return 0;
    task_give_way(t); /* a command may be about to start */
    const json_t *args = json_object_get(m, "args");
    const char *command = json_string_value(json_object_get(args, "command"));
    task_see(t, json_string_value(json_object_get(args, "path")));
    if (command)
        see_command(t, command);
    json_decref(m);
    return 0;
}

static int refuse(const struct privacy_result *r, const char *verb, struct err *e)
{
    err_set(e, ERR_DENIED, "the privacy guard %s: %s", verb, r->reason);
    return -ERR_DENIED;
}

static int ask_person(struct task *t, const struct endpoint *ep, const struct privacy_result *r, struct err *e)
{
    const struct permit_request q = { .kind = PERMIT_HOSTED, .what = ep->name, .why = r->reason };
    int ok = t->permit ? permit_ask(t->permit, &q, e) : 0;
    return ok < 0 ? ok : ok ? 0 : refuse(r, "asks, and nobody allowed it", e);
}

/* Budgets hold for each request, not only when an endpoint is chosen: an attempt has many. */
static int check_budget(struct task *t, const struct endpoint *ep, struct span body, struct arena *a, struct err *e)
{
    struct route_candidate c = t->candidates[t->choice];
    for (size_t i = 0; i < t->values->nendpoints; i++) /* also the second model's */
        if (strcmp(t->values->endpoints[i].name, ep->name) == 0)
            candidate_of_config(&t->values->endpoints[i], &c);
    struct route_input in = t->route_input;
    int r = task_spent(t, &in.spent, e);
    if (r < 0)
        return err_wrap(e, "adding up what was spent");
    in.need_tokens = (int64_t)(body.n / BYTES_PER_TOKEN);
    const char *why = route_over_budget(&in, &c, a);
    if (!why)
        return 0;
    t->over_budget = ep == t->endpoint; /* the second model is no attempt */
    err_set(e, ERR_DENIED, "%s", why);
    return -ERR_DENIED;
}

/* Marked, or a link to what may not leave by its name. */
static bool is_kept(void *ctx, const char *path)
{
    struct task *t = ctx;
    char real[TASK_PATH];
    return task_path_stays_local(&t->values->policy, t->spec.workspace, path, real) || (real[0] && privacy_path(t->privacy, real));
}

static int guard(void *ctx, const struct endpoint *ep, struct span body, struct buf *out, struct err *e)
{
    struct task *t = ctx;
    AUTO(arena) struct arena a = ARENA_INIT(GUARD_ARENA_BYTES);
    int allowed = check_budget(t, ep, body, &a, e);
    if (allowed < 0)
        return allowed;
    struct privacy_input in = { .bytes = body, .paths = { t->seen, t->nseen }, .kept = is_kept, .ctx = t };
    struct privacy_result r;
    int rc = privacy_check(t->privacy, &in, &a, out, &r, e);
    if (rc == 0 && r.action == PRIVACY_ASK) {
        rc = ask_person(t, ep, &r, e);
        in.approved = true;
        if (rc == 0)
            rc = privacy_check(t->privacy, &in, &a, out, &r, e);
    }
    if (rc < 0)
        return rc;
    if (r.action == PRIVACY_BLOCK || r.action == PRIVACY_ASK)
        return refuse(&r, "lets nothing leave", e);
    struct buf members = BUF_INIT(1 << 16);
    privacy_sent(&members, ep->name, &r, out->n);
    rc = buf_check(&members, e);
    if (rc == 0) /* what leaves is on record before it leaves */
        rc = journal_append(t->spec.journal, t->session, "sent", buf_span(&members), NULL, e);
    buf_finish(&members);
    return rc;
}

/* A mark that the model quotes is what stood there: it writes the file that it was not shown whole. */
static int restore(void *ctx, struct span args, struct buf *out, struct err *e)
{
    const struct task *t = ctx;
    (void)privacy_restore(t->privacy, args, out);
    return buf_check(out, e);
}

int task_guard(struct task *t, struct endpoint *ep, struct err *e)
{
    if (!t->privacy) {
        int r = privacy_create(t->values, &t->privacy, e);
        if (r < 0)
            return err_wrap(e, "preparing the privacy guard");
    }
    ep->guard = guard;
    ep->restore = restore;
    ep->guard_ctx = t;
    return 0;
}

static enum permit_answer ask(void *ctx, const struct permit_request *r, const char *rule)
{
    struct task *t = ctx;
    return t->spec.events->permit(t->spec.events->ctx, r, rule);
}

int task_permit(struct task *t, struct err *e)
{
    const struct permit_options o = {
        .journal = t->spec.journal,
        .session = t->session,
        .workspace = t->spec.workspace,
        .ask = t->spec.events && t->spec.events->permit ? ask : NULL,
        .ctx = t,
    };
    return permit_create(&o, &t->permit, e);
}
