/*
 * Layers under the real sandbox: what programs inside do becomes the change that the host reads; checkpoints and undo
 * swap the overlay of a running sandbox. Skipped, with the reason, where no sandbox can be started.
 */
#include "host.h"

#include "base/clock.h"
#include "base/loop.h"
#include "sandbox/sandbox.h"
#include "workspace/apply.h"

struct inside {
    struct world w;
    struct loop *loop;
    struct sandbox *sb;
};

static void begin_on(struct inside *in_, enum layer_kind kind, bool copied)
{
    struct world *w = &in_->w;
    struct layer_options opt = { .kind = kind };
    struct sandbox_spec spec = { .workspace = w->ws };
    usleep(12000);
    assert_ok(layer_create(w->ws, w->state, &opt, &w->layer, &w->e), &w->e);
    if (copied)
        assert_ok(layer_copy_base(w->layer, &w->e), &w->e);
    spec.base = layer_base(w->layer);
    layer_overlay(w->layer, &spec.overlay);
    assert_ok(loop_create(&in_->loop, &w->e), &w->e);
    if (sandbox_start(in_->loop, &spec, &in_->sb, &w->e) < 0) {
        print_message("no sandbox here: %s\n", w->e.text);
        skip();
    }
    if (layer_kind(w->layer) == LAYER_TMPFS)
        assert_ok(layer_adopt(w->layer, sandbox_tmpfs(in_->sb), &w->e), &w->e);
}

static void begin(struct inside *in_, enum layer_kind kind)
{
    begin_on(in_, kind, false);
}

static void end(struct inside *in_)
{
    sandbox_destroy(in_->sb);
    loop_destroy(in_->loop);
    world_finish(&in_->w);
}

static void sh(struct inside *in_, const char *script)
{
    const char *argv[] = { "sh", "-ec", script, NULL };
    struct sandbox_exec x = { .argv = argv, .timeout_ms = 60000, .merge = true };
    struct sandbox_result r;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    assert_ok(sandbox_exec(in_->sb, &x, &out, &r, NULL, &in_->w.e), &in_->w.e);
    if (r.status != 0)
        fail_msg("'%s' ended with %d: %s", script, r.status, buf_str(&out));
}

static void what_programs_do__is_the_change(void **state)
{
    (void)state;
    struct inside i = { 0 };
    world_init(&i.w);
    struct world *w = &i.w;
    put(w->ws, "mod.c", "1\n2\n3\n");
    put(w->ws, "touched.c", "same\n");
    put(w->ws, "gone/a", "unlike any other file\n");
    put(w->ws, "gone/b/c", "nor this one\n");
    put(w->ws, "replaced/old", "old\n");
    put(w->ws, "replaced/kept", "kept\n");
    put(w->ws, "moved/one.c", "one one one\n");
    put(w->ws, "moved/two.c", "two two two\n");
    put(w->ws, "f2d", "file file file\n");
    put(w->ws, "run.sh", "#!/bin/sh\n");
    begin(&i, LAYER_AUTO);
    sh(&i, "echo 4 >> mod.c; touch touched.c; rm -r gone; rm -r replaced; mkdir replaced; echo kept > replaced/kept;"
           "echo n > replaced/new; mv moved elsewhere; rm f2d; mkdir f2d; echo in > f2d/in; chmod +x run.sh;"
           "ln -s mod.c link; mkfifo pipe; mkdir -p deep/er; echo d > deep/er/d; chmod 000 deep; mkdir readonly;"
           "echo r > readonly/r; chmod 500 readonly");
    {
        AUTO(change) struct change *c = world_change(w);
        assert_listing(c, "added deep/er/d\n"
                          "renamed elsewhere/one.c <- moved/one.c 100%\n"
                          "renamed elsewhere/two.c <- moved/two.c 100%\n"
                          "deleted f2d\n"
                          "added f2d/in\n"
                          "deleted gone/a\n"
                          "deleted gone/b/c\n"
                          "added link\n"
                          "modified mod.c\n"
                          "added readonly/r\n"
                          "added replaced/new\n"
                          "deleted replaced/old\n"
                          "mode run.sh\n");
        assert_int_equal(c->nnotes, 1);
        assert_string_equal(c->notes[0].path, "pipe");
        AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
        struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s };
        struct apply_result r;
        assert_ok(apply_change(&opt, &a, &r, &w->e), &w->e);
        assert_file(w->ws, "mod.c", "1\n2\n3\n4\n");
        assert_file(w->ws, "elsewhere/two.c", "two two two\n");
        assert_false(exists(w->ws, "gone"));
        assert_false(exists(w->ws, "moved"));
        struct stat st, up;
        AUTO(ptr) char *fresh = in(w->ws, "deep/er/d");
        assert_int_equal(lstat(fresh, &st), 0);
        assert_int_equal(lstat(w->ws, &up), 0);
        assert_int_equal(st.st_uid, up.st_uid);
    }
    assert_ok(layer_discard(w->layer, &w->e), &w->e);
    AUTO(ptr) char *layers = in(w->state, "layers");
    assert_int_equal(rmdir(layers), 0); /* nothing is left in it */
    end(&i);
}

