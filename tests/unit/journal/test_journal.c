#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/path.h"

static char dir[64], path[128];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/stead-journal-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s/state/journal.db", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    (void)chmod(dir, 0700);
    return path_remove_tree(AT_FDCWD, dir, &e);
}

#define OK(call)                                       \
    do {                                               \
        if ((call) < 0)                                \
            fail_msg("%s: %s", #call, e.text);         \
    } while (0)

static void start(struct journal *j, struct journal_session *s)
{
    struct err e = ERR_INIT;
    if (!s->workspace)
        s->workspace = "/w";
    OK(journal_session_start(j, s, &e));
}

static int collect(void *ctx, const struct journal_event *ev)
{
    struct buf *b = ctx;
    buf_addf(b, "%lld %s %.*s;", (long long)ev->seq, ev->type, (int)ev->members.n, ev->members.p);
    return 0;
}

static void append__is_read_back_in_order_by_another_reader(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL, *r = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 }, other = { 0 };
    start(j, &s);
    start(j, &other);
    int64_t seq = 0;
    OK(journal_append(j, s.id, "task", SPAN("{\"text\":\"do\",\"class\":\"docs\"}"), &seq, &e));
    OK(journal_append(j, other.id, "text", SPAN("{}"), NULL, &e));
    OK(journal_append(j, s.id, "text", SPAN("{\"text\":\"x\"}"), &seq, &e));
    assert_int_equal(seq, 2);

    OK(journal_open(path, JOURNAL_READ, &r, &e));
    AUTO(buf) struct buf b = BUF_INIT(1000);
    OK(journal_read(r, s.id, 0, collect, &b, &e));
    assert_string_equal(buf_str(&b), "1 task {\"text\":\"do\",\"class\":\"docs\"};2 text {\"text\":\"x\"};");
    buf_reset(&b);
    OK(journal_read(r, s.id, 1, collect, &b, &e));
    assert_string_equal(buf_str(&b), "2 text {\"text\":\"x\"};");
    assert_int_equal(journal_append(r, s.id, "text", SPAN("{}"), NULL, &e), -ERR_INTERNAL);

    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void append__refuses_what_is_not_an_event(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    assert_int_equal(journal_append(j, s.id, "text", SPAN("{\"a\":"), NULL, &e), -ERR_INPUT);
    assert_int_equal(journal_append(j, s.id, "text", SPAN("{\"seq\":1}"), NULL, &e), -ERR_INTERNAL);
    assert_int_equal(journal_append(j, s.id, "No Type", SPAN("{}"), NULL, &e), -ERR_INTERNAL);
    assert_int_equal(journal_append(j, "s-unknown", "text", SPAN("{}"), NULL, &e), -ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "s-unknown"));
    int64_t seq = 0;
    OK(journal_append(j, s.id, "text", SPAN("{}"), &seq, &e));
    assert_int_equal(seq, 1); /* the refused ones left no gap */
}

static void event_line__is_the_contract_line(void **state)
{
    (void)state;
    struct journal_event ev = { 9, 3, 1700000000000, "s1", "text", SPAN("{\"text\":\"a\"}") };
    AUTO(buf) struct buf b = BUF_INIT(300);
    assert_true(journal_event_line(&b, &ev));
    assert_string_equal(buf_str(&b), "{\"v\":1,\"seq\":3,\"time_ms\":1700000000000,\"session\":\"s1\",\"type\":\"text\",\"text\":\"a\"}");
    buf_reset(&b);
    ev.members = SPAN("{}");
    assert_true(journal_event_line(&b, &ev));
    assert_string_equal(buf_str(&b), "{\"v\":1,\"seq\":3,\"time_ms\":1700000000000,\"session\":\"s1\",\"type\":\"text\"}");
}

static int count(void *ctx, const struct journal_event *ev)
{
    (void)ev;
    ++*(int *)ctx;
    return 0;
}

