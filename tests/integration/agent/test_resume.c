/*
 * Going on with a session: after a clean end, after a crash at any event, forked at a step, with another
 * model. Promised: the request after a resume begins with the very bytes of the one before it, and at
 * most the running step is made again.
 */
#include "support/test.h"
#include "world.h"

#include "agent/session.h"
#include "base/mem.h"

static const char files_json[] = "{\"a.txt\":\"one\\n\",\"b.txt\":\"two\\n\"}";
static const char script_json[] =
    "{\"replies\":["
    "{\"text\":\"Looking.\",\"calls\":[{\"name\":\"read\",\"args\":{\"path\":\"a.txt\"}}]},"
    "{\"calls\":[{\"name\":\"edit\",\"args\":{\"path\":\"a.txt\",\"line\":1,\"new\":\"ONE\"}},{\"name\":\"read\",\"args\":{\"path\":\"b.txt\"}}]},"
    "{\"calls\":[{\"name\":\"edit\",\"args\":{\"path\":\"b.txt\",\"line\":1,\"new\":\"TWO\"}}]},"
    "{\"text\":\"Done.\"}]}";
static const char more_json[] = "{\"replies\":[{\"text\":\"More.\"}],\"repeat\":true}";

static json_t *parse(const char *text)
{
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    return j;
}

static char *last_body(const struct world *w, size_t least)
{
    AUTO(json) json_t *requests = scripted_requests(&w->server, true, least);
    size_t n = json_array_size(requests);
    assert_true(n > 0);
    return strdup(json_string_value(json_object_get(json_array_get(requests, n - 1), "body")));
}

/* Bytes that b shares with a, less what closes a. */
static void check_continues(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    if (strlen(a) - n > 200)
        fail_msg("the request departs from the one before at byte %zu of %zu: ...%.120s", n, strlen(a), a + n);
}

static void run_first(struct world *w, struct attempt_result *r)
{
    struct err e = ERR_INIT;
    struct attempt_spec spec = world_spec(w);
    spec.task = SPAN("Capitals.");
    struct attempt *a;
    assert_ok(attempt_start(&spec, &a, &e), &e);
    assert_ok(attempt_run(a, NULL, r, &e), &e);
    assert_int_equal(r->status, ATTEMPT_FINISHED);
    attempt_destroy(a);
}

static void go_on(struct world *w, const char *from, int64_t step, const char *told, struct attempt_result *r)
{
    struct err e = ERR_INIT;
    struct attempt_spec spec = world_spec(w);
    spec.resume_from = from;
    spec.resume_step = step;
    struct attempt *a;
    assert_ok(attempt_start(&spec, &a, &e), &e);
    if (told)
        assert_ok(attempt_tell(a, span_of(told), &e), &e);
    if (attempt_run(a, NULL, r, &e) < 0)
        fail_msg("%s", e.text);
    attempt_destroy(a);
}

static void resume__the_prompt_begins_with_the_same_bytes(void **state)
{
    (void)state;
    struct world w;
    struct attempt_result r;
    AUTO(json) json_t *files = parse(files_json);
    AUTO(json) json_t *script = parse(script_json);
    AUTO(json) json_t *more = parse(more_json);
    world_open(&w, "resume", files, script);
    run_first(&w, &r);
    AUTO(ptr) char *before = last_body(&w, 4);
    world_serve(&w, more);
    world_restart(&w);
    go_on(&w, w.session.id, 0, "Now thank me.", &r);
    assert_int_equal(r.status, ATTEMPT_FINISHED);
    AUTO(ptr) char *after = last_body(&w, 1);
    check_continues(before, after);
    assert_contains(after, "Now thank me.");
    assert_int_equal(r.last_step, 5);
    /* And a second time, from what the first resume recorded. */
    world_serve(&w, more);
    go_on(&w, w.session.id, 0, "Again.", &r);
    AUTO(ptr) char *third = last_body(&w, 1);
    check_continues(after, third);
    world_check_untouched(&w, files);
    world_close(&w);
}

static void resume__another_model_gets_the_same_conversation(void **state)
{
    (void)state;
    struct world w;
    struct attempt_result r;
    AUTO(json) json_t *files = parse(files_json);
    AUTO(json) json_t *script = parse(script_json);
    AUTO(json) json_t *more = parse(more_json);
    json_object_set_new(more, "model", json_string("another-model"));
    world_open(&w, "other", files, script);
    run_first(&w, &r);
    world_serve(&w, more);
    go_on(&w, w.session.id, 0, "Now thank me.", &r);
    assert_int_equal(r.status, ATTEMPT_FINISHED);
    AUTO(ptr) char *after = last_body(&w, 1);
    assert_contains(after, "another-model");
    assert_contains(after, "Looking.");
    assert_contains(after, "edited b.txt: line 1");
    /* What the other model was sent is what a further resume sends. */
    world_serve(&w, more);
    go_on(&w, w.session.id, 0, "Again.", &r);
    AUTO(ptr) char *third = last_body(&w, 1);
    check_continues(after, third);
    world_close(&w);
}

/* Copies the first `n` events of the session into a fresh one: what the journal holds when the program dies there. */
struct copy {
    struct journal *j;
    const char *to;
    int64_t left;
};