static void checkpoints__swap_a_running_sandbox(enum layer_kind kind)
{
    struct inside i = { 0 };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    struct strings files;
    world_init(&i.w);
    struct world *w = &i.w;
    put(w->ws, "count", "0\n");
    put(w->ws, "base", "base\n");
    begin(&i, kind);
    for (int step = 1; step <= 12; step++) {
        char script[200];
        (void)snprintf(script, sizeof script, "echo %d > count; echo %d > s%d; rm -f s%d%s", step, step, step, step - 2,
                       step == 6 ? "; rm base; mkdir base; echo x > base/x" : "");
        sh(&i, script);
        int made = layer_checkpoint(w->layer, i.sb, step, &a, &files, &w->e);
        assert_ok(made, &w->e);
        assert_int_equal(made, 1);
        assert_true(files.len >= 2);
        assert_string_equal(files.items[0], step == 6 ? "base/x" : "count");
    }
    sh(&i, "test \"$(cat count)\" = 12; test -f s12; test -f s11; test ! -e s10; test -f base/x");
    int64_t began = clock_us();
    assert_ok(layer_undo(w->layer, i.sb, 5, &w->e), &w->e);
    print_message("undo of 7 steps: %lld us\n", (long long)(clock_us() - began));
    sh(&i, "test \"$(cat count)\" = 5; test -f s5; test -f s4; test ! -e s6; test -f base; echo more > s5");
    {
        AUTO(change) struct change *c = world_change(w);
        assert_listing(c, "modified count\nadded s4\nadded s5\n");
        struct span s;
        assert_ok(change_data(c, &change_find(c, "s5")->now, &s, &w->e), &w->e);
        assert_true(span_eqs(s, "more\n"));
    }
    assert_ok(layer_undo(w->layer, i.sb, 0, &w->e), &w->e);
    sh(&i, "test \"$(cat count)\" = 0; test ! -e s5; test -f base");
    AUTO(change) struct change *none = world_change(w);
    assert_int_equal(none->nfiles, 0);
    end(&i);
}

static void checkpoints__on_disk(void **state)
{
    (void)state;
    checkpoints__swap_a_running_sandbox(LAYER_DISK);
}

static void checkpoints__in_memory(void **state)
{
    (void)state;
    checkpoints__swap_a_running_sandbox(LAYER_TMPFS);
}

static void two_hundred_levels__are_quick(void **state)
{
    (void)state;
    struct inside i = { 0 };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 26);
    struct strings files;
    world_init(&i.w);
    put(i.w.ws, "f", "0\n");
    begin(&i, LAYER_DISK);
    int64_t worst = 0, total = 0;
    for (int step = 1; step <= 200; step++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%d\n", step);
        assert_ok(sandbox_write(i.sb, "f", span_of(text), 0, 0, &i.w.e), &i.w.e);
        int64_t began = clock_us();
        assert_int_equal(layer_checkpoint(i.w.layer, i.sb, step, &a, &files, &i.w.e), 1);
        int64_t took = clock_us() - began;
        worst = took > worst ? took : worst;
        total += took;
    }
    int64_t began = clock_us();
    AUTO(change) struct change *c = world_change(&i.w);
    int64_t reading = clock_us() - began;
    assert_listing(c, "modified f\n");
    began = clock_us();
    assert_ok(layer_undo(i.w.layer, i.sb, 199, &i.w.e), &i.w.e);
    print_message("200 checkpoints: mean %lld us, worst %lld us; change %lld us; undo of one %lld us\n",
                  (long long)(total / 200), (long long)worst, (long long)reading, (long long)(clock_us() - began));
    sh(&i, "test \"$(cat f)\" = 199");
    end(&i);
}

static void a_copy__serves_where_overlay_does_not(void **state)
{
    (void)state;
    struct inside i = { 0 };
    world_init(&i.w);
    struct world *w = &i.w;
    put(w->ws, "a", "1\n");
    put(w->ws, "b/c", "2 with something to tell it from others\n");
    put(w->ws, "d", "3\n");
    begin(&i, LAYER_COPY);
    assert_contains(layer_note(w->layer), "copied");
    sh(&i, "echo 2 > a; rm -r b; echo new > n");
    {
        AUTO(change) struct change *c = world_change(w);
        assert_listing(c, "modified a\ndeleted b/c\nadded n\n");
    }
    assert_file(w->ws, "a", "1\n");
    end(&i);
}