static void begin__hides_appends_until_commit_and_rollback_drops_them(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL, *r = NULL;
    int told = 0, seen = 0;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    OK(journal_subscribe(j, count, &told, &e));
    OK(journal_open(path, JOURNAL_READ, &r, &e));
    OK(journal_begin(j, &e));
    OK(journal_append(j, s.id, "text", SPAN("{}"), NULL, &e));
    OK(journal_append(j, s.id, "text", SPAN("{}"), NULL, &e));
    OK(journal_read(r, s.id, 0, count, &seen, &e));
    assert_int_equal(seen, 0);
    assert_int_equal(told, 0);
    OK(journal_commit(j, &e));
    OK(journal_read(r, s.id, 0, count, &seen, &e));
    assert_int_equal(seen, 2);
    assert_int_equal(told, 2);
    OK(journal_begin(j, &e));
    OK(journal_append(j, s.id, "text", SPAN("{}"), NULL, &e));
    journal_rollback(j);
    int64_t seq = 0;
    OK(journal_append(j, s.id, "text", SPAN("{}"), &seq, &e));
    assert_int_equal(seq, 3);
    assert_int_equal(told, 3);
    OK(journal_sync(j, &e));
}

struct echo {
    struct journal *j;
    const char *session;
    int depth;
};

static int echo(void *ctx, const struct journal_event *ev)
{
    struct echo *x = ctx;
    struct err e = ERR_INIT;
    if (x->depth++ < 3) /* appends while it is told, with the event's bytes still valid after */
        OK(journal_append(x->j, x->session, "text", SPAN("{\"text\":\"echo [k] 123456789\"}"), NULL, &e));
    assert_true(span_starts(ev->members, "{\"text\":\""));
    return 0;
}

static void subscribers__may_append(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    OK(journal_hide(j, SPAN("123456789"), &e));
    struct echo x = { j, s.id, 0 };
    OK(journal_subscribe(j, echo, &x, &e));
    OK(journal_append(j, s.id, "text", SPAN("{\"text\":\"first 123456789\"}"), NULL, &e));
    assert_int_equal(x.depth, 4);
    journal_unsubscribe(j, echo, &x);
    OK(journal_append(j, s.id, "text", SPAN("{}"), NULL, &e));
    assert_int_equal(x.depth, 4);
}

static void secrets__are_not_stored(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    OK(journal_hide(j, SPAN("sk-\"quoted\"-key-1"), &e));
    OK(journal_hide(j, SPAN("x"), &e)); /* too short to tell from words: ignored */
    OK(journal_append(j, s.id, "text", SPAN("{\"text\":\"a sk-\\\"quoted\\\"-key-1 b sk-\\\"quoted\\\"-key-1 x\"}"), NULL, &e));
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    OK(journal_read(j, s.id, 0, collect, &b, &e));
    assert_string_equal(buf_str(&b), "1 text {\"text\":\"a [secret] b [secret] x\"};");
    journal_destroy(TAKE(j));
    buf_reset(&b);
    OK(file_read(path, 1 << 20, &b, &e));
    assert_int_equal(span_find(buf_span(&b), SPAN("quoted")), -1);
}

static void facts__leave_long_values_out(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    AUTO(buf) struct buf m = BUF_INIT(10000), b = BUF_INIT(10000);
    buf_adds(&m, "{\"ok\":true,\"output\":\"");
    for (int i = 0; i < 1000; i++)
        buf_addc(&m, 'x');
    buf_adds(&m, "\",\"n\":1}");
    OK(journal_append(j, s.id, "tool_result", buf_span(&m), NULL, &e));
    OK(journal_append(j, s.id, "text", SPAN("{\"text\":\"not a fact\"}"), NULL, &e));
    OK(journal_facts(j, 0, 0, 0, collect, &b, &e));
    assert_string_equal(buf_str(&b), "1 tool_result {\"ok\":true,\"n\":1};");
    buf_reset(&b);
    OK(journal_facts(j, INT64_MAX - 1, 0, 0, collect, &b, &e));
    assert_int_equal(b.n, 0);
    assert_int_equal(journal_last(j, s.id, "text", &b, NULL, &e), 1);
    assert_string_equal(buf_str(&b), "{\"text\":\"not a fact\"}");
    assert_int_equal(journal_last(j, s.id, "gate", &b, NULL, &e), 0);
}

static int list_session(void *ctx, const struct journal_session *s)
{
    buf_addf(ctx, "%s %s %s %lld|", s->workspace, s->status, s->task, (long long)s->events);
    return 0;
}

