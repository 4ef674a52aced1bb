#include "world.h"

#include "workspace/guard.h"

static void an_untouched_layer__is_an_empty_change(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "a", "1\n");
    world_layer(&w);
    AUTO(change) struct change *c = world_change(&w);
    assert_int_equal(c->nfiles, 0);
    assert_string_equal(c->session, "s1");
    world_finish(&w);
}

static void every_kind__is_recognised(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "same.c", "same\n");
    put(w.ws, "mod.c", "old\n");
    put(w.ws, "gone.c", "unlike anything else\n");
    put(w.ws, "run.sh", "#!/bin/sh\n");
    put(w.ws, "from/old.c", "a\nb\nc\nd\n");
    put(w.ws, "near.c", "1\n2\n3\n4\n5\n6\n7\n8\n");
    put(w.ws, "tree/a", "tree a\n");
    put(w.ws, "tree/b/c", "tree c\n");
    put(w.ws, "file2dir", "was a file, then a directory\n");
    put_link(w.ws, "link", "same.c");
    world_layer(&w);
    put(w.upper, "same.c", "same\n");
    put(w.upper, "mod.c", "new\n");
    whiteout(w.upper, "gone.c");
    put_bytes(w.upper, "run.sh", "#!/bin/sh\n", 10, 0777);
    whiteout(w.upper, "from/old.c");
    put(w.upper, "to/new.c", "a\nb\nc\nd\n");
    whiteout(w.upper, "near.c");
    put(w.upper, "near2.c", "1\n2\n3\n4\n5\n6\n7\nchanged\n");
    whiteout(w.upper, "tree");
    put(w.upper, "added", "x");
    put(w.upper, "file2dir/inside", "now below\n");
    put_link(w.upper, "link", "mod.c");
    AUTO(change) struct change *c = world_change(&w);
    assert_listing(c, "added added\n"
                      "deleted file2dir\n"
                      "added file2dir/inside\n"
                      "deleted gone.c\n"
                      "modified link\n"
                      "modified mod.c\n"
                      "renamed near2.c <- near.c 63%\n"
                      "mode run.sh\n"
                      "renamed to/new.c <- from/old.c 100%\n"
                      "deleted tree/a\n"
                      "deleted tree/b/c\n");
    assert_int_equal(change_find(c, "run.sh")->now.mode, 0755);
    assert_true(change_find(c, "link")->now.symlink);
    struct span s;
    assert_ok(change_data(c, &change_find(c, "link")->now, &s, &w.e), &w.e);
    assert_true(span_eqs(s, "mod.c"));
    world_finish(&w);
}

static void an_opaque_directory__deletes_what_it_hides(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "d/keep", "k\n");
    put(w.ws, "d/gone", "g\n");
    put(w.ws, "d/sub/gone2", "g2\n");
    world_layer(&w);
    opaque(w.upper, "d");
    put(w.upper, "d/keep", "k\n");
    put(w.upper, "d/new", "n\n");
    AUTO(change) struct change *c = world_change(&w);
    assert_listing(c, "deleted d/gone\nadded d/new\ndeleted d/sub/gone2\n");
    world_finish(&w);
}

static void below_an_opaque_directory__nothing_shows_through(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "src/sub/old", "one thing\n");
    put(w.ws, "src/sub/deep/er/older", "another thing\n");
    put(w.ws, "src/sub/same", "as before\n");
    put(w.ws, "src/top", "x\n");
    world_layer(&w);
    /* rm -r src; mkdir -p src/sub/deep/er; the new directories have no mark of their own */
    opaque(w.upper, "src");
    put(w.upper, "src/sub/new", "quite different\n");
    put(w.upper, "src/sub/same", "as before\n");
    put_dir(w.upper, "src/sub/deep/er");
    AUTO(change) struct change *c = world_change(&w);
    assert_listing(c, "deleted src/sub/deep/er/older\nadded src/sub/new\ndeleted src/sub/old\ndeleted src/top\n");
    world_finish(&w);
}

