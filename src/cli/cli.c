#include "cli/cli-internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clean.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/num.h"
#define LOG_MODULE "cli"
#include "base/log.h"

#define READER_MS 2000 /* given to a reader once we are asked to stop */
#define OUT_LIMIT_BYTES (256u << 20) /* more than any command prints at once */

static const char *const color_names[] = { "auto", "always", "never", NULL };

const struct option common_options[] = {
    { "dir", 'C', OPT_STRING, "DIR", "work in DIR instead of the current directory" },
    { "config", 0, OPT_STRING, "FILE", "use FILE as the user configuration" },
    { "json", 0, OPT_FLAG, NULL, "print JSON for programs, nothing else, on standard output" },
    { "quiet", 'q', OPT_FLAG, NULL, "say only what is needed" },
    { "verbose", 'v', OPT_FLAG, NULL, "log what happens to standard error; twice: more" },
    { "color", 0, OPT_CHOICE, "auto|always|never", "use colour", .choices = color_names },
    { "help", 'h', OPT_FLAG, NULL, "show help and leave" },
    { "version", 0, OPT_FLAG, NULL, "show versions and leave" },
    { 0 },
};

/* One option as given; several of the same name are kept in order. */
struct option_value {
    struct option_value *next;
    const struct option *option;
    const char *text;
    int64_t number;
    double real;
};

static const struct option *find_in(const struct option *options, const char *name, size_t n, char letter)
{
    for (const struct option *o = options; o && o->name; o++)
        if (letter ? o->letter == letter : strlen(o->name) == n && memcmp(o->name, name, n) == 0)
            return o;
    return NULL;
}

static const struct option *find_option(const struct command *cmd, const char *name, size_t n, char letter)
{
    const struct option *o = cmd ? find_in(cmd->options, name, n, letter) : NULL;
    return o ? o : find_in(common_options, name, n, letter);
}

/* Edit distance, small words only: for "did you mean". */
static size_t distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), row[64];
    if (na >= COUNT_OF(row) || nb >= COUNT_OF(row))
        return 99;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

static void nearest(const char *word, const char *candidate, const char **best, size_t *best_distance)
{
    size_t d = distance(word, candidate);
    if (d < *best_distance && d <= 2 && d < strlen(candidate)) {
        *best = candidate;
        *best_distance = d;
    }
}

static int unknown_option(const struct command *cmd, const char *shown, const char *name, struct err *e)
{
    const char *best = NULL;
    size_t d = 99;
    for (const struct option *o = cmd->options; o && o->name; o++)
        nearest(name, o->name, &best, &d);
    for (const struct option *o = common_options; o->name; o++)
        nearest(name, o->name, &best, &d);
    err_set(e, ERR_USAGE, "unknown option '%s' of 'stead%s%s'", shown, cmd->name[0] ? " " : "", cmd->name);
    if (best)
        err_hint(e, "did you mean --%s?", best);
    else
        err_hint(e, "`stead%s%s --help` lists the options", cmd->name[0] ? " " : "", cmd->name);
    return -ERR_USAGE;
}

static int read_value(struct option_value *v, struct err *e)
{
    const struct option *o = v->option;
    struct span text = span_of(v->text);
    int r = 0;
    switch (o->type) {
    case OPT_FLAG:
    case OPT_STRING:
    case OPT_STRINGS:
        return 0;
    case OPT_INT:
        r = parse_i64(text, o->min, o->min || o->max ? o->max : INT64_MAX, &v->number, e);
        break;
    case OPT_DURATION:
        r = parse_duration_ms(text, &v->number, e);
        break;
    case OPT_SIZE:
        r = parse_size_bytes(text, &v->number, e);
        break;
    case OPT_FLOAT:
        r = parse_f64(text, 0, 1e12, &v->real, e);
        break;
    case OPT_CHOICE: {
        struct buf list = BUF_INIT(240);
        for (int i = 0; o->choices[i]; i++) {
            if (strcmp(o->choices[i], v->text) == 0) {
                v->number = i;
                buf_finish(&list);
                return 0;
            }
            buf_addf(&list, "%s%s", i ? ", " : "", o->choices[i]);
        }
        r = err_set(e, ERR_INPUT, "expected %s, got \"%s\"", buf_str(&list), v->text);
        buf_finish(&list);
        break;
    }
    }
    if (r < 0) {
        err_wrap(e, "option --%s", o->name);
        e->kind = ERR_USAGE;
        return -ERR_USAGE;
    }
    return 0;
}

static int add_value(struct cli *cli, const struct option *o, const char *text, struct err *e)
{
    struct option_value *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(e, ERR_NOMEM, "out of memory");
    v->option = o;
    v->text = text;
    struct option_value **at = &cli->values;
    while (*at)
        at = &(*at)->next;
    *at = v;
    return read_value(v, e);
}

