/*
 * help - text for people, shells and man, made from the rows and nothing else.
 */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli-internal.h"

static void option_spelling(const struct option *o, struct buf *out)
{
    if (o->letter)
        buf_addf(out, "-%c, ", o->letter);
    else
        buf_adds(out, "    ");
    buf_addf(out, "--%s", o->name);
    if (o->arg)
        buf_addf(out, " %s", o->arg);
}

static void print_options(struct cli *cli, const struct option *options)
{
    for (const struct option *o = options; o && o->name; o++) {
        struct buf b = BUF_INIT(256);
        option_spelling(o, &b);
        cli_outf(cli, "  %s%-34s%s %s\n", cli_style(cli, "bold"), buf_str(&b), cli_style(cli, "reset"), o->doc);
        buf_finish(&b);
    }
}

void help_overview(struct cli *cli)
{
    const char *b = cli_style(cli, "bold"), *r = cli_style(cli, "reset");
    cli_text_begin(cli);
    cli_outf(cli,
             "stead: local coding agents, run as infrastructure\n\n"
             "usage: stead [options]                 interactive session in this directory\n"
             "       stead COMMAND [options] ...\n\n");
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, "interactive") != 0)
            cli_outf(cli, "  %s%-18s%s %s\n", b, (*c)->name, r, (*c)->summary);
    cli_outf(cli, "\noptions of every command:\n");
    print_options(cli, common_options);
    cli_outf(cli, "\n`stead COMMAND --help` tells more; `man stead` tells all.\n");
    cli_text_end(cli);
}

static void help_usage(struct cli *cli, const struct command *cmd)
{
    bool interactive = strcmp(cmd->name, "interactive") == 0;
    cli_outf(cli, "usage: stead%s%s %s\n", interactive ? "" : " ", interactive ? "" : cmd->name, cmd->usage);
}

void help_command(struct cli *cli, const struct command *cmd)
{
    cli_text_begin(cli);
    help_usage(cli, cmd);
    cli_outf(cli, "\n%s\n", cmd->summary);
    if (cmd->about)
        cli_outf(cli, "\n%s\n", cmd->about);
    if (cmd->options) {
        cli_outf(cli, "\noptions:\n");
        print_options(cli, cmd->options);
    }
    cli_outf(cli, "\noptions of every command:\n");
    print_options(cli, common_options);
    if (cmd->examples) {
        cli_outf(cli, "\nexamples:\n");
        struct span rest = span_of(cmd->examples), line;
        while (span_line(&rest, &line)) {
            ptrdiff_t tab = span_findc(line, '\t');
            size_t n = tab < 0 ? line.n : (size_t)tab;
            cli_outf(cli, "  %s%.*s%s\n", cli_style(cli, "bold"), (int)n, line.p, cli_style(cli, "reset"));
            if (tab >= 0)
                cli_outf(cli, "      %.*s\n", (int)(line.n - n - 1), line.p + tab + 1);
        }
    }
    cli_text_end(cli);
}

static bool in_group(const struct command *cmd, const char *group)
{
    size_t n = strlen(group);
    return strncmp(cmd->name, group, n) == 0 && cmd->name[n] == ' ';
}

void help_group(struct cli *cli, const char *group)
{
    cli_text_begin(cli);
    cli_outf(cli, "usage: stead %s ACTION [options]\n\n", group);
    for (const struct command *const *c = commands; *c; c++)
        if (in_group(*c, group))
            cli_outf(cli, "  %s%-18s%s %s\n", cli_style(cli, "bold"), (*c)->name, cli_style(cli, "reset"), (*c)->summary);
    cli_outf(cli, "\n`stead %s ACTION --help` tells more.\n", group);
    cli_text_end(cli);
}

/* roff: a leading dot or quote would be a request, a backslash an escape, a minus a hyphen. */
static void add_roff(struct buf *out, struct span s)
{
    bool line_start = true;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (line_start && (c == '.' || c == '\''))
            buf_adds(out, "\\&");
        line_start = c == '\n';
        if (c == '\\')
            buf_adds(out, "\\e");
        else if (c == '-')
            buf_adds(out, "\\-");
        else
            buf_addc(out, c);
    }
}

static void man_options(const struct option *options, struct buf *out)
{
    for (const struct option *o = options; o && o->name; o++) {
        buf_adds(out, ".TP\n\\fB");
        if (o->letter)
            buf_addf(out, "\\-%c\\fR, \\fB", o->letter);
        buf_adds(out, "\\-\\-");
        add_roff(out, span_of(o->name));
        buf_adds(out, "\\fR");
        if (o->arg) {
            buf_adds(out, " \\fI");
            add_roff(out, span_of(o->arg));
            buf_adds(out, "\\fR");
        }
        buf_addc(out, '\n');
        add_roff(out, span_of(o->doc));
        buf_addc(out, '\n');
    }
}