static void checkpoints__stack_and_undo_drops(void **state)
{
    (void)state;
    struct world w;
    struct strings files;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    world_init(&w);
    put(w.ws, "a", "base\n");
    put(w.ws, "b", "base b\n");
    world_layer(&w);
    assert_int_equal(layer_checkpoint(w.layer, NULL, 1, &a, &files, &w.e), 0);
    put(w.upper, "a", "one\n");
    assert_int_equal(layer_checkpoint(w.layer, NULL, 1, &a, &files, &w.e), 1);
    assert_int_equal(files.len, 1);
    assert_string_equal(files.items[0], "a");
    AUTO(ptr) char *u1 = in(layer_dir(w.layer), "u1");
    whiteout(u1, "a");
    whiteout(u1, "b");
    put(u1, "c", "two\n");
    assert_int_equal(layer_checkpoint(w.layer, NULL, 4, &a, &files, &w.e), 1);
    assert_int_equal(files.len, 3);
    AUTO(ptr) char *u2 = in(layer_dir(w.layer), "u2");
    put(u2, "a", "three\n");
    {
        AUTO(change) struct change *c = world_change(&w);
        assert_listing(c, "modified a\ndeleted b\nadded c\n");
        struct span s;
        assert_ok(change_data(c, &change_find(c, "a")->now, &s, &w.e), &w.e);
        assert_true(span_eqs(s, "three\n"));
    }
    assert_int_equal(layer_step(w.layer), 4);
    assert_true(layer_undo(w.layer, NULL, 5, &w.e) < 0);
    assert_contains(w.e.text, "the last checkpoint is step 4");
    assert_ok(layer_undo(w.layer, NULL, 4, &w.e), &w.e);
    {
        AUTO(change) struct change *c = world_change(&w);
        assert_listing(c, "deleted a\ndeleted b\nadded c\n");
    }
    /* reopened: as another command would */
    char id[ID_SIZE];
    memcpy(id, layer_id(w.layer), sizeof id);
    struct layer *second = NULL;
    assert_int_equal(layer_open(w.state, id, &second, &w.e), -ERR_UNAVAILABLE);
    assert_contains(w.e.text, "in use");
    layer_destroy(w.layer);
    w.layer = NULL;
    assert_ok(layer_open(w.state, id, &w.layer, &w.e), &w.e);
    const int *steps;
    assert_int_equal(layer_steps(w.layer, &steps), 2);
    assert_int_equal(steps[1], 4);
    assert_ok(layer_undo(w.layer, NULL, 3, &w.e), &w.e);
    assert_int_equal(layer_step(w.layer), 1);
    {
        AUTO(change) struct change *c = world_change(&w);
        assert_listing(c, "modified a\n");
    }
    assert_ok(layer_undo(w.layer, NULL, 0, &w.e), &w.e);
    {
        AUTO(change) struct change *c = world_change(&w);
        assert_int_equal(c->nfiles, 0);
    }
    assert_ok(layer_discard(w.layer, &w.e), &w.e);
    AUTO(ptr) char *sub = NULL;
    assert_true(asprintf(&sub, "layers/%s", id) > 0);
    assert_false(exists(w.state, sub));
    world_finish(&w);
}

static void hostile_entries__are_refused_with_a_note(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "a", "1\n");
    world_layer(&w);
    AUTO(ptr) char *fifo = in(w.upper, "fifo"), *dev = in(w.upper, "dev");
    assert_int_equal(mkfifo(fifo, 0666), 0);
    put(w.upper, "new\nline\x1b[31m", "x\n");
    put(w.upper, ".git/hooks/pre-commit", "evil\n");
    put(w.upper, "sub/.GIT/config", "evil\n");
    put_dir(w.upper, "redir");
    AUTO(ptr) char *redir = in(w.upper, "redir");
    put(w.upper, "redir/x", "x\n");
    assert_int_equal(setxattr(redir, "user.overlay.redirect", "/etc", 4, 0), 0);
    put_bytes(w.upper, "unreadable", "u\n", 2, 0000);
    put_link(w.upper, "out", "/etc/passwd");
    put_link(w.upper, "dirlink", "/etc");
    if (getuid() == 0)
        assert_int_equal(mknod(dev, S_IFCHR | 0666, makedev(1, 3)), 0);
    else
        put(w.upper, "dev", "x");
    AUTO(change) struct change *c = world_change(&w);
    assert_non_null(change_find(c, "new\nline\x1b[31m"));
    assert_non_null(change_find(c, "unreadable"));
    assert_null(change_find(c, "fifo"));
    assert_null(change_find(c, "redir/x"));
    assert_null(change_find(c, ".git/hooks/pre-commit"));
    assert_null(change_find(c, "sub/.GIT/config"));
    assert_true(change_find(c, "out")->guard & GUARD_LINK);
    unsigned git = 0, refused = 0;
    for (size_t i = 0; i < c->nnotes; i++) {
        git += c->notes[i].kind == NOTE_GIT;
        refused += c->notes[i].kind == NOTE_REFUSED;
    }
    assert_int_equal(git, 2);
    assert_int_equal(refused, getuid() == 0 ? 3 : 2);
    struct buf json = BUF_INIT(1 << 20);
    assert_true(change_json(c, &json));
    json_t *doc = NULL;
    assert_ok(json_parse(buf_span(&json), BIND_STRICT, &doc, &w.e), &w.e);
    json_decref(doc);
    buf_finish(&json);
    world_finish(&w);
}

