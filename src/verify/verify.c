#include "verify/verify.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"
#include "sandbox/sandbox.h"
#include "verify/baseline.h"
#include "verify/gate-run.h"
#include "verify/lang.h"
#include "verify/regex.h"

#define RERUNS 3
#define DOUBTED_MAX 20u            /* new failures of which the base is asked whether they come and go there too */
#define DOUBT_MS 60000             /* most that asking it may take */
#define NAMES_MAX 200u             /* of failures kept with a gate's result; the count is true */
#define TEST_TEXT_BYTES (8u << 20) /* of the project's tests that hard-coded answers are looked for in */

struct run {
    const struct verify_spec *spec;
    struct arena *arena;
    struct verdict *out;
    struct cancel *cancel;
    struct bench_setup setup;
    struct tree base;
    struct bench *after, *before;
    char key[HASH_HEX_SIZE]; /* the base tree's; "" not known yet, "-" not cacheable */
};

static void run_finish(struct run *r)
{
    bench_destroy(r->after);
    bench_destroy(r->before);
}

static void run_init(struct run *r, const struct verify_spec *spec, struct arena *arena, struct verdict *out, struct cancel *cancel)
{
    *r = (struct run){ .spec = spec, .arena = arena, .out = out, .cancel = cancel, .base = spec->base };
    r->setup = (struct bench_setup){ spec->loop, spec->sandbox, spec->scratch_dir };
}

/* --- the baseline: from the cache, or by running the gate on the base --- */

static const char *tree_key(struct run *r)
{
    if (r->key[0])
        return r->key;
    struct err ignored = ERR_INIT;
    struct hash_hex h;
    if (r->spec->base_key)
        snprintf(r->key, sizeof r->key, "%.64s", r->spec->base_key);
    else if (r->spec->cache_dir && r->base.ndirs <= 1 &&
             baseline_tree_key(r->spec->sandbox->workspace, r->base.files, r->base.nfiles, &h, &ignored) == 1)
        memcpy(r->key, h.s, sizeof r->key);
    else
        memcpy(r->key, "-", 2);
    return r->key;
}

static int run_on_base(struct run *r, const struct gate *g, struct outcome *o, struct err *e)
{
    if (!r->before && bench_create(&r->setup, &r->base, &r->before, e) < 0)
        return -(int)e->kind;
    return gate_run(r->before, g, g->command, r->arena, o, r->cancel, e);
}

static bool is_cached(struct run *r)
{
    return r->spec->cache_dir && strcmp(tree_key(r), "-") != 0;
}

static void keep_baseline(struct run *r, const struct gate *g, const struct outcome *o)
{
    struct err ignored = ERR_INIT;
    if (!is_cached(r) || o->timed_out || o->out_of_memory || o->out_of_disk)
        return;
    struct hash_hex key = baseline_key(tree_key(r), g, gate_env, r->spec->sandbox);
    if (baseline_store(r->spec->cache_dir, &key, o, &ignored) == 0)
        baseline_prune(r->spec->cache_dir);
}

/* 0 there, 1 the gate cannot run on the base, negative failed. `only_cached`: do not run it (1 when it is not cached). */
static int baseline_of(struct run *r, const struct gate *g, bool only_cached, struct outcome *o, struct err *e)
{
    if (is_cached(r)) {
        struct hash_hex key = baseline_key(tree_key(r), g, gate_env, r->spec->sandbox);
        if (baseline_load(r->spec->cache_dir, &key, r->arena, o) == 1)
            return 0;
    }
    if (only_cached)
        return 1;
    int rc = run_on_base(r, g, o, e);
    if (rc == 0) {
        o->runs = 1;
        keep_baseline(r, g, o);
    }
    return rc;
}

/* --- one gate --- */

static bool touches_tests(const struct verify_spec *s)
{
    for (size_t i = 0; i < s->nchange; i++) {
        enum path_class c = path_classify(s->change[i].path);
        const struct lang *l = lang_of(s->change[i].path);
        if (s->change[i].kind != RULE_FILE_ADDED && (c == PATH_TEST || c == PATH_CONFTEST || c == PATH_CONFIG || (l && l->marker)))
            return true;
    }
    return false;
}

