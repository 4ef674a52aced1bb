#include "world.h"

#include <sys/stat.h>

#include "support/test.h"

#include "base/bind.h"
#include "base/mem.h"

static int keep_event(void *ctx, const struct journal_event *ev)
{
    struct world *w = ctx;
    json_t *o = json_loadb(ev->members.p, ev->members.n, 0, NULL);
    if (!o)
        fail_msg("%s: event '%s' is not JSON", w->name, ev->type);
    json_object_set_new(o, "type", json_string(ev->type));
    json_array_append_new(w->events, o);
    return 0;
}

static void start_sandbox(struct world *w)
{
    struct err e = ERR_INIT;
    struct sandbox_spec spec = { .workspace = w->workspace };
    layer_overlay(w->layer, &spec.overlay);
    if (sandbox_start(w->loop, &spec, &w->sandbox, &e) < 0)
        fail_msg("%s: %s; %s", w->name, e.text, e.hint);
}

void world_serve(struct world *w, const json_t *script)
{
    struct err e = ERR_INIT;
    endpoint_destroy(w->endpoint);
    if (w->server.proc)
        scripted_stop(&w->server);
    scripted_start(&w->server, w->loop, script, false);
    struct endpoint_spec spec = { .name = "scripted", .url = w->server.url };
    assert_ok(endpoint_create(&spec, &w->endpoint, &e), &e);
    assert_ok(endpoint_look(w->loop, w->endpoint, 5000, NULL, &e), &e);
}

void world_open(struct world *w, const char *name, const json_t *files, const json_t *script)
{
    struct err e = ERR_INIT;
    *w = (struct world){ .name = name, .dir = scratch_make(), .events = json_array() };
    w->workspace = path_join(w->dir, "app");
    w->state = path_join(w->dir, "state");
    assert_ok(path_mkdirs(w->workspace, 0755, &e), &e);
    assert_ok(path_mkdirs(w->state, 0700, &e), &e);
    (void)chmod(w->dir, 0755);
    const char *path;
    const json_t *content;
    json_t *members = json_incref((json_t *)(uintptr_t)files);
    json_object_foreach(members, path, content) {
        AUTO(ptr) char *full = path_join(w->workspace, path);
        AUTO(ptr) char *parent = span_dup(path_dir(full));
        assert_ok(path_mkdirs(parent, 0755, &e), &e);
        assert_ok(file_write_atomic(full, span_of(json_string_value(content)), 0644, false, &e), &e);
    }
    json_decref(members);
    assert_ok(loop_create(&w->loop, &e), &e);
    AUTO(ptr) char *journal = path_join(w->state, "journal.db");
    assert_ok(journal_open(journal, JOURNAL_CREATE, &w->journal, &e), &e);
    w->session = (struct journal_session){ .workspace = w->workspace, .kind = "run" };
    assert_ok(journal_session_start(w->journal, &w->session, &e), &e);
    assert_ok(journal_subscribe(w->journal, keep_event, w, &e), &e);
    struct layer_options lo = { .session = w->session.id };
    assert_ok(layer_create(w->workspace, w->state, &lo, &w->layer, &e), &e);
    start_sandbox(w);
    world_serve(w, script);
}

void world_restart(struct world *w)
{
    struct err e = ERR_INIT;
    char id[ID_SIZE];
    (void)snprintf(id, sizeof id, "%s", layer_id(w->layer));
    sandbox_destroy(w->sandbox);
    layer_destroy(w->layer);
    w->layer = NULL;
    assert_ok(layer_open(w->state, id, &w->layer, &e), &e);
    start_sandbox(w);
}

void world_close(struct world *w)
{
    struct err e = ERR_INIT;
    scripted_stop(&w->server);
    endpoint_destroy(w->endpoint);
    sandbox_destroy(w->sandbox);
    assert_ok(layer_discard(w->layer, &e), &e);
    layer_destroy(w->layer);
    journal_destroy(w->journal);
    loop_destroy(w->loop);
    json_decref(w->events);
    free(w->workspace);
    free(w->state);
    scratch_remove(w->dir);
}

struct attempt_spec world_spec(struct world *w)
{
    return (struct attempt_spec){ .loop = w->loop, .journal = w->journal, .session = w->session.id, .endpoint = w->endpoint, .sandbox = w->sandbox,
                                  .layer = w->layer, .workspace = w->workspace };
}

void world_check_prefix(const struct world *w, const json_t *requests)
{
    for (size_t i = 0; i + 1 < json_array_size(requests); i++) {
        const char *a = json_string_value(json_object_get(json_array_get(requests, i), "body"));
        const char *b = json_string_value(json_object_get(json_array_get(requests, i + 1), "body"));
        size_t n = 0;
        while (a[n] && a[n] == b[n])
            n++;
        /* What may differ: "]" that closes the messages, and the members behind it. */
        if (strlen(a) - n > 200 || !strstr(a + (n > 8 ? n - 8 : 0), "]"))
            fail_msg("%s: request %zu departs from the one before at byte %zu of %zu: ...%.80s", w->name, i + 2, n, strlen(a), a + n);
    }
}

void world_check_untouched(const struct world *w, const json_t *files)
{
    struct err e = ERR_INIT;
    const char *path;
    const json_t *content;
    json_t *members = json_incref((json_t *)(uintptr_t)files);
    json_object_foreach(members, path, content) {
        AUTO(ptr) char *full = path_join(w->workspace, path);
        AUTO(buf) struct buf b = BUF_INIT(1 << 20);
        assert_ok(file_read(full, 1 << 20, &b, &e), &e);
        if (!span_eqs(buf_span(&b), json_string_value(content)))
            fail_msg("%s: %s was written in the workspace", w->name, path);
    }
    json_decref(members);
}