static void a_copy_of_the_base__carries_the_overlay(void **state)
{
    (void)state;
    struct inside i = { 0 };
    struct strings files;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    world_init(&i.w);
    struct world *w = &i.w;
    put(w->ws, "a", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    put(w->ws, "b/c", "moved as it is\n");
    put(w->ws, "gone", "x\n");
    begin_on(&i, LAYER_DISK, true);
    assert_contains(layer_note(w->layer), "copied");
    /* the user edits before the task reads: the task sees the copy, and both edits are merged on it */
    usleep(12000);
    put(w->ws, "a", "one\n2\n3\n4\n5\n6\n7\n8\n9\n");
    sh(&i, "grep -qx 1 a; sed -i s/9/nine/ a; mv b d; rm gone");
    assert_int_equal(layer_checkpoint(w->layer, i.sb, 1, &a, &files, &w->e), 1);
    sh(&i, "echo later > later");
    assert_ok(layer_undo(w->layer, i.sb, 1, &w->e), &w->e);
    sandbox_destroy(i.sb);
    i.sb = NULL;
    AUTO(ptr) char *id = strdup(layer_id(w->layer));
    layer_destroy(w->layer); /* and taken up again, as a session is */
    w->layer = NULL;
    assert_ok(layer_open(w->state, id, &w->layer, &w->e), &w->e);
    assert_non_null(layer_base(w->layer));
    AUTO(change) struct change *c = world_change(w);
    assert_listing(c, "modified a\nrenamed d/c <- b/c 100%\ndeleted gone\n");
    struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s };
    assert_ok(apply_change(&opt, &a, &r, &w->e), &w->e);
    assert_file(w->ws, "a", "one\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    assert_file(w->ws, "d/c", "moved as it is\n");
    assert_false(exists(w->ws, "gone"));
    end(&i);
}

static void a_view__shows_the_layer_and_throws_writes_away(void **state)
{
    (void)state;
    struct inside i = { 0 };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    world_init(&i.w);
    struct world *w = &i.w;
    put(w->ws, "a", "base\n");
    begin(&i, LAYER_DISK);
    sh(&i, "echo changed > a");
    struct inside gate = { .loop = i.loop };
    struct sandbox_spec spec = { .workspace = w->ws };
    assert_ok(layer_view(w->layer, false, &a, &spec.overlay, &w->e), &w->e);
    assert_ok(sandbox_start(i.loop, &spec, &gate.sb, &w->e), &w->e);
    sh(&gate, "test \"$(cat a)\" = changed; echo gate > a; echo left > behind");
    sandbox_destroy(gate.sb);
    layer_view_end(w->layer, &spec.overlay);
    AUTO(change) struct change *c = world_change(w);
    assert_listing(c, "modified a\n");
    assert_ok(layer_view(w->layer, true, &a, &spec.overlay, &w->e), &w->e);
    gate.sb = NULL;
    assert_ok(sandbox_start(i.loop, &spec, &gate.sb, &w->e), &w->e);
    sh(&gate, "test \"$(cat a)\" = base");
    sandbox_destroy(gate.sb);
    layer_view_end(w->layer, &spec.overlay);
    end(&i);
}

static void a_user_who_edits_meanwhile__loses_nothing(void **state)
{
    (void)state;
    struct inside i = { 0 };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    world_init(&i.w);
    struct world *w = &i.w;
    put(w->ws, "early", "1\n2\n3\n4\n5\n6\n7\n8\n");
    put(w->ws, "late", "1\n2\n3\n4\n5\n6\n7\n8\n");
    begin(&i, LAYER_DISK);
    usleep(12000);
    /* before the task touches it: the task sees this version, copies it up, and the base is known */
    put(w->ws, "early", "one\n2\n3\n4\n5\n6\n7\n8\n");
    usleep(12000);
    sh(&i, "cat early; sed -i 's/8/eight/' late; printf 'nine\\n' >> early");
    usleep(12000);
    /* after the task changed it: what the task saw is not what is there */
    put(w->ws, "late", "one\n2\n3\n4\n5\n6\n7\n8\n");
    AUTO(change) struct change *c = world_change(w);
    assert_false(change_find(c, "early")->base_moved);
    assert_true(change_find(c, "late")->base_moved);
    struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s };
    struct apply_result r;
    assert_int_equal(apply_change(&opt, &a, &r, &w->e), -ERR_CONFLICT);
    assert_file(w->ws, "early", "one\n2\n3\n4\n5\n6\n7\n8\n");
    assert_file(w->ws, "late", "one\n2\n3\n4\n5\n6\n7\n8\n");
    end(&i);
}

