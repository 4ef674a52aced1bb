/*
 * The program itself against models that misbehave: `stead run` ends with the exit code and the `result` of
 * the contract, its standard output is JSON lines and nothing else, and no process of it is left.
 * The cases are those of tests/golden/agent.
 */
#include <sys/stat.h>

#include "../model/scripted.h"
#include "support/test.h"

#include "base/bind.h"
#include "base/mem.h"

static const struct {
    const char *name, *option, *value;
    int exit;
    const char *status, *reason;
} rows[] = {
    /* Without gates a change is pending: nobody has looked at it. */
    { "leaked-call", NULL, NULL, 6, "pending", "no gate" },
    { "leaked-xml", NULL, NULL, 6, "pending", "no gate" },
    { "cut-arguments", NULL, NULL, 6, "pending", "no gate" },
    { "no-effect-helped", NULL, NULL, 6, "pending", "no gate" },
    { "background", NULL, NULL, 6, "pending", "no gate" },
    { "context-exceeded", "--class", "explain", 0, "unchanged", "" },
    { "context-hopeless", NULL, NULL, 4, "stopped", "does not fit the context" },
    { "same-call", NULL, NULL, 4, "stopped", "8 times" },
    { "same-failure", NULL, NULL, 4, "stopped", "4 times" },
    { "empty-reply", NULL, NULL, 4, "stopped", "empty" },
    { "no-effect", NULL, NULL, 4, "stopped", "without changing a file" },
    { "edit-miss", "--class", "explain", 0, "unchanged", "" },
    { "invented-path", "--class", "explain", 0, "unchanged", "" },
    { "answer", "--class", "explain", 0, "unchanged", "" },
    { "server-gone", NULL, NULL, 5, "unserved", "refuses our key" },
    { "budget-steps", "--max-steps", "3", 4, "stopped", "3 steps" },
    { "budget-time", "--timeout", "700ms", 4, "stopped", "time limit" },
};

static void write_files(const char *dir, json_t *files)
{
    struct err e = ERR_INIT;
    const char *path;
    json_t *content;
    assert_ok(path_mkdirs(dir, 0755, &e), &e);
    json_object_foreach(files, path, content) {
        AUTO(ptr) char *full = path_join(dir, path);
        AUTO(ptr) char *parent = span_dup(path_dir(full));
        assert_ok(path_mkdirs(parent, 0755, &e), &e);
        assert_ok(file_write_atomic(full, span_of(json_string_value(content)), 0644, false, &e), &e);
    }
}

