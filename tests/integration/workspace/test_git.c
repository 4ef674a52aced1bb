/*
 * Beside git: our diffs are patches that it applies, our ignore rules decide as its own, branches that we make are
 * what it expects. Skipped where git is not installed (stead itself never runs it).
 */
#include "host.h"

#include "workspace/apply.h"
#include "workspace/ignore.h"

/* libgit2 1.5 loses the match data of an extension that it does not know (git_regexp_match, config.c), and the frames above PCRE2's are not seen. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpcre2";
}

static void need_git(void)
{
    if (host_sh("/", "command -v git", NULL) != 0) {
        print_message("git is not installed\n");
        skip();
    }
}

static void fill(struct world *w)
{
    world_init(w);
    host_ok(w->ws, "git init -q -b main; git config user.name 'Ada L'; git config user.email ada@example.org;"
                   "seq 1 40 > mod; printf 'no newline' > nonl; echo gone > gone; seq 1 30 > old; ln -s mod link;"
                   "echo x > run; mkdir d; echo 'with space' > 'd/a b'; printf 'q' > 'd/q\"t\te'; echo f > f2d;"
                   "mkdir -p sub; seq 1 9 > sub/f; git add -A; git commit -qm base");
}

static void change_things(struct world *w)
{
    host_ok(w->upper, "(echo 0; seq 1 19; echo twenty; seq 21 40) > mod; printf 'no newline\\nand more' > nonl;"
                      "(seq 1 29; echo thirty) > new; ln -s run link; echo x > run; chmod 755 run;"
                      "mkdir d; echo 'with spaces' > 'd/a b'; printf 'q\\n' > 'd/q\"t\te'; mkdir f2d; echo i > f2d/i;"
                      ": > empty; mkdir sub; (seq 1 8; echo nine) > sub/f");
    whiteout(w->upper, "gone");
    whiteout(w->upper, "old");
}

static void our_diff__is_a_patch_that_git_applies(void **state)
{
    (void)state;
    need_git();
    struct world w;
    fill(&w);
    world_layer(&w);
    change_things(&w);
    AUTO(change) struct change *c = world_change(&w);
    AUTO(buf) struct buf diff = BUF_INIT(1 << 20);
    assert_ok(change_diff(c, NULL, &diff, &w.e), &w.e);
    put_bytes(w.dir, "patch", diff.p, diff.n, 0644);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    static const char *all[] = { "*" };
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s, .guard_ok = { all, 1 } };
    struct apply_result r;
    host_ok(w.dir, "cp -a ws other");
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    host_ok(w.dir, "cd other; git apply --whitespace=nowarn ../patch; cd ..; diff -r --no-dereference --exclude=.git ws other;"
                   "test -x other/run; test \"$(readlink other/link)\" = run");
    world_finish(&w);
}

static void a_branch__has_the_change_and_nothing_else(void **state)
{
    (void)state;
    need_git();
    struct world w;
    fill(&w);
    /* an edit of the user's that is not committed: seen by the task, but none of the commit's business */
    host_ok(w.ws, "sed -i 's/^38$/thirty-eight/' mod; echo untracked > untracked; rm -f x; git status --porcelain > ../before");
    world_layer(&w);
    change_things(&w);
    host_ok(w.upper, "sed -i 's/^38$/thirty-eight/' mod");
    AUTO(change) struct change *c = world_change(&w);
    assert_ok(change_set_task(c, "make it better", &w.e), &w.e);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    const char *trailers[] = { "Assisted-by: stead\nEvil: yes", "Stead-Gates: make test pass" };
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s, .mode = APPLY_BRANCH,
                                 .branch = "try/it", .trailers = { trailers, 2 } };
    struct apply_result r;
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    assert_int_equal(strlen(r.commit), 40);
    host_ok(w.ws, "git status --porcelain | diff - ../before; git fsck --strict;"
                  "test \"$(git log -1 --format='%an <%ae>' try/it)\" = 'Ada L <ada@example.org>';"
                  "test \"$(git log -1 --format=%s try/it)\" = 'make it better';"
                  "git log -1 --format='%(trailers:key=Stead-Gates,valueonly)' try/it | grep -q 'make test pass';"
                  "git log -1 --format=%B try/it | grep -c '^Evil' | grep -qx 0;"
                  "test \"$(git rev-parse try/it^)\" = \"$(git rev-parse main)\"");
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    assert_int_equal(host_sh(w.ws, "git diff --no-renames --name-status main try/it", &out), 0);
    assert_string_equal(buf_str(&out), "M\td/a b\nM\t\"d/q\\\"t\\te\"\nA\tempty\nD\tf2d\nA\tf2d/i\nD\tgone\nM\tlink\nM\tmod\n"
                                       "A\tnew\nM\tnonl\nD\told\nM\trun\nM\tsub/f\n");
    host_ok(w.ws, "git show try/it:mod | grep -qx twenty; git show try/it:mod | grep -qx 38;"
                  "git ls-tree try/it run | grep -q ^100755; git ls-tree try/it link | grep -q ^120000");
    assert_int_equal(apply_change(&opt, &a, &r, &w.e), -ERR_EXISTS);
    opt.branch = "bad..name";
    assert_int_equal(apply_change(&opt, &a, &r, &w.e), -ERR_INPUT);
    /* HEAD moved on in the same lines */
    host_ok(w.ws, "git stash -q; sed -i 's/^20$/XX/' mod; git commit -qam theirs");
    opt.branch = "second";
    assert_int_equal(apply_change(&opt, &a, &r, &w.e), -ERR_CONFLICT);
    assert_contains(w.e.text, "no branch was made");
    host_ok(w.ws, "! git rev-parse -q --verify second");
    world_finish(&w);
}