static void sessions__are_listed_and_found_by_prefix(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session a = { .workspace = "/a" }, b = { .workspace = "/b" };
    start(j, &a);
    start(j, &b);
    OK(journal_append(j, a.id, "task", SPAN("{\"text\":\"fix \\u00e9\"}"), NULL, &e));
    OK(journal_append(j, a.id, "result", SPAN("{\"status\":\"verified\"}"), NULL, &e));
    AUTO(buf) struct buf out = BUF_INIT(10000);
    OK(journal_sessions(j, NULL, 0, list_session, &out, &e));
    assert_string_equal(buf_str(&out), "/b open  0|/a verified fix \xc3\xa9 2|");
    buf_reset(&out);
    OK(journal_session_find(j, a.id, NULL, list_session, &out, &e));
    OK(journal_session_find(j, NULL, "/a", list_session, &out, &e));
    assert_string_equal(buf_str(&out), "/a verified fix \xc3\xa9 2|/a verified fix \xc3\xa9 2|");
    buf_reset(&out);
    assert_int_equal(journal_session_find(j, NULL, "/b", list_session, &out, &e), -ERR_NOT_FOUND); /* killed before its first event */
    struct journal_session later = { .workspace = "/a", .kind = "run" };
    start(j, &later);
    OK(journal_session_find(j, NULL, "/a", list_session, &out, &e));
    assert_string_equal(buf_str(&out), "/a verified fix \xc3\xa9 2|");
    assert_int_equal(journal_session_find(j, "s", NULL, list_session, &out, &e), -ERR_CONFLICT);
    assert_int_equal(journal_session_find(j, "s9", NULL, list_session, &out, &e), -ERR_NOT_FOUND);
    assert_int_equal(journal_session_find(j, NULL, "/none", list_session, &out, &e), -ERR_NOT_FOUND);
}

static int list_change(void *ctx, const struct journal_change *c)
{
    buf_addf(ctx, "%s %s %s %s|", c->id, c->status, c->blob ? c->blob : "-", c->members ? c->members : "-");
    return 0;
}

static void changes__keep_their_last_status_and_leave_events(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    struct journal_change c = { .id = "c1abc", .session = s.id, .workspace = "/w", .status = "draft", .blob = "b1",
                                .members = "{\"files\":[]}" };
    OK(journal_change_put(j, &c, &e));
    struct journal_change again = { .id = "c1abc", .session = s.id, .workspace = "/w", .status = "applied" };
    OK(journal_change_put(j, &again, &e));
    struct journal_change two = { .id = "c1abd", .session = s.id, .workspace = "/w", .status = "draft" };
    OK(journal_change_put(j, &two, &e));
    AUTO(buf) struct buf out = BUF_INIT(10000);
    OK(journal_changes(j, "/w", NULL, list_change, &out, &e));
    assert_string_equal(buf_str(&out), "c1abd draft - -|c1abc applied b1 {\"files\":[]}|");
    buf_reset(&out);
    OK(journal_change_find(j, "c1abc", NULL, list_change, &out, &e));
    assert_string_equal(buf_str(&out), "c1abc applied b1 {\"files\":[]}|");
    assert_int_equal(journal_change_find(j, "c1ab", NULL, list_change, &out, &e), -ERR_CONFLICT);
    int events = 0;
    OK(journal_read(j, s.id, 0, count, &events, &e));
    assert_int_equal(events, 3);
    struct journal_change lost = { .id = "c2", .session = "s-none", .workspace = "/w", .status = "draft" };
    assert_int_equal(journal_change_put(j, &lost, &e), -ERR_NOT_FOUND);
    assert_int_equal(journal_change_find(j, "c2", NULL, list_change, &out, &e), -ERR_NOT_FOUND); /* rolled back whole */
}

static void blobs__are_stored_once_and_checked(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct hash_hex small, big, empty;
    AUTO(buf) struct buf data = BUF_INIT(2 << 20), out = BUF_INIT(2 << 20);
    for (int i = 0; i < 1 << 20; i++)
        buf_addc(&data, (char)(i * 7));
    OK(journal_blob_put(j, SPAN("hello\0there"), &small, &e));
    OK(journal_blob_put(j, buf_span(&data), &big, &e));
    OK(journal_blob_put(j, buf_span(&data), &big, &e));
    OK(journal_blob_put(j, SPAN(""), &empty, &e));
    OK(journal_blob_get(j, small.s, 100, &out, &e));
    assert_true(span_eq(buf_span(&out), SPAN("hello\0there")));
    buf_reset(&out);
    OK(journal_blob_get(j, big.s, 2 << 20, &out, &e));
    assert_true(span_eq(buf_span(&out), buf_span(&data)));
    buf_reset(&out);
    OK(journal_blob_get(j, empty.s, 0, &out, &e));
    assert_int_equal(journal_blob_get(j, big.s, 1000, &out, &e), -ERR_LIMIT);
    assert_int_equal(journal_blob_get(j, "../../etc/passwd", 1000, &out, &e), -ERR_INPUT);
    struct journal_check c;
    OK(journal_check(j, &c, &e));
    assert_int_equal(c.blobs, 3);
    assert_string_equal(c.problem, "");

    AUTO(buf) struct buf file = BUF_INIT(500);
    buf_addf(&file, "%s.blobs/%.2s/%s", path, big.s, big.s + 2);
    assert_int_equal(truncate(buf_str(&file), 10), 0);
    assert_int_equal(journal_blob_get(j, big.s, 2 << 20, &out, &e), -ERR_IO);
    assert_non_null(strstr(e.text, "damaged"));
}

