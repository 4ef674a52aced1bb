#include "task/task-internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"

#define LOG_MODULE "task"
#include "base/log.h"

/*
 * Was a change that was carried in touched up by hand? For the metrics: a file of it that was written again within an hour
 * of the apply and now holds something else. Looked for when the next task begins in the same workspace; each change once.
 */

#define EDIT_MS (60 * 60 * 1000)
#define APPLY_MS 2000 /* an apply itself, and clocks of file systems */
#define LOOK_BACK_MS (INT64_C(7) * 24 * 60 * 60 * 1000)
#define CHANGES_MOST 5
#define FILE_MOST (4 << 20)

struct applied {
    char id[CHANGES_MOST][ID_SIZE], session[CHANGES_MOST][ID_SIZE];
    int64_t at_ms[CHANGES_MOST];
    size_t n;
    int64_t now_ms;
};

static int on_change(void *ctx, const struct journal_change *c)
{
    struct applied *a = ctx;
    if (a->n == CHANGES_MOST || a->now_ms - c->updated_ms > LOOK_BACK_MS)
        return 1;
    if (strlen(c->id) < ID_SIZE && strlen(c->session) < ID_SIZE) {
        memcpy(a->id[a->n], c->id, strlen(c->id) + 1);
        memcpy(a->session[a->n], c->session, strlen(c->session) + 1);
        a->at_ms[a->n++] = c->updated_ms;
    }
    return 0;
}

static bool edited(int workspace, const struct change_file *f, int64_t applied_ms)
{
    struct stat st;
    struct hash_hex h;
    if (!f->now.exists || f->now.symlink)
        return false;
    AUTO(fd) int fd = path_open_beneath(workspace, f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, PATH_NO_SYMLINKS);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MOST)
        return false;
    int64_t written = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    if (written < applied_ms + APPLY_MS || written > applied_ms + EDIT_MS)
        return false;
    return hash_fd(fd, &h) == 0 && strcmp(h.s, f->now.hash.s) != 0;
}

static int look_at(struct task *t, struct journal *j, const char *id, const char *session, int64_t applied_ms, int64_t now_ms, struct err *e)
{
    struct change *c = NULL;
    AUTO(buf) struct buf key = BUF_INIT(128), known = BUF_INIT(128), members = BUF_INIT(4096);
    buf_addf(&key, "edited/%s", id);
    int r = journal_state_get(j, buf_str(&key), &known, e);
    if (r != 0)
        return r < 0 ? r : 0;
    AUTO(fd) int workspace = open(t->spec.workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (workspace < 0 || change_load(t->state_dir, id, &c, e) < 0)
        return 0;
    size_t n = 0;
    for (size_t i = 0; i < c->nfiles; i++)
        n += edited(workspace, &c->files[i], applied_ms);
    change_destroy(c);
    if (n) {
        buf_addf(&members, "{\"change\":\"%s\",\"files\":%zu}", id, n);
        r = journal_append(j, session, "edited", buf_span(&members), NULL, e);
    }
    if (r == 0 && (n || now_ms - applied_ms > EDIT_MS))
        r = journal_state_put(j, buf_str(&key), SPAN("looked"), e);
    return r;
}

void task_look_for_edits(struct task *t)
{
    struct err e = ERR_INIT;
    struct applied a = { .now_ms = clock_unix_ms() };
    int r = journal_changes(t->spec.journal, t->spec.workspace, "applied", on_change, &a, &e);
    /* a connection of its own: who follows this task's events does not want those of another session */
    AUTO(journal) struct journal *j = NULL;
    if (r >= 0 && a.n)
        r = journal_open(journal_path(t->spec.journal), JOURNAL_WRITE, &j, &e);
    for (size_t i = 0; i < a.n && r >= 0; i++)
        r = look_at(t, j, a.id[i], a.session[i], a.at_ms[i], a.now_ms, &e);
    if (r < 0) /* a figure less: no reason to keep a task from beginning */
        log_debug("looking for hand edits: %s", e.text);
}