/* A script of random operations on few names, so that they meet: files, directories and links take each other's places. */
static void random_script(uint32_t *x, int n, struct buf *out)
{
    static const char *const names[] = { "a", "b", "c", "d", "'e e'" };
    buf_reset(out);
    buf_adds(out, "exec 2>/dev/null\n");
    for (int i = 0; i < n; i++) {
        char path[2][64];
        for (int k = 0; k < 2; k++) {
            path[k][0] = '\0';
            *x = *x * 1664525 + 1013904223;
            for (uint32_t parts = 1 + (*x >> 24) % 3; parts; parts--) {
                *x = *x * 1664525 + 1013904223;
                (void)snprintf(path[k] + strlen(path[k]), sizeof path[k] - strlen(path[k]), "%s%s", path[k][0] ? "/" : "",
                               names[(*x >> 20) % COUNT_OF(names)]);
            }
        }
        *x = *x * 1664525 + 1013904223;
        const char *p = path[0], *q = path[1];
        switch ((*x >> 20) % 8) {
        case 0:
        case 1:
        case 2: buf_addf(out, "mkdir -p \"$(dirname %s)\" && rm -f %s && seq %u %u > %s", p, p, *x % 7, *x % 31, p); break;
        case 3: buf_addf(out, "echo more >> %s", p); break;
        case 4: buf_addf(out, "rm -rf %s", p); break;
        case 5:
        case 6: buf_addf(out, "mkdir -p \"$(dirname %s)\" && mv -T %s %s", q, p, q); break;
        default: buf_addf(out, "mkdir -p \"$(dirname %s)\" && ln -sn %s %s", p, q, p); break;
        }
        buf_adds(out, " || :\n");
    }
}

/* Files and links of a directory with their contents; directories alone are no part of a change. */
static void content_of(const char *dir, struct buf *out)
{
    static const char script[] = "find . -type l -printf '%p -> %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0r sha256sum";
    buf_reset(out);
    assert_int_equal(host_sh(dir, script, out), 0);
}

static void whatever_programs_do__arrives_exactly(void **state)
{
    enum { SEEDS = 4, STEPS = 3 };
    (void)state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++) {
        struct inside i = { 0 };
        struct strings files;
        struct apply_result r;
        uint32_t x = seed * 7919;
        AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
        AUTO(buf) struct buf script = BUF_INIT(1 << 20), before = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
        world_init(&i.w);
        struct world *w = &i.w;
        random_script(&x, 60, &script);
        host_ok(w->ws, buf_str(&script));
        host_ok(w->dir, "cp -a ws copy");
        AUTO(ptr) char *copy = in(w->dir, "copy");
        content_of(w->ws, &before);
        begin(&i, LAYER_DISK);
        for (int step = 1; step <= STEPS; step++) {
            random_script(&x, 15, &script);
            host_ok(copy, buf_str(&script));
            sh(&i, buf_str(&script));
            assert_true(layer_checkpoint(w->layer, i.sb, step, &a, &files, &w->e) >= 0);
        }
        content_of(copy, &want);
        AUTO(change) struct change *c = world_change(w);
        static const char *all[] = { "*" };
        struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s, .guard_ok = { all, 1 } };
        assert_ok(apply_change(&opt, &a, &r, &w->e), &w->e);
        content_of(w->ws, &got);
        if (strcmp(buf_str(&got), buf_str(&want)) != 0)
            fail_msg("seed %u: the workspace has\n%sand should have\n%s", seed, buf_str(&got), buf_str(&want));
        if (*r.id)
            assert_ok(apply_revert(w->state, r.id, &a, &r, &w->e), &w->e);
        content_of(w->ws, &got);
        assert_string_equal(buf_str(&got), buf_str(&before));
        end(&i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_programs_do__is_the_change),
        cmocka_unit_test(checkpoints__on_disk),
        cmocka_unit_test(checkpoints__in_memory),
        cmocka_unit_test(two_hundred_levels__are_quick),
        cmocka_unit_test(a_copy__serves_where_overlay_does_not),
        cmocka_unit_test(a_copy_of_the_base__carries_the_overlay),
        cmocka_unit_test(whatever_programs_do__arrives_exactly),
        cmocka_unit_test(a_view__shows_the_layer_and_throws_writes_away),
        cmocka_unit_test(a_user_who_edits_meanwhile__loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