/* "--name", "--name=value", "-x", "-xVALUE", "-xyz" (flags). Advances *i past a separate value. */
static int parse_long(struct cli *cli, int argc, char **argv, int *i, struct err *e)
{
    const char *arg = argv[*i], *name = arg + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    const struct option *o = find_option(cli->command, name, n, 0);
    if (!o) {
        char shown[80], bare[64];
        (void)snprintf(shown, sizeof shown, "--%.*s", (int)(n > 70 ? 70 : n), name);
        (void)snprintf(bare, sizeof bare, "%.*s", (int)n, name);
        return unknown_option(cli->command, shown, bare, e);
    }
    if (o->type == OPT_FLAG && eq)
        return err_set(e, ERR_USAGE, "option --%s takes no value", o->name);
    if (o->type == OPT_FLAG)
        return add_value(cli, o, "", e);
    if (!eq && *i + 1 >= argc)
        return err_set(e, ERR_USAGE, "option --%s needs a value: --%s %s", o->name, o->name, o->arg);
    return add_value(cli, o, eq ? eq + 1 : argv[++*i], e);
}

static int parse_letters(struct cli *cli, int argc, char **argv, int *i, struct err *e)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct option *o = find_option(cli->command, NULL, 0, *p);
        char shown[3] = { '-', *p, '\0' };
        if (!o)
            return unknown_option(cli->command, shown, "", e);
        if (o->type == OPT_FLAG) {
            int r = add_value(cli, o, "", e);
            if (r < 0)
                return r;
            continue;
        }
        if (p[1])
            return add_value(cli, o, p + 1, e);
        if (*i + 1 >= argc)
            return err_set(e, ERR_USAGE, "option -%c needs a value: -%c %s", *p, *p, o->arg);
        return add_value(cli, o, argv[++*i], e);
    }
    return 0;
}

int cli_parse(struct cli *cli, int argc, char **argv, struct err *e)
{
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        char *arg = argv[i];
        int r = 0;
        if (strcmp(arg, "--") == 0) {
            for (i++; i < argc; i++)
                argv[kept++] = argv[i];
            break;
        }
        if (arg[0] == '-' && arg[1] == '-') {
            r = parse_long(cli, argc, argv, &i, e);
        } else if (arg[0] == '-' && arg[1]) {
            r = parse_letters(cli, argc, argv, &i, e);
        } else {
            argv[kept++] = arg;
            if (cli->command->stop_at_operand) {
                for (i++; i < argc; i++)
                    argv[kept++] = argv[i];
            }
        }
        if (r < 0)
            return r;
    }
    cli->argc = kept;
    cli->argv = argv;
    return 0;
}

int cli_check_known(const struct cli *cli, struct err *e)
{
    for (const struct option_value *v = cli->values; v; v = v->next)
        if (!find_option(cli->command, v->option->name, strlen(v->option->name), 0)) {
            char shown[80];
            (void)snprintf(shown, sizeof shown, "--%s", v->option->name);
            return unknown_option(cli->command, shown, v->option->name, e);
        }
    return 0;
}

int cli_check_operands(const struct cli *cli, struct err *e)
{
    const struct command *cmd = cli->command;
    if (cli->argc < cmd->min_args) {
        err_set(e, ERR_USAGE, "'stead %s' needs %s", cmd->name, cmd->usage);
        err_hint(e, "`stead %s --help` shows how it is used", cmd->name);
        return -ERR_USAGE;
    }
    if (cmd->max_args >= 0 && cli->argc > cmd->max_args) {
        char what[64];
        (void)clean_into(what, sizeof what, span_of(cli->argv[cmd->max_args]), CLEAN_LINE);
        err_set(e, ERR_USAGE, "'stead %s' does not take '%s'", cmd->name, what);
        err_hint(e, cmd->max_args ? "put a text of several words in quotes" : "`stead %s --help` shows how it is used",
                 cmd->name);
        return -ERR_USAGE;
    }
    return 0;
}

static const struct option_value *value_of(const struct cli *cli, const char *name)
{
    const struct option_value *found = NULL;
    assert(find_option(cli->command, name, strlen(name), 0));
    for (const struct option_value *v = cli->values; v; v = v->next)
        if (strcmp(v->option->name, name) == 0)
            found = v;
    return found;
}

bool cli_has(const struct cli *cli, const char *name)
{
    return find_option(cli->command, name, strlen(name), 0) != NULL;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    return value_of(cli, name) != NULL;
}

int cli_count(const struct cli *cli, const char *name)
{
    int n = 0;
    for (const struct option_value *v = cli->values; v; v = v->next)
        n += strcmp(v->option->name, name) == 0;
    return n;
}