static void man_head(const char *title, const char *summary, struct buf *out)
{
    buf_adds(out, ".TH \"");
    for (const char *p = title; *p; p++)
        buf_addc(out, *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p == ' ' ? '-' : *p);
    buf_addf(out, "\" \"1\" \"\" \"stead %s\" \"stead manual\"\n.SH NAME\n", STEAD_VERSION);
    for (const char *p = title; *p; p++)
        buf_adds(out, *p == ' ' || *p == '-' ? "\\-" : (char[2]){ *p, '\0' });
    buf_adds(out, " \\- ");
    add_roff(out, span_of(summary));
    buf_adds(out, "\n");
}

static void man_command(const struct command *cmd, struct buf *out)
{
    char title[64];
    (void)snprintf(title, sizeof title, "stead %s", cmd->name);
    man_head(title, cmd->summary, out);
    buf_adds(out, ".SH SYNOPSIS\n\\fBstead ");
    add_roff(out, span_of(cmd->name));
    buf_adds(out, "\\fR ");
    add_roff(out, span_of(cmd->usage));
    buf_adds(out, "\n");
    if (cmd->about) {
        buf_adds(out, ".SH DESCRIPTION\n");
        add_roff(out, span_of(cmd->about));
        buf_adds(out, "\n");
    }
    if (cmd->options) {
        buf_adds(out, ".SH OPTIONS\n");
        man_options(cmd->options, out);
    }
    buf_adds(out, ".SH COMMON OPTIONS\n");
    man_options(common_options, out);
    if (cmd->examples) {
        buf_adds(out, ".SH EXAMPLES\n");
        struct span rest = span_of(cmd->examples), line;
        while (span_line(&rest, &line)) {
            ptrdiff_t tab = span_findc(line, '\t');
            size_t n = tab < 0 ? line.n : (size_t)tab;
            buf_adds(out, ".TP\n\\fB");
            add_roff(out, span_sub(line, 0, n));
            buf_adds(out, "\\fR\n");
            if (tab >= 0)
                add_roff(out, span_sub(line, n + 1, line.n));
            buf_addc(out, '\n');
        }
    }
    buf_adds(out, ".SH EXIT STATUS\nSee \\fBstead\\fR(1).\n.SH SEE ALSO\n\\fBstead\\fR(1), \\fBstead\\-config\\fR(5), \\fBstead\\-sandbox\\fR(7)\n");
}

static const struct {
    int code;
    const char *meaning;
} exit_meanings[] = {
    { EXIT_DONE, "done: for run, the change passed its gates (or nothing needed changing)" },
    { EXIT_FAILED, "stead itself failed: message on standard error" },
    { EXIT_USAGE, "the command line or a configuration is wrong" },
    { EXIT_RED, "finished, but gates are red: the change is kept as a draft and not applied" },
    { EXIT_STOPPED, "the agent stopped without finishing (step, token or time budget, loop, gave up)" },
    { EXIT_UNSERVED, "no endpoint could serve the task, and policy allowed no other way" },
    { EXIT_PENDING, "a person must decide: review or approval is pending" },
    { EXIT_NO_SANDBOX, "the sandbox could not be set up" },
    { EXIT_INTERRUPTED, "interrupted; session kept, stead resume continues it" },
};

static const struct {
    const char *name, *meaning;
} environment[] = {
    { "STEAD_CONFIG", "file to use as the user configuration" },
    { "STEAD_STATE_DIR", "where the journal and drafts live" },
    { "STEAD_CACHE_DIR", "where models and caches live" },
    { "STEAD_ENDPOINT", "URL of the endpoint to use" },
    { "STEAD_MODEL", "model to ask for" },
    { "STEAD_API_KEY", "key for that endpoint" },
    { "SSL_CERT_FILE", "certificates to trust in place of the system's, for endpoints with https" },
    { "NO_COLOR", "when set and not empty: no colour" },
};