static void as_root__files_and_objects_stay_their_owners(void **state)
{
    (void)state;
    need_git();
    if (geteuid() != 0)
        skip();
    struct world w;
    fill(&w);
    host_ok(w.dir, "chmod 755 .; chown -R 65534:65534 ws");
    world_layer(&w);
    put(w.upper, "mod", "changed\n");
    put(w.upper, "fresh/dir/file", "new\n");
    AUTO(change) struct change *c = world_change(&w);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s, .mode = APPLY_BRANCH, .branch = "b" };
    struct apply_result r;
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    assert_int_equal(geteuid(), 0);
    opt.mode = APPLY_TREE;
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    assert_file(w.ws, "fresh/dir/file", "new\n");
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);
    assert_int_equal(host_sh(w.ws, "find . -user 0", &out), 0);
    assert_string_equal(buf_str(&out), "");
    world_finish(&w);
}

static void a_workspace_below_the_repository__commits_with_its_prefix(void **state)
{
    (void)state;
    need_git();
    struct world w;
    fill(&w);
    AUTO(ptr) char *top = w.ws;
    w.ws = in(top, "sub");
    world_layer(&w);
    put(w.upper, "f", "changed\n");
    AUTO(change) struct change *c = world_change(&w);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s, .mode = APPLY_BRANCH, .branch = "b" };
    struct apply_result r;
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    host_ok(top, "test \"$(git show b:sub/f)\" = changed; test \"$(git diff --name-only main b)\" = sub/f");
    world_finish(&w);
}

/* Applied to a branch named after the place; returns what apply_change does. */
static int to_branch(struct world *w, const char *branch, struct apply_result *r, struct arena *a)
{
    static const char *all[] = { "*" };
    AUTO(change) struct change *c = world_change(w);
    struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s, .guard_ok = { all, 1 },
                                 .mode = APPLY_BRANCH, .branch = branch };
    return apply_change(&opt, a, r, &w->e);
}

