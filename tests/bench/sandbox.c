/*
 * bench-sandbox - what the sandbox costs: start, command, read, write, change, checkpoint, undo, ripgrep, a compile.
 *
 *     bench-sandbox [--json] [--files N] [--rounds N] [--start-only]
 *
 * Medians over rounds beside the goal of each; the plain fork and exec, ripgrep and compile of this machine beside those
 * inside. Works on a generated tree of N files (80,000) in a scratch directory (TMPDIR, /tmp) and removes it.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "sandbox/sandbox.h"
#include "workspace/change.h"
#include "workspace/layer.h"

#define ROUNDS_MAX 2000
#define LEVELS 200

static struct bench {
    char dir[400], ws[420], state[420];
    struct loop *loop;
    size_t rounds;
    bool as_json;
    double plain_us; /* fork and exec without a sandbox */
} B;
static int64_t v[ROUNDS_MAX];

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Median and 90th percentile of n values, each of `per` rounds; goal 0: none. Returns the median. */
static double row(const char *name, const char *unit, int64_t *values, size_t n, double per, double goal)
{
    qsort(values, n, sizeof *values, by_value);
    double median = (double)values[n / 2] / per, p90 = (double)values[n * 9 / 10] / per;
    if (B.as_json) {
        (void)printf("{\"name\":\"sandbox: %s\",\"unit\":\"%s\",\"median\":%.2f,\"p90\":%.2f,\"n\":%zu,\"goal\":%.2f}\n", name, unit, median, p90, n, goal);
        return median;
    }
    (void)printf("%-44s %10.1f %10.1f %-4s", name, median, p90, unit);
    if (goal > 0)
        (void)printf(" goal <= %.0f: %s", goal, median <= goal ? "met" : "NOT MET");
    (void)printf("\n");
    return median;
}

static void row_ratio(const char *name, double inside, double outside, double goal)
{
    double ratio = outside > 0 ? inside / outside : 0;
    if (B.as_json)
        (void)printf("{\"name\":\"sandbox: %s\",\"unit\":\"x\",\"median\":%.2f,\"goal\":%.2f}\n", name, ratio, goal);
    else
        (void)printf("%-44s %10.2f %10s x    goal <= %.1f: %s\n", name, ratio, "", goal, ratio <= goal ? "met" : "NOT MET");
}

static void __attribute__((noreturn)) fail(const struct err *e)
{
    (void)fprintf(stderr, "bench-sandbox: %s\n%s\n", e->text, e->hint);
    exit(e->kind == ERR_DENIED ? 77 : 1);
}

#define MUST(call)           \
    do {                     \
        if ((call) < 0)      \
            fail(&e);        \
    } while (0)

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        exit(1);
    (void)close(fd);
}

static void make_tree(int64_t files)
{
    struct err e = ERR_INIT;
    char path[600];
    for (int64_t i = 0; i < files; i++) {
        (void)snprintf(path, sizeof path, "%s/d%lld/s%lld", B.ws, (long long)(i / 400), (long long)(i / 20 % 20));
        if (i % 20 == 0)
            MUST(path_mkdirs(path, 0755, &e));
        size_t n = strlen(path);
        (void)snprintf(path + n, sizeof path - n, "/f%lld.c", (long long)i);
        put(path, "int x;\n");
    }
    (void)snprintf(path, sizeof path, "%s/compile", B.ws);
    MUST(path_mkdirs(path, 0755, &e));
    for (int i = 0; i < 12; i++) {
        (void)snprintf(path, sizeof path, "%s/compile/c%d.c", B.ws, i);
        put(path, "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/stat.h>\n#include <unistd.h>\n"
                  "int f(const char *s)\n{\n    struct stat st;\n    return stat(s, &st) < 0 ? printf(\"%s\\n\", s) : (int)strlen(s);\n}\n");
    }
}

/* Wall time of a command outside, in microseconds; -1 when it fails. */
static int64_t outside(const char *const *argv)
{
    pid_t pid;
    int status = 1;
    int64_t t = clock_us();
    posix_spawn_file_actions_t quiet;
    (void)posix_spawn_file_actions_init(&quiet);
    (void)posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    int r = posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&quiet);
    if (r != 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    t = clock_us() - t;
    return WIFEXITED(status) && WEXITSTATUS(status) <= 1 ? t : -1;
}

/* The value of `Pss: 123 kB` in /proc/PID/smaps_rollup. */
static int64_t memory_kib(pid_t pid)
{
    char path[64], *line;
    struct err e = ERR_INIT;
    int64_t kib = 0;
    AUTO(buf) struct buf b = BUF_INIT(65536);
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    if (file_read(path, 65536, &b, &e) < 0 || !(line = strstr(b.p, "\nPss:")))
        return 0;
    for (line += 5; *line && *line != '\n'; line++)
        if (*line >= '0' && *line <= '9')
            kib = kib * 10 + (*line - '0');
    return kib;
}

