#include "verify/detect-command.h"

#include "base/mem.h"

/*
 * The first words of a command, "|" for alternatives of one word. Longer rows stand before shorter ones
 * with the same start. `needs` is the program without which the gate is skipped.
 */
static const struct {
    const char *words;
    enum gate_kind kind;
    const char *needs;
} rows[] = {
    { "make test|tests|check|unittest|unit-test|test-unit|test-all|ci", GATE_TEST, "make" },
    { "make lint|vet|shellcheck|clang-tidy|cppcheck|check-style|lint-check|staticcheck", GATE_LINT, "make" },
    { "make format-check|fmt-check|check-format|check-fmt|checkformat|format-verify|verify-format", GATE_FORMAT, "make" },
    { "make typecheck|type-check|types|mypy|check-types", GATE_TYPES, "make" },
    { "just test|tests|check", GATE_TEST, "just" },
    { "just lint", GATE_LINT, "just" },
    { "just fmt-check|format-check|check-fmt", GATE_FORMAT, "just" },
    { "task test", GATE_TEST, "task" },
    { "task lint", GATE_LINT, "task" },
    { "ninja test", GATE_TEST, "ninja" },
    { "meson test", GATE_TEST, "meson" },
    { "ctest", GATE_TEST, "ctest" },
    { "cargo test|nextest", GATE_TEST, "cargo" },
    { "cargo clippy", GATE_LINT, "cargo" },
    { "cargo check|build", GATE_BUILD, "cargo" },
    { "go test", GATE_TEST, "go" },
    { "go vet", GATE_LINT, "go" },
    { "go build", GATE_BUILD, "go" },
    { "golangci-lint run", GATE_LINT, "golangci-lint" },
    { "pytest", GATE_TEST, "pytest" },
    { "py.test", GATE_TEST, "py.test" },
    { "python|python3 -m pytest|unittest", GATE_TEST, "python3" },
    { "python|python3 -m mypy|pyright", GATE_TYPES, "python3" },
    { "python|python3 -m ruff|flake8|pylint", GATE_LINT, "python3" },
    { "python|python3 manage.py test", GATE_TEST, "python3" },
    { "python|python3 run_tests.py|runtests.py|test.py", GATE_TEST, "python3" },
    { "tox", GATE_TEST, "tox" },
    { "nox", GATE_TEST, "nox" },
    { "hatch test", GATE_TEST, "hatch" },
    { "ruff check", GATE_LINT, "ruff" },
    { "flake8", GATE_LINT, "flake8" },
    { "pylint", GATE_LINT, "pylint" },
    { "mypy", GATE_TYPES, "mypy" },
    { "pyright", GATE_TYPES, "pyright" },
    { "uv|poetry|pdm|pipenv|hatch run pytest|tox", GATE_TEST, NULL },
    { "uv|poetry|pdm|pipenv|hatch run ruff|flake8|pylint", GATE_LINT, NULL },
    { "uv|poetry|pdm|pipenv|hatch run mypy|pyright", GATE_TYPES, NULL },
    { "npm test|t", GATE_TEST, "npm" },
    { "npm|pnpm|yarn|bun run test|test:unit|tests|test:ci|unit", GATE_TEST, NULL },
    { "npm|pnpm|yarn|bun run lint|eslint|lint:check|lint:js", GATE_LINT, NULL },
    { "npm|pnpm|yarn|bun run typecheck|type-check|tsc|types|check-types", GATE_TYPES, NULL },
    { "npm|pnpm|yarn|bun run format:check|check:format|format-check|fmt:check|prettier:check", GATE_FORMAT, NULL },
    { "pnpm|yarn|bun test", GATE_TEST, NULL },
    { "pnpm|yarn lint", GATE_LINT, NULL },
    { "npx|yarn|pnpm jest|vitest|mocha|ava|tap", GATE_TEST, NULL },
    { "npx|yarn|pnpm eslint", GATE_LINT, NULL },
    { "npx|yarn|pnpm tsc", GATE_TYPES, NULL },
    { "node --test", GATE_TEST, "node" },
    { "deno test", GATE_TEST, "deno" },
    { "deno lint", GATE_LINT, "deno" },
    { "mvn|./mvnw test|verify", GATE_TEST, NULL },
    { "gradle|./gradlew test|check", GATE_TEST, NULL },
    { "dotnet test", GATE_TEST, "dotnet" },
    { "bundle exec rspec|rake", GATE_TEST, "bundle" },
    { "bundle exec rubocop", GATE_LINT, "bundle" },
    { "rspec", GATE_TEST, "rspec" },
    { "rake test|spec", GATE_TEST, "rake" },
    { "composer test", GATE_TEST, "composer" },
    { "vendor/bin/phpunit|./vendor/bin/phpunit", GATE_TEST, "php" },
    { "mix test", GATE_TEST, "mix" },
    { "mix credo", GATE_LINT, "mix" },
    { "swift test", GATE_TEST, "swift" },
    { "zig build test", GATE_TEST, "zig" },
    { "cabal|stack test", GATE_TEST, NULL },
    { "dune test|runtest", GATE_TEST, "dune" },
    { "flutter|dart test", GATE_TEST, NULL },
    { "bazel|bazelisk test", GATE_TEST, NULL },
    { "bats", GATE_TEST, "bats" },
    { "prove", GATE_TEST, "prove" },
    { "busted", GATE_TEST, "busted" },
    { "shellcheck", GATE_LINT, "shellcheck" },
    { "sh|bash test.sh|tests.sh|run-tests.sh|run_tests.sh|runtests.sh|./test.sh|./run-tests.sh|./run_tests.sh", GATE_TEST, "sh" },
    { "sh|bash tests/run.sh|test/run.sh|tests/test.sh|scripts/test.sh|tests/run-tests.sh|tests/run_tests.sh", GATE_TEST, "sh" },
    { "./test.sh|./tests.sh|./run-tests.sh|./run_tests.sh|./runtests.sh|./scripts/test.sh|./scripts/test|./bin/test", GATE_TEST, NULL },
    { "script/test|scripts/test|bin/test|./script/test|scripts/test.sh|tests/run.sh|./tests/run.sh", GATE_TEST, NULL },
    { "pre-commit run", GATE_LINT, "pre-commit" },
};

