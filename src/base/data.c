#include "base/data.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#define LOG_MODULE "data"
#include "base/log.h"

#define OVERRIDE_LIMIT_BYTES (1u << 20)

struct data_row {
    const char *path;
    const char *text;
    uint64_t n;
};

extern const struct data_row data_rows[];
extern const uint64_t data_row_count;

struct override {
    struct override *next;
    char *path;
    char *text;
    size_t n;
};

static const char *override_dir;
static struct override *overrides; /* everything below override_dir, sorted by path; read once */
static bool overrides_read;

void data_set_override(const char *dir)
{
    override_dir = dir;
    overrides_read = false;
    while (overrides) {
        struct override *o = overrides;
        overrides = o->next;
        free(o->path);
        free(o->text);
        free(o);
    }
}

static void add_override(const char *file, const char *rel)
{
    struct buf text = BUF_INIT(OVERRIDE_LIMIT_BYTES + 65536);
    struct err e = ERR_INIT;
    struct override *o = calloc(1, sizeof *o);
    if (!o || !(o->path = strdup(rel)) || file_read(file, OVERRIDE_LIMIT_BYTES, &text, &e) < 0) {
        log_warn("%s", e.text);
        buf_finish(&text);
        if (o)
            free(o->path);
        free(o);
        return;
    }
    o->n = text.n;
    o->text = buf_take(&text);
    struct override **at = &overrides;
    while (*at && strcmp((*at)->path, rel) < 0)
        at = &(*at)->next;
    o->next = *at;
    *at = o;
}

static void read_dir(const char *dir, const char *rel, int depth)
{
    DIR *d = depth < 4 ? opendir(dir) : NULL;
    if (!d)
        return;
    const struct dirent *entry;
    while ((entry = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry->d_name[0] == '.')
            continue;
        AUTO(ptr) char *file = path_join(dir, entry->d_name);
        AUTO(ptr) char *name = rel[0] ? path_join(rel, entry->d_name) : strdup(entry->d_name);
        if (!file || !name)
            break;
        struct stat st;
        if (stat(file, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode))
            read_dir(file, name, depth + 1);
        else if (S_ISREG(st.st_mode))
            add_override(file, name);
    }
    (void)closedir(d);
}

static const struct override *first_override(void)
{
    if (override_dir && !overrides_read) {
        overrides_read = true;
        read_dir(override_dir, "", 0);
    }
    return overrides;
}

struct span data_find(const char *path)
{
    for (const struct override *o = first_override(); o; o = o->next)
        if (strcmp(o->path, path) == 0)
            return (struct span){ o->text, o->n };
    size_t lo = 0, hi = (size_t)data_row_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(data_rows[mid].path, path);
        if (order == 0)
            return (struct span){ data_rows[mid].text, (size_t)data_rows[mid].n };
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (struct span){ NULL, 0 };
}

int data_each(const char *prefix, data_fn fn, void *ctx)
{
    size_t np = strlen(prefix), i = 0;
    const struct override *o = first_override();
    for (;;) {
        while (i < data_row_count && strncmp(data_rows[i].path, prefix, np) != 0)
            i++;
        while (o && strncmp(o->path, prefix, np) != 0)
            o = o->next;
        const struct data_row *row = i < data_row_count ? &data_rows[i] : NULL;
        int order = !row ? 1 : !o ? -1 : strcmp(row->path, o->path);
        if (!row && !o)
            return 0;
        int r = order < 0 ? fn(ctx, row->path, (struct span){ row->text, (size_t)row->n })
                          : fn(ctx, o->path, (struct span){ o->text, o->n });
        if (r != 0)
            return r;
        if (order <= 0)
            i++;
        if (order >= 0)
            o = o->next;
    }
}
