#include "cli/ask-why.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli-internal.h"
#include "term/tty.h"

#define LOG_MODULE "cli"
#include "base/log.h"

struct asking {
    struct loop *loop;
    enum why answer;
    bool done;
};

enum why why_of_key(const struct key *k)
{
    if (k->code != KEY_CHAR)
        return WHY_NONE;
    return k->c == 'w' || k->c == 'W' ? WHY_WRONG : k->c == 's' || k->c == 'S' ? WHY_SLOW : WHY_NONE;
}

const char *why_name(enum why w)
{
    return w == WHY_WRONG ? "wrong" : w == WHY_SLOW ? "slow" : "";
}

int why_record(struct journal *j, const char *session, const char *what, enum why w, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(200);
    if (w == WHY_NONE)
        return 0;
    buf_addf(&b, "{\"what\":\"%s\",\"choice\":\"%s\",\"reason\":\"a person said so\"}", what, why_name(w));
    int r = buf_check(&b, e);
    return r < 0 ? r : journal_append(j, session, "decision", buf_span(&b), NULL, e);
}

static void on_key(void *ctx, const struct key *k)
{
    struct asking *a = ctx;
    a->answer = why_of_key(k);
    a->done = true;
    loop_wake(a->loop);
}

static void on_resize(void *ctx)
{
    (void)ctx;
}

void ask_why(struct cli *cli, struct loop *loop, struct journal *j, const char *session, const char *what)
{
    struct asking a = { .loop = loop };
    struct err e = ERR_INIT;
    AUTO(tty) struct tty *tty = NULL;
    if (cli->json || cli->quiet || !cli->tty || !isatty(STDIN_FILENO))
        return;
    cli_outf(cli, "%s" ASK_WHY_TEXT "%s ", cli_style(cli, "dim"), cli_style(cli, "reset"));
    cli_out_now();
    if (tty_open(loop, on_key, on_resize, &a, &tty, &e) == 0 && loop_wait(loop, &a.done, clock_ms() + ASK_WHY_MS, NULL, &e) < 0)
        a.answer = WHY_NONE; /* nobody answered */
    tty_close(tty);
    tty = NULL;
    cli_outf(cli, "%s\n", why_name(a.answer));
    if (why_record(j, session, what, a.answer, &e) < 0)
        log_warn("the answer could not be recorded: %s", e.text);
}