static void state__keeps_the_last_value(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    AUTO(buf) struct buf out = BUF_INIT(100);
    assert_int_equal(journal_state_get(j, "breaker/x", &out, &e), 0);
    OK(journal_state_put(j, "breaker/x", SPAN("1"), &e));
    OK(journal_state_put(j, "breaker/x", SPAN("22"), &e));
    assert_int_equal(journal_state_get(j, "breaker/x", &out, &e), 1);
    assert_string_equal(buf_str(&out), "22");
}

static void open__names_what_is_wrong_with_a_file(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct journal *j = NULL;
    assert_int_equal(journal_open(path, JOURNAL_READ, &j, &e), -ERR_NOT_FOUND);
    assert_int_equal(journal_open(path, JOURNAL_WRITE, &j, &e), -ERR_NOT_FOUND);
    OK(path_mkdirs(path_dir(path).n ? dir : dir, 0700, &e));
    (void)snprintf(path, sizeof path, "%s/journal.db", dir);
    OK(file_write_atomic(path, SPAN("this is not a database, however long one looks at it, is it?"), 0600, false, &e));
    assert_int_equal(journal_open(path, JOURNAL_CREATE, &j, &e), -ERR_IO);
    assert_non_null(strstr(e.text, path));
    assert_non_null(strstr(e.text, "damaged"));
    assert_non_null(strstr(e.hint, "move it away"));
    assert_int_equal(unlink(path), 0);

    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE other(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(journal_open(path, JOURNAL_CREATE, &j, &e), -ERR_INPUT);
    assert_non_null(strstr(e.text, "another program"));
    assert_null(j);
}

static void open__refuses_a_newer_format_and_leaves_it_alone(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    journal_destroy(TAKE(j));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=999", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(journal_open(path, JOURNAL_CREATE, &j, &e), -ERR_UNSUPPORTED);
    assert_non_null(strstr(e.hint, "update stead"));
    assert_int_equal(journal_open(path, JOURNAL_READ, &j, &e), -ERR_UNSUPPORTED);
}

/* Version 1 as it was, with a record in it; written out here because the code must go on reading it. */
static const char version_1[] =
    "PRAGMA journal_mode=WAL; PRAGMA application_id=1937009201; PRAGMA user_version=1;"
    "CREATE TABLE sessions(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL,"
    " workspace TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT, fork_seq INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX sessions_workspace ON sessions(workspace, n);"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions(n), seq INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL, type TEXT NOT NULL, members TEXT NOT NULL, UNIQUE(session, seq));"
    "CREATE TABLE blobs(hash TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, data BLOB);"
    "CREATE TABLE changes(id TEXT PRIMARY KEY, n INTEGER, session TEXT NOT NULL, workspace TEXT NOT NULL,"
    " status TEXT NOT NULL, blob TEXT, members TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL, time_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO sessions VALUES(1,'s1old',1,'/w','run',NULL,0);"
    "INSERT INTO events VALUES(1,1,1,1,'text','{\"text\":\"old\"}');";