static void copy_names(struct strings *to, const struct strings *from, struct arena *arena)
{
    size_t n = from->len < NAMES_MAX ? from->len : NAMES_MAX;
    to->items = arena_array(arena, n + 1, sizeof(char *));
    to->len = 0;
    for (size_t i = 0; to->items && i < n; i++)
        to->items[to->len++] = from->items[i];
}

/* The new failures of which `mixed` says so become flaky. */
static int set_flaky(struct run *r, struct gate_result *gr, const bool *mixed, struct err *e)
{
    size_t n = gr->new_failures.len;
    struct strings stay = { arena_array(r->arena, n + 1, sizeof(char *)), 0 }, why = { arena_array(r->arena, n + 1, sizeof(char *)), 0 };
    struct strings flaky = { arena_array(r->arena, gr->flaky.len + n + 1, sizeof(char *)), 0 };
    if (!stay.items || !why.items || !flaky.items)
        return err_set(e, ERR_NOMEM, "gate '%s': out of memory", gr->gate->name);
    for (size_t k = 0; k < gr->flaky.len; k++)
        flaky.items[flaky.len++] = gr->flaky.items[k];
    for (size_t k = 0; k < n; k++) {
        if (mixed[k]) {
            flaky.items[flaky.len++] = gr->new_failures.items[k];
        } else {
            stay.items[stay.len++] = gr->new_failures.items[k];
            why.items[why.len++] = gr->messages.items[k];
        }
    }
    gr->new_failures = stay;
    gr->messages = why;
    gr->flaky = flaky;
    return 0;
}

/* Run what is new again: names that pass once are flaky. */
static int rerun(struct run *r, struct gate_result *gr, const char *command, struct err *e)
{
    int times = r->spec->reruns ? r->spec->reruns : RERUNS;
    size_t n = gr->new_failures.len;
    AUTO(ptr) bool *mixed = calloc(n + 1, sizeof *mixed);
    if (!mixed)
        return err_set(e, ERR_NOMEM, "gate '%s': out of memory", gr->gate->name);
    for (int i = 0; i < times; i++) {
        AUTO(outcome) struct outcome o = { 0 };
        int rc = gate_run(r->after, gr->gate, command, r->arena, &o, r->cancel, e);
        if (rc)
            return rc < 0 ? rc : 0;
        gr->duration_ms += o.duration_ms;
        size_t left = 0;
        for (size_t k = 0; k < n; k++) {
            mixed[k] |= !outcome_has_failure(&o, gr->new_failures.items[k]);
            left += !mixed[k];
        }
        if (!left)
            break; /* all are flaky already */
    }
    return set_flaky(r, gr, mixed, e);
}

/*
 * What failed each time may have been failing at times before, too, and have passed in the one run of the base: that is
 * run again, until all have failed there or it was run as often as the change. What it shows is kept with the baseline,
 * so that the next round need not ask.
 */
static int doubt(struct run *r, struct gate_result *gr, struct outcome *before, struct err *e)
{
    int times = 1 + (r->spec->reruns ? r->spec->reruns : RERUNS);
    int done = before->results.ntests ? before->runs : 1; /* without names nothing of it can be kept */
    size_t n = gr->new_failures.len, open = n;
    int64_t spent = 0;
    bool may_waver = gr->gate->kind == GATE_TEST || gr->gate->kind == GATE_CUSTOM;
    if (!may_waver || !n || n > DOUBTED_MAX || done >= times || before->duration_ms * (times - done) > DOUBT_MS)
        return 0;
    AUTO(ptr) bool *mixed = calloc(n, sizeof *mixed);
    if (!mixed)
        return err_set(e, ERR_NOMEM, "gate '%s': out of memory", gr->gate->name);
    for (; open && done < times && spent < DOUBT_MS; before->runs = ++done) {
        AUTO(outcome) struct outcome o = { 0 };
        int rc = run_on_base(r, gr->gate, &o, e);
        if (rc)
            return rc < 0 ? rc : 0;
        spent += o.duration_ms;
        for (size_t k = 0; k < n; k++)
            if (!mixed[k] && outcome_names_failure(&o, gr->new_failures.items[k])) {
                mixed[k] = true;
                open--;
                struct result_test *t = results_test_of(&before->results, gr->new_failures.items[k]);
                if (t)
                    t->status = TEST_FAIL;
            }
    }
    gr->overhead_ms -= spent;
    keep_baseline(r, gr->gate, before);
    return open == n ? 0 : set_flaky(r, gr, mixed, e);
}

