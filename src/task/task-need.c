#include "task/task.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/path.h"

/*
 * How much context a task will need, before anything is read: the agent's own words, the task, and the files that it
 * names, as far as a tool would show them. Too little rather than too much: a window that turns out too small is an
 * escalation, a good local model passed over for nothing is a loss each time.
 */

#define OWN_TOKENS 1500       /* system prompt and tools (docs/design/agent.md) */
#define BYTES_PER_TOKEN 4
#define FILE_BYTES_MOST 32000 /* of a file that a tool shows at once */
#define FILES_MOST 16
#define TEXT_MOST 65536       /* words are looked for in so much of the text */

static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-/+@", c);
}

static int64_t bytes_of(const char *workspace, struct span name)
{
    struct stat st;
    while (name.n && strchr("./", name.p[name.n - 1]))
        name.n--;
    if (!name.n || name.n > 400 || name.p[0] == '/' || !(memchr(name.p, '.', name.n) || memchr(name.p, '/', name.n)))
        return 0;
    AUTO(ptr) char *copy = span_dup(name);
    AUTO(ptr) char *path = copy && !strstr(copy, "..") ? path_join(workspace, copy) : NULL;
    if (!path || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    return st.st_size < FILE_BYTES_MOST ? (int64_t)st.st_size : FILE_BYTES_MOST;
}

int64_t task_need_tokens(const char *workspace, struct span text)
{
    int64_t bytes = (int64_t)text.n;
    struct span named[FILES_MOST];
    size_t n = 0;
    for (size_t i = 0; i < text.n && i < TEXT_MOST && n < FILES_MOST;) {
        size_t from = i;
        while (i < text.n && i < TEXT_MOST && text.p[i] && in_name(text.p[i]))
            i++;
        struct span word = { text.p + from, i - from };
        bool again = false;
        for (size_t k = 0; k < n; k++)
            again |= named[k].n == word.n && memcmp(named[k].p, word.p, word.n) == 0;
        int64_t size = again ? 0 : bytes_of(workspace, word);
        if (size > 0) {
            named[n++] = word;
            bytes += size;
        }
        i += i == from;
    }
    return OWN_TOKENS + bytes / BYTES_PER_TOKEN;
}
