#include "agent/candidate.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/path.h"

enum { NAME_MAX_EDITS = 3, NAME_LEN = 64 };

/* Levenshtein distance, given up above NAME_MAX_EDITS. */
static int edits(const char *a, size_t na, const char *b, size_t nb)
{
    size_t apart = na > nb ? na - nb : nb - na;
    if (apart > NAME_MAX_EDITS || na > NAME_LEN || nb > NAME_LEN)
        return NAME_MAX_EDITS + 1;
    int row[NAME_LEN + 1];
    for (size_t j = 0; j <= nb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int above = row[j];
            int cost = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < cost)
                cost = above + 1;
            if (row[j - 1] + 1 < cost)
                cost = row[j - 1] + 1;
            diagonal = above;
            row[j] = cost;
        }
    }
    return row[nb];
}

/* How many of the wanted path's directories are in this one. */
static int shared_dirs(const char *path, const char *wanted)
{
    int n = 0;
    for (struct span rest = path_dir(wanted), part; span_split(&rest, '/', &part);) {
        if (part.n == 0 || span_eqs(part, "."))
            continue;
        for (struct span own = path_dir(path), p; span_split(&own, '/', &p);)
            if (span_eq(p, part)) {
                n++;
                break;
            }
    }
    return n;
}

static size_t stem(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - name) : strlen(name);
}

static int score(const char *path, const char *wanted)
{
    const char *a = path_base(path), *b = path_base(wanted);
    size_t sa = stem(a), sb = stem(b);
    int s;
    if (strcmp(a, b) == 0)
        s = 100;
    else if (strcasecmp(a, b) == 0)
        s = 90;
    else if (sa == sb && strncasecmp(a, b, sa) == 0)
        s = 70;
    else {
        int d = edits(a, strlen(a), b, strlen(b));
        /* Short names are a few edits away from everything. */
        if (d > NAME_MAX_EDITS || (size_t)d * 3 > strlen(b))
            return 0;
        s = 60 - 10 * d;
    }
    return s * 10 + shared_dirs(path, wanted);
}

size_t candidates_find(const char *const *paths, size_t n, const char *wanted, const char *best[CANDIDATES_MAX])
{
    int scores[CANDIDATES_MAX];
    size_t len = 0;
    if (!wanted[0])
        return 0;
    for (size_t i = 0; i < n; i++) {
        int s = score(paths[i], wanted);
        if (s == 0)
            continue;
        size_t at = len;
        while (at > 0 && scores[at - 1] < s)
            at--;
        if (at == CANDIDATES_MAX)
            continue;
        if (len < CANDIDATES_MAX)
            len++;
        for (size_t k = len - 1; k > at; k--) {
            best[k] = best[k - 1];
            scores[k] = scores[k - 1];
        }
        best[at] = paths[i];
        scores[at] = s;
    }
    return len;
}
