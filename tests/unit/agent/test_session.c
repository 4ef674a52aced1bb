#include "support/test.h"

#include "agent/session.h"
#include "base/bind.h"
#include "base/mem.h"
#include "journal/journal.h"

struct fixture {
    char dir[40], path[80];
    struct journal *j;
    struct journal_session s;
};

static void put(struct fixture *f, const char *type, const char *members)
{
    struct err e = ERR_INIT;
    if (journal_append(f->j, f->s.id, type, span_of(members), NULL, &e) < 0)
        fail_msg("%s: %s", type, e.text);
}

/* Two steps that are whole, a third that was cut by a crash. */
static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){ .dir = "/tmp/stead-session-XXXXXX" };
    struct err e = ERR_INIT;
    if (!mkdtemp(f.dir))
        return -1;
    (void)snprintf(f.path, sizeof f.path, "%s/j.db", f.dir);
    f.s = (struct journal_session){ .workspace = "/w", .kind = "run" };
    if (journal_open(f.path, JOURNAL_CREATE, &f.j, &e) < 0 || journal_session_start(f.j, &f.s, &e) < 0)
        return -1;
    put(&f, "task", "{\"text\":\"fix it\",\"class\":\"fix\",\"workspace\":\"/w\"}");
    put(&f, "attempt", "{\"attempt\":\"a1\",\"endpoint\":\"e\",\"url\":\"http://x\",\"model\":\"m\",\"dialect\":\"openai-chat\",\"goal\":\"change\","
                       "\"layer\":\"l1\",\"prompt\":\"abc\",\"tools\":\"read,edit\"}");
    put(&f, "user", "{\"kind\":\"task\",\"text\":\"fix it\"}");
    put(&f, "prompt", "{\"attempt\":\"a1\",\"kind\":\"ask\",\"step\":0,\"at\":0,\"text\":\"HEAD task;\"}");
    put(&f, "step", "{\"n\":1,\"prompt_tokens\":10,\"completion_tokens\":2,\"calls\":1}");
    put(&f, "tool_call", "{\"id\":\"1\",\"tool\":\"edit\",\"args\":{\"path\":\"a\\u001b.c\",\"new\":\"x\\n```\\ny\"}}");
    put(&f, "tool_result", "{\"id\":\"1\",\"ok\":true,\"output\":\"edited\\u001b[31m a.c\"}");
    put(&f, "checkpoint", "{\"step\":1,\"files\":[\"a.c\"]}");
    put(&f, "prompt", "{\"attempt\":\"a1\",\"kind\":\"step\",\"step\":1,\"at\":10,\"text\":\" one;\"}");
    put(&f, "step", "{\"n\":2,\"prompt_tokens\":12,\"completion_tokens\":3,\"calls\":0}");
    put(&f, "text", "{\"text\":\"Done.\"}");
    put(&f, "prompt", "{\"attempt\":\"a1\",\"kind\":\"step\",\"step\":2,\"at\":15,\"text\":\" two;\"}");
    put(&f, "user", "{\"kind\":\"told\",\"text\":\"and now b\"}");
    put(&f, "prompt", "{\"attempt\":\"a1\",\"kind\":\"ask\",\"step\":2,\"at\":20,\"text\":\" told;\"}");
    put(&f, "step", "{\"n\":3,\"prompt_tokens\":null,\"completion_tokens\":3,\"calls\":1}");
    put(&f, "checkpoint", "{\"step\":3,\"files\":[\"b.c\"]}");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    journal_destroy(f->j);
    return path_remove_tree(AT_FDCWD, f->dir, &e);
}

static void load__stops_before_the_torn_step(void **state)
{
    struct fixture *f = *state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct session_state s;
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task; one; two; told;"));
    assert_int_equal(s.step, 2);
    assert_int_equal(s.checkpoint, 1);
    assert_true(s.torn);
    assert_true(s.owed);
    assert_int_equal(s.npending, 0);
    assert_int_equal(s.last_n, 3);
    assert_string_equal(s.task, "fix it");
    assert_string_equal(s.model, "m");
    assert_string_equal(s.layer, "l1");
    assert_string_equal(s.status, "open");
}

static void load__a_message_that_was_not_sent_is_pending(void **state)
{
    struct fixture *f = *state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct session_state s;
    put(f, "user", "{\"kind\":\"told\",\"text\":\"wait\"}");
    assert_int_equal(session_load(f->j, NULL, "/w", &a, &s, &e), 0);
    assert_int_equal(s.npending, 1);
    assert_string_equal(s.pending[0], "wait");
}

