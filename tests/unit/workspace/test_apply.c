#include "world.h"

#include "workspace/apply.h"

static int apply(struct world *w, const struct change *c, struct arena *a, struct apply_result *r)
{
    static const char *all[] = { "*" };
    struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s, .guard_ok = { all, 1 } };
    return apply_change(&opt, a, r, &w->e);
}

/* Names in a directory tree, one a line; to see that nothing is left behind. */
static void tree(const char *dir, const char *prefix, struct buf *out)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        struct stat st;
        AUTO(ptr) char *p = in(dir, name);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && lstat(p, &st) == 0) {
            AUTO(ptr) char *sub = NULL;
            assert_true(asprintf(&sub, "%s%s%s", prefix, name, S_ISDIR(st.st_mode) ? "/" : "") > 0);
            buf_addf(out, "%s\n", sub);
            if (S_ISDIR(st.st_mode))
                tree(p, sub, out);
        }
        free(names[i]);
    }
    free(names);
}

#define assert_tree(dir, text)                             \
    do {                                                   \
        struct buf tree_ = BUF_INIT(1 << 20);              \
        tree(dir, "", &tree_);                             \
        assert_string_equal(buf_str(&tree_), text);        \
        buf_finish(&tree_);                                \
    } while (0)

static void fill(struct world *w)
{
    world_init(w);
    put(w->ws, "mod.c", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    put(w->ws, "gone/deep/x.c", "x\n");
    put_bytes(w->ws, "run.sh", "#!/bin/sh\n", 10, 0640);
    put(w->ws, "old.c", "a\nb\nc\nd\ne\n");
    put(w->ws, "f2d", "file\n");
    put(w->ws, "d2f/a", "a\n");
    put_link(w->ws, "link", "mod.c");
    world_layer(w);
    put(w->upper, "mod.c", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    whiteout(w->upper, "gone");
    put_bytes(w->upper, "run.sh", "#!/bin/sh\n", 10, 06755);
    whiteout(w->upper, "old.c");
    put(w->upper, "sub/new.c", "a\nb\nc\nd\ne\n");
    put(w->upper, "f2d/inside", "in\n");
    put(w->upper, "d2f", "now a file\n");
    put_link(w->upper, "link", "sub/new.c");
    put_bytes(w->upper, "added", "+\n", 2, 06777);
}

static void assert_status(struct world *w, const char *id, enum change_status status, const char *apply_id)
{
    AUTO(change) struct change *c = NULL;
    assert_ok(change_load(w->state, id, &c, &w->e), &w->e);
    assert_int_equal(c->status, status);
    assert_string_equal(c->apply_id, apply_id);
}

static void a_change__arrives_and_is_taken_back(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    fill(&w);
    AUTO(change) struct change *c = world_change(&w);
    struct buf before = BUF_INIT(1 << 20);
    tree(w.ws, "", &before);
    assert_ok(change_save(c, w.state, &w.e), &w.e);
    assert_ok(apply(&w, c, &a, &r), &w.e);
    assert_true(*r.id == 'p');
    assert_status(&w, c->id, CHANGE_APPLIED, r.id);
    assert_tree(w.ws, "added\nd2f\nf2d/\nf2d/inside\nlink\nmod.c\nrun.sh\nsub/\nsub/new.c\n");
    assert_file(w.ws, "mod.c", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    assert_file(w.ws, "d2f", "now a file\n");
    struct stat st;
    AUTO(ptr) char *run = in(w.ws, "run.sh"), *added = in(w.ws, "added");
    assert_int_equal(stat(run, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(stat(added, &st), 0);
    mode_t mask = umask(022);
    (void)umask(mask);
    assert_int_equal(st.st_mode & 07777, 0755 & ~mask);
    char target[64] = "";
    AUTO(ptr) char *link = in(w.ws, "link");
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    assert_string_equal(target, "sub/new.c");
    /* a second time: nothing to do */
    struct apply_result again;
    assert_ok(apply(&w, c, &a, &again), &w.e);
    assert_string_equal(again.id, "");
    for (size_t i = 0; i < again.nfiles; i++)
        assert_int_equal(again.files[i].outcome, APPLY_ALREADY);
    struct apply_info *infos;
    size_t n;
    assert_ok(apply_list(w.state, &a, &infos, &n, &w.e), &w.e);
    assert_int_equal(n, 1);
    assert_string_equal(infos[0].status, "done");
    struct apply_result back;
    assert_ok(apply_revert(w.state, r.id, &a, &back, &w.e), &w.e);
    assert_tree(w.ws, buf_str(&before));
    assert_status(&w, c->id, CHANGE_REVERTED, "");
    assert_file(w.ws, "mod.c", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_file(w.ws, "gone/deep/x.c", "x\n");
    assert_int_equal(stat(run, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_true(apply_revert(w.state, r.id, &a, &back, &w.e) < 0);
    assert_contains(w.e.text, "taken back already");
    buf_finish(&before);
    world_finish(&w);
}

static void access_lists_and_attributes__stay_with_the_file(void **state)
{
    /* version 2; owner rw, user 12345 r, group r, mask r, others nothing: tag, permissions, number */
    static const unsigned char acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 0x39, 0x30, 0, 0, 4, 0, 4, 0, 0xff, 0xff, 0xff,
                                         0xff, 0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
    /* a capability that root may give; nobody keeps it over a change of content */
    static const unsigned char capability[] = { 1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
    (void)state;
    struct world w;
    struct apply_result r;
    unsigned char got[256];
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    put_bytes(w.ws, "listed", "1\n", 2, 0640);
    AUTO(ptr) char *path = in(w.ws, "listed");
    bool lists = setxattr(path, "system.posix_acl_access", acl, sizeof acl, 0) == 0;
    bool own = setxattr(path, "user.note", "kept", 4, 0) == 0;
    bool able = setxattr(path, "security.capability", capability, sizeof capability, 0) == 0;
    world_layer(&w);
    put(w.upper, "listed", "2\n");
    AUTO(change) struct change *c = world_change(&w);
    for (int back = 0; back < 2; back++) {
        struct stat st;
        assert_ok(back ? apply_revert(w.state, r.id, &a, &r, &w.e) : apply(&w, c, &a, &r), &w.e);
        assert_file(w.ws, "listed", back ? "1\n" : "2\n");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        if (lists) {
            assert_int_equal(getxattr(path, "system.posix_acl_access", got, sizeof got), sizeof acl);
            assert_memory_equal(got, acl, sizeof acl);
        }
        if (own) {
            assert_int_equal(getxattr(path, "user.note", got, sizeof got), 4);
            assert_memory_equal(got, "kept", 4);
        }
        if (able)
            assert_int_equal(getxattr(path, "security.capability", got, sizeof got), -1);
    }
    if (!lists || !own)
        print_message("this file system has %s%s\n", lists ? "" : "no access lists ", own ? "" : "no user attributes");
    world_finish(&w);
}

static void names_that_change_places__arrive(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    put(w.ws, "config", "a file whose name becomes a directory, with itself in it\n");
    put(w.ws, "dir/only", "the only file of a directory takes its name\n");
    put_link(w.ws, "link", "config");
    put_dir(w.ws, "hollow/a/b");
    put_dir(w.ws, "hollow/c");
    put(w.ws, "partly/gone", "x\n");
    put_dir(w.ws, "partly/empty/deep");
    world_layer(&w);
    put(w.upper, "config/default", "a file whose name becomes a directory, with itself in it\n");
    put(w.upper, "config/more", "1\n");
    put(w.upper, "dir", "the only file of a directory takes its name\n");
    put(w.upper, "link/inside", "2\n");
    put(w.upper, "hollow", "3\n");
    put(w.upper, "partly", "4\n");
    AUTO(change) struct change *c = world_change(&w);
    assert_ok(apply(&w, c, &a, &r), &w.e);
    assert_tree(w.ws, "config/\nconfig/default\nconfig/more\ndir\nhollow\nlink/\nlink/inside\npartly\n");
    assert_file(w.ws, "hollow", "3\n");
    assert_ok(apply_revert(w.state, r.id, &a, &r, &w.e), &w.e);
    assert_tree(w.ws, "config\ndir/\ndir/only\nlink\npartly/\npartly/gone\n"); /* directories without files are no part of a change */
    world_finish(&w);
}

static void a_directory_with_the_users_files__gives_no_way(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    put_dir(w.ws, "hollow/a/b");
    world_layer(&w);
    put(w.upper, "hollow", "3\n");
    AUTO(change) struct change *c = world_change(&w);
    put(w.ws, "hollow/z/users", "meanwhile\n");
    assert_int_equal(apply(&w, c, &a, &r), -ERR_CONFLICT);
    assert_tree(w.ws, "hollow/\nhollow/a/\nhollow/a/b/\nhollow/z/\nhollow/z/users\n");
    world_finish(&w);
}

static void approval__is_bound_to_the_content(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    fill(&w);
    AUTO(change) struct change *c = world_change(&w);
    struct apply_options opt = { .state_dir = w.state, .change = c };
    assert_int_equal(apply_change(&opt, &a, &r, &w.e), -ERR_DENIED);
    assert_contains(w.e.text, "is not approved");
    opt.approved = hash_bytes("other", 5).s;
    char copy[HASH_HEX_SIZE];
    memcpy(copy, hash_bytes("other", 5).s, sizeof copy);
    opt.approved = copy;
    assert_int_equal(apply_change(&opt, &a, &r, &w.e), -ERR_DENIED);
    assert_contains(w.e.text, "is not what was approved");
    assert_file(w.ws, "mod.c", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    world_finish(&w);
}

static void guarded_files__need_their_own_word(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    world_layer(&w);
    put(w.upper, ".vscode/tasks.json", "{}\n");
    put(w.upper, "ok.c", "ok\n");
    AUTO(change) struct change *c = world_change(&w);
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s };
    assert_int_equal(apply_change(&opt, &a, &r, &w.e), -ERR_DENIED);
    assert_int_equal(r.nguarded, 1);
    assert_contains(w.e.text, ".vscode/tasks.json");
    assert_contains(w.e.hint, "--guard-ok");
    assert_tree(w.ws, "");
    const char *ok[] = { ".vscode/tasks.json" };
    opt.guard_ok = (struct strings){ ok, 1 };
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    assert_tree(w.ws, ".vscode/\n.vscode/tasks.json\nok.c\n");
    world_finish(&w);
}

static void edits_of_the_user__are_merged_or_conflict_and_then_nothing_is_written(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    fill(&w);
    AUTO(change) struct change *c = world_change(&w);
    put(w.ws, "mod.c", "one\n2\n3\n4\n5\n6\n7\n8\n9\n");
    put(w.ws, "old.c", "A\nb\nc\nd\ne\n");
    struct apply_options dry = { .state_dir = w.state, .change = c, .approved = c->hash.s, .dry_run = true };
    assert_ok(apply_change(&dry, &a, &r, &w.e), &w.e);
    assert_file(w.ws, "mod.c", "one\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_ok(apply(&w, c, &a, &r), &w.e);
    assert_file(w.ws, "mod.c", "one\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    assert_file(w.ws, "sub/new.c", "A\nb\nc\nd\ne\n");
    assert_false(exists(w.ws, "old.c"));
    size_t merged = 0;
    for (size_t i = 0; i < r.nfiles; i++)
        merged += r.files[i].outcome == APPLY_MERGED;
    assert_int_equal(merged, 2);
    /* reverted below a later edit */
    put(w.ws, "mod.c", "one\ntwo\n3\n4\n5\n6\n7\n8\nnine\n");
    assert_ok(apply_revert(w.state, r.id, &a, &r, &w.e), &w.e);
    assert_file(w.ws, "mod.c", "one\ntwo\n3\n4\n5\n6\n7\n8\n9\n");
    assert_file(w.ws, "old.c", "A\nb\nc\nd\ne\n");
    /* the same lines */
    put(w.ws, "mod.c", "1\n2\n3\n4\n5\n6\n7\n8\nNEUF\n");
    put(w.ws, "added", "mine\n");
    put(w.ws, "gone/deep/x.c", "edited\n");
    struct buf before = BUF_INIT(1 << 20);
    tree(w.ws, "", &before);
    assert_int_equal(apply(&w, c, &a, &r), -ERR_CONFLICT);
    for (size_t i = 0; i < r.nfiles; i++) /* nothing that was planned is told as done */
        assert_true(r.files[i].outcome == APPLY_CONFLICT);
    assert_int_equal(r.nconflicts, 3);
    assert_contains(w.e.text, "nothing was written: 3 conflicts");
    for (size_t i = 0; i < r.nfiles; i++)
        if (strcmp(r.files[i].path, "mod.c") == 0)
            assert_string_equal(r.files[i].why, "you and the task changed the same lines, the first at line 9");
        else if (strcmp(r.files[i].path, "gone/deep/x.c") == 0)
            assert_string_equal(r.files[i].why, "you changed it, the task deleted it");
    assert_tree(w.ws, buf_str(&before));
    assert_file(w.ws, "added", "mine\n");
    buf_finish(&before);
    world_finish(&w);
}

static void links_in_the_workspace__are_never_followed(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    put(w.ws, "dir/a", "1\n");
    world_layer(&w);
    put(w.upper, "dir/a", "2\n");
    put(w.upper, "new/b", "b\n");
    AUTO(change) struct change *c = world_change(&w);
    /* after approval someone swaps the directory for a link out */
    put(w.dir, "outside/a", "1\n");
    AUTO(ptr) char *dir = in(w.ws, "dir"), *moved = in(w.ws, "moved");
    assert_int_equal(rename(dir, moved), 0);
    put_link(w.ws, "dir", "../outside");
    put_link(w.ws, "new", "../outside");
    assert_int_equal(apply(&w, c, &a, &r), -ERR_CONFLICT);
    assert_contains(r.files[0].why, "symbolic link");
    assert_file(w.dir, "outside/a", "1\n");
    assert_false(exists(w.dir, "outside/b"));
    world_finish(&w);
}

static void an_unwritable_journal__leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    put(w.ws, "a", "1\n");
    world_layer(&w);
    char *big = calloc(1, 3 << 20);
    assert_non_null(big);
    put(w.upper, "a", "2\n");
    put_bytes(w.upper, "big", big, 3 << 20, 0644);
    free(big);
    AUTO(change) struct change *c = world_change(&w);
    /* the journal of applies cannot be written: a file stands where its directory belongs */
    put(w.state, "applies", "in the way\n");
    assert_true(apply(&w, c, &a, &r) < 0);
    assert_file(w.ws, "a", "1\n");
    assert_tree(w.ws, "a\n");
    world_finish(&w);
}

static void a_moved_base__is_a_conflict_not_a_loss(void **state)
{
    (void)state;
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    world_init(&w);
    put(w.ws, "a", "one\n");
    world_layer(&w);
    put(w.upper, "a", "agent\n");
    usleep(12000);
    put(w.ws, "a", "user\n");
    AUTO(change) struct change *c = world_change(&w);
    assert_int_equal(apply(&w, c, &a, &r), -ERR_CONFLICT);
    assert_contains(r.files[0].why, "after the task began");
    assert_file(w.ws, "a", "user\n");
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change__arrives_and_is_taken_back),
        cmocka_unit_test(access_lists_and_attributes__stay_with_the_file),
        cmocka_unit_test(names_that_change_places__arrive),
        cmocka_unit_test(a_directory_with_the_users_files__gives_no_way),
        cmocka_unit_test(approval__is_bound_to_the_content),
        cmocka_unit_test(guarded_files__need_their_own_word),
        cmocka_unit_test(edits_of_the_user__are_merged_or_conflict_and_then_nothing_is_written),
        cmocka_unit_test(links_in_the_workspace__are_never_followed),
        cmocka_unit_test(an_unwritable_journal__leaves_everything_as_it_was),
        cmocka_unit_test(a_moved_base__is_a_conflict_not_a_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