static void ignored_output__is_left_out_by_the_workspaces_rules(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, ".gitignore", "build/\n*.o\n");
    put(w.ws, "build/old.o", "x");
    world_layer(&w);
    put(w.upper, ".gitignore", "evil.c\n");
    put(w.upper, "evil.c", "hidden?\n");
    put(w.upper, "build/new.bin", "b");
    whiteout(w.upper, "build/old.o");
    put(w.upper, "src/a.o", "o");
    put(w.upper, "src/a.c", "c\n");
    put(w.upper, "node_modules/x/index.js", "js\n");
    put(w.upper, "pkg/__pycache__/a.pyc", "pyc");
    {
        AUTO(change) struct change *c = world_change(&w);
        assert_listing(c, "modified .gitignore\nadded evil.c\nadded src/a.c\n");
        assert_int_equal(c->nexcluded, 4);
    }
    struct change_options opt = { .include_ignored = true };
    AUTO(change) struct change *all = NULL;
    assert_ok(change_read(w.layer, &opt, &all, &w.e), &w.e);
    assert_int_equal(all->nfiles, 8);
    world_finish(&w);
}

static void guarded_files__are_marked(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned bit;
    } rows[] = {
        { ".vscode/tasks.json", GUARD_EDITOR },   { ".idea/workspace.xml", GUARD_EDITOR },
        { ".claude/settings.json", GUARD_AGENT }, { ".mcp.json", GUARD_AGENT },
        { "AGENTS.md", GUARD_AGENT },             { "sub/CLAUDE.md", GUARD_AGENT },
        { ".envrc", GUARD_ENV },                  { "sub/.envrc", GUARD_ENV },
        { ".github/workflows/ci.yml", GUARD_CI }, { ".gitlab-ci.yml", GUARD_CI },
        { ".husky/pre-commit", GUARD_HOOK },      { ".gitmodules", GUARD_REPO },
        { "Jenkinsfile", GUARD_CI },              { ".VSCode/tasks.json", GUARD_EDITOR },
        { "stead.yaml", GUARD_AGENT },            { ".env.local", GUARD_ENV },
        { "Makefile", 0 },                        { "src/hooks/useThing.ts", 0 },
        { "package.json", 0 },                    { ".env.example", 0 },
        { "README.md", 0 },                       { "src/main.c", 0 },
        { "tests/conftest.py", 0 },               { ".gitignore", 0 },
    };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *why = "";
        unsigned bits = guard_path(rows[i].path, &a, &why);
        if (bits != rows[i].bit || (bits && !*why))
            fail_msg("%s: guard %u, expected %u (%s)", rows[i].path, bits, rows[i].bit, why);
    }
    assert_true(guard_is_git_name(".git"));
    assert_true(guard_is_git_name(".GIT"));
    assert_true(guard_is_git_name("git~1"));
    assert_true(guard_is_git_name(".git. ."));
    assert_true(guard_is_git_name(".g\xe2\x80\x8cit"));
    assert_false(guard_is_git_name(".gitignore"));
    assert_false(guard_is_git_name(".github"));
    assert_false(guard_is_git_name("git"));
}

