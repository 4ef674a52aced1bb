#include "model/secret.h"

#include "base/loop.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"

#define KEY_MAX_BYTES 8192   /* JSON web tokens reach a few thousand */
#define COMMAND_MS 30000     /* a password manager may ask the user */

struct secret {
    size_t n;
    char p[];
};

int secret_from_text(struct span text, const char *where, struct secret **out, struct err *e)
{
    text = span_trim(text);
    if (!text.n)
        return err_set(e, ERR_INPUT, "the key from %s is empty", where);
    if (text.n > KEY_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "the key from %s is longer than %d bytes", where, KEY_MAX_BYTES);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
            return err_set(e, ERR_INPUT, "the key from %s holds a control character or a second line", where);
    struct secret *s = malloc(sizeof *s + text.n + 1);
    if (!s)
        return err_set(e, ERR_NOMEM, "cannot keep the key from %s: out of memory", where);
    s->n = text.n;
    memcpy(s->p, text.p, text.n);
    s->p[text.n] = '\0';
    *out = s;
    return 0;
}

static void wipe(struct buf *b)
{
    if (b->p)
        mem_wipe(b->p, b->cap);
    buf_finish(b);
}

int secret_from_file(const char *path, struct secret **out, struct err *e)
{
    struct buf b = BUF_INIT(KEY_MAX_BYTES + 2);
    int rc = file_read(path, KEY_MAX_BYTES, &b, e);
    if (rc >= 0)
        rc = secret_from_text(buf_span(&b), path, out, e);
    wipe(&b);
    return rc;
}

int secret_from_command(struct loop *loop, const char *command, struct secret **out, struct err *e)
{
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };
    struct buf b = BUF_INIT(KEY_MAX_BYTES + 2);
    int rc = proc_capture(loop, argv, (const char *const *)environ, KEY_MAX_BYTES, COMMAND_MS, &b, e);
    struct span rest = buf_span(&b), line = { "", 0 };
    if (rc >= 0) {
        (void)span_line(&rest, &line);
        rc = secret_from_text(line, "key_command", out, e);
    }
    wipe(&b);
    return rc < 0 ? err_wrap(e, "key_command") : 0;
}

struct span secret_show(const struct secret *s)
{
    return s ? (struct span){ s->p, s->n } : (struct span){ "", 0 };
}

void secret_destroy(struct secret *s)
{
    if (!s)
        return;
    mem_wipe(s, sizeof *s + s->n);
    free(s);
}