static void man_overview(struct buf *out)
{
    man_head("stead", "local coding agents, run as infrastructure", out);
    buf_adds(out, ".SH SYNOPSIS\n\\fBstead\\fR [\\fIoptions\\fR]\n.br\n\\fBstead\\fR \\fICOMMAND\\fR [\\fIoptions\\fR] ...\n.SH COMMANDS\n");
    for (const struct command *const *c = commands; *c; c++) {
        buf_adds(out, ".TP\n\\fBstead ");
        add_roff(out, span_of((*c)->name));
        buf_adds(out, "\\fR ");
        add_roff(out, span_of((*c)->usage));
        buf_addc(out, '\n');
        add_roff(out, span_of((*c)->summary));
        buf_addc(out, '\n');
    }
    buf_adds(out, ".SH OPTIONS\n");
    man_options(common_options, out);
    buf_adds(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < COUNT_OF(exit_meanings); i++)
        buf_addf(out, ".TP\n%d\n%s\n", exit_meanings[i].code, exit_meanings[i].meaning);
    buf_adds(out, ".SH ENVIRONMENT\n");
    for (size_t i = 0; i < COUNT_OF(environment); i++)
        buf_addf(out, ".TP\n%s\n%s\n", environment[i].name, environment[i].meaning);
    buf_adds(out, ".SH SEE ALSO\n\\fBstead\\-config\\fR(5), \\fBstead\\-sandbox\\fR(7)\n");
}

bool help_man(const char *name, struct buf *out)
{
    if (!name[0]) {
        man_overview(out);
        return true;
    }
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0) {
            man_command(*c, out);
            return true;
        }
    return false;
}

/* Words that may follow: for every command a line of its options. */
static void add_option_words(const struct option *options, struct buf *out)
{
    for (const struct option *o = options; o && o->name; o++) {
        if (o->letter)
            buf_addf(out, "-%c ", o->letter);
        buf_addf(out, "--%s ", o->name);
    }
}

static void first_words(struct buf *out)
{
    const char *last = "";
    for (const struct command *const *c = commands; *c; c++) {
        size_t n = strcspn((*c)->name, " ");
        if (strncmp(last, (*c)->name, n) == 0 && (last[n] == ' ' || !last[n]))
            continue;
        last = (*c)->name;
        if (strcmp(last, "interactive") != 0)
            buf_addf(out, "%.*s ", (int)n, last);
    }
}

/* The length of the first word of a command with actions, when it is not that of *group, which it becomes; else 0. */
static size_t new_group(const struct command *cmd, const char **group)
{
    const char *space = strchr(cmd->name, ' ');
    size_t n = space ? (size_t)(space - cmd->name) : 0;
    if (!n || (strncmp(*group, cmd->name, n) == 0 && (*group)[n] == ' '))
        return 0;
    *group = cmd->name;
    return n;
}