static void shapes__are_guarded_whatever_their_names(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "package.json", "{\"scripts\":{\"test\":\"jest\"}}");
    world_layer(&w);
    put(w.upper, "innocent/HEAD", "ref: refs/heads/main\n");
    put(w.upper, "innocent/config", "[core]\nfsmonitor = evil\n");
    put(w.upper, "innocent/objects/info/x", "");
    put(w.upper, "innocent/refs/heads/main", "x");
    put(w.upper, "other/config", "plain\n");
    /* one without objects of its own: "commondir" says where they are, and where the configuration is */
    put(w.upper, "leans/HEAD", "ref: refs/heads/main\n");
    put(w.upper, "leans/commondir", "../else\n");
    put(w.upper, "else/objects/x", "");
    put(w.upper, "package.json", "{\"scripts\":{\"test\":\"jest\",\"postinstall\":\"evil\"}}");
    put(w.upper, "web/package.json", "{\"scripts\":{\"test\":\"jest\"}}");
    put_dir(w.upper, "l/m");
    put_link(w.upper, "l/m/ok", "../n");
    put_link(w.upper, "l/m/bad", "../../../n");
    put_link(w.upper, "l/m/git", "../../.git/hooks");
    AUTO(change) struct change *c = world_change(&w);
    assert_true(change_find(c, "innocent/HEAD")->guard & GUARD_REPO);
    assert_true(change_find(c, "innocent/config")->guard & GUARD_REPO);
    assert_int_equal(change_find(c, "other/config")->guard, 0);
    assert_true(change_find(c, "leans/HEAD")->guard & GUARD_REPO);
    assert_true(change_find(c, "leans/commondir")->guard & GUARD_REPO);
    assert_true(change_find(c, "package.json")->guard & GUARD_INSTALL);
    assert_int_equal(change_find(c, "web/package.json")->guard, 0);
    assert_int_equal(change_find(c, "l/m/ok")->guard, 0);
    assert_true(change_find(c, "l/m/bad")->guard & GUARD_LINK);
    assert_true(change_find(c, "l/m/git")->guard & GUARD_LINK);
    world_finish(&w);
}

static void what_gits_configuration_names__is_guarded(void **state)
{
    static const char *const named[] = { "tools/hooks/pre-commit", "Tools/Hooks/deep/x", "shared.cfg", "more/other.cfg", "fsmon.sh", "bin/clean",
                                         "bin/smudge.py", "merge drivers", "bin/text", "here/also", "up" };
    static const char *const plain[] = { "main", "origin", "tools/other", "shared.cfg.md", "bin/cleaner", "ignored", "README", "x/shared.cfg" };
    (void)state;
    for (int inside = 0; inside < 3; inside++) { /* the workspace is the top, lies below it, or is a linked worktree */
        struct world w;
        world_init(&w);
        const char *config = "[core]\n\thooksPath = tools/hooks\n\tfsmonitor = ./fsmon.sh --v2\n\texcludesfile = ignored\n"
                             "[include]\n\tpath = ../shared.cfg\n[includeIf \"gitdir:/\"]\n\tpath = ../more/other.cfg\n"
                             "[filter \"x\"]\n\tclean = bin/clean %f\n\tsmudge = python3 bin/smudge.py\n"
                             "[branch \"main\"]\n\tremote = origin\n\tmerge = main\n[alias]\n\tgo = !f() { ./here/also \\\"$@\\\"; }; f\n"
                             "[diff \"x\"]\n\ttextconv = bin/text\n[merge \"x\"]\n\tdriver = up/to/driver %A\n";
        AUTO(ptr) char *top = w.ws;
        put(w.ws, ".git/HEAD", "ref: refs/heads/main\n");
        if (inside == 1) {
            w.ws = in(top, "sub/dir");
            put_dir(w.ws, ".");
        } else if (inside == 2) {
            w.ws = in(w.dir, "linked");
            AUTO(ptr) char *text = NULL;
            assert_true(asprintf(&text, "gitdir: %s/.git/worktrees/l\n", top) > 0);
            put(w.ws, ".git", text);
            put(top, ".git/worktrees/l/commondir", "../..\n");
            put(top, ".git/worktrees/l/config.worktree", "[core]\n\thooksPath = tools/hooks\n");
        } else {
            w.ws = strdup(top);
        }
        put(top, ".git/config", config);
        world_layer(&w);
        for (size_t i = 0; i < COUNT_OF(named); i++)
            put(w.upper, named[i], "x\n");
        for (size_t i = 0; i < COUNT_OF(plain); i++)
            put(w.upper, plain[i], "x\n");
        AUTO(change) struct change *c = world_change(&w);
        for (size_t i = 0; i < COUNT_OF(named); i++) {
            /* "merge drivers" is no word of it; and from below the top every name means another file. Included files lie where the main repository is. */
            bool expect = strcmp(named[i], "merge drivers") != 0 && inside != 1 && (inside == 0 || !strstr(named[i], ".cfg"));
            const struct change_file *f = change_find(c, named[i]);
            if (!!(f->guard & GUARD_HOOK) != expect)
                fail_msg("%s: guard %u with place %d", named[i], f->guard, inside);
            if (expect)
                assert_contains(f->guard_why, "git's configuration names it");
        }
        for (size_t i = 0; i < COUNT_OF(plain); i++)
            if (change_find(c, plain[i])->guard)
                fail_msg("%s is guarded with place %d: %s", plain[i], inside, change_find(c, plain[i])->guard_why);
        world_finish(&w);
    }
}