static int copy_event(void *ctx, const struct journal_event *ev)
{
    struct copy *c = ctx;
    struct err e = ERR_INIT;
    if (c->left-- <= 0)
        return 1;
    return journal_append(c->j, c->to, ev->type, ev->members, NULL, &e);
}

static void resume__after_a_crash_at_any_event(void **state)
{
    (void)state;
    struct world w;
    struct attempt_result r;
    AUTO(json) json_t *files = parse(files_json);
    AUTO(json) json_t *script = parse(script_json);
    AUTO(json) json_t *more = parse(more_json);
    world_open(&w, "crash", files, script);
    run_first(&w, &r);
    AUTO(ptr) char *whole = last_body(&w, 4);
    size_t n = json_array_size(w.events);
    AUTO(ptr) char *first = strdup(w.session.id);
    world_serve(&w, more);
    int resumed = 0;
    for (size_t died = 1; died <= n; died++) {
        struct err e = ERR_INIT;
        struct journal_session s = { .workspace = w.workspace, .kind = "run" };
        assert_ok(journal_session_start(w.journal, &s, &e), &e);
        struct copy c = { w.journal, s.id, (int64_t)died };
        assert_true(journal_read(w.journal, first, 0, copy_event, &c, &e) >= 0);
        w.session = s;
        AUTO(arena) struct arena arena = ARENA_INIT(1 << 22);
        struct session_state st;
        assert_ok(session_load(w.journal, s.id, NULL, &arena, &st, &e), &e);
        /* Files are those of the last step that is whole. */
        assert_ok(layer_undo(w.layer, w.sandbox, (int)st.checkpoint, &e), &e);
        if (st.prefix.n == 0)
            continue;
        go_on(&w, s.id, 0, st.owed ? NULL : "Thank me.", &r);
        assert_int_equal(r.status, ATTEMPT_FINISHED);
        AUTO(ptr) char *body = last_body(&w, (size_t)++resumed);
        /* Everything whole is sent again byte for byte; nothing of the torn step is. */
        size_t k = 0;
        while (whole[k] && whole[k] == body[k])
            k++;
        size_t known = strlen(whole) - 200 < st.prefix.n ? strlen(whole) - 200 : st.prefix.n; /* the last request ends before its reply */
        if (k < known)
            fail_msg("died after event %zu: the prompt departs at byte %zu of %zu", died, k, known);
        assert_true(st.step <= 4);
        world_check_untouched(&w, files);
        /* The next crash is of the first run again: give its layer back. */
        for (int step = 2; step <= 3; step++) {
            AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
            struct strings changed;
            assert_ok(sandbox_write(w.sandbox, step == 2 ? "a.txt" : "b.txt", step == 2 ? SPAN("ONE\n") : SPAN("TWO\n"), 0, 0, &e), &e);
            if (layer_step(w.layer) < step)
                assert_ok(layer_checkpoint(w.layer, w.sandbox, step, &a, &changed, &e), &e);
        }
    }
    assert_true(resumed >= 8);
    world_close(&w);
}

static void fork__goes_its_own_way_from_a_step(void **state)
{
    (void)state;
    struct world w;
    struct attempt_result r;
    struct err e = ERR_INIT;
    AUTO(json) json_t *files = parse(files_json);
    AUTO(json) json_t *script = parse(script_json);
    AUTO(json) json_t *more = parse(more_json);
    world_open(&w, "fork", files, script);
    run_first(&w, &r);
    AUTO(arena) struct arena arena = ARENA_INIT(1 << 22);
    struct session_state st;
    assert_ok(session_load(w.journal, w.session.id, NULL, &arena, &st, &e), &e);
    assert_int_equal(st.step, 4);
    char id[ID_SIZE];
    assert_ok(session_fork(w.journal, &st, 2, id, &e), &e);
    assert_ok(layer_undo(w.layer, w.sandbox, 2, &e), &e);
    memcpy(w.session.id, id, sizeof id);
    world_serve(&w, more);
    go_on(&w, id, 0, "Leave b.", &r);
    AUTO(ptr) char *body = last_body(&w, 1);
    assert_contains(body, "Leave b.");
    assert_contains(body, "edited a.txt: line 1");
    assert_null(strstr(body, "edited b.txt"));
    AUTO(buf) struct buf b = BUF_INIT(1000);
    assert_ok(sandbox_read(w.sandbox, "a.txt", 0, 100, &b, NULL, &e), &e);
    assert_ok(sandbox_read(w.sandbox, "b.txt", 0, 100, &b, NULL, &e), &e);
    assert_string_equal(buf_str(&b), "ONE\ntwo\n");
    world_close(&w);
}

int main(void)
{
    struct err e = ERR_INIT;
    struct loop *loop;
    struct sandbox_report report;
    if (loop_create(&loop, &e) < 0 || sandbox_check(loop, &report, &e) < 0 || !report.usable) {
        (void)printf("SKIP: no sandbox can be had here: %s\n", e.text);
        return 77;
    }
    loop_destroy(loop);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resume__the_prompt_begins_with_the_same_bytes),
        cmocka_unit_test(resume__another_model_gets_the_same_conversation),
        cmocka_unit_test(resume__after_a_crash_at_any_event),
        cmocka_unit_test(fork__goes_its_own_way_from_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