const char *cli_string(const struct cli *cli, const char *name)
{
    const struct option_value *v = value_of(cli, name);
    return v ? v->text : NULL;
}

static struct arena lists = ARENA_INIT(1 << 20); /* what cli_strings gave out, until cli_finish */

size_t cli_strings(const struct cli *cli, const char *name, const char *const **items)
{
    size_t count = 0, n = 0;
    for (const struct option_value *v = cli->values; v; v = v->next)
        count += strcmp(v->option->name, name) == 0;
    const char **list = count ? arena_array(&lists, count, sizeof *list) : NULL;
    for (const struct option_value *v = cli->values; list && v; v = v->next)
        if (strcmp(v->option->name, name) == 0)
            list[n++] = v->text;
    *items = list;
    return n;
}

int64_t cli_int(const struct cli *cli, const char *name, int64_t absent)
{
    const struct option_value *v = value_of(cli, name);
    return v ? v->number : absent;
}

double cli_float(const struct cli *cli, const char *name, double absent)
{
    const struct option_value *v = value_of(cli, name);
    return v ? v->real : absent;
}

int cli_choice(const struct cli *cli, const char *name, int absent)
{
    const struct option_value *v = value_of(cli, name);
    return v ? (int)v->number : absent;
}

/* Output: buffered here, so that one write carries a whole answer and every failure is seen. */
static struct buf out_buf = BUF_INIT(OUT_LIMIT_BYTES);
static int out_errno;

static void out_flush(void)
{
    if (!out_errno && out_buf.n && write_out(STDOUT_FILENO, out_buf.p, out_buf.n) < 0)
        out_errno = errno;
    buf_reset(&out_buf);
}

/* Signals that ask us to stop, as they come: a write that waits for its reader is no loop that could serve them. */
static volatile sig_atomic_t stops;
static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction loops_own[COUNT_OF(stop_signals)];

static void count_stop(int signo)
{
    int saved = errno;
    stops++;
    for (size_t i = 0; i < COUNT_OF(stop_signals); i++)
        if (stop_signals[i] == signo)
            loops_own[i].sa_handler(signo);
    errno = saved;
}

static void count_stops(void)
{
    struct sigaction mine = { .sa_handler = count_stop }; /* no SA_RESTART: poll and write return */
    (void)sigfillset(&mine.sa_mask);
    for (size_t i = 0; i < COUNT_OF(stop_signals); i++)
        if (sigaction(stop_signals[i], NULL, &loops_own[i]) == 0 && !(loops_own[i].sa_flags & SA_SIGINFO) &&
            loops_own[i].sa_handler != SIG_IGN && loops_own[i].sa_handler != SIG_DFL)
            (void)sigaction(stop_signals[i], &mine, NULL);
}

