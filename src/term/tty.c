#include "term/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define ESCAPE_MS 40 /* a terminal sends a sequence in one go; ssh may split it */

struct tty {
    struct loop *loop;
    struct termios saved;
    struct loop_source *input, *output, *resize, *escape;
    struct keys keys;
    struct buf queue;
    size_t rows, columns;
    key_fn on_key;
    loop_fn on_resize;
    void *ctx;
    int out_flags;
};

static struct tty *open_tty; /* for restoring the modes when we are killed by a signal */

static void write_direct(const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(STDOUT_FILENO, p, n);
        if (w < 0 && errno == EINTR) /* NOLINT(bugprone-signal-handler): its location is fixed for the thread */
            continue;
        if (w <= 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

static void restore(void)
{
    static const char off[] = "\033[?2004l\033[?25h\033[0m";
    if (!open_tty)
        return;
    (void)fcntl(STDOUT_FILENO, F_SETFL, open_tty->out_flags);
    write_direct(off, sizeof off - 1);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &open_tty->saved);
    open_tty = NULL;
}

static void on_fatal(int signo)
{
    restore(); /* tcsetattr and write are async-signal-safe */
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
}

static void read_size(struct tty *t)
{
    struct winsize ws;
    t->rows = 24;
    t->columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col) {
        t->rows = ws.ws_row ? ws.ws_row : 24;
        t->columns = ws.ws_col;
    }
}

size_t term_columns(void)
{
    struct winsize ws;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col ? ws.ws_col : 80;
}

bool term_reflows(void)
{
    static const struct {
        const char *name, *begin; /* of its value; "" any */
    } known[] = {
        { "TMUX", "" },           { "VTE_VERSION", "" },   { "KITTY_WINDOW_ID", "" },      { "ALACRITTY_WINDOW_ID", "" }, { "KONSOLE_VERSION", "" },
        { "WT_SESSION", "" },     { "WEZTERM_PANE", "" },  { "TERM_PROGRAM", "vscode" },   { "TERM_PROGRAM", "iTerm" },   { "TERM_PROGRAM", "ghostty" },
        { "TERM", "foot" },
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        const char *v = getenv(known[i].name); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
        if (v && v[0] && strncmp(v, known[i].begin, strlen(known[i].begin)) == 0)
            return true;
    }
    return false;
}

void tty_look(struct tty *t)
{
    read_size(t);
}

static void on_winch(void *ctx, int signo)
{
    struct tty *t = ctx;
    (void)signo;
    read_size(t);
    t->on_resize(t->ctx);
}

static void on_escape(void *ctx)
{
    struct tty *t = ctx;
    loop_remove(t->escape);
    t->escape = NULL;
    keys_flush(&t->keys, t->on_key, t->ctx);
}

static void on_input(void *ctx, int fd, unsigned events)
{
    struct tty *t = ctx;
    char chunk[4096];
    (void)events;
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* the terminal is gone: as if Ctrl-D was typed */
        static const struct key eof = { KEY_CTRL, 'd', { "", 0 } };
        loop_remove(t->input);
        t->input = NULL;
        t->on_key(t->ctx, &eof);
        return;
    }
    loop_remove(t->escape);
    t->escape = NULL;
    keys_feed(&t->keys, (struct span){ chunk, (size_t)n }, t->on_key, t->ctx);
    if (keys_pending(&t->keys))
        t->escape = loop_timer(t->loop, ESCAPE_MS, false, on_escape, t);
}

static void pump(struct tty *t)
{
    while (t->queue.n) {
        ssize_t w = write(STDOUT_FILENO, t->queue.p, t->queue.n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN)
            break;
        if (w < 0) {
            buf_reset(&t->queue); /* nobody reads any more */
            break;
        }
        buf_erase(&t->queue, 0, (size_t)w);
    }
    if (t->output)
        loop_fd_events(t->output, t->queue.n ? LOOP_WRITE : 0);
}

static void on_writable(void *ctx, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    pump(ctx);
}

void tty_write(struct tty *t, struct span text)
{
    static const char mark[] = "\r\n[output skipped]\r\n";
    if (t->queue.n + text.n > TTY_QUEUE_BYTES - sizeof mark) {
        buf_reset(&t->queue);
        buf_add(&t->queue, mark, sizeof mark - 1);
        if (text.n > TTY_QUEUE_BYTES / 2)
            text = span_sub(text, text.n - TTY_QUEUE_BYTES / 2, text.n);
    }
    buf_add_span(&t->queue, text);
    pump(t);
}

void tty_flush(struct tty *t)
{
    int64_t deadline = clock_ms() + 1000;
    while (t->queue.n && clock_ms() < deadline) {
        struct pollfd p = { STDOUT_FILENO, POLLOUT, 0 };
        (void)poll(&p, 1, 50);
        pump(t);
    }
}

void tty_size(const struct tty *t, size_t *rows, size_t *columns)
{
    *rows = t->rows;
    *columns = t->columns;
}

int tty_open(struct loop *loop, key_fn on_key, loop_fn on_resize, void *ctx, struct tty **out, struct err *e)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return err_set(e, ERR_UNSUPPORTED, "standard input and output are not a terminal");
    struct tty *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "cannot open the terminal: out of memory");
    *t = (struct tty){ .loop = loop, .keys = KEYS_INIT, .queue = BUF_INIT(TTY_QUEUE_BYTES), .on_key = on_key,
                       .on_resize = on_resize, .ctx = ctx };
    if (tcgetattr(STDIN_FILENO, &t->saved) < 0) {
        free(t);
        return err_sys(e, "cannot read the terminal's modes");
    }
    t->out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    struct termios raw = t->saved;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON | ISTRIP | BRKINT | INLCR);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    open_tty = t;
    static bool hooked;
    if (!hooked) {
        hooked = true;
        (void)atexit(restore);
        (void)signal(SIGQUIT, on_fatal);
        (void)signal(SIGSEGV, on_fatal);
        (void)signal(SIGABRT, on_fatal);
    }
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    (void)fcntl(STDOUT_FILENO, F_SETFL, t->out_flags | O_NONBLOCK);
    read_size(t);
    t->input = loop_fd(loop, STDIN_FILENO, LOOP_READ, on_input, t);
    t->output = loop_fd(loop, STDOUT_FILENO, 0, on_writable, t);
    t->resize = loop_signal(loop, SIGWINCH, on_winch, t);
    if (!t->input || !t->resize) {
        tty_close(t);
        return err_set(e, ERR_NOMEM, "cannot watch the terminal: out of memory");
    }
    tty_write(t, SPAN("\033[?2004h"));
    *out = t;
    return 0;
}

void tty_close(struct tty *t)
{
    if (!t)
        return;
    tty_flush(t);
    restore();
    loop_remove(t->input);
    loop_remove(t->output);
    loop_remove(t->resize);
    loop_remove(t->escape);
    keys_finish(&t->keys);
    buf_finish(&t->queue);
    free(t);
}
