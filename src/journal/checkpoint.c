#include "journal/checkpoint.h"

#include <signal.h>
#include <sqlite3.h>
#include <string.h>

#include "base/mem.h"

#define LOG_MODULE "journal"
#include "base/log.h"

static void run_one(const char *path, sqlite3 **db, int pages)
{
    if (!*db) {
        int rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (rc != SQLITE_OK) {
            sqlite3_close(*db);
            *db = NULL;
            return;
        }
        sqlite3_busy_timeout(*db, 1000);
    }
    int mode = pages >= CHECKPOINT_RESTART ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(*db, NULL, mode, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        log_warn("checkpoint of %s: %s", path, sqlite3_errstr(rc));
}

static void *checkpoint_main(void *arg)
{
    struct checkpointer *c = arg;
    sqlite3 *db = NULL;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->pages && !c->stop)
            pthread_cond_wait(&c->wake, &c->lock);
        if (c->stop)
            break;
        int pages = c->pages;
        c->pages = 0;
        pthread_mutex_unlock(&c->lock);
        run_one(c->path, &db, pages);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    sqlite3_close(db);
    return NULL;
}

bool checkpointer_init(struct checkpointer *c, const char *path)
{
    *c = (struct checkpointer){ .path = strdup(path) };
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    return c->path != NULL;
}

static void start(struct checkpointer *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    c->running = pthread_create(&c->thread, NULL, checkpoint_main, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void checkpointer_poke(struct checkpointer *c, int pages)
{
    if (pages < CHECKPOINT_PAGES)
        return;
    if (!c->running)
        start(c);
    pthread_mutex_lock(&c->lock);
    c->pages = pages;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void checkpointer_finish(struct checkpointer *c)
{
    if (!c->path)
        return;
    if (c->running) {
        pthread_mutex_lock(&c->lock);
        c->stop = true;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(TAKE(c->path));
}
