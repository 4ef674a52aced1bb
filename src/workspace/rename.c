#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "workspace/change-internal.h"

#define SIMILAR_FILES_MAX 100               /* deleted files, and added files, that are compared by content */
#define SIMILAR_BYTES ((int64_t)512 << 10)  /* larger ones only when equal */
#define SIMILAR_PERCENT 50                  /* as git's default */

struct line {
    uint64_t hash;
    uint32_t bytes;
};

struct print { /* the lines of one file, sorted by hash */
    struct line *lines;
    size_t n;
    int64_t size;
};

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct line *)a)->hash, y = ((const struct line *)b)->hash;
    return x < y ? -1 : x > y;
}

static bool print_make(const struct change *c, const struct change_side *side, struct print *out)
{
    struct err ignored = ERR_INIT;
    struct span text, line;
    if (!side->stored || side->binary || side->symlink || side->size == 0 || side->size > SIMILAR_BYTES ||
        change_data(c, side, &text, &ignored) < 0)
        return false;
    size_t cap = 0;
    out->size = side->size;
    while (span_line(&text, &line)) {
        uint64_t h = 14695981039346656037u; /* FNV-1a */
        for (size_t i = 0; i < line.n; i++)
            h = (h ^ (unsigned char)line.p[i]) * 1099511628211u;
        if (!array_grow(&out->lines, &cap, out->n, 1, sizeof *out->lines))
            return false;
        out->lines[out->n++] = (struct line){ h, (uint32_t)line.n + 1 };
    }
    if (out->lines)
        qsort(out->lines, out->n, sizeof *out->lines, by_hash);
    return true;
}

static int similarity(const struct print *a, const struct print *b)
{
    int64_t common = 0, larger = a->size > b->size ? a->size : b->size;
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        if (a->lines[i].hash == b->lines[k].hash) {
            common += a->lines[i].bytes;
            i++;
            k++;
        } else if (a->lines[i].hash < b->lines[k].hash) {
            i++;
        } else {
            k++;
        }
    }
    int64_t percent = larger ? common * 100 / larger : 0;
    return percent > 99 ? 99 : (int)percent; /* 100 is for equal content */
}

static void join(struct change_file *gone, struct change_file *fresh, int percent)
{
    fresh->kind = CHANGE_RENAMED;
    fresh->old_path = gone->path;
    fresh->base = gone->base;
    fresh->base_moved |= gone->base_moved;
    fresh->similarity = percent;
    if (!fresh->now.symlink && (fresh->now.mode & 0100) == (gone->base.mode & 0100))
        fresh->now.mode = gone->base.mode;
    gone->path = NULL; /* dropped below */
}

static bool is_pair(const struct change_file *gone, const struct change_file *fresh)
{
    return gone->path && gone->kind == CHANGE_DELETED && fresh->path && fresh->kind == CHANGE_ADDED &&
           gone->base.symlink == fresh->now.symlink && gone->base.size > 0;
}

static void join_equal(struct change *c)
{
    /* same name first: a file that moved to another directory keeps its name more often than not */
    for (int any_name = 0; any_name < 2; any_name++)
        for (size_t i = 0; i < c->nfiles; i++)
            for (size_t k = 0; k < c->nfiles; k++) {
                struct change_file *gone = &c->files[i], *fresh = &c->files[k];
                if (is_pair(gone, fresh) && strcmp(gone->base.hash.s, fresh->now.hash.s) == 0 &&
                    (any_name || strcmp(path_base(gone->path), path_base(fresh->path)) == 0)) {
                    join(gone, fresh, 100);
                    break;
                }
            }
}

static void join_similar(struct change *c, struct print *prints)
{
    for (;;) {
        int best = SIMILAR_PERCENT - 1;
        size_t from = 0, to = 0;
        for (size_t i = 0; i < c->nfiles; i++)
            for (size_t k = 0; k < c->nfiles && prints[i].n; k++) {
                if (!prints[k].n || !is_pair(&c->files[i], &c->files[k]))
                    continue;
                int s = similarity(&prints[i], &prints[k]);
                if (s > best) {
                    best = s;
                    from = i;
                    to = k;
                }
            }
        if (best < SIMILAR_PERCENT)
            return;
        join(&c->files[from], &c->files[to], best);
    }
}

int change_find_renames(struct change *c, struct err *e)
{
    size_t gone = 0, fresh = 0, n = 0;
    for (size_t i = 0; i < c->nfiles; i++) {
        gone += c->files[i].kind == CHANGE_DELETED;
        fresh += c->files[i].kind == CHANGE_ADDED;
    }
    if (!gone || !fresh)
        return 0;
    if (gone <= 2000 && fresh <= 2000)
        join_equal(c);
    if (gone <= SIMILAR_FILES_MAX && fresh <= SIMILAR_FILES_MAX) {
        struct print *prints = calloc(c->nfiles, sizeof *prints);
        if (!prints)
            return err_set(e, ERR_NOMEM, "cannot look for renames: out of memory");
        for (size_t i = 0; i < c->nfiles; i++) {
            const struct change_file *f = &c->files[i];
            if (f->path && (f->kind == CHANGE_DELETED || f->kind == CHANGE_ADDED))
                (void)print_make(c, f->kind == CHANGE_DELETED ? &f->base : &f->now, &prints[i]);
        }
        join_similar(c, prints);
        for (size_t i = 0; i < c->nfiles; i++)
            free(prints[i].lines);
        free(prints);
    }
    for (size_t i = 0; i < c->nfiles; i++)
        if (c->files[i].path)
            c->files[n++] = c->files[i];
    c->nfiles = n;
    return 0;
}
