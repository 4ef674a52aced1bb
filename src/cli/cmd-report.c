/*
 * report: the operator metrics from the journal.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "journal/journal.h"
#include "report/report.h"
#include "term/tty.h"

#define OUTPUT_LIMIT_BYTES (64u << 20)

static const struct option report_options[] = {
    { "since", 0, OPT_DURATION, "DURATION", "only tasks of so long ago (168h is a week)" },
    { "html", 0, OPT_STRING, "FILE", "write one self-contained page" },
    { "csv", 0, OPT_FLAG, NULL, "print by,name,metric,value,low,high,n" },
    { "journal", 0, OPT_STRING, "FILE", "read this journal" },
    { 0 },
};

/* A locale that was chosen and is not UTF-8: nothing but ASCII. */
static bool is_ascii(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *v = getenv(names[i]); // NOLINT(concurrency-mt-unsafe)
        if (v && *v)
            return !strcasestr(v, "utf-8") && !strcasestr(v, "utf8");
    }
    return false;
}

/* What is there and is no file (a device, a pipe) is written to, not replaced. */
static int write_page(const char *file, struct span page, struct err *e)
{
    struct stat st;
    if (stat(file, &st) < 0 || S_ISREG(st.st_mode))
        return file_write_atomic(file, page, 0644, false, e);
    AUTO(fd) int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot write '%s'", file);
    if (write_all(fd, page.p, page.n) < 0)
        return err_sys(e, "cannot write '%s'", file);
    return 0;
}

static int render(struct cli *cli, const struct report *r, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(OUTPUT_LIMIT_BYTES);
    const char *file = cli_string(cli, "html");
    const struct report_style style = { cli_style(cli, "bold"), cli_style(cli, "dim"), cli_style(cli, "green"), cli_style(cli, "reset"),
                                        isatty(STDOUT_FILENO) ? term_columns() : 0, is_ascii() };
    if (file)
        (void)report_html(r, &b);
    else if (cli->json)
        (void)report_json(r, &b);
    else if (cli_flag(cli, "csv"))
        (void)report_csv(r, &b);
    else
        (void)report_text(r, &style, &b);
    if (buf_check(&b, e) < 0)
        return cli_fail(cli, EXIT_FAILED, e);
    if (!file) {
        cli_out(cli, buf_span(&b));
        return EXIT_DONE;
    }
    if (write_page(file, buf_span(&b), e) < 0) {
        err_wrap(e, "writing the report");
        return cli_fail(cli, EXIT_FAILED, e);
    }
    if (!cli->quiet)
        cli_outf(cli, "wrote %s (%zu bytes): open it in a browser\n", file, b.n);
    return EXIT_DONE;
}

static int report_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    AUTO(report) struct report *r = NULL;
    struct config *cfg = cli_config(cli, &e);
    if (!cfg)
        return cli_fail(cli, EXIT_USAGE, &e);
    const char *path = cli_string(cli, "journal");
    int64_t since = cli_int(cli, "since", 0), now = clock_unix_ms();
    struct report_options o = { .since_ms = since ? now - since : 0, .now_ms = now, .person = config_values(cfg)->report.person };
    if (journal_open(path ? path : config_journal_path(cfg), JOURNAL_READ, &j, &e) < 0 || report_create(j, &o, &r, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    return render(cli, r, &e);
}

const struct command cmd_report = {
    "report", "operator metrics from the journal: is it worth it, where does it fail", "[options]", report_options, 0, 0, report_main,
    .about = "Task completion, recovery cost, latency tolerance, escalation rate and review burden, by class, model and week, each\n"
             "with n and a 95 % interval; and figures of the single steps by model. Read from the journal of this machine;\n"
             "nothing is sent anywhere, and nobody is named unless report.person is on.",
    .examples = "stead report --since 720h\tthe last 30 days in the terminal\n"
                "stead report --html report.html\tone page with charts\n"
                "stead report --csv > report.csv\tfor a spreadsheet\n",
};
