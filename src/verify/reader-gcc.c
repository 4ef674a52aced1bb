/*
 * The line that compilers and linters agree on: "file:line:col: error: message [-Wrule]". gcc, clang,
 * clang-tidy, mypy ("file:line: error: message  [code]"), go vet ("file:line:col: message"),
 * shellcheck -f gcc ("note: ... [SC2086]"), ruff and flake8 ("file:line:col: F401 message"), tsc
 * ("file(line,col): error TS2304: message"). Rust's and python's prose is not among them.
 */
#include "verify/reader-internal.h"

static bool severity(struct span *s, enum result_severity *out)
{
    static const struct {
        const char *word;
        enum result_severity sev;
    } words[] = {
        { "fatal error: ", RESULT_ERROR }, { "error: ", RESULT_ERROR }, { "warning: ", RESULT_WARNING },
        { "note: ", RESULT_NOTE },         { "style: ", RESULT_NOTE },  { "information: ", RESULT_NOTE },
        { "performance: ", RESULT_WARNING }, { "portability: ", RESULT_WARNING },
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (take_prefix(s, words[i].word)) {
            *out = words[i].sev;
            return true;
        }
    return false;
}

/* "[-Wunused]", "[SC2086]", "[arg-type]" at the end of a message is its rule. */
static struct span bracket_rule(struct span *message)
{
    struct span m = span_trim(*message);
    if (!m.n || m.p[m.n - 1] != ']')
        return SPAN("");
    ptrdiff_t open = span_rfind(m, "[");
    if (open <= 0)
        return SPAN("");
    struct span rule = span_sub(m, (size_t)open + 1, m.n - (size_t)open - 2);
    for (size_t i = 0; i < rule.n; i++)
        if (rule.p[i] == ' ')
            return SPAN("");
    *message = span_trim(span_sub(m, 0, (size_t)open));
    return rule;
}

/* "F401 message", "E501 ...", "PLR0913 ...": an upper-case code of letters and digits first. */
static struct span code_rule(struct span *message)
{
    size_t i = 0, letters = 0, digits = 0;
    while (i < message->n && isupper((unsigned char)message->p[i]))
        i++, letters++;
    while (i < message->n && isdigit((unsigned char)message->p[i]))
        i++, digits++;
    if (!letters || letters > 5 || digits < 2 || i >= message->n || (message->p[i] != ' ' && message->p[i] != ':'))
        return SPAN("");
    struct span rule = span_sub(*message, 0, i);
    *message = span_trim(span_sub(*message, i + 1, message->n));
    return rule;
}

static bool plausible_file(struct span f)
{
    if (!f.n || f.n > 400 || f.p[0] == ' ' || f.p[0] == '\t' || f.p[0] == '<' || f.p[0] == '(')
        return false;
    bool dot = false;
    for (size_t i = 0; i < f.n; i++) {
        if ((unsigned char)f.p[i] < 0x20 || f.p[i] == '"')
            return false;
        dot |= f.p[i] == '.' || f.p[i] == '/';
    }
    return dot || span_eqs(f, "Makefile") || span_eqs(f, "Dockerfile");
}

static bool gcc_line(struct span line, struct results *out)
{
    struct span s = line, file;
    int64_t row = -1, col = 0;
    enum result_severity sev = RESULT_ERROR;
    struct span rule;
    take_prefix(&s, "vet: "); /* go vet, when the package does not build */
    ptrdiff_t paren = span_findc(s, '(');
    if (paren > 0 && span_has(s, "): error TS")) { /* tsc */
        file = span_sub(s, 0, (size_t)paren);
        s = span_sub(s, (size_t)paren + 1, s.n);
        row = take_number(&s);
        if (row < 0 || !take_prefix(&s, ","))
            return false;
        col = take_number(&s);
        if (!take_prefix(&s, "): error "))
            return false;
        rule = code_rule(&s);
    } else {
        if (!take_until(&s, ':', &file) || !plausible_file(file))
            return false;
        row = take_number(&s);
        if (row <= 0 || !take_prefix(&s, ":"))
            return false;
        struct span at = s;
        col = take_number(&s);
        if (col >= 0 && !span_starts(s, " - error TS") && !take_prefix(&s, ":"))
            s = at, col = 0; /* "file:3: 5 is not ..." */
        if (!s.n || s.p[0] != ' ')
            return false;
        s = span_trim(s);
        bool said = (span_starts(s, "- error TS") && take_prefix(&s, "- error ")) || severity(&s, &sev); /* tsc --pretty */
        rule = bracket_rule(&s);
        if (!rule.n)
            rule = code_rule(&s);
        if (!said && !rule.n && col <= 0)
            return false; /* "file:3: something" is as likely a log line */
        if (!said && !rule.n)
            sev = RESULT_WARNING;
    }
    if (!s.n)
        return false;
    if (sev == RESULT_NOTE && !rule.n)
        return false; /* gcc's "note:" explains the finding before it */
    if (out)
        results_add_finding(out, SPAN(""), rule, sev, file, row, col, s);
    return true;
}

static int gcc_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    while (span_line(&text, &line))
        (void)gcc_line(line, out);
    return 0;
}

static int gcc_sniff(struct span text)
{
    struct span line;
    int n = 0;
    while (span_line(&text, &line))
        n += gcc_line(line, NULL);
    return n ? 52 : 0;
}

const struct reader reader_gcc = {
    .name = "gcc",
    .summary = "file:line:col: severity: message [rule]: gcc, clang, mypy, go vet, ruff, flake8, shellcheck -f gcc, tsc",
    .lines = true,
    .sniff = gcc_sniff,
    .read = gcc_read,
};
