/*
 * bench-sandbox - what the sandbox costs: start, command, read, write, checkpoint, undo, end.
 *
 *     bench-sandbox [--json] [--files N] [--rounds N]
 *
 * Medians over rounds, microseconds, beside the plain fork and exec of the same command on this machine. Reads
 * nothing from outside; works in a scratch directory (TMPDIR, /tmp) and removes it.
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

#define ROUNDS_MAX 2000

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static bool as_json;

static void row(const char *name, const char *unit, int64_t *v, size_t n, double per, const char *goal)
{
    qsort(v, n, sizeof *v, by_value);
    double median = (double)v[n / 2] / per, p90 = (double)v[n * 9 / 10] / per;
    if (as_json)
        (void)printf("{\"name\":\"sandbox: %s\",\"unit\":\"%s\",\"median\":%.1f,\"p90\":%.1f,\"n\":%zu,\"goal\":\"%s\"}\n", name, unit, median, p90, n, goal);
    else
        (void)printf("%-34s %10.1f %10.1f %s   %s\n", name, median, p90, unit, goal);
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

static void make_tree(const char *dir, int64_t files)
{
    struct err e = ERR_INIT;
    char path[600];
    for (int64_t i = 0; i < files; i++) {
        (void)snprintf(path, sizeof path, "%s/d%lld/s%lld", dir, (long long)(i / 400), (long long)(i / 20 % 20));
        if (i % 20 == 0)
            MUST(path_mkdirs(path, 0755, &e));
        size_t n = strlen(path);
        (void)snprintf(path + n, sizeof path - n, "/f%lld.c", (long long)i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, "int x;\n", 7) != 7)
            exit(1);
        (void)close(fd);
    }
}

static void plain_exec(size_t rounds, int64_t *v)
{
    char name[] = "/bin/true";
    char *argv[] = { name, NULL };
    for (size_t i = 0; i < rounds; i++) {
        pid_t pid;
        int64_t t = clock_us();
        if (posix_spawn(&pid, name, NULL, NULL, argv, environ) == 0)
            (void)waitpid(pid, NULL, 0);
        v[i] = clock_us() - t;
    }
}

/* The value of `NAME:  123 kB` in /proc/PID/smaps_rollup. */
static void memory(pid_t pid, int64_t *v)
{
    char path[64], *line;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(65536);
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    *v = 0;
    if (file_read(path, 65536, &b, &e) < 0 || !(line = strstr(b.p, "\nPss:")))
        return;
    for (line += 5; *line; line++)
        if (*line >= '0' && *line <= '9')
            *v = *v * 10 + (*line - '0');
        else if (*v)
            break;
}