static void open__brings_an_older_format_forward(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    for (unsigned flags = JOURNAL_READ; flags <= JOURNAL_WRITE; flags++) {
        (void)snprintf(path, sizeof path, "%s/old-%u.db", dir, flags);
        sqlite3 *db = NULL;
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        char *why = NULL;
        if (sqlite3_exec(db, version_1, NULL, NULL, &why) != SQLITE_OK)
            fail_msg("%s", why);
        sqlite3_close(db);
        AUTO(journal) struct journal *j = NULL;
        OK(journal_open(path, flags, &j, &e));
        AUTO(buf) struct buf b = BUF_INIT(1000);
        OK(journal_read(j, "s1old", 0, collect, &b, &e));
        assert_string_equal(buf_str(&b), "1 text {\"text\":\"old\"};");
        if (flags & JOURNAL_WRITE)
            OK(journal_append(j, "s1old", "step", SPAN("{\"n\":1}"), NULL, &e));
        struct journal_check c;
        OK(journal_check(j, &c, &e));
        assert_string_equal(c.problem, "");
    }
}

/* In a child: root is not held up by permissions, so it gives them up first. */
static void open__says_that_a_directory_is_read_only(void **state)
{
    (void)state;
    assert_int_equal(chmod(dir, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err e = ERR_INIT;
        struct journal *j = NULL;
        if (getuid() == 0 && setuid(65534) < 0)
            _exit(3);
        int ret = journal_open(path, JOURNAL_CREATE, &j, &e);
        _exit(ret == -ERR_DENIED && strstr(e.text, path) && strstr(e.hint, "STEAD_STATE_DIR") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A file size limit stands in for a full disk: the same refusal reaches SQLite. */
static void append__survives_a_disk_that_is_full(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct err e = ERR_INIT;
        struct journal *j = NULL;
        struct journal_session s = { .workspace = "/w" };
        if (journal_open(path, JOURNAL_CREATE, &j, &e) < 0 || journal_session_start(j, &s, &e) < 0)
            _exit(2);
        (void)signal(SIGXFSZ, SIG_IGN);
        struct rlimit small = { 200000, 200000 };
        if (setrlimit(RLIMIT_FSIZE, &small) < 0)
            _exit(3);
        AUTO(buf) struct buf m = BUF_INIT(10000);
        buf_adds(&m, "{\"text\":\"");
        for (int i = 0; i < 4000; i++)
            buf_addc(&m, 'y');
        buf_adds(&m, "\"}");
        int stored = 0, ret = 0, seen = 0;
        for (; stored < 1000 && (ret = journal_append(j, s.id, "text", buf_span(&m), NULL, &e)) == 0; stored++)
            ;
        if (ret != -ERR_IO || !e.hint[0] || stored < 5) {
            print_error("stored %d: %s (try: %s)\n", stored, e.text, e.hint);
            _exit(4);
        }
        if (journal_read(j, s.id, 0, count, &seen, &e) < 0 || seen != stored)
            _exit(5);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    /* With room again, everything that was acknowledged is there and more goes in. */
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_WRITE, &j, &e));
    struct journal_check c;
    OK(journal_check(j, &c, &e));
    assert_string_equal(c.problem, "");
    assert_true(c.events >= 5);
}

static void append__tells_of_damage(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_CREATE, &j, &e));
    struct journal_session s = { 0 };
    start(j, &s);
    for (int i = 0; i < 200; i++)
        OK(journal_append(j, s.id, "text", SPAN("{\"text\":\"some words that fill the pages of this file\"}"), NULL, &e));
    journal_destroy(TAKE(j));
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    static const char noise[8192] = { 0x5a, 0x5a, 0x5a };
    assert_int_equal(pwrite(fd, noise, sizeof noise, 4096), sizeof noise);
    (void)close(fd);
    int ret = journal_open(path, JOURNAL_WRITE, &j, &e), seen = 0;
    if (ret == 0)
        ret = journal_read(j, s.id, 0, count, &seen, &e);
    assert_int_equal(ret, -ERR_IO);
    assert_non_null(strstr(e.text, "damaged"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(append__is_read_back_in_order_by_another_reader),
        T(append__refuses_what_is_not_an_event),
        T(event_line__is_the_contract_line),
        T(begin__hides_appends_until_commit_and_rollback_drops_them),
        T(subscribers__may_append),
        T(secrets__are_not_stored),
        T(facts__leave_long_values_out),
        T(sessions__are_listed_and_found_by_prefix),
        T(changes__keep_their_last_status_and_leave_events),
        T(blobs__are_stored_once_and_checked),
        T(state__keeps_the_last_value),
        T(open__names_what_is_wrong_with_a_file),
        T(open__refuses_a_newer_format_and_leaves_it_alone),
        T(open__brings_an_older_format_forward),
        T(open__says_that_a_directory_is_read_only),
        T(append__survives_a_disk_that_is_full),
        T(append__tells_of_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