static void ends_of_lines__are_stored_as_git_stores_them(void **state)
{
    static const char *const setups[] = { "git config core.autocrlf true",
                                          "git config core.autocrlf false; echo '* text=auto eol=crlf' > .gitattributes" };
    (void)state;
    need_git();
    for (size_t i = 0; i < COUNT_OF(setups); i++) {
        struct world w;
        struct apply_result r;
        AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
        world_init(&w);
        host_ok(w.ws, "git init -q -b main; git config user.name n; git config user.email n@x");
        host_ok(w.ws, setups[i]);
        host_ok(w.ws, "seq 1 30 | sed 's/$/\\r/' > t; cp t gone; cp t old; git add -A 2>&1; git commit -qm base;"
                      "git ls-files --eol t | grep -q i/lf.*w/crlf");
        world_layer(&w);
        host_ok(w.upper, "(seq 1 29; echo thirty) | sed 's/$/\\r/' > t; printf 'n\\r\\n' > fresh; seq 1 30 | sed 's/$/\\r/' > new");
        whiteout(w.upper, "gone");
        whiteout(w.upper, "old");
        assert_ok(to_branch(&w, "b", &r, &a), &w.e);
        host_ok(w.ws, "! git show b:t | grep -q \"$(printf '\\r')\"; test \"$(git show b:t | sed -n '1p;30p' | tr '\\n' ' ')\" = '1 thirty ';"
                      "test \"$(git show b:fresh | od -An -c | tr -d ' ')\" = 'n\\n';"
                      "git diff --name-status --no-renames main b | tr '\\t\\n' '  ' | grep -qx 'A fresh D gone A new D old M t '");
        /* an edit of the user's in another place: HEAD's version, as it is checked out, is what both come from */
        usleep(12000);
        host_ok(w.ws, "sed -i 's/^1\\r$/one\\r/' t");
        {
            AUTO(change) struct change *c = world_change(&w);
            assert_false(change_find(c, "t")->base_moved);
            struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s };
            assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
        }
        host_ok(w.ws, "test \"$(sed -n '1p;30p' t | tr '\\r\\n' '.,')\" = 'one.,thirty.,'");
        world_finish(&w);
    }
}

static void what_another_repository_or_a_filter_owns__is_not_committed(void **state)
{
    static const struct {
        const char *path, *why;
    } cases[] = { { "sub/new", "repository of its own" },
                  { "nested/deep/new", "repository of its own" },
                  { "big.bin", "filter 'lfs'" },
                  { "fresh.bin", "filter 'lfs'" } };
    (void)state;
    need_git();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world w;
        struct apply_result r;
        AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
        fill(&w);
        host_ok(w.dir, "git init -q other; cd other; echo x > x; git add x; git commit -qm x");
        host_ok(w.ws, "git rm -rqf sub; git -c protocol.file.allow=always submodule --quiet add ../other sub;"
                      "echo '*.bin filter=lfs -text' > .gitattributes; git config filter.lfs.clean 'touch ../ran; cat';"
                      "echo data > big.bin; git add -A; git commit -qm sub; git init -q nested; mkdir nested/deep; rm -f ../ran;"
                      "git rev-parse main > ../head");
        world_layer(&w);
        put(w.upper, cases[i].path, "written inside\n");
        put(w.upper, "mod", "as well\n");
        assert_int_equal(to_branch(&w, "b", &r, &a), -ERR_CONFLICT);
        assert_contains(w.e.text, cases[i].why);
        host_ok(w.ws, "! git rev-parse -q --verify b; git rev-parse main | diff - ../head; test ! -e ../ran");
        world_finish(&w);
    }
}

static void an_edit_committed_meanwhile__is_not_undone_by_the_branch(void **state)
{
    (void)state;
    need_git();
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    fill(&w);
    world_layer(&w);
    host_ok(w.upper, "(seq 1 39; echo forty) > mod");
    usleep(12000);
    host_ok(w.ws, "sed -i 's/^1$/one/' mod; git commit -qam theirs");
    assert_int_equal(to_branch(&w, "b", &r, &a), -ERR_CONFLICT);
    assert_contains(w.e.text, "after the task began");
    world_finish(&w);
}