static void run_row(size_t i)
{
    struct err e = ERR_INIT;
    struct loop *loop;
    struct scripted server;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.json", AGENT_CASES, rows[i].name);
    AUTO(json) json_t *c = json_load_file(path, 0, NULL);
    assert_non_null(c);
    char *dir = scratch_make();
    assert_int_equal(chmod(dir, 0755), 0);
    AUTO(ptr) char *app = path_join(dir, "app");
    write_files(app, json_object_get(c, "files"));
    assert_ok(loop_create(&loop, &e), &e);
    scripted_start(&server, loop, json_object_get(c, "server"), false);
    char state[600], cache[600], run_path[600];
    (void)snprintf(state, sizeof state, "STEAD_STATE_DIR=%s/state", dir);
    (void)snprintf(cache, sizeof cache, "STEAD_CACHE_DIR=%s/cache", dir);
    (void)snprintf(run_path, sizeof run_path, "PATH=%s", getenv("PATH"));
    const char *env[] = { state, cache, run_path, "STEAD_CONFIG=/dev/null", "HOME=/nonexistent", NULL };
    const char *task = json_string_value(json_object_get(c, "task"));
    const char *argv[16] = { STEAD, "run", "-C", app, "--json", "--no-gates", "--endpoint", server.url, task ? task : "Do it." };
    if (rows[i].option) {
        argv[9] = rows[i].option;
        argv[10] = rows[i].value;
    }
    struct proc_spec spec = { .argv = argv, .env = env, .out = PROC_PIPE, .err = PROC_PIPE, .die_with_parent = true, .out_cap_bytes = 8 << 20 };
    struct proc *p;
    int status = -1;
    assert_ok(proc_start(loop, &spec, &p, &e), &e);
    assert_ok(proc_wait(p, 0, NULL, &status, &e), &e);
    if (status == 7) {
        (void)printf("SKIP: no sandbox can be had here\n");
        exit(77);
    }
    struct span out = proc_output(p, 1), said = proc_output(p, 2), line;
    AUTO(json) json_t *last = NULL;
    while (span_line(&out, &line)) {
        json_decref(last);
        last = NULL;
        if (json_parse(line, BIND_STRICT, &last, &e) < 0)
            fail_msg("%s: not a line of JSON: %.*s", rows[i].name, (int)line.n, line.p);
    }
    const char *type = json_string_value(json_object_get(last, "type")), *got = json_string_value(json_object_get(last, "status"));
    const char *reason = json_string_value(json_object_get(last, "reason"));
    if (!type || strcmp(type, "result") != 0 || strcmp(got, rows[i].status) != 0 || status != rows[i].exit)
        fail_msg("%s: exit %d, %s %s (%s): %.*s", rows[i].name, status, type ? type : "nothing", got ? got : "", reason ? reason : "", (int)said.n, said.p);
    assert_int_equal(json_integer_value(json_object_get(last, "exit")), status);
    if (rows[i].reason[0])
        assert_contains(reason, rows[i].reason);
    proc_destroy(p);
    scripted_stop(&server);
    loop_destroy(loop);
    scratch_remove(dir);
}

/* --- sessions on the command line --- */

struct place {
    char *dir;
    char *app;
    struct loop *loop;
    char state[600], cache[600], path[600];
};

static void place_open(struct place *p, json_t *files)
{
    struct err e = ERR_INIT;
    p->dir = scratch_make();
    assert_int_equal(chmod(p->dir, 0755), 0);
    p->app = path_join(p->dir, "app");
    write_files(p->app, files);
    assert_ok(loop_create(&p->loop, &e), &e);
    (void)snprintf(p->state, sizeof p->state, "STEAD_STATE_DIR=%s/state", p->dir);
    (void)snprintf(p->cache, sizeof p->cache, "STEAD_CACHE_DIR=%s/cache", p->dir);
    (void)snprintf(p->path, sizeof p->path, "PATH=%s", getenv("PATH"));
}

static int stead_in(struct place *p, struct buf *out, const char *const *args)
{
    struct err e = ERR_INIT;
    const char *env[] = { p->state, p->cache, p->path, "STEAD_CONFIG=/dev/null", "HOME=/nonexistent", NULL };
    const char *argv[24] = { STEAD };
    for (size_t i = 0; args[i]; i++)
        argv[i + 1] = args[i];
    struct proc_spec spec = { .argv = argv, .env = env, .cwd = p->app, .out = PROC_PIPE, .err = PROC_PIPE, .die_with_parent = true, .out_cap_bytes = 8 << 20 };
    struct proc *proc;
    int status = -1;
    assert_ok(proc_start(p->loop, &spec, &proc, &e), &e);
    assert_ok(proc_wait(proc, 0, NULL, &status, &e), &e);
    buf_reset(out);
    buf_add_span(out, proc_output(proc, 1));
    if (status == 7) {
        (void)printf("SKIP: no sandbox can be had here\n");
        exit(77);
    }
    if (status == 1 || status == 2)
        fail_msg("stead %s %s: %d: %.*s", args[0], args[1], status, (int)proc_output(proc, 2).n, proc_output(proc, 2).p);
    proc_destroy(proc);
    return status;
}
#define STEAD_IN(p, out, ...) stead_in((p), (out), (const char *const[]){ __VA_ARGS__, NULL })