static void open_layer(struct layer **l, struct sandbox **sb)
{
    struct err e = ERR_INIT;
    struct sandbox_spec spec = { .workspace = B.ws };
    MUST(layer_create(B.ws, B.state, NULL, l, &e));
    layer_overlay(*l, &spec.overlay);
    MUST(sandbox_start(B.loop, &spec, sb, &e));
}

static void close_layer(struct layer *l, struct sandbox *sb)
{
    struct err e = ERR_INIT;
    sandbox_destroy(sb);
    MUST(layer_discard(l, &e));
    layer_destroy(l);
}

static const char *const true_argv[] = { "/bin/true", NULL };

static void bench_start(void)
{
    struct err e = ERR_INIT;
    static int64_t ends[ROUNDS_MAX], colds[ROUNDS_MAX], layers[ROUNDS_MAX];
    struct sandbox_exec x = { .argv = true_argv };
    struct sandbox_result r;
    for (size_t i = 0; i < B.rounds; i++)
        v[i] = outside(true_argv);
    B.plain_us = row("fork and exec of true, no sandbox", "us", v, B.rounds, 1, 0);
    for (size_t i = 0; i < B.rounds; i++) {
        struct layer *l;
        struct sandbox *sb;
        struct sandbox_spec spec = { .workspace = B.ws };
        int64_t t = clock_us();
        MUST(layer_create(B.ws, B.state, NULL, &l, &e));
        layers[i] = clock_us() - t;
        layer_overlay(l, &spec.overlay);
        t = clock_us();
        MUST(sandbox_start(B.loop, &spec, &sb, &e));
        v[i] = clock_us() - t;
        MUST(sandbox_exec(sb, &x, NULL, &r, NULL, &e));
        int64_t end = clock_us();
        sandbox_destroy(sb);
        ends[i] = clock_us() - end;
        colds[i] = clock_us() - t;
        MUST(layer_discard(l, &e));
        layer_destroy(l);
    }
    (void)row("layer on disk made", "us", layers, B.rounds, 1, 0);
    (void)row("session ready", "us", v, B.rounds, 1, 5000);
    (void)row("end of a session", "us", ends, B.rounds, 1, 0);
    (void)row("start, true, end", "us", colds, B.rounds, 1, 0);
}

static void bench_requests(void)
{
    struct err e = ERR_INIT;
    struct layer *l;
    struct sandbox *sb;
    struct sandbox_exec x = { .argv = true_argv };
    struct sandbox_result r;
    open_layer(&l, &sb);
    for (size_t i = 0; i < B.rounds; i++) {
        int64_t t = clock_us();
        MUST(sandbox_exec(sb, &x, NULL, &r, NULL, &e));
        v[i] = clock_us() - t;
    }
    (void)row("true in a running session", "us", v, B.rounds, 1, B.plain_us + 1000);
    static char content[4096];
    memset(content, 'x', sizeof content);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    MUST(sandbox_write(sb, "probe", (struct span){ content, sizeof content }, 0, 0, &e));
    for (size_t i = 0; i < B.rounds; i++) {
        buf_reset(&out);
        int64_t t = clock_us();
        for (int k = 0; k < 10; k++)
            MUST(sandbox_read(sb, "probe", 0, sizeof content, &out, NULL, &e));
        v[i] = clock_us() - t;
    }
    (void)row("read of 4 KiB", "us", v, B.rounds, 10, 20);
    for (size_t i = 0; i < B.rounds; i++) {
        int64_t t = clock_us();
        MUST(sandbox_write(sb, "probe", (struct span){ content, sizeof content }, 0, 0, &e));
        v[i] = clock_us() - t;
    }
    (void)row("write of 4 KiB", "us", v, B.rounds, 1, 250);
    v[0] = memory_kib(sandbox_pid(sb));
    (void)row("helper's memory (Pss)", "KiB", v, 1, 1, 1024);
    close_layer(l, sb);
}

/* 100 files changed, a third of them each new, edited and removed, all over the tree. */
static void bench_listing(int64_t files)
{
    struct err e = ERR_INIT;
    struct layer *l;
    struct sandbox *sb;
    char path[200];
    open_layer(&l, &sb);
    for (int i = 0; i < 100; i++) {
        int64_t n = files / 100 * i;
        (void)snprintf(path, sizeof path, "d%lld/s%lld/%s%lld.c", (long long)(n / 400), (long long)(n / 20 % 20), i % 3 ? "f" : "new", (long long)n);
        if (i % 3 == 2)
            MUST(sandbox_remove(sb, path, &e));
        else
            MUST(sandbox_write(sb, path, SPAN("int x, y;\n"), 0, SANDBOX_WRITE_PARENTS, &e));
    }
    MUST(sandbox_pause(sb, &e));
    size_t n = B.rounds < 30 ? B.rounds : 30;
    for (size_t i = 0; i < n; i++) {
        struct change *c;
        int64_t t = clock_us();
        MUST(change_read(l, NULL, &c, &e));
        v[i] = clock_us() - t;
        if (c->nfiles != 100)
            (void)fprintf(stderr, "bench-sandbox: %zu files in a change of 100\n", c->nfiles);
        change_destroy(c);
    }
    (void)row("a change of 100 files listed", "us", v, n, 1, 10000);
    close_layer(l, sb);
}