static void protected_paths__are_guarded_by_policy(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_layer(&w);
    put(w.upper, "infra/prod/a.tf", "x\n");
    put(w.upper, "src/a.c", "x\n");
    const char *patterns[] = { "infra/" };
    struct change_options opt = { .protected_paths = { patterns, 1 } };
    AUTO(change) struct change *c = NULL;
    assert_ok(change_read(w.layer, &opt, &c, &w.e), &w.e);
    assert_int_equal(change_find(c, "infra/prod/a.tf")->guard, GUARD_POLICY);
    assert_int_equal(change_find(c, "src/a.c")->guard, 0);
    world_finish(&w);
}

static void a_base_that_the_user_edited__is_noticed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "a", "one\n");
    put(w.ws, "b", "one\n");
    world_layer(&w);
    put(w.upper, "a", "agent\n");
    put(w.upper, "b", "agent\n");
    usleep(12000);
    put(w.ws, "b", "user\n");
    AUTO(change) struct change *c = world_change(&w);
    assert_false(change_find(c, "a")->base_moved);
    assert_true(change_find(c, "b")->base_moved);
    world_finish(&w);
}

static void a_saved_change__loads_equal_and_damage_is_noticed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "a", "1\n");
    put(w.ws, "b\xff\n", "odd name\n");
    world_layer(&w);
    put(w.upper, "a", "2\n");
    whiteout(w.upper, "b\xff\n");
    AUTO(change) struct change *c = world_change(&w);
    assert_ok(change_set_task(c, "do a thing\nand more", &w.e), &w.e);
    assert_ok(change_save(c, w.state, &w.e), &w.e);
    assert_ok(change_save(c, w.state, &w.e), &w.e);
    assert_ok(change_set_status(w.state, c->id, CHANGE_VERIFIED, NULL, &w.e), &w.e);
    assert_ok(change_set_results(w.state, c->id, SPAN("{\"gates\":[{\"name\":\"make\"}]}"), &w.e), &w.e);
    assert_true(change_set_results(w.state, c->id, SPAN("[1]"), &w.e) < 0);
    char prefix[ID_SIZE];
    memcpy(prefix, c->id, sizeof prefix);
    prefix[strlen(prefix) - 3] = '\0';
    AUTO(change) struct change *d = NULL;
    assert_ok(change_load(w.state, prefix, &d, &w.e), &w.e);
    assert_string_equal(c->hash.s, d->hash.s);
    assert_string_equal(d->task, "do a thing");
    assert_int_equal(d->status, CHANGE_VERIFIED);
    assert_contains(d->results_json, "make");
    assert_non_null(change_find(d, "b\xff\n"));
    struct span s;
    assert_ok(change_data(d, &change_find(d, "a")->now, &s, &w.e), &w.e);
    assert_true(span_eqs(s, "2\n"));
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct change_info *infos;
    size_t n;
    assert_ok(change_list(w.state, w.ws, &a, &infos, &n, &w.e), &w.e);
    assert_int_equal(n, 1);
    assert_int_equal(infos[0].nfiles, 2);
    /* damage */
    AUTO(ptr) char *sub = NULL;
    assert_true(asprintf(&sub, "changes/%s/change.json", c->id) > 0);
    AUTO(ptr) char *text = get(w.state, sub);
    *strstr(text, "\"old_path\":\"a\"") = ' ';
    char *at = strstr(text, "\"path\":\"a\"");
    at[8] = 'z';
    put(w.state, sub, text);
    AUTO(change) struct change *bad = NULL;
    assert_true(change_load(w.state, c->id, &bad, &w.e) < 0);
    assert_ok(change_discard(w.state, c->id, &w.e), &w.e);
    assert_int_equal(change_load(w.state, c->id, &bad, &w.e), -ERR_NOT_FOUND);
    assert_contains(w.e.hint, "stead change list");
    world_finish(&w);
}