static json_t *last_line(const struct buf *out)
{
    struct err e = ERR_INIT;
    struct span rest = span_trim(buf_span(out)), line = rest;
    while (span_line(&rest, &line)) {}
    json_t *json = NULL;
    assert_ok(json_parse(line, BIND_STRICT, &json, &e), &e);
    return json;
}

static void session__list_export_fork_and_resume(void **state)
{
    (void)state;
    struct place p = { 0 };
    struct scripted server;
    AUTO(buf) struct buf out = BUF_INIT(16 << 20);
    char path[512];
    (void)snprintf(path, sizeof path, "%s/edit-and-finish.json", AGENT_CASES);
    AUTO(json) json_t *c = json_load_file(path, 0, NULL);
    AUTO(json) json_t *more = json_loads("{\"replies\":[{\"text\":\"Nothing more.\"}],\"repeat\":true}", 0, NULL);
    place_open(&p, json_object_get(c, "files"));
    scripted_start(&server, p.loop, json_object_get(c, "server"), false);
    assert_int_equal(STEAD_IN(&p, &out, "run", "--json", "--no-gates", "--endpoint", server.url, "Fix add."), 6);
    AUTO(json) json_t *requests = scripted_requests(&server, true, 5);
    const char *before = json_string_value(json_object_get(json_array_get(requests, json_array_size(requests) - 1), "body"));
    scripted_stop(&server);

    assert_int_equal(STEAD_IN(&p, &out, "session", "list", "--json"), 0);
    AUTO(json) json_t *list = last_line(&out);
    const json_t *first = json_array_get(json_object_get(list, "sessions"), 0);
    const char *id = json_string_value(json_object_get(first, "id"));
    assert_string_equal(json_string_value(json_object_get(first, "task")), "Fix add.");
    assert_string_equal(json_string_value(json_object_get(first, "status")), "pending");
    assert_int_equal(STEAD_IN(&p, &out, "session", "export", "-f", "markdown"), 0);
    assert_contains(buf_str(&out), "edited src/add.c: line 3");
    assert_int_equal(STEAD_IN(&p, &out, "session", "show", "--json", id), 0);
    AUTO(json) json_t *shown = last_line(&out);
    assert_int_equal(json_integer_value(json_object_get(shown, "step")), 5);

    scripted_start(&server, p.loop, more, false);
    assert_int_equal(STEAD_IN(&p, &out, "resume", "--json", "--no-gates", "--endpoint", server.url, id, "Is that all?"), 6);
    AUTO(json) json_t *later = scripted_requests(&server, true, 1);
    const char *after = json_string_value(json_object_get(json_array_get(later, 0), "body"));
    size_t n = 0;
    while (before[n] && before[n] == after[n])
        n++;
    if (strlen(before) - n > 200)
        fail_msg("resume departs at byte %zu of %zu", n, strlen(before));
    assert_contains(after, "Is that all?");

    /* A fork from before the edit has the untouched file; the session it came from keeps its own. */
    assert_int_equal(STEAD_IN(&p, &out, "fork", "--json", id, "2"), 0);
    AUTO(json) json_t *forked = last_line(&out);
    const char *copy = json_string_value(json_object_get(forked, "id"));
    assert_string_not_equal(copy, id);
    assert_int_equal(STEAD_IN(&p, &out, "resume", "--json", "--no-gates", "--class", "explain", "--endpoint", server.url, copy, "Why?"), 0);
    AUTO(json) json_t *result = last_line(&out);
    assert_string_equal(json_string_value(json_object_get(result, "status")), "unchanged");
    assert_int_equal(STEAD_IN(&p, &out, "change", "diff"), 0);
    assert_contains(buf_str(&out), "+    return a + b;");
    scripted_stop(&server);
    loop_destroy(p.loop);
    free(p.app);
    scratch_remove(p.dir);
}

static void run__each_misbehaviour_has_its_outcome(void **state)
{
    (void)state;
    const char *only = getenv("CASE");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!only || strstr(rows[i].name, only))
            run_row(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(run__each_misbehaviour_has_its_outcome), cmocka_unit_test(session__list_export_fork_and_resume) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
