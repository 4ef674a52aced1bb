#include "inference/turns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"

#define POLL_MS 20
#define NOTICE_MS 300 /* a shorter wait is not worth a word */

struct turns {
    struct loop *loop;
    char *dir;
    char server[17];      /* of the URL, in file names */
    int places, home;
    bool cpu;
    int64_t patience_ms;
    void (*on_wait)(void *ctx, const char *why);
    void *ctx;
    int home_fd;          /* ours alone while open; -1: shared */
    int place_fd, requests_fd, work_fd; /* while a request runs; while gates run */
    int64_t no_patience_until_ms;
};

/* --- files --- */

#define BUSY (-1)
#define UNKNOWN (-2) /* there can be no such file: nobody waits for it */

static int lock(const struct turns *t, const char *name, int how)
{
    AUTO(ptr) char *path = path_join(t->dir, name);
    AUTO(fd) int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd < 0)
        return UNKNOWN;
    return flock(fd, how | LOCK_NB) < 0 ? BUSY : take_fd(&fd);
}

static void unlock(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = BUSY;
}

/* Does nobody hold it? Also where it cannot be told. */
static bool is_free(const struct turns *t, const char *name)
{
    AUTO(ptr) char *path = path_join(t->dir, name);
    AUTO(fd) int fd = path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static int lock_place(const struct turns *t, const char *kind, int place)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s.%s.%d", t->server, kind, place);
    return lock(t, name, LOCK_EX);
}

/* A place that is nobody else's, or one to share. */
static void settle(struct turns *t)
{
    for (int i = 0; i < t->places && t->home_fd == BUSY; i++) {
        t->home_fd = lock_place(t, "home", i);
        t->home = i;
    }
    if (t->places && t->home_fd == BUSY)
        t->home = (int)(getpid() % t->places);
}

int turns_create(const struct turns_options *o, struct turns **out, struct err *e)
{
    struct turns *t = calloc(1, sizeof *t);
    char *dir = path_join(o->dir, "turns");
    if (!t || !dir) {
        free(t);
        free(dir);
        return err_set(e, ERR_NOMEM, "preparing to share a server: out of memory");
    }
    struct hash_hex h = hash_bytes(o->url, strlen(o->url));
    struct err ignored = ERR_INIT;
    *t = (struct turns){ .loop = o->loop, .dir = dir, .home = -1, .cpu = o->cpu, .on_wait = o->on_wait, .ctx = o->ctx,
                         .patience_ms = o->patience_ms ? o->patience_ms : TURNS_PATIENCE_MS,
                         .home_fd = BUSY, .place_fd = BUSY, .requests_fd = BUSY, .work_fd = BUSY };
    t->places = o->slots > TURNS_PLACES_MOST ? TURNS_PLACES_MOST : (int)o->slots;
    (void)snprintf(t->server, sizeof t->server, "%.16s", h.s);
    if (path_mkdirs(dir, 0700, &ignored) < 0)
        t->places = 0; /* nothing to wait by; locks of files that cannot be made are nobody's */
    settle(t);
    *out = t;
    return 0;
}

void turns_destroy(struct turns *t)
{
    if (!t)
        return;
    turns_request_end(t);
    turns_work_end(t);
    unlock(&t->home_fd);
    free(t->dir);
    free(t);
}

int turns_home(const struct turns *t)
{
    return t ? t->home : -1;
}

/* --- waiting --- */

static int nap(const struct turns *t, struct cancel *cancel, struct err *e)
{
    bool never = false;
    struct err ignored = ERR_INIT;
    int r = loop_wait(t->loop, &never, clock_ms() + POLL_MS, cancel, &ignored);
    if (r == -ERR_TIMEOUT || r == 0)
        return 0;
    *e = ignored;
    return r;
}

static void say(const struct turns *t, int64_t since_ms, bool *said, const char *why)
{
    if (*said || !t->on_wait || clock_ms() - since_ms < NOTICE_MS)
        return;
    *said = true;
    t->on_wait(t->ctx, why);
}

/* 0: nobody holds it (any more), 1: patience is over, negative: cancelled. */
static int wait_for(struct turns *t, const char *name, const char *why, struct cancel *cancel, struct err *e)
{
    int64_t since = clock_ms();
    bool said = false;
    while (!is_free(t, name)) {
        if (since < t->no_patience_until_ms)
            return 1;
        if (clock_ms() - since >= t->patience_ms) {
            t->no_patience_until_ms = clock_ms() + TURNS_IMPATIENT_MS;
            return 1;
        }
        say(t, since, &said, why);
        int r = nap(t, cancel, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int turns_request_begin(struct turns *t, struct cancel *cancel, struct err *e)
{
    int64_t since = clock_ms();
    bool said = false;
    int r = 0;
    if (!t)
        return 0;
    if (t->cpu)
        r = wait_for(t, "work", "waiting for the gates of another run", cancel, e);
    while (r >= 0 && t->places && t->place_fd == BUSY) {
        t->place_fd = lock_place(t, "place", t->home);
        if (t->place_fd != BUSY || clock_ms() - since >= TURNS_REPLY_MS)
            break;
        say(t, since, &said, "waiting for another run's reply");
        r = nap(t, cancel, e);
    }
    if (r < 0) {
        turns_request_end(t);
        return r;
    }
    if (t->cpu)
        t->requests_fd = lock(t, "requests", LOCK_SH);
    return 0;
}

void turns_request_end(struct turns *t)
{
    if (!t)
        return;
    unlock(&t->place_fd);
    unlock(&t->requests_fd);
}

int turns_work_begin(struct turns *t, struct cancel *cancel, struct err *e)
{
    if (!t || !t->cpu)
        return 0;
    int r = wait_for(t, "requests", "waiting for another run's reply before the gates run", cancel, e);
    if (r >= 0)
        t->work_fd = lock(t, "work", LOCK_SH);
    return r;
}

void turns_work_end(struct turns *t)
{
    if (t)
        unlock(&t->work_fd);
}

bool turns_busy(const struct turns *t)
{
    return t && t->cpu && !is_free(t, "requests");
}
