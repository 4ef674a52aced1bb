/*
 * Figures of layers and changes on a generated tree: usage: bench-workspace FILES CHANGES [DIR]
 * Prints medians in microseconds: making a layer, listing a change, counting its lines, saving it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "workspace/diff.h"
#include "workspace/layer.h"
#include "workspace/layer-internal.h"

#define RUNS 21

static void must(bool ok, const char *what, const struct err *e)
{
    if (ok)
        return;
    (void)fprintf(stderr, "bench-workspace: %s: %s\n", what, e && e->text[0] ? e->text : strerror(errno));
    exit(1);
}

static void put(int dirfd, int i, const char *text)
{
    char dir[32], path[64];
    (void)snprintf(dir, sizeof dir, "d%03d", i / 200);
    (void)snprintf(path, sizeof path, "d%03d/file%d.c", i / 200, i);
    int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 && errno == ENOENT && mkdirat(dirfd, dir, 0755) == 0)
        fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && write_all(fd, text, strlen(text)) == 0, path, NULL);
    (void)close(fd);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(const char *what, int64_t *us)
{
    qsort(us, RUNS, sizeof *us, by_value);
    (void)printf("%-28s %8lld us (best %lld)\n", what, (long long)us[RUNS / 2], (long long)us[0]);
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    int64_t files = 2000, changes = 100, create[RUNS], list[RUNS], count[RUNS], save[RUNS];
    must(argc < 2 || parse_i64(span_of(argv[1]), 1, 1000000, &files, &e) >= 0, "FILES", &e);
    must(argc < 3 || parse_i64(span_of(argv[2]), 1, files, &changes, &e) >= 0, "CHANGES", &e);
    char dir[] = "/tmp/stead-bench-XXXXXX", text[4096];
    must(mkdtemp(dir) != NULL, "scratch directory", NULL);
    AUTO(ptr) char *ws = argc > 3 ? strdup(argv[3]) : path_join(dir, "ws"), *state = path_join(dir, "state");
    (void)mkdir(ws, 0755);
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = i % 40 == 39 ? '\n' : (char)('a' + i % 23);
    text[sizeof text - 1] = '\0';
    AUTO(fd) int wfd = open(ws, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(wfd >= 0, ws, NULL);
    for (int i = 0; i < files; i++)
        put(wfd, i, text);
    for (int r = 0; r < RUNS; r++) {
        struct layer *l;
        struct layer_options opt = { .kind = LAYER_DISK };
        int64_t t = clock_us();
        must(layer_create(ws, state, &opt, &l, &e) >= 0, "layer", &e);
        create[r] = clock_us() - t;
        AUTO(ptr) char *upper = path_join(layer_dir(l), "u0");
        int ufd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (int i = 0; i < changes; i++) {
            text[(size_t)(i * 37 % 4000)] = '#'; /* ever more of it differs from the base */
            put(ufd, (int)(i * (files / changes)), text);
        }
        (void)close(ufd);
        AUTO(change) struct change *c = NULL;
        t = clock_us();
        must(change_read(l, NULL, &c, &e) >= 0, "change", &e);
        list[r] = clock_us() - t;
        must((int64_t)c->nfiles == changes, "number of files", NULL);
        t = clock_us();
        must(change_count(c, &e) >= 0, "count", &e);
        count[r] = clock_us() - t;
        t = clock_us();
        must(change_save(c, state, &e) >= 0, "save", &e);
        save[r] = clock_us() - t;
        must(layer_discard(l, &e) >= 0, "discard", &e);
        layer_destroy(l);
    }
    (void)printf("%lld files, %lld changed, 4 KiB each, %d runs\n", (long long)files, (long long)changes, RUNS);
    report("make a layer", create);
    report("list the change", list);
    report("count lines (libgit2)", count);
    report("save it, synced", save);
    return path_remove_tree(AT_FDCWD, dir, &e) < 0;
}
