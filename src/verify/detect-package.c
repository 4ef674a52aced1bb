/*
 * Scripts of package.json: test, lint, typecheck, format:check ..., run by the manager whose lock file is there.
 * npm's placeholder ("no test specified") is no test. Without node_modules, where there are dependencies, the gate
 * is skipped by its `needs`.
 */
#include <jansson.h>

#include "verify/detect-internal.h"

static const struct {
    const char *script;
    enum gate_kind kind;
} scripts[] = {
    { "test", GATE_TEST },          { "tests", GATE_TEST },         { "test:unit", GATE_TEST },
    { "lint", GATE_LINT },          { "eslint", GATE_LINT },        { "typecheck", GATE_TYPES },
    { "type-check", GATE_TYPES },   { "tsc", GATE_TYPES },          { "check-types", GATE_TYPES },
    { "format:check", GATE_FORMAT }, { "check:format", GATE_FORMAT }, { "fmt:check", GATE_FORMAT },
    { "prettier:check", GATE_FORMAT }, { "format-check", GATE_FORMAT },
};

static const struct {
    const char *lock, *tool;
} managers[] = {
    { "pnpm-lock.yaml", "pnpm" }, { "yarn.lock", "yarn" }, { "bun.lockb", "bun" }, { "bun.lock", "bun" },
};

/* In the package or above it: a workspace has its lock file at its root. */
static bool has(struct detection *d, const char *name)
{
    struct span dir = span_of(d->dir);
    for (;;) {
        AUTO(buf) struct buf path = BUF_INIT(8192);
        buf_add_span(&path, dir);
        buf_addf(&path, "%s%s", dir.n ? "/" : "", name);
        if (!path.failed && tree_exists(&d->in->base, buf_str(&path)))
            return true;
        if (!dir.n)
            return false;
        while (dir.n && dir.p[dir.n - 1] != '/')
            dir.n--;
        dir.n -= dir.n > 0;
    }
}

static int look(struct detection *d, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(DETECT_FILE_BYTES + 1);
    if (!detect_read(d, "package.json", &text))
        return 0;
    AUTO(json) json_t *doc = NULL;
    if (json_parse(buf_span(&text), BIND_TOLERANT, &doc, e) < 0)
        return 0; /* the project's own tools will say it better */
    const json_t *list = json_object_get(doc, "scripts");
    const char *tool = "npm";
    for (size_t i = 0; i < COUNT_OF(managers); i++)
        if (has(d, managers[i].lock)) {
            tool = managers[i].tool;
            break;
        }
    bool deps = json_object_size(json_object_get(doc, "dependencies")) + json_object_size(json_object_get(doc, "devDependencies")) > 0;
    const char *needs = arena_printf(d->arena, "%s%s", tool, deps ? " ./node_modules" : "");
    for (size_t i = 0; i < COUNT_OF(scripts); i++) {
        const char *body = json_string_value(json_object_get(list, scripts[i].script));
        if (!body || strstr(body, "no test specified") || strstr(body, "--watch") || strstr(body, "--write") || strstr(body, "--fix") ||
            (d->given & (1u << scripts[i].kind)))
            continue;
        const char *cmd = !strcmp(scripts[i].script, "test") ? arena_printf(d->arena, "%s test", tool)
                                                             : arena_printf(d->arena, "%s run %s", tool, scripts[i].script);
        detect_offer(d, (struct gate){ .name = cmd, .kind = scripts[i].kind, .command = cmd, .needs = needs,
                                       .from = arena_printf(d->arena, "%s: %s", detect_path(d, "package.json"), scripts[i].script) });
    }
    return 0;
}

const struct detect_source detect_package = { "package.json", look };
