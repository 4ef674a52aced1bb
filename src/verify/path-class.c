/* What a path is, by its name alone: rows, the first that fits. '*' crosses no '/', "**" does. */
#include <fnmatch.h>

#include "base/mem.h"
#include "base/path.h"
#include "verify/rules.h"

static const struct {
    enum path_class class;
    const char *patterns; /* space-separated; with a '/': the whole path or its end below any directory; else the base name */
} rows[] = {
    { PATH_GENERATED, "vendor/** third_party/** third-party/** node_modules/** dist/** zz_generated* *_generated.go *_generated.rs" }, /* made, or looked after, elsewhere */
    { PATH_LOCK, "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lockb bun.lock Cargo.lock poetry.lock "
                 "Pipfile.lock pdm.lock uv.lock go.sum Gemfile.lock composer.lock mix.lock flake.lock pubspec.lock "
                 "packages.lock.json gradle.lockfile Package.resolved deno.lock" },
    { PATH_SNAPSHOT, "*.snap *.golden *.approved.* *.expected *.expect __snapshots__/* snapshots/* golden/* goldens/* "
                     "testdata/*.out testdata/*.want fixtures/expected/* expected/*" },
    { PATH_CONFTEST, "conftest.py jest.setup.* vitest.setup.* setupTests.* spec_helper.rb rails_helper.rb test_helper.* "
                     "test-helper.* sitecustomize.py usercustomize.py" },
    { PATH_CI, ".github/workflows/* .github/actions/* .gitlab-ci.yml .travis.yml azure-pipelines.yml Jenkinsfile .circleci/* "
               ".buildkite/* bitbucket-pipelines.yml appveyor.yml .appveyor.yml .cirrus.yml .drone.yml .woodpecker.yml .woodpecker/* "
               ".gitea/workflows/* .forgejo/workflows/* .builds/*" },
    { PATH_CONFIG, "stead.yaml pytest.ini tox.ini noxfile.py .coveragerc .flake8 ruff.toml .ruff.toml mypy.ini .mypy.ini "
                   "pyrightconfig.json .pylintrc pylintrc .pre-commit-config.yaml jest.config.* vitest.config.* karma.conf.* "
                   ".mocharc* .nycrc* .eslintrc* eslint.config.* .eslintignore .prettierrc* prettier.config.* .prettierignore biome.json "
                   ".stylelintrc* .golangci.* .rubocop.yml .rspec phpunit.xml* phpstan.neon* psalm.xml phpcs.xml* .clang-tidy .clang-format "
                   "clippy.toml .clippy.toml rustfmt.toml .rustfmt.toml .shellcheckrc .yamllint* .markdownlint* codecov.yml .codecov.yml "
                   "CTestCustom.cmake .luacheckrc .busted .credo.exs .formatter.exs checkstyle.xml detekt.yml .editorconfig "
                   "playwright.config.* cypress.config.* cypress.json ava.config.* .taprc nextest.toml .swiftlint.yml .hlint.yaml" },
    { PATH_GENERATED, "*.min.js *.min.css *.pb.go *_pb2.py *.pb.cc *.pb.h *.generated.* *.g.dart *.designer.cs *.map" },
    { PATH_TEST, "test_*.* *_test.* *_tests.* *.test.* *.tests.* *.spec.* *_spec.* *Test.java *Tests.java *IT.java *Test.kt *Test.scala "
                 "*Test.php *Tests.cs *Test.cs *Tests.swift *.bats t/*.t test.sh tests.sh run-tests.sh run_tests.sh test.py tests.py test.js tests.js test.mjs test.cjs test.ts spec.js "
                 "tests/** test/** spec/** __tests__/** testing/** testsuite/** t/** check_*.c *-test.* *-tests.* *_unittest.* " },
    { PATH_DOC, "*.md *.rst *.adoc *.txt *.html doc/** docs/** man/** README* CHANGELOG* NEWS* LICENSE* COPYING* AUTHORS* debian/changelog" },
    { PATH_DATA, "*.json *.yaml *.yml *.toml *.xml *.csv *.svg *.png *.jpg *.po *.pot *.ini *.cfg *.sql *.ico *.gif" },
};

/* Two stars after a slash: anything below; one star: that file in a directory of this name anywhere. */
static bool fits(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);
    if (!strchr(pattern, '/'))
        return fnmatch(pattern, path_base(path), 0) == 0;
    bool below = n > 3 && !strcmp(pattern + n - 3, "/**");
    for (const char *p = path; p;) {
        if (below ? !strncmp(p, pattern, n - 2) : fnmatch(pattern, p, FNM_PATHNAME) == 0)
            return true;
        p = strchr(p, '/');
        if (p)
            p++;
    }
    return false;
}

enum path_class path_classify(const char *path)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span list = span_of(rows[i].patterns), one;
        while (span_split(&list, ' ', &one)) {
            char pattern[64];
            if (!one.n || one.n >= sizeof pattern)
                continue;
            memcpy(pattern, one.p, one.n);
            pattern[one.n] = 0;
            if (fits(pattern, path))
                return rows[i].class;
        }
    }
    return PATH_SOURCE;
}

const char *path_class_name(enum path_class c)
{
    static const char *const names[] = {
        [PATH_SOURCE] = "source", [PATH_TEST] = "test",     [PATH_SNAPSHOT] = "snapshot",   [PATH_CONFTEST] = "conftest",
        [PATH_CI] = "ci",         [PATH_CONFIG] = "config", [PATH_LOCK] = "lock",           [PATH_GENERATED] = "generated",
        [PATH_DOC] = "doc",       [PATH_DATA] = "data",
    };
    _Static_assert(COUNT_OF(names) == PATH_CLASSES, "a name for each class");
    return names[c];
}
