/* Detection on small trees made for the purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "verify/ecosystem.h"
#include "verify/detect-command.h"
#include "verify/reader.h"

struct place {
    char dir[64];
    const char *dirs[1];
};

static struct place *make(void)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    strncpy(p->dir, "/tmp/stead-detect-XXXXXX", sizeof p->dir - 1);
    assert_non_null(mkdtemp(p->dir));
    p->dirs[0] = p->dir;
    return p;
}

static void drop(struct place *p)
{
    struct err e = ERR_INIT;
    (void)path_remove_tree(AT_FDCWD, p->dir, &e);
    free(p);
}

static void put(const struct place *p, const char *path, const char *text)
{
    AUTO(ptr) char *full = path_join(p->dir, path);
    AUTO(ptr) char *dir = span_dup(path_dir(full));
    struct err e = ERR_INIT;
    assert_int_equal(path_mkdirs(dir, 0755, &e), 0);
    if (file_write_atomic(full, span_of(text), 0644, false, &e) < 0)
        fail_msg("%s", e.text);
}

static void detect(const struct place *p, const char *changed, struct arena *a, struct gates *g)
{
    struct err e = ERR_INIT;
    const char *paths[] = { changed };
    struct detect_input in = { .base = { .dirs = p->dirs, .ndirs = 1 }, .changed = { paths, changed != NULL } };
    if (gate_detect(&in, a, g, &e) < 0)
        fail_msg("%s", e.text);
}

static const struct gate *of_kind(const struct gates *g, enum gate_kind k)
{
    for (size_t i = 0; i < g->len; i++)
        if (g->items[i].kind == k)
            return &g->items[i];
    return NULL;
}

static void ecosystems__are_complete_rows(void **state)
{
    (void)state;
    const struct ecosystem *rows;
    size_t n;
    struct err e = ERR_INIT;
    if (ecosystems_load(&rows, &n, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(n >= 20);
    for (size_t i = 0; i < n; i++) {
        assert_true(rows[i].title[0] && rows[i].nmarkers && rows[i].ngates);
        for (unsigned k = 0; k < rows[i].ngates; k++) {
            const struct ecosystem_gate *g = &rows[i].gates[k];
            enum gate_kind kind;
            if (!gate_kind_parse(span_of(g->kind), &kind))
                fail_msg("%s: gate '%s' has the unknown kind '%s'", rows[i].name, g->name, g->kind);
            if (g->reader && !reader_find(g->reader))
                fail_msg("%s: gate '%s' has the unknown reader '%s'", rows[i].name, g->name, g->reader);
            if (!g->needs)
                fail_msg("%s: gate '%s' does not say which programs it needs", rows[i].name, g->name);
        }
    }
}

/* One marker each: the table alone knows the project. */
static void gate_detect__knows_each_ecosystem_by_its_marker(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *command;
    } cases[] = {
        { "CMakeLists.txt", "project(x)\n", "ctest" },
        { "meson.build", "project('x')\n", "meson test" },
        { "Cargo.toml", "[package]\n", "cargo test" },
        { "go.mod", "module x\n", "go test" },
        { "pyproject.toml", "[project]\n", "unittest" },
        { "pom.xml", "<project/>\n", "mvn" },
        { "build.gradle.kts", "\n", "gradle" },
        { "x.csproj", "\n", "dotnet test" },
        { "mix.exs", "\n", "mix test" },
        { "Package.swift", "\n", "swift test" },
        { "build.zig", "\n", "zig build test" },
        { "x.cabal", "\n", "cabal test" },
        { "dune-project", "\n", "dune test" },
        { "deno.json", "{}\n", "deno test" },
        { "pubspec.yaml", "\n", "dart test" },
        { "MODULE.bazel", "\n", "bazel test" },
        { "test/a.bats", "\n", "bats" },
        { "test_a.py", "\n", "unittest" },
        { "a.test.mjs", "\n", "node --test" },
        { "test.sh", "\n", "test.sh" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct place *p = make();
        AUTO(arena) struct arena a = ARENA_INIT(32u << 20);
        struct gates g = { 0 };
        put(p, cases[i].file, cases[i].text);
        detect(p, NULL, &a, &g);
        const struct gate *t = of_kind(&g, GATE_TEST);
        if (!t || !strstr(t->command, cases[i].command))
            fail_msg("%s: %zu gates, test: %s", cases[i].file, g.len, t ? t->command : "none");
        assert_int_equal(strncmp(t->from, "table: ", 7), 0);
        free(g.items);
        drop(p);
    }
}

