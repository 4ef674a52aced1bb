#include "scripted.h"

#include "support/test.h"

#include "base/clock.h"
#include "base/mem.h"

void scripted_start(struct scripted *s, struct loop *loop, const json_t *script, bool unix_socket)
{
    struct err e = ERR_INIT;
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/stead-scripted-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    char file[128], ready[128], sock[128];
    snprintf(file, sizeof file, "%s/script.json", s->dir);
    snprintf(ready, sizeof ready, "%s/ready", s->dir);
    snprintf(sock, sizeof sock, "%s/s.sock", s->dir);
    snprintf(s->record, sizeof s->record, "%s/record", s->dir);
    assert_int_equal(json_dump_file(script, file, 0), 0);
    const char *argv[12] = { "python3", MODEL_SERVER, file, "--record", s->record, "--ready", ready };
    if (unix_socket) {
        argv[7] = "--unix";
        argv[8] = sock;
    }
    struct proc_spec spec = { .argv = argv, .env = (const char *const *)environ, .die_with_parent = true, .err = PROC_INHERIT };
    assert_ok(proc_start(loop, &spec, &s->proc, &e), &e);
    for (int64_t end = clock_ms() + 60000; access(ready, F_OK) != 0;) {
        bool never = false;
        assert_true(clock_ms() < end);
        int rc = loop_wait(loop, &never, clock_ms() + 5, NULL, &e);
        assert_int_equal(rc, -ERR_TIMEOUT);
    }
    AUTO(buf) struct buf b = BUF_INIT(sizeof s->url);
    assert_ok(file_read(ready, sizeof s->url - 1, &b, &e), &e);
    snprintf(s->url, sizeof s->url, "%s", buf_str(&b));
}

/* The server notes a request when it has answered it: two that overlap stand in either order. */
static void insert_by_time(json_t *all, json_t *row)
{
    size_t at = json_array_size(all);
    int64_t began = json_integer_value(json_object_get(row, "first_us"));
    while (at > 0 && json_integer_value(json_object_get(json_array_get(all, at - 1), "first_us")) > began)
        at--;
    json_array_insert(all, at, row);
}

static json_t *read_record(const struct scripted *s, bool chats)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(256u << 20);
    json_t *all = json_array();
    if (file_read(s->record, b.limit, &b, &e) < 0)
        return all;
    struct span rest = buf_span(&b), line;
    while (span_line(&rest, &line)) {
        json_t *row = json_loadb(line.p, line.n, 0, NULL);
        const char *path = json_string_value(json_object_get(row, "path"));
        if (row && (!chats || (path && (strstr(path, "/chat/completions") || strstr(path, "/messages")))))
            insert_by_time(all, row);
        json_decref(row);
    }
    return all;
}

json_t *scripted_requests(const struct scripted *s, bool chats, size_t least)
{
    for (int64_t end = clock_ms() + 20000;;) {
        json_t *all = read_record(s, chats);
        if (json_array_size(all) >= least || clock_ms() > end)
            return all;
        json_decref(all);
        const struct timespec nap = { 0, 5000000 };
        (void)nanosleep(&nap, NULL);
    }
}

void scripted_stop(struct scripted *s)
{
    proc_destroy(s->proc);
    (void)path_remove_tree(AT_FDCWD, s->dir, &(struct err)ERR_INIT);
}
