#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"

#define COMMAND_MS 10000

extern char **environ;

int secret_set(struct secret *s, struct span value, struct err *e)
{
    value = span_trim(value);
    if (value.n > SECRET_LIMIT)
        return err_set(e, ERR_LIMIT, "a key has %zu bytes; at most %d are taken", value.n, SECRET_LIMIT);
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x21 || value.p[i] == 0x7f) /* it goes into a header */
            return err_set(e, ERR_INPUT, "a key holds a space or control character");
    char *copy = span_dup(value);
    if (!copy)
        return err_set(e, ERR_NOMEM, "cannot keep a key: out of memory");
    secret_finish(s);
    s->hidden = copy;
    s->n = value.n;
    return 0;
}

struct span secret_span(const struct secret *s)
{
    return (struct span){ s->hidden ? s->hidden : "", s->n };
}

void secret_finish(struct secret *s)
{
    if (s->hidden)
        mem_wipe(s->hidden, s->n);
    free(TAKE(s->hidden));
    s->n = 0;
}

static int from_env(const char *name, struct secret *out, struct err *e)
{
    const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe): nothing here calls setenv
    if (!value || !*value) {
        err_set(e, ERR_NOT_FOUND, "the environment variable '%s' is not set", name);
        err_hint(e, "export %s=... before starting stead", name);
        return -(int)e->kind;
    }
    return secret_set(out, span_of(value), e);
}

static int from_file(const char *path, struct secret *out, struct err *e)
{
    AUTO(buf) struct buf full = BUF_INIT(8192);
    const char *home = path[0] == '~' && path[1] == '/' ? getenv("HOME") : NULL; // NOLINT(concurrency-mt-unsafe)
    buf_addf(&full, "%s%s", home ? home : "", home ? path + 1 : path);
    AUTO(fd) int fd = open(buf_str(&full), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "cannot read the key file '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "cannot read the key file '%s': not a file", path);
    if (st.st_mode & 077) {
        err_set(e, ERR_DENIED, "the key file '%s' may be read by others", path);
        err_hint(e, "chmod 600 %s", path);
        return -(int)e->kind;
    }
    AUTO(buf) struct buf text = BUF_INIT(SECRET_LIMIT + 1);
    int ret = file_read_fd(fd, path, SECRET_LIMIT, &text, e);
    if (ret == 0 && !span_trim(buf_span(&text)).n)
        ret = err_set(e, ERR_INPUT, "the key file '%s' is empty", path);
    if (ret == 0)
        ret = secret_set(out, buf_span(&text), e);
    if (text.p)
        mem_wipe(text.p, text.n);
    return ret;
}

/* The user's own command from the user's own file: it runs with the user's environment. */
static int from_command(struct loop *loop, const char *command, struct secret *out, struct cancel *cancel, struct err *e)
{
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };
    struct proc_spec spec = { .argv = argv, .env = (const char *const *)environ, .out = PROC_PIPE, .err = PROC_NULL,
                              .die_with_parent = true, .out_cap_bytes = SECRET_LIMIT + 1 };
    struct proc *p = NULL;
    int status = 0;
    if (!loop)
        return err_set(e, ERR_INTERNAL, "a key command needs a loop");
    if (proc_start(loop, &spec, &p, e) < 0)
        return -(int)e->kind;
    int ret = proc_wait(p, clock_ms() + COMMAND_MS, cancel, &status, e);
    struct span said = proc_output(p, 1), line = { "", 0 };
    if (ret == 0 && status != 0)
        ret = err_set(e, ERR_UNAVAILABLE, "it ended with exit code %d", status);
    if (ret == 0 && (!span_line(&said, &line) || !span_trim(line).n))
        ret = err_set(e, ERR_INPUT, "it printed nothing");
    if (ret == 0)
        ret = secret_set(out, line, e);
    proc_destroy(p);
    return ret;
}

int secret_load(struct loop *loop, const struct config_endpoint *ep, struct secret *out, struct cancel *cancel,
                struct err *e)
{
    int ret;
    const char *fallback = getenv("STEAD_API_KEY"); // NOLINT(concurrency-mt-unsafe): nothing here calls setenv
    if (ep->key_env)
        ret = from_env(ep->key_env, out, e);
    else if (ep->key_file)
        ret = from_file(ep->key_file, out, e);
    else if (ep->key_command)
        ret = from_command(loop, ep->key_command, out, cancel, e) < 0 ? err_wrap(e, "the key command") : 0;
    else if (fallback && *fallback)
        ret = from_env("STEAD_API_KEY", out, e);
    else
        return 0;
    return ret < 0 ? err_wrap(e, "endpoint '%s'", ep->name ? ep->name : ep->url) : 1;
}