static void a_branch_without_commits__is_not_made_under_the_users_feet(void **state)
{
    (void)state;
    need_git();
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    world_init(&w);
    host_ok(w.ws, "git init -q -b main; git config user.name n; git config user.email n@x");
    world_layer(&w);
    put(w.upper, "a", "1\n");
    assert_int_equal(to_branch(&w, "main", &r, &a), -ERR_EXISTS);
    assert_contains(w.e.text, "the branch that you are on");
    assert_ok(to_branch(&w, "other", &r, &a), &w.e);
    host_ok(w.ws, "test \"$(git status --porcelain)\" = ''; test \"$(git show other:a)\" = 1");
    world_finish(&w);
}

static void a_repository_that_cannot_be_read__is_told_with_a_remedy(void **state)
{
    (void)state;
    need_git();
    struct world w;
    struct apply_result r;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    world_init(&w);
    host_ok(w.ws, "git init -q --object-format=sha256; echo 1 > a; git add a; git commit -qm a");
    world_layer(&w);
    put(w.upper, "a", "2\n");
    if (to_branch(&w, "b", &r, &a) == 0) { /* a libgit2 that can */
        world_finish(&w);
        return;
    }
    assert_contains(w.e.hint, "working tree");
    AUTO(change) struct change *c = world_change(&w);
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s };
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    assert_file(w.ws, "a", "2\n");
    world_finish(&w);
}

static void what_git_tracks__is_never_left_out_as_ignored(void **state)
{
    (void)state;
    need_git();
    struct world w;
    world_init(&w);
    host_ok(w.ws, "git init -q; mkdir -p build out; echo 1 > build/tracked; echo 1 > build/untracked; echo 1 > out/x;"
                  "echo 1 > a.log; echo 1 > b.log; git add -f build/tracked a.log; git commit -qm x;"
                  "printf 'build/\\nout/\\n*.log\\n' > .gitignore");
    world_layer(&w);
    host_ok(w.upper, "mkdir build out; echo 2 > build/tracked; echo 2 > build/untracked; echo 2 > build/fresh;"
                     "echo 2 > out/x; echo 2 > a.log; echo 2 > b.log; echo 2 > c.log");
    AUTO(change) struct change *c = world_change(&w);
    assert_listing(c, "modified a.log\nmodified build/tracked\n");
    world_finish(&w);
}

static void a_base_moved_in_git__is_merged_from_head(void **state)
{
    (void)state;
    need_git();
    struct world w;
    fill(&w);
    world_layer(&w);
    host_ok(w.upper, "(seq 1 39; echo forty) > mod");
    usleep(12000);
    host_ok(w.ws, "sed -i 's/^1$/one/' mod");
    AUTO(change) struct change *c = world_change(&w);
    assert_false(change_find(c, "mod")->base_moved);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    struct apply_options opt = { .state_dir = w.state, .change = c, .approved = c->hash.s };
    struct apply_result r;
    assert_ok(apply_change(&opt, &a, &r, &w.e), &w.e);
    assert_int_equal(r.files[0].outcome, APPLY_MERGED);
    host_ok(w.ws, "test \"$(head -1 mod)\" = one; test \"$(tail -1 mod)\" = forty");
    world_finish(&w);
}