static int add_finding(struct run *r, const char *rule, enum finding_severity sev, const char *file, int64_t line, const char *message)
{
    struct findings *f = &r->out->findings;
    if (!array_grow((void **)&f->items, &f->cap, f->len, 1, sizeof *f->items))
        return -1;
    f->items[f->len++] = (struct finding){ rule, sev, file, line, message };
    return 0;
}

/* What a linter or compiler says anew is shown at its place too. */
static void show_findings(struct run *r, const struct gate_result *gr, const struct outcome *o)
{
    size_t shown = 0;
    for (size_t i = 0; i < o->results.nfindings && shown < 50; i++) {
        const struct result_finding *f = &o->results.findings[i];
        AUTO(buf) struct buf name = BUF_INIT(8192);
        buf_adds(&name, f->file);
        if (f->line)
            buf_addf(&name, ":%lld", (long long)f->line);
        if (*f->rule)
            buf_addf(&name, ": %s", f->rule);
        for (size_t k = 0; k < gr->new_failures.len; k++)
            if (!strcmp(gr->new_failures.items[k], buf_str(&name))) {
                const char *cwd = gr->gate->cwd;
                shown++;
                (void)add_finding(r, arena_printf(r->arena, "gate/%s%s%s", gr->gate->name, *f->rule ? "/" : "", f->rule), FINDING_BLOCK,
                                  arena_printf(r->arena, "%s%s%s", cwd, *cwd ? "/" : "", f->file), f->line, f->message);
                break;
            }
    }
}

/*
 * A gate that failed as before: is there anything in it that could have told of the change? Of an output that nobody
 * understands, lines that say what fails; not where a program is missing, nor where its reader found no test in it.
 */
static bool is_mute(const struct outcome *o, const struct gate *g)
{
    if (!o->status || o->timed_out || o->results.ntests || o->results.nfindings)
        return outcome_says_nothing(o, g->kind);
    bool missing = o->status == 126 || o->status == 127 || span_find(o->output, SPAN("] Error 127")) >= 0;
    return missing || !o->lines.len || (g->reader && g->kind == GATE_TEST);
}

