/* stead endpoint list, add, remove, probe: the real program against the scripted server. */
#include <jansson.h>
#include <sys/stat.h>

#include "scripted.h"
#include "support/test.h"

#include "base/bind.h"
#include "base/clock.h"
#include "base/mem.h"

struct place {
    struct loop *loop;
    struct scripted server;
    char *dir;
    char config[256], env_config[300], env_state[300];
};

static void begin(struct place *p, const char *script)
{
    struct err e = ERR_INIT;
    AUTO(json) json_t *j = json_loads(script, 0, NULL);
    memset(p, 0, sizeof *p);
    assert_non_null(j);
    assert_ok(loop_create(&p->loop, &e), &e);
    p->dir = scratch_make();
    scripted_start(&p->server, p->loop, j, false);
    snprintf(p->config, sizeof p->config, "%s/config.yaml", p->dir);
    snprintf(p->env_config, sizeof p->env_config, "HOME=%s", p->dir);
    snprintf(p->env_state, sizeof p->env_state, "STEAD_STATE_DIR=%s/state", p->dir);
}

static void end(struct place *p)
{
    scripted_stop(&p->server);
    scratch_remove(p->dir);
    loop_destroy(p->loop);
}

/* Run stead with these words; standard output into out; returns the exit code. */
static int stead(struct place *p, struct buf *out, const char *a, const char *b, const char *c, const char *d, const char *f)
{
    struct err e = ERR_INIT;
    const char *argv[] = { STEAD, a, b, c, d, f, NULL };
    const char *env[] = { p->env_config, p->env_state, "PATH=/usr/bin:/bin", NULL };
    struct proc_spec spec = { .argv = argv, .env = env, .cwd = p->dir, .out = PROC_PIPE, .err = PROC_PIPE, .out_cap_bytes = 1 << 20 };
    struct proc *proc;
    int status = -1;
    assert_ok(proc_start(p->loop, &spec, &proc, &e), &e);
    assert_ok(proc_wait(proc, clock_ms() + 90000, NULL, &status, &e), &e);
    buf_reset(out);
    buf_add_span(out, proc_output(proc, 1));
    if (status != 0)
        buf_add_span(out, proc_output(proc, 2));
    proc_destroy(proc);
    return status;
}

static void add_list_remove__keep_the_rest_of_the_file(void **state)
{
    (void)state;
    struct place p;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20), text = BUF_INIT(1 << 16);
    char path[300];
    begin(&p, "{\"kind\":\"vllm\",\"context\":8192}");
    assert_int_equal(stead(&p, &out, "endpoint", "add", "desk", p.server.url, NULL), 0);
    snprintf(path, sizeof path, "%s/.config/stead/config.yaml", p.dir);
    assert_ok(file_read(path, 1 << 16, &text, &e), &e);
    assert_contains(buf_str(&text), "name: desk");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* a comment and another section, by hand */
    buf_adds(&text, "# mine\nlimits:\n  max_steps: 7\n");
    assert_ok(file_write_atomic(path, buf_span(&text), 0600, false, &e), &e);
    assert_int_equal(stead(&p, &out, "endpoint", "add", "far", "https://models.example/v1", NULL), 0);
    assert_int_equal(stead(&p, &out, "endpoint", "add", "desk", p.server.url, NULL), 2);
    assert_contains(buf_str(&out), "already");
    assert_int_equal(stead(&p, &out, "endpoint", "add", "bad name", p.server.url, NULL), 2);
    assert_int_equal(stead(&p, &out, "endpoint", "add", "x", "ftp://y", NULL), 2);
    assert_int_equal(stead(&p, &out, "endpoint", "list", "--json", NULL, NULL), 0);
    AUTO(json) json_t *j = json_loads(buf_str(&out), 0, NULL);
    const json_t *first = json_array_get(json_object_get(j, "endpoints"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "desk");
    assert_string_equal(json_string_value(json_object_get(first, "state")), "ready");
    assert_string_equal(json_string_value(json_object_get(first, "server")), "vllm");
    assert_int_equal(json_integer_value(json_object_get(first, "context_tokens")), 8192);
    assert_int_equal(stead(&p, &out, "endpoint", "remove", "desk", NULL, NULL), 0);
    assert_int_equal(stead(&p, &out, "endpoint", "remove", "desk", NULL, NULL), 2);
    buf_reset(&text);
    assert_ok(file_read(path, 1 << 16, &text, &e), &e);
    assert_null(strstr(buf_str(&text), "desk"));
    assert_contains(buf_str(&text), "name: far");
    assert_contains(buf_str(&text), "# mine");
    assert_contains(buf_str(&text), "max_steps: 7");
    assert_int_equal(stead(&p, &out, "endpoint", "remove", "far", NULL, NULL), 0);
    buf_reset(&text);
    assert_ok(file_read(path, 1 << 16, &text, &e), &e);
    assert_null(strstr(buf_str(&text), "endpoints:"));
    assert_contains(buf_str(&text), "max_steps: 7");
    end(&p);
}

static void probe__speaks_to_programs_and_to_people(void **state)
{
    (void)state;
    struct place p;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    begin(&p, "{\"kind\":\"ollama\",\"context\":4096,\"model\":\"gemma3:12b\",\"repeat\":true,\"replies\":[{\"text\":\"OK.\"}],"
              "\"refuse\":[{\"has\":\"\\\"tools\\\":[\",\"status\":400,\"json\":{\"error\":{\"message\":\"gemma3:12b does not support tools\"}}}]}");
    assert_int_equal(stead(&p, &out, "endpoint", "probe", "--json", p.server.url, NULL), 0);
    AUTO(json) json_t *j = json_loads(buf_str(&out), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(j, "v")), 1);
    static const char *const members[] = { "endpoint", "server", "version", "model" };
    for (size_t i = 0; i < COUNT_OF(members); i++)
        assert_true(json_is_string(json_object_get(j, members[i])));
    assert_int_equal(json_integer_value(json_object_get(j, "context_tokens")), 4096);
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(j, "checks"), i, c) {
        assert_true(json_is_string(json_object_get(c, "name")) && json_is_string(json_object_get(c, "detail")) && json_is_string(json_object_get(c, "remedy")));
        const char *v = json_string_value(json_object_get(c, "verdict"));
        assert_true(!strcmp(v, "ok") || !strcmp(v, "adapted") || !strcmp(v, "bad") || !strcmp(v, "unknown"));
    }
    assert_true(i >= 10);
    assert_int_equal(stead(&p, &out, "endpoint", "probe", "--quick", p.server.url, NULL), 0);
    assert_contains(buf_str(&out), "Ollama 0.20.1");
    assert_contains(buf_str(&out), "What does not work well");
    assert_contains(buf_str(&out), "OLLAMA_CONTEXT_LENGTH");
    end(&p);
}

static void probe__without_a_server_says_what_to_do(void **state)
{
    (void)state;
    struct place p;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    begin(&p, "{}");
    assert_int_equal(stead(&p, &out, "endpoint", "probe", "http://127.0.0.1:1", NULL, NULL), 5);
    assert_contains(buf_str(&out), "nobody answers at http://127.0.0.1:1");
    assert_contains(buf_str(&out), "try: start the server");
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_list_remove__keep_the_rest_of_the_file),
        cmocka_unit_test(probe__speaks_to_programs_and_to_people),
        cmocka_unit_test(probe__without_a_server_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