static void bench_levels(void)
{
    enum { AGAIN = 7 };
    struct err e = ERR_INIT;
    struct layer *l;
    struct sandbox *sb;
    int64_t back[AGAIN];
    char name[64];
    open_layer(&l, &sb);
    for (int step = 1; step <= LEVELS; step++) {
        bool shown = step == 1 || step == 50 || step == LEVELS;
        for (int k = 0; k < (shown ? AGAIN : 1); k++) {
            AUTO(arena) struct arena a;
            struct strings touched;
            arena_init(&a, 1 << 20);
            if (k) {
                int64_t t = clock_us();
                MUST(layer_undo(l, sb, step - 1, &e));
                back[k - 1] = clock_us() - t;
            }
            (void)snprintf(name, sizeof name, "step%d", step);
            MUST(sandbox_write(sb, name, SPAN("x\n"), 0, 0, &e));
            int64_t t = clock_us();
            MUST(layer_checkpoint(l, sb, step, &a, &touched, &e));
            v[k] = clock_us() - t;
        }
        if (!shown)
            continue;
        (void)snprintf(name, sizeof name, "checkpoint at level %d", step);
        (void)row(name, "us", v, AGAIN, 1, 15000);
        (void)snprintf(name, sizeof name, "undo at level %d", step);
        (void)row(name, "us", back, AGAIN - 1, 1, 15000);
    }
    close_layer(l, sb);
}

/* The same command on the workspace outside and through the overlay, warm; they take turns. */
static void bench_program(const char *name, const char *script, double goal)
{
    enum { AGAIN = 7 };
    struct err e = ERR_INIT;
    struct layer *l;
    struct sandbox *sb;
    struct sandbox_result r;
    int64_t in[AGAIN], out[AGAIN];
    char line[120];
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    struct sandbox_exec x = { .argv = argv };
    open_layer(&l, &sb);
    for (int i = -1; i < AGAIN; i++) {
        int64_t o = outside(argv), t = clock_us();
        MUST(sandbox_exec(sb, &x, NULL, &r, NULL, &e));
        t = clock_us() - t;
        if (o < 0 || r.status > 1) {
            if (!B.as_json)
                (void)printf("%-44s not installed here\n", name);
            close_layer(l, sb);
            return;
        }
        if (i >= 0) {
            out[i] = o;
            in[i] = t;
        }
    }
    (void)snprintf(line, sizeof line, "%s, native", name);
    double native = row(line, "us", out, AGAIN, 1, 0);
    (void)snprintf(line, sizeof line, "%s, through the overlay", name);
    double inside = row(line, "us", in, AGAIN, 1, 0);
    (void)snprintf(line, sizeof line, "%s: inside to native", name);
    row_ratio(line, inside, native, goal);
    close_layer(l, sb);
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    int64_t files = 80000, rounds = 100;
    bool start_only = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            B.as_json = true;
        else if (strcmp(argv[i], "--start-only") == 0)
            start_only = true;
        else if (i + 1 < argc && strcmp(argv[i], "--files") == 0)
            MUST(parse_i64(span_of(argv[++i]), 2000, 1000000, &files, &e));
        else if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0)
            MUST(parse_i64(span_of(argv[++i]), 10, ROUNDS_MAX, &rounds, &e));
        else
            return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* a row as soon as it is known */
    B.rounds = (size_t)rounds;
    (void)snprintf(B.dir, sizeof B.dir, "%s/stead-bench-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(B.dir) || chmod(B.dir, 0755) < 0)
        return 1;
    (void)snprintf(B.ws, sizeof B.ws, "%s/ws", B.dir);
    (void)snprintf(B.state, sizeof B.state, "%s/state", B.dir);
    MUST(path_mkdirs(B.state, 0755, &e));
    MUST(path_mkdirs(B.ws, 0755, &e));
    if (chdir(B.ws) < 0)
        return 1;
    make_tree(files);
    MUST(loop_create(&B.loop, &e));
    if (!B.as_json)
        (void)printf("%-44s %10s %10s      tree of %lld files\n", "", "median", "p90", (long long)files);
    bench_start();
    if (!start_only) {
        bench_requests();
        bench_listing(files);
        bench_levels();
        bench_program("ripgrep of the whole tree", "exec rg --no-config -c nosuchword .", 1.5);
        bench_program("compiling 12 files", "cd compile && for f in *.c; do cc -O1 -c \"$f\" -o \"${f%.c}.o\" || exit 2; done", 1.1);
    }
    loop_destroy(B.loop);
    (void)path_remove_tree(AT_FDCWD, B.dir, &e);
    return 0;
}