static int judge(struct run *r, struct gate_result *gr, struct outcome *after, const char *command, struct err *e)
{
    const struct verify_spec *s = r->spec;
    bool bad = after->status != 0 || after->timed_out;
    AUTO(outcome) struct outcome before = { 0 };
    bool have = false;
    struct err why = ERR_INIT;
    gr->status = after->status;
    gr->timed_out = after->timed_out;
    gr->duration_ms = after->duration_ms;
    gr->evidence = after->output;
    gr->tests_passed = after->results.passed;
    gr->tests_failed = after->results.failed;
    gr->tests_skipped = after->results.skipped;
    if (!s->no_baseline) {
        int rc = baseline_of(r, gr->gate, !bad && !touches_tests(s), &before, &why);
        if (rc == -ERR_CANCELLED || rc == -ERR_NOMEM) {
            *e = why;
            return rc;
        }
        if (rc == 0 && !before.cached)
            gr->overhead_ms -= before.duration_ms; /* the tool's own time, not ours */
        have = rc == 0; /* a gate that cannot run on the base has no old failures */
        gr->baseline_cached = have && before.cached;
    }
    struct difference d;
    if (outcome_compare(have ? &before : NULL, after, r->arena, &d, e) < 0)
        return -(int)e->kind;
    gr->structured = d.structured;
    copy_names(&gr->new_failures, &d.fresh, r->arena);
    copy_names(&gr->messages, &d.messages, r->arena);
    copy_names(&gr->old_failures, &d.old, r->arena);
    if (!gr->new_failures.items || !gr->messages.items || !gr->old_failures.items)
        return err_set(e, ERR_NOMEM, "gate '%s': out of memory", gr->gate->name);
    for (size_t i = 0; i < d.lost.len && i < NAMES_MAX; i++)
        (void)add_finding(r, "test-lost", FINDING_PERSON, "", 0, arena_printf(r->arena, "%s: '%s' passed before and is no longer run", gr->gate->name, d.lost.items[i]));
    /* A person said that this has to pass: then what failed before blocks as well. */
    if (s->must_pass && gr->gate->explicit_gate && bad && !gr->new_failures.len) {
        gr->new_failures = gr->old_failures;
        copy_names(&gr->messages, &gr->old_failures, r->arena);
        for (size_t i = 0; i < gr->messages.len; i++)
            gr->messages.items[i] = "failed before and still does";
        gr->old_failures.len = 0;
        gr->verdict = VERDICT_FAIL;
        return 0;
    }
    if (gr->new_failures.len && !after->timed_out && rerun(r, gr, command, e) < 0)
        return -(int)e->kind;
    if (have && gr->new_failures.len && !after->timed_out && doubt(r, gr, &before, e) < 0)
        return -(int)e->kind;
    gr->verdict = gr->new_failures.len ? VERDICT_FAIL : gr->flaky.len ? VERDICT_FLAKY : VERDICT_PASS;
    if (after->out_of_memory)
        gr->reason = "the sandbox's memory limit ended something in it";
    else if (after->out_of_disk)
        gr->reason = "the sandbox's disk limit was reached";
    else if (after->timed_out)
        gr->reason = arena_printf(r->arena, "did not end within %lld s", (long long)(gr->gate->timeout_ms / 1000));
    else if (gr->verdict == VERDICT_PASS && is_mute(after, gr->gate)) {
        gr->verdict = VERDICT_ERROR;
        gr->reason = "it failed in the same way before, without anything that passed: it says nothing of this change";
    }
    show_findings(r, gr, after);
    return 0;
}

/* {dirs} and {tests} of the change for a gate that can run less; NULL: run it whole. */
static const char *affected_command(struct run *r, const struct gate *g)
{
    const struct verify_spec *s = r->spec;
    if (s->depth != VERIFY_AFFECTED || !g->affected || !s->nchange)
        return NULL;
    AUTO(buf) struct buf list = BUF_INIT(32768), out = BUF_INIT(65536);
    bool dirs = strstr(g->affected, "{dirs}") != NULL;
    size_t cwd = strlen(g->cwd);
    for (size_t i = 0; i < s->nchange; i++) {
        const char *p = s->change[i].path;
        if (s->change[i].kind == RULE_FILE_DELETED || (cwd && (strncmp(p, g->cwd, cwd) != 0 || p[cwd] != '/')))
            return NULL;
        p += cwd ? cwd + 1 : 0;
        enum path_class c = path_classify(p);
        if (c == PATH_DOC)
            continue;
        if (strpbrk(p, "' \t\n\\\"$`*?"))
            return NULL;
        if (dirs) {
            struct span d = path_dir(p);
            AUTO(ptr) char *dir = span_dup(d);
            if (!dir || !lang_of(p))
                return NULL;
            buf_addf(&list, " ./%s", dir);
        } else if (c == PATH_TEST) {
            buf_addf(&list, " %s", p);
        } else if (c == PATH_SOURCE && lang_of(p)) {
            /* the test of the same name: src/calc.py -> test_calc.py, tests/test_calc.py */
            AUTO(buf) struct buf name = BUF_INIT(4096);
            const char *base = path_base(p);
            static const char *const places[] = { "tests/", "test/", "" };
            bool found = false;
            for (size_t k = 0; k < COUNT_OF(places) && !found; k++) {
                buf_reset(&name);
                buf_addf(&name, "%s%stest_%s", g->cwd, cwd ? "/" : "", "");
                buf_reset(&name);
                buf_addf(&name, "%stest_%s", places[k], base);
                AUTO(buf) struct buf full = BUF_INIT(8192);
                buf_addf(&full, "%s%s%s", g->cwd, cwd ? "/" : "", buf_str(&name));
                if (tree_exists(&s->after, buf_str(&full))) {
                    buf_addf(&list, " %s", buf_str(&name));
                    found = true;
                }
            }
            if (!found)
                return NULL;
        } else {
            return NULL;
        }
    }
    if (!list.n || list.failed)
        return NULL;
    for (const char *t = g->affected; *t;) {
        if (!strncmp(t, "{dirs}", 6) || !strncmp(t, "{tests}", 7)) {
            buf_add_span(&out, buf_span(&list));
            t += t[1] == 'd' ? 6 : 7;
        } else {
            buf_addc(&out, *t++);
        }
    }
    return out.failed ? NULL : arena_strdup(r->arena, buf_str(&out));
}

