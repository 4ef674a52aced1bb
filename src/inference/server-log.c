/* server-log.c - see server-log.h. */
#include "inference/server-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_MODULE "inference"
#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LINE_MAX_BYTES 1024 /* of a line, for understanding it; the file has all of it */

struct server_log {
    char *path;
    int fd; /* -1: cannot be written */
    int64_t second_ms;   /* when the current one began */
    size_t in_second;
    uint64_t left_out;   /* bytes since something was written last */
    struct buf line;     /* begun */
    char words[400];
    int telling;         /* rank of `words`: the lower the better */
    char refused[64];
};

/* What llama-server says when it ends, the most telling first (common/arg.cpp, llama-model-loader.cpp, server.cpp). */
static const char *const marks[] = { "invalid argument: ", "unknown argument", "unrecognized argument", "unknown option", "unrecognized option",
                                     "error while handling", "error loading model", "couldn't bind", "failed to", "error", "Error", "cannot",
                                     "unable to" };
#define FLAG_MARKS 6 /* behind the first of these stands the flag, in quotes or not */

struct server_log *server_log_create(const char *path)
{
    struct server_log *l = calloc(1, sizeof *l);
    if (!l || !(l->path = strdup(path))) {
        free(l);
        return NULL;
    }
    l->fd = -1;
    buf_init(&l->line, LINE_MAX_BYTES);
    server_log_forget(l);
    return l;
}

void server_log_destroy(struct server_log *l)
{
    if (!l)
        return;
    fd_close(&l->fd);
    buf_finish(&l->line);
    free(l->path);
    free(l);
}

void server_log_forget(struct server_log *l)
{
    buf_reset(&l->line);
    l->words[0] = l->refused[0] = 0;
    l->telling = (int)COUNT_OF(marks) + 1;
}

/* --- the file --------------------------------------------------------------------------------------- */

/*
 * The file to append to. When it is full it becomes PATH.1, unless somebody else who writes there has done that already: then
 * what we have open is PATH.1, as full as it may get.
 */
static bool ready_file(struct server_log *l)
{
    struct stat mine, named;
    if (l->fd >= 0 && fstat(l->fd, &mine) == 0 && mine.st_size < SERVER_LOG_MAX)
        return true;
    if (l->fd >= 0) {
        char old[4096];
        bool ours = stat(l->path, &named) == 0 && named.st_ino == mine.st_ino && named.st_dev == mine.st_dev;
        if (ours && (size_t)snprintf(old, sizeof old, "%s.1", l->path) < sizeof old && rename(l->path, old) < 0)
            log_info("cannot rename %s: %s", l->path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): glibc's is safe */
        fd_close(&l->fd);
    }
    l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (l->fd >= 0 && fstat(l->fd, &mine) == 0 && mine.st_size < SERVER_LOG_MAX)
        return true;
    if (l->fd >= 0 && S_ISREG(mine.st_mode) && ftruncate(l->fd, 0) == 0) /* full, and could not be renamed */
        return true;
    fd_close(&l->fd);
    return false;
}

static void write_out(struct server_log *l, struct span s)
{
    while (s.n && ready_file(l)) {
        size_t piece = s.n < SERVER_LOG_MAX / 8 ? s.n : SERVER_LOG_MAX / 8;
        ssize_t n = write(l->fd, s.p, piece);
        if (n <= 0)
            return; /* a full disk: what it says is lost, and it goes on */
        s = span_sub(s, (size_t)n, s.n);
    }
}

static void keep(struct server_log *l, struct span s)
{
    int64_t now = clock_ms();
    if (now - l->second_ms >= 1000) {
        if (l->left_out) {
            char note[80];
            int n = snprintf(note, sizeof note, "\n[stead: %llu bytes left out]\n", (unsigned long long)l->left_out);
            write_out(l, (struct span){ note, (size_t)n });
        }
        l->second_ms = now;
        l->in_second = 0;
        l->left_out = 0;
    }
    size_t room = SERVER_LOG_SECOND - l->in_second, n = s.n < room ? s.n : room;
    write_out(l, span_sub(s, 0, n));
    l->in_second += n;
    l->left_out += s.n - n;
}

/* --- its words ---------------------------------------------------------------------------------------- */

static void note_flag(struct server_log *l, struct span rest)
{
    size_t n = 0;
    ptrdiff_t dash = span_findc(rest, '-');
    if (l->refused[0] || dash < 0)
        return;
    rest = span_sub(rest, (size_t)dash, rest.n);
    while (n < rest.n && n + 1 < sizeof l->refused && (rest.p[n] == '-' || (rest.p[n] >= 'a' && rest.p[n] <= 'z') || (rest.p[n] >= '0' && rest.p[n] <= '9')))
        n++;
    (void)snprintf(l->refused, sizeof l->refused, "%.*s", (int)n, rest.p);
}

static void end_line(struct server_log *l)
{
    struct span line = span_trim(buf_span(&l->line));
    int rank = (int)COUNT_OF(marks);
    for (size_t i = 0; i < COUNT_OF(marks) && rank == (int)COUNT_OF(marks); i++) {
        ptrdiff_t at = span_find(line, span_of(marks[i]));
        if (at < 0)
            continue;
        rank = (int)i;
        if (i < FLAG_MARKS)
            note_flag(l, span_sub(line, (size_t)at + strlen(marks[i]), line.n));
    }
    if (line.n && (rank < l->telling || rank == (int)COUNT_OF(marks)) && rank <= l->telling) {
        clean_into(l->words, sizeof l->words, line, CLEAN_LINE);
        l->telling = rank;
    }
    buf_reset(&l->line);
}

void server_log_add(struct server_log *l, struct span output)
{
    keep(l, output);
    for (size_t i = 0; i < output.n; i++) {
        if (output.p[i] == '\n' || output.p[i] == '\r')
            end_line(l);
        else if (l->line.n + 1 < LINE_MAX_BYTES)
            buf_addc(&l->line, output.p[i]);
    }
}

const char *server_log_words(const struct server_log *l)
{
    return l->words;
}

bool server_log_refused(const struct server_log *l, char *flag, size_t size)
{
    (void)snprintf(flag, size, "%s", l->refused);
    return l->refused[0] != 0;
}
