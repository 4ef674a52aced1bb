/*
 * place - a scratch directory with a workspace and a layer, and a sandbox over them.
 *
 * Skips visibly where no sandbox can be set up.
 */
#ifndef STEAD_TESTS_SANDBOX_PLACE_H
#define STEAD_TESTS_SANDBOX_PLACE_H

#include "support/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

struct place {
    char *dir;
    char ws[300], u0[300], w0[300];
    const char *lowers[8];
    struct loop *loop;
    struct sandbox_spec spec;
    struct sandbox *sb;
    struct err e;
};

static inline void put_file(const char *dir, const char *name, const char *text)
{
    char path[600];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(file_write_atomic(path, span_of(text), 0644, false, &e), &e);
}

static inline bool has_file(const char *dir, const char *name)
{
    char path[600];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return lstat(path, &st) == 0;
}

/* The workspace: a.txt, lower/inner.txt, lower/deep/x.txt. The spec is a writable overlay; change it before place_start. */
static inline void place_make(struct place *p)
{
    char path[400];
    memset(p, 0, sizeof *p);
    p->dir = scratch_make();
    assert_int_equal(chmod(p->dir, 0755), 0);
    (void)snprintf(p->ws, sizeof p->ws, "%s/ws", p->dir);
    (void)snprintf(p->u0, sizeof p->u0, "%s/layers/u0", p->dir);
    (void)snprintf(p->w0, sizeof p->w0, "%s/layers/w0", p->dir);
    (void)snprintf(path, sizeof path, "%s/lower/deep", p->ws);
    assert_ok(path_mkdirs(path, 0755, &p->e), &p->e);
    assert_ok(path_mkdirs(p->u0, 0755, &p->e), &p->e);
    assert_ok(path_mkdirs(p->w0, 0755, &p->e), &p->e);
    put_file(p->ws, "a.txt", "alpha\n");
    put_file(p->ws, "lower/inner.txt", "inner\n");
    put_file(p->ws, "lower/deep/x.txt", "x\n");
    p->lowers[0] = p->ws;
    p->spec.workspace = p->ws;
    p->spec.overlay = (struct sandbox_overlay){ .lowers = p->lowers, .nlowers = 1, .upper = p->u0, .work = p->w0 };
    assert_ok(loop_create(&p->loop, &p->e), &p->e);
}

static inline void place_start(struct place *p)
{
    if (sandbox_start(p->loop, &p->spec, &p->sb, &p->e) >= 0)
        return;
    if (p->e.kind == ERR_DENIED) {
        print_message("skipped: %s\n", p->e.text);
        skip();
    }
    fail_msg("%s", p->e.text);
}

static inline void place_remove(struct place *p)
{
    sandbox_destroy(p->sb);
    loop_destroy(p->loop);
    scratch_remove(p->dir);
}

/* Run `script` with sh; its status, output in out (may be NULL). */
static inline int shell(struct place *p, const char *script, struct buf *out)
{
    struct sandbox_result r;
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct sandbox_exec x = { .argv = argv, .timeout_ms = 30000, .merge = true };
    assert_ok(sandbox_exec(p->sb, &x, out, &r, NULL, &p->e), &p->e);
    return r.status;
}

#endif