int main(int argc, char **argv)
{
    static int64_t v[ROUNDS_MAX];
    struct err e = ERR_INIT;
    int64_t files = 2000, rounds = 100;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            as_json = true;
        else if (i + 1 < argc && strcmp(argv[i], "--files") == 0)
            MUST(parse_i64(span_of(argv[++i]), 1, 1000000, &files, &e));
        else if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0)
            MUST(parse_i64(span_of(argv[++i]), 3, ROUNDS_MAX, &rounds, &e));
        else
            return 2;
    }
    char dir[400], ws[420], names[202][2][440];
    (void)snprintf(dir, sizeof dir, "%s/stead-bench-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
        return 1;
    (void)snprintf(ws, sizeof ws, "%s/ws", dir);
    MUST(path_mkdirs(ws, 0755, &e));
    make_tree(ws, files);
    for (int i = 0; i < 202; i++) {
        (void)snprintf(names[i][0], sizeof names[i][0], "%s/l/u%d", dir, i);
        (void)snprintf(names[i][1], sizeof names[i][1], "%s/l/w%d", dir, i);
        MUST(path_mkdirs(names[i][0], 0755, &e));
        MUST(path_mkdirs(names[i][1], 0755, &e));
    }
    struct loop *loop;
    MUST(loop_create(&loop, &e));
    const char *lowers[202] = { ws };
    struct sandbox_spec spec = { .workspace = ws, .overlay = { .lowers = lowers, .nlowers = 1, .upper = names[0][0], .work = names[0][1] } };
    struct sandbox *sb;
    struct sandbox_result r;
    size_t n = (size_t)rounds, few = n < 40 ? n : 40;

    if (!as_json)
        (void)printf("%-34s %10s %10s\n", "", "median", "p90");
    plain_exec(n, v);
    row("fork and exec of true, no sandbox", "us", v, n, 1, "");
    static int64_t ends[ROUNDS_MAX], colds[ROUNDS_MAX];
    struct sandbox_exec x = { .argv = (const char *const[]){ "/bin/true", NULL } };
    for (size_t i = 0; i < few; i++) {
        int64_t t = clock_us();
        MUST(sandbox_start(loop, &spec, &sb, &e));
        v[i] = clock_us() - t;
        MUST(sandbox_exec(sb, &x, NULL, &r, NULL, &e));
        int64_t end = clock_us();
        sandbox_destroy(sb);
        ends[i] = clock_us() - end;
        colds[i] = clock_us() - t;
    }
    row("session ready", "us", v, few, 1, "goal <= 5000");
    row("end of a session", "us", ends, few, 1, "");
    row("start, true, end", "us", colds, few, 1, "");
    MUST(sandbox_start(loop, &spec, &sb, &e));
    for (size_t i = 0; i < n; i++) {
        int64_t t = clock_us();
        MUST(sandbox_exec(sb, &x, NULL, &r, NULL, &e));
        v[i] = clock_us() - t;
    }
    row("true in a running session", "us", v, n, 1, "goal <= 1000 above fork and exec");
    static char content[4096];
    memset(content, 'x', sizeof content);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    MUST(sandbox_write(sb, "probe", (struct span){ content, sizeof content }, 0, 0, &e));
    for (size_t i = 0; i < n; i++) {
        buf_reset(&out);
        int64_t t = clock_us();
        for (int k = 0; k < 10; k++)
            MUST(sandbox_read(sb, "probe", 0, sizeof content, &out, NULL, &e));
        v[i] = clock_us() - t;
    }
    row("read of 4 KiB", "us", v, n, 10, "goal <= 20");
    for (size_t i = 0; i < n; i++) {
        int64_t t = clock_us();
        MUST(sandbox_write(sb, "probe", (struct span){ content, sizeof content }, 0, 0, &e));
        v[i] = clock_us() - t;
    }
    row("write of 4 KiB", "us", v, n, 1, "goal <= 250");
    memory(sandbox_pid(sb), v);
    row("helper's memory (Pss)", "KiB", v, 1, 1, "goal <= 1024");
    static int64_t back[ROUNDS_MAX];
    size_t levels = 0;
    for (int i = 1; i <= 200; i++) {
        for (int k = 0; k < i; k++)
            lowers[k] = names[i - 1 - k][0];
        lowers[i] = ws;
        struct sandbox_overlay next = { .lowers = lowers, .nlowers = (size_t)i + 1, .upper = names[i][0], .work = names[i][1] };
        int64_t t = clock_us();
        MUST(sandbox_checkpoint(sb, &next, &e));
        v[levels++] = clock_us() - t;
        if (i == 1 || i == 50 || i == 200) {
            char name[64];
            for (int k = 0; k < 5; k++) {
                t = clock_us();
                MUST(sandbox_checkpoint(sb, &next, &e));
                back[k] = clock_us() - t;
            }
            (void)snprintf(name, sizeof name, "checkpoint or undo at level %d", i);
            row(name, "us", back, 5, 1, "goal <= 15000");
        }
    }
    sandbox_destroy(sb);
    loop_destroy(loop);
    (void)path_remove_tree(AT_FDCWD, dir, &e);
    return 0;
}
