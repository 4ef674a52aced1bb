/* stead change and stead undo from the command line, on a change that `stead sandbox run --keep` made. */
#include "host.h"

#include <sched.h>
#include <sys/mount.h>

#include "base/bind.h"

static const char *stead;

static int run(struct world *w, const char *args, struct buf *out)
{
    AUTO(ptr) char *script = NULL;
    if (out)
        buf_reset(out);
    assert_true(asprintf(&script, "exec 2>&1; STEAD_STATE_DIR=%s XDG_CONFIG_HOME=%s/none %s %s", w->state, w->dir, stead, args) > 0);
    return host_sh(w->ws, script, out);
}

#define expect(w, args, code, text)                                                          \
    do {                                                                                     \
        int code_ = run(w, args, &out);                                                      \
        if (code_ != (code) || !strstr(buf_str(&out), text))                                 \
            fail_msg("stead %s: exit %d, expected %d and '%s' in:\n%s", args, code_, code, text, buf_str(&out)); \
    } while (0)

static void a_change__is_listed_shown_applied_taken_back_and_discarded(void **state)
{
    (void)state;
    struct world w;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    world_init(&w);
    put(w.ws, "a.txt", "one\ntwo\nthree\n");
    put(w.ws, "gone.txt", "to be deleted\n");
    host_ok(w.ws, "command -v git >/dev/null && git init -q && git config user.name t && git config user.email t@t && git add -A && git commit -qm x || true");
    usleep(12000);
    expect(&w, "change list", 0, "no changes for this directory");
    expect(&w, "change show", 1, "no task has left a change for this directory");
    int code = run(&w, "sandbox run --keep -- sh -c 'sed -i s/two/TWO/ a.txt; rm gone.txt; echo TOKEN=1 > .envrc'", &out);
    if (code == 7) {
        print_message("no sandbox here: %s", buf_str(&out));
        world_finish(&w);
        skip();
    }
    assert_int_equal(code, 0);
    expect(&w, "change list", 0, "pending");
    expect(&w, "change show", 0, "needs its own approval: a shell, version manager or tool loads it");
    expect(&w, "change diff", 0, "-two\n+TWO\n");
    expect(&w, "change diff --color always", 0, "\x1b[32m+TWO\x1b[0m");
    expect(&w, "change list --json", 0, "\"kind\":\"deleted\"");
    json_t *doc = NULL;
    assert_ok(json_parse(buf_span(&out), BIND_STRICT, &doc, &w.e), &w.e);
    const json_t *first = json_array_get(json_object_get(doc, "changes"), 0);
    static const char *const members[] = { "id", "session", "status", "files", "gates", "findings" };
    for (size_t i = 0; i < COUNT_OF(members); i++)
        assert_non_null(json_object_get(first, members[i]));
    AUTO(ptr) char *id = strdup(json_string_value(json_object_get(first, "id")));
    AUTO(ptr) char *hash = strdup(json_string_value(json_object_get(first, "hash")));
    AUTO(ptr) char *cmd = NULL, *cmd2 = NULL, *cmd3 = NULL;
    json_decref(doc);
    expect(&w, "change apply", 6, "guarded   .envrc");
    assert_file(w.ws, "a.txt", "one\ntwo\nthree\n");
    expect(&w, "change apply --guard-ok .envrc --hash 0123", 1, "is not what was approved");
    expect(&w, "change apply --guard-ok .envrc --dry-run", 0, "applied   a.txt");
    assert_file(w.ws, "a.txt", "one\ntwo\nthree\n");
    put(w.ws, "a.txt", "one\nzwei\nthree\n");
    expect(&w, "change apply --guard-ok .envrc", 6, "conflict  a.txt: you and the task changed the same lines");
    assert_true(exists(w.ws, "gone.txt"));
    put(w.ws, "a.txt", "one\ntwo\nthree\n");
    assert_true(asprintf(&cmd, "change apply --guard-ok .envrc --hash %s --json %.9s", hash, id) > 0);
    expect(&w, cmd, 0, "\"outcome\":\"applied\"");
    assert_file(w.ws, "a.txt", "one\nTWO\nthree\n");
    assert_false(exists(w.ws, "gone.txt"));
    expect(&w, "change list", 0, "applied");
    assert_true(asprintf(&cmd2, "change apply --revert %s", id) > 0);
    expect(&w, cmd2, 0, "restored  gone.txt");
    assert_file(w.ws, "a.txt", "one\ntwo\nthree\n");
    assert_file(w.ws, "gone.txt", "to be deleted\n");
    expect(&w, cmd2, 1, "is not applied: it is reverted");
    if (exists(w.ws, ".git")) {
        expect(&w, "change apply --branch try --guard-ok '*'", 0, "commit ");
        host_ok(w.ws, "git show try:a.txt | grep -qx TWO; git log -1 --format=%B try | grep -q '^Assisted-by: stead'");
        expect(&w, "change apply --branch try --guard-ok '*'", 1, "the branch 'try' exists already");
    }
    assert_true(asprintf(&cmd3, "change discard %s", id) > 0);
    expect(&w, cmd3, 0, "discarded c");
    expect(&w, "change list --all", 0, "no changes");
    expect(&w, cmd3, 1, "there is no change");
    expect(&w, "undo", 1, "has a layer to undo in");
    world_finish(&w);
}