static int one_gate(struct run *r, const struct gate *g, struct gate_result *gr, struct err *e)
{
    const struct verify_spec *s = r->spec;
    *gr = (struct gate_result){ .gate = g, .reason = "", .status = -1 };
    int64_t began = clock_ms();
    if (s->on_gate_start)
        s->on_gate_start(s->ctx, g);
    if (!r->after && bench_create(&r->setup, &s->after, &r->after, e) < 0)
        return -(int)e->kind;
    const char *part = affected_command(r, g), *command = part ? part : g->command;
    AUTO(outcome) struct outcome o = { 0 };
    struct err why = ERR_INIT;
    int rc = gate_run(r->after, g, command, r->arena, &o, r->cancel, &why);
    if (rc == 1) {
        gr->verdict = VERDICT_SKIPPED;
        gr->reason = arena_strdup(r->arena, why.text);
    } else if (rc == -ERR_CANCELLED || rc == -ERR_NOMEM || rc == -ERR_DENIED) {
        *e = why; /* nothing can be verified: the caller says so */
        return rc;
    } else if (rc < 0) {
        gr->verdict = VERDICT_ERROR;
        gr->reason = arena_strdup(r->arena, why.text);
    } else if (!g->explicit_gate && (o.status == 127 || o.status == 126) && !o.results.ntests) {
        gr->verdict = VERDICT_SKIPPED;
        gr->status = o.status;
        gr->evidence = o.output;
        gr->reason = "a program that it needs is not installed";
    } else if (!g->explicit_gate && o.status == 5 && !o.results.ntests && span_find(o.output, SPAN("no tests ran")) >= 0) { /* NOLINT(bugprone-branch-clone): its own reason */
        gr->verdict = VERDICT_SKIPPED; /* pytest: nothing collected */
        gr->status = o.status;
        gr->evidence = o.output;
        gr->reason = "there are no tests";
    } else if (o.status == 0 && g->kind == GATE_TEST && !g->explicit_gate && !o.results.ntests && span_find(o.output, SPAN("Ran 0 tests")) >= 0) {
        gr->verdict = VERDICT_SKIPPED; /* unittest: nothing collected, and it says OK */
        gr->status = o.status;
        gr->evidence = o.output;
        gr->reason = "there are no tests";
    } else if (judge(r, gr, &o, command, e) < 0) {
        return -(int)e->kind;
    }
    gr->overhead_ms += clock_ms() - began - gr->duration_ms;
    if (!gr->reason)
        return err_set(e, ERR_NOMEM, "gate '%s': out of memory", g->name);
    if (s->on_gate)
        s->on_gate(s->ctx, gr);
    return 0;
}

/* --- the original tests against the new source --- */