static void bash_completion(struct buf *out)
{
    buf_adds(out, "# stead completion for bash\n"
                  "_stead() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
                  "    case $prev in\n");
    for (const struct command *const *c = commands; *c; c++)
        for (const struct option *o = (*c)->options; o && o->name; o++)
            if (o->type == OPT_CHOICE) {
                buf_addf(out, "    --%s) words='", o->name);
                for (int i = 0; o->choices[i]; i++)
                    buf_addf(out, "%s%s", i ? " " : "", o->choices[i]);
                buf_adds(out, "' ;;\n");
            }
    buf_adds(out, "    --color) words='auto always never' ;;\n"
                  "    -C|--dir) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n"
                  "    esac\n"
                  "    if [ -z \"$words\" ]; then\n"
                  "        case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    /* two-word names first: a pattern of the first word alone would hide them */
    for (int pass = 0; pass < 2; pass++)
        for (const struct command *const *c = commands; *c; c++) {
            bool two = strchr((*c)->name, ' ') != NULL;
            if (two != (pass == 0))
                continue;
            buf_addf(out, two ? "        \"%s\") words='" : "        \"%s \"*) words='", (*c)->name);
            add_option_words((*c)->options, out);
            add_option_words(common_options, out);
            buf_adds(out, "' ;;\n");
        }
    buf_adds(out, "        esac\n    fi\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words='");
    first_words(out);
    add_option_words(common_options, out);
    buf_adds(out, "'\n    elif [ \"$COMP_CWORD\" -eq 2 ]; then\n        case ${COMP_WORDS[1]} in\n");
    const char *group = "";
    for (const struct command *const *c = commands; *c; c++) {
        size_t n = new_group(*c, &group);
        if (!n)
            continue;
        buf_addf(out, "        %.*s) words='", (int)n, group);
        for (const struct command *const *d = commands; *d; d++)
            if (strncmp((*d)->name, group, n) == 0 && (*d)->name[n] == ' ')
                buf_addf(out, "%s ", (*d)->name + n + 1);
        buf_adds(out, "' ;;\n");
    }
    buf_adds(out, "        esac\n    fi\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                  "    [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                  "}\ncomplete -o filenames -F _stead stead\n");
}

static void quote_single(struct buf *out, const char *s)
{
    for (; *s; s++)
        if (*s == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, *s);
}

static void zsh_completion(struct buf *out)
{
    buf_adds(out, "#compdef stead\n_stead() {\n    local -a commands\n    commands=(\n");
    for (const struct command *const *c = commands; *c; c++) {
        if (strchr((*c)->name, ' ') || strcmp((*c)->name, "interactive") == 0)
            continue;
        buf_addf(out, "        '%s:", (*c)->name);
        quote_single(out, (*c)->summary);
        buf_adds(out, "'\n");
    }
    const char *group = "";
    for (const struct command *const *c = commands; *c; c++) {
        size_t n = new_group(*c, &group);
        if (!n)
            continue;
        buf_addf(out, "        '%.*s:has actions'\n", (int)n, group);
    }
    buf_adds(out, "    )\n    if (( CURRENT == 2 )); then _describe command commands; return; fi\n    case \"$words[2] $words[3]\" in\n");
    for (int pass = 0; pass < 2; pass++)
        for (const struct command *const *c = commands; *c; c++) {
            bool two = strchr((*c)->name, ' ') != NULL;
            if (two != (pass == 0))
                continue;
            buf_addf(out, two ? "    \"%s\") _arguments" : "    \"%s \"*) _arguments", (*c)->name);
            for (const struct option *o = (*c)->options; o && o->name; o++) {
                buf_addf(out, " '--%s%s[", o->name, o->arg ? "=" : "");
                for (const char *p = o->doc; *p; p++) {
                    if (*p == '[' || *p == ']' || *p == ':')
                        buf_addc(out, '\\');
                    if (*p == '\'')
                        buf_adds(out, "'\\''");
                    else
                        buf_addc(out, *p);
                }
                buf_addf(out, "]%s'", o->arg ? ":value:_files" : "");
            }
            buf_adds(out, " '*:file:_files' ;;\n");
        }
    group = "";
    for (const struct command *const *c = commands; *c; c++) {
        size_t n = new_group(*c, &group);
        if (!n)
            continue;
        buf_addf(out, "    \"%.*s \"*) compadd --", (int)n, group);
        for (const struct command *const *d = commands; *d; d++)
            if (strncmp((*d)->name, group, n) == 0 && (*d)->name[n] == ' ')
                buf_addf(out, " %s", (*d)->name + n + 1);
        buf_adds(out, " ;;\n");
    }
    buf_adds(out, "    esac\n}\n_stead \"$@\"\n");
}

static void fish_options(const struct option *options, const char *condition, struct buf *out)
{
    for (const struct option *o = options; o && o->name; o++) {
        buf_addf(out, "complete -c stead -n '%s' -l %s", condition, o->name);
        if (o->letter)
            buf_addf(out, " -s %c", o->letter);
        if (o->arg)
            buf_adds(out, " -r");
        buf_adds(out, " -d '");
        for (const char *p = o->doc; *p; p++) {
            if (*p == '\'' || *p == '\\')
                buf_addc(out, '\\');
            buf_addc(out, *p);
        }
        buf_adds(out, "'\n");
    }
}

static void fish_completion(struct buf *out)
{
    buf_adds(out, "# stead completion for fish\n");
    fish_options(common_options, "true", out);
    for (const struct command *const *c = commands; *c; c++) {
        const char *space = strchr((*c)->name, ' ');
        char condition[160];
        if (space) {
            int n = (int)(space - (*c)->name);
            buf_addf(out, "complete -c stead -n '__fish_use_subcommand' -f -a %.*s\n", n, (*c)->name);
            buf_addf(out, "complete -c stead -n '__fish_seen_subcommand_from %.*s' -f -a %s -d '", n, (*c)->name, space + 1);
            (void)snprintf(condition, sizeof condition,
                           "__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s", n, (*c)->name, space + 1);
        } else {
            if (strcmp((*c)->name, "interactive") == 0)
                continue;
            buf_addf(out, "complete -c stead -n '__fish_use_subcommand' -f -a %s -d '", (*c)->name);
            (void)snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s", (*c)->name);
        }
        for (const char *p = (*c)->summary; *p; p++) {
            if (*p == '\'' || *p == '\\')
                buf_addc(out, '\\');
            buf_addc(out, *p);
        }
        buf_adds(out, "'\n");
        fish_options((*c)->options, condition, out);
    }
}

bool help_completion(const char *shell, struct buf *out)
{
    if (strcmp(shell, "bash") == 0)
        bash_completion(out);
    else if (strcmp(shell, "zsh") == 0)
        zsh_completion(out);
    else if (strcmp(shell, "fish") == 0)
        fish_completion(out);
    else
        return false;
    return true;
}