static void gate_detect__prefers_what_people_wrote(void **state)
{
    (void)state;
    struct place *p = make();
    AUTO(arena) struct arena a = ARENA_INIT(32u << 20);
    struct gates g = { 0 };
    put(p, "pyproject.toml", "[tool.ruff]\nline-length = 80\n");
    put(p, "Makefile", "all:\n\ttrue\nlint:\n\ttrue\ntest: all\n\ttrue\n");
    put(p, ".github/workflows/ci.yml",
        "jobs:\n  a:\n    steps:\n      - run: pip install x\n      - name: t\n        run: |\n          pip install y\n          python -m mypy src\n");
    put(p, "AGENTS.md", "# Rules\n\nRun `make test` before you finish; a single test: `pytest tests/x.py::test_y`.\n");
    detect(p, NULL, &a, &g);
    assert_string_equal(of_kind(&g, GATE_TEST)->command, "make test");
    assert_string_equal(of_kind(&g, GATE_TEST)->from, "AGENTS.md:3");
    assert_string_equal(of_kind(&g, GATE_TYPES)->command, "python -m mypy src");
    assert_string_equal(of_kind(&g, GATE_TYPES)->from, ".github/workflows/ci.yml:8");
    assert_string_equal(of_kind(&g, GATE_LINT)->command, "make lint");
    free(g.items);
    drop(p);
}

static void gate_detect__reads_package_scripts(void **state)
{
    (void)state;
    struct place *p = make();
    AUTO(arena) struct arena a = ARENA_INIT(32u << 20);
    struct gates g = { 0 };
    put(p, "package.json", "{\"scripts\":{\"test\":\"node --test\",\"lint\":\"eslint .\",\"build\":\"x\"},\"devDependencies\":{\"eslint\":\"9\"}}");
    put(p, "pnpm-lock.yaml", "");
    detect(p, NULL, &a, &g);
    assert_string_equal(of_kind(&g, GATE_TEST)->command, "pnpm test");
    assert_string_equal(of_kind(&g, GATE_TEST)->needs, "pnpm ./node_modules");
    assert_string_equal(of_kind(&g, GATE_LINT)->command, "pnpm run lint");
    g.len = 0;
    put(p, "package.json", "{\"scripts\":{\"test\":\"echo \\\"Error: no test specified\\\" && exit 1\"}}");
    detect(p, NULL, &a, &g);
    assert_null(of_kind(&g, GATE_TEST));
    free(g.items);
    drop(p);
}

static void gate_detect__runs_the_packages_that_a_change_touches(void **state)
{
    (void)state;
    struct place *p = make();
    AUTO(arena) struct arena a = ARENA_INIT(32u << 20);
    struct gates g = { 0 };
    put(p, "packages/api/package.json", "{\"scripts\":{\"test\":\"node --test\"}}");
    put(p, "packages/api/src/deep/a.js", "");
    put(p, "packages/web/package.json", "{\"scripts\":{\"test\":\"node --test\"}}");
    detect(p, "packages/api/src/deep/a.js", &a, &g);
    assert_int_equal(g.len, 1);
    assert_string_equal(g.items[0].cwd, "packages/api");
    assert_string_equal(g.items[0].name, "packages/api: npm test");
    free(g.items);
    drop(p);
}

static void gate_detect__takes_explicit_gates_alone(void **state)
{
    (void)state;
    struct place *p = make();
    AUTO(arena) struct arena a = ARENA_INIT(32u << 20);
    struct gates g = { 0 };
    struct err e = ERR_INIT;
    const struct gate given[] = { { .command = "make check" , .kind = GATE_CUSTOM }, { .command = "./x", .kind = GATE_CUSTOM, .name = "mine" } };
    struct detect_input in = { .base = { .dirs = p->dirs, .ndirs = 1 }, .explicit_gates = given, .nexplicit = 2 };
    put(p, "Cargo.toml", "[package]\n");
    assert_int_equal(gate_detect(&in, &a, &g, &e), 0);
    assert_int_equal(g.len, 2);
    assert_string_equal(g.items[0].name, "make check");
    assert_int_equal(g.items[0].kind, GATE_TEST);
    assert_true(g.items[0].explicit_gate);
    assert_string_equal(g.items[1].name, "mine");
    const struct gate outside = { .command = "x", .cwd = "../y" };
    in.explicit_gates = &outside;
    in.nexplicit = 1;
    assert_int_equal(gate_detect(&in, &a, &g, &e), -ERR_USAGE);
    assert_non_null(strstr(e.text, "../y"));
    free(g.items);
    drop(p);
}

