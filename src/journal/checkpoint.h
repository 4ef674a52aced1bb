/*
 * checkpoint - moves the write-ahead log into the database on a thread of its own, so that no append
 * waits for the disk. Private to the SQLite store.
 *
 *     checkpointer_init(&c, path);
 *     checkpointer_poke(&c, pages);      // from the wal hook, after each commit
 *     checkpointer_finish(&c);           // joins the thread
 *
 * The thread starts at the first poke that needs it, opens its own connection, and blocks all signals.
 */
#ifndef STEAD_JOURNAL_CHECKPOINT_H
#define STEAD_JOURNAL_CHECKPOINT_H

#include <pthread.h>
#include <stdbool.h>

#define CHECKPOINT_PAGES 1000   /* 4 MiB of log: SQLite's own default */
#define CHECKPOINT_RESTART 8000 /* 32 MiB: make writers wait for once, so that the log starts over */

struct checkpointer {
    char *path;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running; /* the thread exists */
    bool stop;
    int pages;    /* asked for and not yet begun; 0: nothing to do */
};

bool checkpointer_init(struct checkpointer *c, const char *path);
void checkpointer_poke(struct checkpointer *c, int pages);
void checkpointer_finish(struct checkpointer *c);

#endif
