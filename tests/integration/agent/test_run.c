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
    const struct CMUnitTest tests[] = { cmocka_unit_test(run__each_misbehaviour_has_its_outcome) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