static void what_killed_runs_left__is_swept(void **state)
{
    (void)state;
    struct world w;
    struct layer *plain = NULL, *busy = NULL;
    struct layer_options none = { .kind = LAYER_DISK };
    world_init(&w);
    world_layer(&w); /* of session s1 */
    assert_ok(layer_create(w.ws, w.state, &none, &plain, &w.e), &w.e);
    assert_ok(layer_create(w.ws, w.state, &none, &busy, &w.e), &w.e);
    AUTO(ptr) char *gone = strdup(layer_dir(plain)), *stays = strdup(layer_dir(busy)), *kept = strdup(layer_dir(w.layer));
    AUTO(ptr) char *fresh = in(w.state, "layers/l0fresh");
    put_dir(w.state, "layers/l0fresh");
    layer_destroy(plain); /* as a kill does: the lock is gone, the directory stays */
    layer_destroy(w.layer);
    w.layer = NULL;
    assert_ok(layer_sweep(w.state, &w.e), &w.e);
    struct stat st;
    assert_int_equal(stat(gone, &st), -1);
    assert_int_equal(stat(stays, &st), 0);
    assert_int_equal(stat(kept, &st), 0);
    assert_int_equal(stat(fresh, &st), 0);
    layer_destroy(busy);
    world_finish(&w);
}

static void a_change_larger_than_memory__goes_to_disk_and_back(void **state)
{
    (void)state;
    struct world w;
    size_t n = (size_t)40 << 20;
    world_init(&w);
    put(w.ws, "small", "1\n");
    world_layer(&w);
    char *big = calloc(1, n);
    assert_non_null(big);
    memset(big + n / 2, 'x', n / 2);
    put(w.upper, "small", "2\n");
    put_bytes(w.upper, "big", big, n, 0644);
    AUTO(change) struct change *c = world_change(&w), *d = NULL;
    assert_ok(change_save(c, w.state, &w.e), &w.e);
    assert_ok(change_load(w.state, c->id, &d, &w.e), &w.e);
    struct change *both[] = { c, d };
    for (size_t i = 0; i < 2; i++) {
        struct span s;
        assert_ok(change_data(both[i], &change_find(both[i], "big")->now, &s, &w.e), &w.e);
        assert_true(s.n == n && memcmp(s.p, big, n) == 0);
        assert_ok(change_data(both[i], &change_find(both[i], "small")->base, &s, &w.e), &w.e);
        assert_true(span_eqs(s, "1\n"));
    }
    free(big);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untouched_layer__is_an_empty_change),
        cmocka_unit_test(every_kind__is_recognised),
        cmocka_unit_test(an_opaque_directory__deletes_what_it_hides),
        cmocka_unit_test(below_an_opaque_directory__nothing_shows_through),
        cmocka_unit_test(checkpoints__stack_and_undo_drops),
        cmocka_unit_test(hostile_entries__are_refused_with_a_note),
        cmocka_unit_test(ignored_output__is_left_out_by_the_workspaces_rules),
        cmocka_unit_test(guarded_files__are_marked),
        cmocka_unit_test(shapes__are_guarded_whatever_their_names),
        cmocka_unit_test(what_gits_configuration_names__is_guarded),
        cmocka_unit_test(protected_paths__are_guarded_by_policy),
        cmocka_unit_test(a_base_that_the_user_edited__is_noticed),
        cmocka_unit_test(a_saved_change__loads_equal_and_damage_is_noticed),
        cmocka_unit_test(a_change_larger_than_memory__goes_to_disk_and_back),
        cmocka_unit_test(what_killed_runs_left__is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