static void a_workspace_that_cannot_be_a_lower_layer__is_copied_and_said(void **state)
{
    (void)state;
    struct world w;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    world_init(&w);
    /* root's identity-mapped mounts stop at an overlay; in a mount namespace of our own, which goes with us */
    AUTO(ptr) char *options = NULL;
    put(w.dir, "low/a", "base\n");
    put_dir(w.dir, "up");
    put_dir(w.dir, "work");
    assert_true(asprintf(&options, "lowerdir=%s/low,upperdir=%s/up,workdir=%s/work", w.dir, w.dir, w.dir) > 0);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("overlay", w.ws, "overlay", 0, options) < 0) {
        print_message("no overlay can be mounted here: %s\n", strerror(errno));
        world_finish(&w);
        skip();
    }
    int code = run(&w, "sandbox run --keep -- sh -c 'cat a; echo more >> a'", &out);
    if (code == 7 && !strstr(buf_str(&out), "overlay")) {
        print_message("no sandbox here: %s", buf_str(&out));
        skip();
    }
    if (code != 0 || !strstr(buf_str(&out), "base\n"))
        fail_msg("exit %d: %s", code, buf_str(&out));
    expect(&w, "change diff", 0, "+more");
    expect(&w, "change apply", 0, "applied");
    assert_file(w.ws, "a", "base\nmore\n");
    expect(&w, "sandbox run -- sh -c 'cat a; echo x > b'", 0, "more\n");
    expect(&w, "sandbox run --ro -- sh -c 'cat a; ! touch b'", 0, "more\n");
    expect(&w, "verify --gate 'grep -x more a'", 0, "pass"); /* gates too */
    AUTO(ptr) char *layers = in(w.state, "layers");
    AUTO(ptr) char *list = NULL;
    assert_true(asprintf(&list, "test -z \"$(ls %s)\"", layers) > 0);
    host_ok(w.dir, list); /* nothing stays */
    assert_int_equal(umount2(w.ws, MNT_DETACH), 0);
    world_finish(&w);
}

static void undo__takes_a_layer_back(void **state)
{
    (void)state;
    struct world w;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct strings files;
    world_init(&w);
    put(w.ws, "a", "0\n");
    world_layer(&w);
    put(w.upper, "a", "1\n");
    assert_int_equal(layer_checkpoint(w.layer, NULL, 1, &a, &files, &w.e), 1);
    AUTO(ptr) char *u1 = in(layer_dir(w.layer), "u1");
    put(u1, "a", "2\n");
    put(u1, "b", "2\n");
    assert_int_equal(layer_checkpoint(w.layer, NULL, 2, &a, &files, &w.e), 1);
    expect(&w, "undo", 1, "in use by another stead");
    layer_destroy(w.layer);
    w.layer = NULL;
    expect(&w, "undo", 0, "back at step 1: 1 changed file, now change c");
    expect(&w, "change diff", 0, "-0\n+1\n");
    expect(&w, "undo 7", 1, "has no step 7 to go back to");
    expect(&w, "undo x", 2, "step");
    expect(&w, "undo 0 --json", 0, "\"step\":0,\"files\":0,\"change\":null");
    world_finish(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change__is_listed_shown_applied_taken_back_and_discarded),
        cmocka_unit_test(a_workspace_that_cannot_be_a_lower_layer__is_copied_and_said),
        cmocka_unit_test(undo__takes_a_layer_back),
    };
    if (argc < 2)
        return 77;
    stead = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