static bool guards(const struct rule_file *f)
{
    const char *p = f->old_path ? f->old_path : f->path;
    enum path_class c = path_classify(p);
    return f->kind != RULE_FILE_ADDED && !f->binary && (c == PATH_TEST || c == PATH_SNAPSHOT || c == PATH_CONFTEST || c == PATH_CONFIG);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

static int original_tests(struct run *r, struct err *e)
{
    const struct verify_spec *s = r->spec;
    size_t n = 0, source = 0;
    for (size_t i = 0; i < s->nchange; i++) {
        n += guards(&s->change[i]);
        source += path_classify(s->change[i].path) == PATH_SOURCE;
    }
    if (!n || !source)
        return 0; /* only tests changed: then the rules have said what there is to say */
    struct tree_file *files = arena_array(r->arena, s->after.nfiles + n, sizeof *files);
    if (!files)
        return err_set(e, ERR_NOMEM, "running the original tests: out of memory");
    size_t k = 0;
    for (size_t i = 0; i < s->nchange; i++)
        if (guards(&s->change[i]))
            files[k++] = (struct tree_file){ .path = s->change[i].old_path ? s->change[i].old_path : s->change[i].path,
                                             .content = s->change[i].old_text, .mode = s->change[i].executable ? 0755 : 0644 };
    for (size_t i = 0; i < s->after.nfiles; i++) {
        bool covered = false;
        for (size_t x = 0; x < n; x++)
            covered |= !strcmp(files[x].path, s->after.files[i].path);
        if (!covered)
            files[k++] = s->after.files[i];
    }
    qsort(files, k, sizeof *files, by_path);
    struct tree tree = { s->after.dirs, s->after.ndirs, files, k };
    AUTO(bench) struct bench *bench = NULL;
    if (bench_create(&r->setup, &tree, &bench, e) < 0)
        return -(int)e->kind;
    for (size_t i = 0; i < r->out->ngates; i++) {
        const struct gate_result *gr = &r->out->gates[i];
        if (gr->gate->kind != GATE_TEST || gr->verdict != VERDICT_PASS)
            continue;
        AUTO(outcome) struct outcome o = { 0 }, before = { 0 };
        struct err why = ERR_INIT;
        int rc = gate_run(bench, gr->gate, gr->gate->command, r->arena, &o, r->cancel, &why);
        if (rc == -ERR_CANCELLED || rc == -ERR_NOMEM) {
            *e = why;
            return rc;
        }
        if (rc || (!o.status && !o.timed_out))
            continue;
        struct difference d;
        bool have = !s->no_baseline && baseline_of(r, gr->gate, false, &before, &why) == 0;
        if (outcome_compare(have ? &before : NULL, &o, r->arena, &d, e) < 0)
            return -(int)e->kind;
        if (!d.fresh.len)
            continue;
        static struct regex *asked;
        if (!asked && regex_compile("(?i)\\b(?:update|change|adapt|adjust|rename|fix|remove|rewrite)\\w*\\b[^.]*\\btests?\\b|\\btests?\\b[^.]*\\b(?:to match|accordingly|as well|too)\\b|\\brenam", &asked, e) < 0)
            return -(int)e->kind;
        bool meant = s->task.n && regex_match(asked, s->task, 0, NULL);
        const char *first = d.fresh.items[0];
        (void)add_finding(r, "original-tests-fail", meant ? FINDING_NOTE : FINDING_PERSON, files[0].path, 0,
                          arena_printf(r->arena, "%s passes only with the tests as this change edits them; with the original ones %zu fail%s, first: %s",
                                       gr->gate->name, d.fresh.len, d.fresh.len == 1 ? "s" : "", first));
    }
    return 0;
}

/* --- texts of the project's tests, for the rule about hard-coded answers --- */

struct texts {
    struct span *items;
    size_t n, cap, bytes;
};

static void collect(const struct tree *t, const char *dir, int depth, struct texts *out, struct arena *arena)
{
    AUTO(arena) struct arena scratch = ARENA_INIT(16u << 20);
    struct strings names = tree_list(t, dir, &scratch);
    for (size_t i = 0; i < names.len && out->n < 400 && out->bytes < TEST_TEXT_BYTES; i++) {
        const char *n = names.items[i];
        static const char *const never[] = { ".git", "node_modules", "target", "build", "vendor", ".venv", "venv", "dist" };
        bool skip = n[0] == '.';
        for (size_t k = 0; k < COUNT_OF(never); k++)
            skip |= !strcmp(n, never[k]);
        AUTO(buf) struct buf path = BUF_INIT(8192), text = BUF_INIT((256u << 10) + 1);
        buf_addf(&path, "%s%s%s", dir, *dir ? "/" : "", n);
        if (skip || path.failed)
            continue;
        if (lang_of(n) || strchr(n, '.')) {
            if (path_classify(buf_str(&path)) != PATH_TEST || tree_read(t, buf_str(&path), 256u << 10, &text) != 1)
                continue;
            char *copy = arena_alloc(arena, text.n + 1);
            if (!copy || !array_grow((void **)&out->items, &out->cap, out->n, 1, sizeof *out->items))
                return;
            if (text.n)
                memcpy(copy, text.p, text.n);
            out->items[out->n++] = (struct span){ copy, text.n };
            out->bytes += text.n;
        } else if (depth < 6) {
            collect(t, buf_str(&path), depth + 1, out, arena);
        }
    }
}

static int run_rules(struct run *r, struct err *e)
{
    const struct verify_spec *s = r->spec;
    struct texts tests = { 0 };
    const char *workspace[] = { s->sandbox->workspace };
    struct tree base = r->base;
    if (!base.ndirs) {
        base.dirs = workspace;
        base.ndirs = 1;
    }
    bool source = false;
    for (size_t i = 0; i < s->nchange; i++)
        source |= path_classify(s->change[i].path) == PATH_SOURCE;
    AUTO(arena) struct arena scratch = ARENA_INIT(2 * TEST_TEXT_BYTES);
    if (source)
        collect(&base, "", 0, &tests, &scratch);
    struct rule_input in = { .files = s->change, .nfiles = s->nchange, .tests = tests.items, .ntests = tests.n, .task = s->task };
    int rc = rules_run(&in, r->arena, &r->out->findings, e);
    free(tests.items);
    return rc;
}

/* --- the whole --- */

static void conclude(struct verdict *v, struct arena *arena)
{
    size_t fails = 0, passes = 0, errors = 0, flaky = 0, skipped = 0, blocks = 0, persons = 0;
    const struct gate_result *first_fail = NULL, *first_error = NULL;
    for (size_t i = 0; i < v->ngates; i++) {
        const struct gate_result *g = &v->gates[i];
        switch (g->verdict) {
        case VERDICT_PASS:
            passes++;
            break;
        case VERDICT_FAIL:
            fails++;
            first_fail = first_fail ? first_fail : g;
            break;
        case VERDICT_FLAKY:
            /* Named flaky tests among others that pass: shown, and the others vouch. */
            if (g->structured && g->tests_passed)
                flaky++, passes++;
            else
                errors++, first_error = first_error ? first_error : g;
            break;
        case VERDICT_ERROR:
            errors++;
            first_error = first_error ? first_error : g;
            break;
        case VERDICT_SKIPPED:
            skipped++;
            break;
        }
    }
    const struct finding *block = NULL, *person = NULL;
    for (size_t i = 0; i < v->findings.len; i++) {
        const struct finding *f = &v->findings.items[i];
        if (f->severity == FINDING_BLOCK)
            blocks++, block = block ? block : f;
        else if (f->severity == FINDING_PERSON)
            persons++, person = person ? person : f;
    }
    v->state = VERIFY_VERIFIED;
    v->reason = "";
    if (fails || blocks) {
        v->state = VERIFY_RED;
        v->reason = first_fail ? arena_printf(arena, "%s: %zu new failure%s", first_fail->gate->name, first_fail->new_failures.len,
                                              first_fail->new_failures.len == 1 ? "" : "s")
                               : arena_printf(arena, "%s: %s", block->rule, block->message);
    } else if (errors) {
        v->state = VERIFY_UNVERIFIED;
        v->reason = arena_printf(arena, "%s: %s", first_error->gate->name,
                                 *first_error->reason ? first_error->reason : "passes at times and fails at times");
    } else if (persons) {
        v->state = VERIFY_UNVERIFIED;
        v->reason = arena_printf(arena, "a person must look: %s (%s)", person->message, person->rule);
    } else if (v->rules_only) {
        v->state = VERIFY_CLEAN;
        v->reason = "the rules see nothing done to the checks; no gate was run";
    } else if (!passes) {
        v->state = VERIFY_UNVERIFIED;
        v->reason = !v->ngates ? "no gate was found: nothing has checked this" : "every gate was skipped: nothing has checked this";
    }
    if (!v->reason)
        v->reason = "out of memory";
    (void)skipped;
    (void)flaky;
}

int verdict_add(struct verdict *v, const struct findings *more, struct arena *arena, struct err *e)
{
    size_t n = v->findings.len + more->len;
    struct finding *items = arena_array(arena, n + 1, sizeof *items);
    if (!items)
        return err_set(e, ERR_NOMEM, "verifying: out of memory");
    if (v->findings.len)
        memcpy(items, v->findings.items, v->findings.len * sizeof *items);
    if (more->len)
        memcpy(items + v->findings.len, more->items, more->len * sizeof *items);
    v->findings = (struct findings){ items, n, n };
    conclude(v, arena);
    return 0;
}

int verify_run(const struct verify_spec *spec, struct arena *arena, struct verdict *out, struct cancel *cancel, struct err *e)
{
    struct run r;
    struct verdict v = { .gates = arena_array(arena, spec->ngates + 1, sizeof *v.gates), .rules_only = spec->rules_only && !spec->ngates };
    int64_t began = clock_ms();
    int rc = 0;
    run_init(&r, spec, arena, &v, cancel);
    if (!v.gates)
        return err_set(e, ERR_NOMEM, "verifying: out of memory");
    if (!spec->no_rules)
        rc = run_rules(&r, e);
    size_t told = 0;
    for (; rc >= 0 && spec->on_finding && told < v.findings.len; told++)
        spec->on_finding(spec->ctx, &v.findings.items[told]);
    for (size_t i = 0; rc >= 0 && i < spec->ngates; i++) {
        rc = one_gate(&r, &spec->gates[i], &v.gates[v.ngates], e);
        if (rc >= 0)
            v.ngates++;
    }
    bool fails = false;
    for (size_t i = 0; i < v.ngates; i++)
        fails |= v.gates[i].verdict == VERDICT_FAIL;
    if (rc >= 0 && !spec->no_original_tests && !fails && spec->depth == VERIFY_FULL)
        rc = original_tests(&r, e);
    for (; rc >= 0 && spec->on_finding && told < v.findings.len; told++)
        spec->on_finding(spec->ctx, &v.findings.items[told]);
    run_finish(&r);
    /* what outlives the run belongs to the caller's arena */
    struct finding *kept = arena_array(arena, v.findings.len + 1, sizeof *kept);
    if (kept && v.findings.len)
        memcpy(kept, v.findings.items, v.findings.len * sizeof *kept);
    free(v.findings.items);
    v.findings.items = kept;
    v.findings.cap = v.findings.len;
    if (rc < 0)
        return err_wrap(e, "verifying");
    if (!kept)
        return err_set(e, ERR_NOMEM, "verifying: out of memory");
    conclude(&v, arena);
    v.duration_ms = clock_ms() - began;
    *out = v;
    return 0;
}

int verify_evidence(const struct verify_spec *spec, struct buf *out, struct cancel *cancel, struct err *e)
{
    AUTO(arena) struct arena arena = ARENA_INIT(RESULTS_MEMORY);
    struct verdict unused = { 0 };
    struct run r;
    int rc = 0, failing = 0;
    run_init(&r, spec, &arena, &unused, cancel);
    for (size_t i = 0; rc >= 0 && i < spec->ngates; i++) {
        const struct gate *g = &spec->gates[i];
        AUTO(outcome) struct outcome o = { 0 };
        rc = baseline_of(&r, g, false, &o, e);
        if (rc == 0 && (o.status || o.timed_out) && !(o.status == 127 && !g->explicit_gate)) {
            if (out->n)
                buf_addc(out, '\n');
            brief_command(out, g->command, o.output, o.timed_out ? 124 : o.status);
            failing = 1;
        }
    }
    run_finish(&r);
    if (rc < 0)
        return err_wrap(e, "finding out what fails now");
    return failing;
}
