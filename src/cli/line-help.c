#include "cli/line-help.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"

#define HISTORY_BYTES (1u << 20)
#define HISTORY_LINES 200
#define SHOWN_MOST 40 /* candidates listed */

/* --- completion --- */

struct match {
    char text[600]; /* what all candidates share */
    size_t n;
    struct buf list;
};

static void offer(struct match *m, const char *candidate)
{
    if (m->n < SHOWN_MOST) {
        buf_adds(&m->list, m->n ? "  " : "");
        clean_add(&m->list, span_of(candidate), CLEAN_LINE);
    } else if (m->n == SHOWN_MOST) {
        buf_adds(&m->list, "  ...");
    }
    if (!m->n++) {
        (void)snprintf(m->text, sizeof m->text, "%s", candidate);
        return;
    }
    size_t same = 0;
    while (m->text[same] && m->text[same] == candidate[same])
        same++;
    m->text[utf8_cut(span_of(m->text), same)] = '\0';
}

static void offer_paths(const char *word, struct match *m)
{
    AUTO(ptr) char *dir = span_dup(path_dir(word));
    const char *slash = strrchr(word, '/'), *prefix = slash ? slash + 1 : word;
    DIR *d = dir ? opendir(slash ? dir : ".") : NULL;
    const struct dirent *entry;
    while (d && (entry = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        char candidate[600];
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || (entry->d_name[0] == '.' && prefix[0] != '.') || !utf8_valid(span_of(entry->d_name)))
            continue;
        const char *quote = strpbrk(entry->d_name, " ()[]{},;'") ? "\"" : "";
        (void)snprintf(candidate, sizeof candidate, "@%s%.*s%s%s%s", quote, (int)(slash ? slash + 1 - word : 0), word, entry->d_name,
                       entry->d_type == DT_DIR ? "/" : "", quote);
        offer(m, candidate);
    }
    if (d)
        (void)closedir(d);
}

void complete_word(struct edit *ed, const char *const *commands, struct buf *several)
{
    struct span word = edit_word(ed);
    char text[200];
    struct match m = { "", 0, BUF_INIT(64 << 10) };
    if (!word.n || word.n >= sizeof text)
        return;
    (void)snprintf(text, sizeof text, "%.*s", (int)word.n, word.p);
    if (text[0] == '/')
        for (size_t i = 0; commands[i]; i++) {
            if (strncmp(commands[i], text, word.n) == 0)
                offer(&m, commands[i]);
        }
    else if (text[0] == '@')
        offer_paths(text + 1, &m);
    if (m.n > 1 && strcmp(m.text, text) == 0)
        buf_add_span(several, buf_span(&m.list));
    if (m.n == 1 && m.text[strlen(m.text) - 1] != '/')
        (void)strncat(m.text, " ", sizeof m.text - strlen(m.text) - 1);
    if (m.n)
        edit_replace_word(ed, span_of(m.text));
    buf_finish(&m.list);
}

/* --- history: a line each, line breaks in one as unit separators --- */

void history_load(struct edit *ed, const char *path)
{
    struct buf b = BUF_INIT(HISTORY_BYTES + 65536);
    struct err ignored = ERR_INIT;
    if (file_read(path, HISTORY_BYTES, &b, &ignored) == 0) {
        struct span rest = buf_span(&b), line;
        while (span_line(&rest, &line)) {
            struct buf text = BUF_INIT(HISTORY_BYTES);
            for (size_t i = 0; i < line.n; i++)
                buf_addc(&text, line.p[i] == '\x1f' ? '\n' : line.p[i]);
            edit_remember(ed, buf_span(&text));
            buf_finish(&text);
        }
    }
    buf_finish(&b);
}

void history_save(const struct edit *ed, const char *path)
{
    const char *const *items;
    size_t n = edit_history(ed, &items);
    struct buf b = BUF_INIT(HISTORY_BYTES);
    struct err ignored = ERR_INIT;
    for (size_t i = n > HISTORY_LINES ? n - HISTORY_LINES : 0; i < n; i++) {
        for (const char *p = items[i]; *p; p++)
            buf_addc(&b, *p == '\n' ? '\x1f' : *p);
        buf_addc(&b, '\n');
    }
    if (!b.failed && file_write_atomic(path, buf_span(&b), 0600, false, &ignored) < 0) {
        /* a lost history is no reason to fail */
    }
    buf_finish(&b);
}