/* Formatters check only with the flag that says so; without it they write. */
static const struct {
    const char *words, *flag, *needs;
} formatters[] = {
    { "cargo fmt", "--check", "cargo" },      { "black", "--check", "black" },   { "isort", "--check", "isort" },
    { "ruff format", "--check", "ruff" },     { "prettier", "--check", "prettier" },
    { "npx prettier", "--check", "npx" },     { "gofmt", "-l", "gofmt" },        { "gofmt", "-d", "gofmt" },
    { "shfmt", "-d", "shfmt" },               { "clang-format", "--dry-run", "clang-format" },
    { "clang-format", "-n", "clang-format" }, { "mix format", "--check-formatted", "mix" },
    { "dotnet format", "--verify-no-changes", "dotnet" }, { "terraform fmt", "-check", "terraform" },
    { "zig fmt", "--check", "zig" },
};

static bool word_is(struct span alternatives, struct span word)
{
    struct span one;
    while (span_split(&alternatives, '|', &one))
        if (span_eq(one, word))
            return true;
    return false;
}

/* Do the command's first words fit the row's? */
static bool fits(const char *words, struct span line)
{
    struct span row = span_of(words), want, word;
    while (span_split(&row, ' ', &want)) {
        line = span_trim(line);
        size_t n = 0;
        while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
            n++;
        word = span_sub(line, 0, n);
        if (!n || !word_is(want, word))
            return false;
        line = span_sub(line, n, line.n);
    }
    return true;
}

/* Something to fill in, one test only, watching, writing, several commands that may install: not a gate. */
static bool is_unfit(struct span line)
{
    static const char *const signs[] = {
        "<", " ...", "…", "::", "{", "$", "`", "path/to", "PATTERN", "your", "--watch", "-k ", " --fix", "-run ", "--write",
        "sudo", "|", ">", "--update", "-u ", "test_foo", "test_name", "TestName", "TEST=", " -v /", "docker", "watch", "--publish",
    };
    for (size_t i = 0; i < COUNT_OF(signs); i++)
        if (span_find(line, span_of(signs[i])) >= 0)
            return true;
    return false;
}

bool command_is_check(struct span line, enum gate_kind *kind, const char **needs, struct span *run)
{
    line = span_trim(line);
    struct span body = line;
    while (span_starts(body, "CI=") || span_starts(body, "NO_COLOR=") || span_starts(body, "PYTHONPATH=")) {
        ptrdiff_t sp = span_findc(body, ' ');
        if (sp < 0)
            return false;
        body = span_trim(span_sub(body, (size_t)sp, body.n));
    }
    if (!body.n || body.n > 300 || is_unfit(body))
        return false;
    for (size_t i = 0; i < body.n; i++)
        if ((unsigned char)body.p[i] < 0x20)
            return false;
    /* "make build && make test" is a test when its last part is one. */
    struct span last = body;
    ptrdiff_t amp;
    while ((amp = span_find(last, SPAN("&&"))) >= 0)
        last = span_trim(span_sub(last, (size_t)amp + 2, last.n));
    if (last.n != body.n) {
        struct span first = span_sub(body, 0, body.n - last.n);
        if (span_find(first, SPAN("install")) >= 0 || span_find(first, SPAN("npm ci")) >= 0)
            body = last; /* dependencies are not fetched without network */
    }
    *run = last.n != line.n && body.p == last.p ? last : line;
    for (size_t i = 0; i < COUNT_OF(formatters); i++)
        if (fits(formatters[i].words, last) && span_find(last, span_of(formatters[i].flag)) >= 0) {
            *kind = GATE_FORMAT;
            *needs = formatters[i].needs;
            return true;
        }
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (fits(rows[i].words, last)) {
            *kind = rows[i].kind;
            *needs = rows[i].needs;
            return true;
        }
    return false;
}
