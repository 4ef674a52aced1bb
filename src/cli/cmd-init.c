/*
 * init - a stead.yaml for this repository: the gates that stead would detect, written down to be edited.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "verify/gate.h"

static const struct option init_options[] = {
    { "force", 0, OPT_FLAG, NULL, "replace an existing stead.yaml" },
    { 0 },
};

/* A double-quoted YAML scalar takes JSON's escapes (YAML 1.2, section 1.3). */
static void yaml_text(struct buf *b, const char *key, const char *text)
{
    buf_addf(b, "    %s: ", key);
    buf_add_json(b, span_of(text));
    buf_addc(b, '\n');
}

static int init_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    struct gates gates = { 0 };
    if (access("stead.yaml", F_OK) == 0 && !cli_flag(cli, "force")) {
        err_set(&e, ERR_USAGE, "stead.yaml exists already");
        err_hint(&e, "edit it, or replace it with --force");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    AUTO(ptr) char *dir = getcwd(NULL, 0);
    const char *dirs[] = { dir };
    const struct detect_input in = { .base = { .dirs = dirs, .ndirs = 1 } };
    if (!dir || gate_detect(&in, &a, &gates, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    buf_adds(&b, "# What stead runs in this repository; stead-config(5) lists the keys, `stead config check` checks them.\n"
                 "# This file may name only what runs inside the sandbox.\n\n");
    buf_adds(&b, gates.len ? "gates:\n" : "# No gate was detected. A change without one needs a person's approval. For example:\n# gates:\n"
                                          "#   - name: \"test\"\n#     command: \"make test\"\n#     kind: test\n");
    for (size_t i = 0; i < gates.len; i++) {
        const struct gate *g = &gates.items[i];
        buf_adds(&b, "  # ");
        buf_add_span(&b, span_of(g->from));
        buf_adds(&b, "\n  - name: ");
        buf_add_json(&b, span_of(g->name));
        buf_addc(&b, '\n');
        yaml_text(&b, "command", g->command);
        buf_addf(&b, "    kind: %s\n", gate_kind_name(g->kind));
        if (g->cwd && g->cwd[0])
            yaml_text(&b, "cwd", g->cwd);
    }
    free(gates.items);
    if (buf_check(&b, &e) < 0 || file_write_atomic("stead.yaml", buf_span(&b), 0644, false, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"file\":\"stead.yaml\",\"gates\":%zu}\n", gates.len);
    else
        cli_outf(cli, "wrote stead.yaml with %zu gate%s\n", gates.len, gates.len == 1 ? "" : "s");
    return EXIT_DONE;
}

const struct command cmd_init = { "init", "write a stead.yaml with the gates found here", "[options]", init_options, 0, 0, init_main };