static void load_at__is_the_state_after_that_step(void **state)
{
    struct fixture *f = *state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct session_state s;
    assert_int_equal(session_load_at(f->j, f->s.id, NULL, 1, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task; one;"));
    assert_true(s.owed);
    assert_false(s.torn);
    assert_int_equal(session_load_at(f->j, f->s.id, NULL, 2, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task; one; two;"));
    assert_false(s.owed);
    assert_int_equal(session_load_at(f->j, f->s.id, NULL, 3, &a, &s, &e), -ERR_INPUT);
    assert_non_null(strstr(e.text, "1 to 2"));
}

static void fork__shares_the_past_and_goes_its_own_way(void **state)
{
    struct fixture *f = *state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct session_state s, t;
    char id[ID_SIZE], second[ID_SIZE];
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_int_equal(session_fork(f->j, &s, 1, id, &e), 0);
    assert_int_equal(session_load(f->j, id, NULL, &a, &t, &e), 0);
    assert_true(span_eqs(t.prefix, "HEAD task; one;"));
    assert_string_equal(t.parent, f->s.id);
    assert_string_equal(t.task, "fix it");
    assert_int_equal(t.checkpoint, 1);
    struct fixture own = *f;
    memcpy(own.s.id, id, sizeof id);
    put(&own, "step", "{\"n\":2,\"calls\":0}");
    put(&own, "prompt", "{\"kind\":\"step\",\"step\":2,\"at\":15,\"text\":\" other;\"}");
    assert_int_equal(session_load(f->j, id, NULL, &a, &t, &e), 0);
    assert_true(span_eqs(t.prefix, "HEAD task; one; other;"));
    /* The parent is as it was. */
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task; one; two; told;"));
    /* A fork of the fork at a step that the first parent made. */
    assert_int_equal(session_fork(f->j, &t, 1, second, &e), 0);
    assert_int_equal(session_load(f->j, second, NULL, &a, &t, &e), 0);
    assert_true(span_eqs(t.prefix, "HEAD task; one;"));
}

static void undo__takes_the_conversation_back(void **state)
{
    struct fixture *f = *state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct session_state s;
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_int_equal(session_undo(f->j, &s, 9, &e), -ERR_INPUT);
    assert_int_equal(session_undo(f->j, &s, 1, &e), 0);
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task; one;"));
    assert_int_equal(s.step, 1);
    assert_int_equal(s.last_n, 3);
    put(f, "step", "{\"n\":4,\"calls\":0}");
    put(f, "prompt", "{\"kind\":\"step\",\"step\":4,\"at\":15,\"text\":\" four;\"}");
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task; one; four;"));
    assert_int_equal(session_undo(f->j, &s, 0, &e), 0);
    assert_int_equal(session_load(f->j, f->s.id, NULL, &a, &s, &e), 0);
    assert_true(span_eqs(s.prefix, "HEAD task;")); /* the first request as it was */
    assert_true(s.owed);
    assert_int_equal(s.step, 0);
}

static int collect(void *ctx, struct span piece)
{
    return buf_add_span(ctx, piece) ? 0 : -ERR_NOMEM;
}

static void export__json_lines_and_markdown(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    assert_int_equal(session_export(f->j, f->s.id, SESSION_JSONL, collect, &b, &e), 0);
    struct span rest = buf_span(&b), line;
    int n = 0;
    while (span_line(&rest, &line)) {
        AUTO(json) json_t *json = NULL;
        assert_int_equal(json_parse(line, BIND_STRICT, &json, &e), 0);
        assert_int_equal(json_integer_value(json_object_get(json, "v")), 1);
        assert_string_not_equal(json_string_value(json_object_get(json, "type")), "prompt");
        n++;
    }
    assert_true(n >= 10);
    buf_reset(&b);
    assert_int_equal(session_export(f->j, f->s.id, SESSION_MARKDOWN, collect, &b, &e), 0);
    assert_non_null(strstr(buf_str(&b), "## Task\n\nfix it\n"));
    assert_non_null(strstr(buf_str(&b), "### Step 1"));
    assert_non_null(strstr(buf_str(&b), "````\nx\n```\ny\n````"));
    assert_non_null(strstr(buf_str(&b), "## You\n\nand now b\n"));
    assert_null(strchr(buf_str(&b), '\033'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(load__stops_before_the_torn_step, setup, teardown),
        cmocka_unit_test_setup_teardown(load__a_message_that_was_not_sent_is_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(load_at__is_the_state_after_that_step, setup, teardown),
        cmocka_unit_test_setup_teardown(fork__shares_the_past_and_goes_its_own_way, setup, teardown),
        cmocka_unit_test_setup_teardown(undo__takes_the_conversation_back, setup, teardown),
        cmocka_unit_test_setup_teardown(export__json_lines_and_markdown, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