static void ignore_rules__decide_as_git_does(void **state)
{
    (void)state;
    need_git();
    struct world w;
    world_init(&w);
    host_ok(w.ws, "git init -q; mkdir -p a/b/c d/a e.x 'sp ace' '[x]' build/sub nested/deep;"
                  "printf '%s\\n' '*.o' '!keep.o' '/top' 'build/' 'a/b' '**/c2' 'd/**' '!d/a' 'e.?' '\\#h' '[[]x]' 'sp\\ ace/q'"
                  " 'foo/**/bar' '*.t[mx]p' '[!k-z]only' 'trail   ' 'deep/' '**' '!*/' '!*.c' '!*.o' '!x*' '!trail' 'x.o' > .gitignore;"
                  "printf '%s\\n' '!*.log' '/q*' 'sub/' > nested/.gitignore; printf '*.exc\\n' > .git/info/exclude");
    static const char *const dirs[] = { "", "a/", "a/b/", "a/b/c/", "d/", "d/a/", "e.x/", "sp ace/", "[x]/", "build/", "build/sub/",
                                        "nested/", "nested/deep/", "foo/", "foo/x/y/", "c2/" };
    static const char *const names[] = { "x.o", "keep.o", "top", "m.c", "#h", "q", "bar", "a.tmp", "aonly", "konly", "trail",
                                         "y.log", "z.exc", "build", "e.x", "c2", "xx" };
    AUTO(buf) struct buf list = BUF_INIT(1 << 20), expect = BUF_INIT(1 << 20);
    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        for (size_t k = 0; k < COUNT_OF(names); k++)
            buf_addf(&list, "%s%s\n", dirs[i], names[k]);
    put_bytes(w.dir, "list", list.p, list.n, 0644);
    for (int round = 0; round < 2; round++) {
        if (round == 1) /* without the rule that takes everything out */
            host_ok(w.ws, "grep -vx '\\*\\*' .gitignore > t; mv t .gitignore");
        AUTO(ignore) struct ignore *ig = NULL;
        AUTO(fd) int fd = open(w.ws, O_PATH | O_DIRECTORY);
        assert_ok(ignore_create(fd, w.ws, &ig, &w.e), &w.e);
        buf_reset(&expect);
        assert_int_equal(host_sh(w.ws, "tr '\\n' '\\0' < ../list | git check-ignore -v -n --no-index --stdin -z | tr '\\0' '\\n'", &expect), 0);
        struct span rest = buf_span(&expect), source, line, pattern, path;
        size_t n = 0, ignored = 0;
        while (span_line(&rest, &source) && span_line(&rest, &line) && span_line(&rest, &pattern) && span_line(&rest, &path)) {
            AUTO(ptr) char *p = span_dup(path);
            struct stat st; /* git looks at what is there */
            AUTO(ptr) char *whole = in(w.ws, p);
            bool is_dir = lstat(whole, &st) == 0 && S_ISDIR(st.st_mode);
            bool theirs = pattern.n && pattern.p[0] != '!', ours = ignore_match(ig, p, is_dir);
            if (theirs != ours)
                fail_msg("round %d: '%s': git says %d (by '%.*s'), we say %d", round, p, theirs, (int)pattern.n, pattern.p, ours);
            n++;
            ignored += ours;
        }
        assert_int_equal(n, COUNT_OF(dirs) * COUNT_OF(names));
        assert_true(ignored > 20 && ignored < n);
    }
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_diff__is_a_patch_that_git_applies),
        cmocka_unit_test(a_branch__has_the_change_and_nothing_else),
        cmocka_unit_test(as_root__files_and_objects_stay_their_owners),
        cmocka_unit_test(a_workspace_below_the_repository__commits_with_its_prefix),
        cmocka_unit_test(ends_of_lines__are_stored_as_git_stores_them),
        cmocka_unit_test(what_another_repository_or_a_filter_owns__is_not_committed),
        cmocka_unit_test(an_edit_committed_meanwhile__is_not_undone_by_the_branch),
        cmocka_unit_test(a_branch_without_commits__is_not_made_under_the_users_feet),
        cmocka_unit_test(a_repository_that_cannot_be_read__is_told_with_a_remedy),
        cmocka_unit_test(what_git_tracks__is_never_left_out_as_ignored),
        cmocka_unit_test(a_base_moved_in_git__is_merged_from_head),
        cmocka_unit_test(ignore_rules__decide_as_git_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