int write_out(int fd, const char *p, size_t n)
{
    while (n) {
        struct pollfd ready = { fd, POLLOUT, 0 };
        bool stopping = stops > 0;
        int r = poll(&ready, 1, READER_MS);
        if (r < 0 && errno != EINTR)
            return -1;
        if (r <= 0 && stops > 1) /* the second time leaves at once */
            _exit(EXIT_INTERRUPTED);
        if (r == 0 && stopping) { /* whoever reads this does not */
            errno = EPIPE;
            return -1;
        }
        if (r <= 0)
            continue;
        ssize_t w = write(fd, p, n < PIPE_BUF ? n : PIPE_BUF); /* so much does not wait where poll saw room */
        if (w < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static bool out_held; /* between cli_text_begin and cli_text_end */

void cli_out(struct cli *cli, struct span text)
{
    buf_add_span(&out_buf, text);
    if (!out_held && (cli->tty || out_buf.n > 65536))
        out_flush();
}

void cli_text_begin(struct cli *cli)
{
    out_flush();
    out_held = cli->json;
}

void cli_text_end(struct cli *cli)
{
    if (!out_held)
        return;
    AUTO(buf) struct buf text = BUF_INIT(OUT_LIMIT_BYTES);
    buf_add_span(&text, buf_span(&out_buf));
    buf_reset(&out_buf);
    out_held = false;
    buf_adds(&out_buf, "{\"v\":1,\"text\":");
    buf_add_json(&out_buf, buf_span(&text));
    cli_out(cli, SPAN("}\n"));
}

void cli_out_now(void)
{
    out_flush();
}

void cli_outf(struct cli *cli, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&out_buf, fmt, ap);
    va_end(ap);
    cli_out(cli, SPAN(""));
}

void cli_out_clean(struct cli *cli, struct span text, unsigned clean_flags)
{
    clean_add(&out_buf, text, clean_flags);
    cli_out(cli, SPAN(""));
}

int cli_out_end(struct cli *cli, int code)
{
    out_flush();
    buf_finish(&out_buf);
    if (!out_errno)
        return code;
    if (out_errno == EPIPE) /* the reader has seen enough: `stead ... | head` */
        return code;
    struct err e = ERR_INIT;
    errno = out_errno;
    err_sys(&e, "cannot write to standard output");
    err_hint(&e, out_errno == ENOSPC ? "free some space, or write the output elsewhere"
                                     : "check where standard output goes");
    out_errno = 0;
    cli->json = false;
    return cli_fail(cli, EXIT_FAILED, &e);
}

const char *cli_style(const struct cli *cli, const char *name)
{
    static const struct {
        const char *name, *code;
    } styles[] = {
        { "reset", "\033[0m" },   { "bold", "\033[1m" }, { "dim", "\033[2m" },      { "red", "\033[31m" },
        { "green", "\033[32m" }, { "yellow", "\033[33m" }, { "blue", "\033[34m" }, { "magenta", "\033[35m" },
        { "cyan", "\033[36m" },
    };
    if (cli->color)
        for (size_t i = 0; i < COUNT_OF(styles); i++)
            if (strcmp(styles[i].name, name) == 0)
                return styles[i].code;
    return "";
}

int cli_exit_of(const struct err *e)
{
    switch (e->kind) {
    case ERR_USAGE:
        return EXIT_USAGE;
    case ERR_CANCELLED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_FAILED;
    }
}

int cli_fail(struct cli *cli, int code, const struct err *e)
{
    struct buf b = BUF_INIT(16384);
    buf_adds(&b, "stead: ");
    clean_add(&b, span_of(e->text), CLEAN_LINE);
    buf_addc(&b, '\n');
    if (e->hint[0]) {
        buf_adds(&b, "       try: ");
        clean_add(&b, span_of(e->hint), CLEAN_TEXT);
        buf_addc(&b, '\n');
    }
    out_flush();
    (void)write_out(STDERR_FILENO, buf_str(&b), b.n);
    log_debug("%s (%s, %s)", e->text, err_kind_name(e->kind), e->at);
    if (cli->json) {
        buf_reset(&b);
        buf_addf(&b, "{\"v\":1,\"type\":\"error\",\"code\":\"%s\",\"message\":", err_kind_name(e->kind));
        buf_add_json(&b, span_of(e->text));
        buf_adds(&b, ",\"hint\":");
        buf_add_json(&b, span_of(e->hint));
        buf_adds(&b, "}\n");
        cli_out(cli, buf_span(&b));
    }
    buf_finish(&b);
    return code;
}

static struct cancel cancel_token;
static void (*stop_fn)(void *ctx, int signo);
static void *stop_ctx;

void cli_on_stop(void (*fn)(void *ctx, int signo), void *ctx)
{
    stop_fn = fn;
    stop_ctx = ctx;
}

static void on_stop_signal(void *ctx, int signo)
{
    (void)ctx;
    if (stop_fn) {
        stops = 0;
        stop_fn(stop_ctx, signo);
        return;
    }
    if (cancel_token.raised) /* the second time leaves at once; the journal is safe at any instant */
        _exit(signo == SIGINT ? EXIT_INTERRUPTED : 128 + signo);
    cancel_raise(&cancel_token, signo == SIGINT ? "interrupted" : "asked to stop");
}

struct loop *cli_loop(struct cli *cli, struct err *e)
{
    if (cli->loop)
        return cli->loop;
    struct loop *loop = NULL;
    if (loop_create(&loop, e) < 0)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(stop_signals); i++) {
        struct sigaction was;
        if (sigaction(stop_signals[i], NULL, &was) == 0 && !(was.sa_flags & SA_SIGINFO) && was.sa_handler == SIG_IGN)
            continue; /* nohup, or a shell's background: it stays ignored */
        if (!loop_signal(loop, stop_signals[i], on_stop_signal, NULL)) {
            err_set(e, ERR_NOMEM, "cannot watch signals: out of memory");
            loop_destroy(loop);
            return NULL;
        }
    }
    count_stops();
    cli->loop = loop;
    return loop;
}

struct cancel *cli_cancel(struct cli *cli)
{
    (void)cli;
    return &cancel_token;
}

void cli_finish(struct cli *cli)
{
    while (cli->values) {
        struct option_value *v = cli->values;
        cli->values = v->next;
        free(v);
    }
    arena_finish(&lists);
    cli_config_finish(cli);
    loop_destroy(cli->loop);
    cli->loop = NULL;
}

const struct command *cli_nearest_command(const char *word)
{
    const struct command *found = NULL;
    size_t best = 3;
    for (const struct command *const *c = commands; *c; c++) {
        size_t d = distance(word, (*c)->name);
        if (d < best) {
            best = d;
            found = *c;
        }
    }
    return found;
}