static void gate_detect__survives_hostile_files(void **state)
{
    (void)state;
    struct place *p = make();
    AUTO(arena) struct arena a = ARENA_INIT(64u << 20);
    struct gates g = { 0 };
    put(p, "package.json", "{\"scripts\": [1, {\"test\": 7}], \"dependencies\": 5");
    put(p, "AGENTS.md", "```\n`make test`\x1b[31m\n$ make test; rm -rf /\n````\n`pytest\n");
    put(p, ".gitlab-ci.yml", "script:\n  - \"\n- - -\nrun: |\n");
    put(p, "Makefile", "::\n:=\n\ttest:\n");
    assert_int_equal(symlink("/etc/passwd", "/tmp/never") == 0 ? unlink("/tmp/never") : 0, 0);
    AUTO(ptr) char *link = path_join(p->dir, "justfile");
    assert_int_equal(symlink("/etc/passwd", link), 0);
    detect(p, "../../etc/passwd", &a, &g);
    for (size_t i = 0; i < g.len; i++)
        assert_null(strchr(g.items[i].command, '\x1b'));
    free(g.items);
    drop(p);
}

static void command_is_check__knows_checks_from_other_commands(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int kind; /* -1: none */
    } cases[] = {
        { "make test", GATE_TEST }, { "npm run lint", GATE_LINT }, { "cargo fmt --check", GATE_FORMAT }, { "cargo fmt", -1 },
        { "npm start", -1 }, { "npm install", -1 }, { "pytest tests/test_x.py::test_y", -1 }, { "pytest <file>", -1 },
        { "npm ci && npm test", GATE_TEST }, { "go test ./...", GATE_TEST }, { "make", -1 }, { "make install", -1 },
        { "ruff check . --fix", -1 }, { "uv run pytest -q", GATE_TEST }, { "python3 -m unittest discover", GATE_TEST },
        { "git push", -1 }, { "npm test | tee log", -1 }, { "meson test -C build", GATE_TEST }, { "", -1 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum gate_kind k = GATE_CUSTOM;
        const char *needs;
        struct span run;
        bool is = command_is_check(span_of(cases[i].line), &k, &needs, &run);
        if (is != (cases[i].kind >= 0) || (is && (int)k != cases[i].kind))
            fail_msg("'%s' is taken for %s", cases[i].line, is ? gate_kind_name(k) : "nothing");
    }
    enum gate_kind k;
    const char *needs;
    struct span run;
    assert_true(command_is_check(SPAN("npm ci && npm test"), &k, &needs, &run));
    assert_true(span_eqs(run, "npm test"));
}

static void tree__shows_upper_files_and_hides_deleted_ones(void **state)
{
    (void)state;
    struct place *p = make(), *q = make();
    AUTO(arena) struct arena a = ARENA_INIT(1u << 20);
    AUTO(buf) struct buf b = BUF_INIT(100);
    put(p, "a", "low");
    put(p, "d/x", "x");
    put(q, "a", "high");
    const char *dirs[] = { q->dir, p->dir };
    const struct tree_file files[] = { { .path = "d/x", .deleted = true }, { .path = "n", .content = SPAN("new") } };
    struct tree t = { dirs, 2, files, 2 };
    assert_int_equal(tree_read(&t, "a", 50, &b), 1);
    assert_string_equal(buf_str(&b), "high");
    assert_false(tree_exists(&t, "d/x"));
    assert_true(tree_exists(&t, "n"));
    struct strings names = tree_list(&t, "", &a);
    assert_int_equal(names.len, 3);
    assert_string_equal(names.items[2], "n");
    assert_int_equal(tree_read(&t, "../etc/passwd", 50, &b), 0);
    drop(p);
    drop(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ecosystems__are_complete_rows),
        cmocka_unit_test(command_is_check__knows_checks_from_other_commands),
        cmocka_unit_test(gate_detect__knows_each_ecosystem_by_its_marker),
        cmocka_unit_test(gate_detect__prefers_what_people_wrote),
        cmocka_unit_test(gate_detect__reads_package_scripts),
        cmocka_unit_test(gate_detect__runs_the_packages_that_a_change_touches),
        cmocka_unit_test(gate_detect__takes_explicit_gates_alone),
        cmocka_unit_test(gate_detect__survives_hostile_files),
        cmocka_unit_test(tree__shows_upper_files_and_hides_deleted_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
