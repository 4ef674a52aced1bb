/*
 * meson test:  " 1/12 proj:unit / name        OK              0.01s"
 *              " 2/12 name                    FAIL            0.02s   exit status 1"
 * Results: OK, FAIL, SKIP, EXPECTEDFAIL, UNEXPECTEDPASS, TIMEOUT, ERROR, INTERRUPT (mtest.py TestResult).
 */
#include "verify/reader-internal.h"

static const struct {
    const char *word;
    enum test_status status;
} verdicts[] = {
    { "OK", TEST_PASS },    { "FAIL", TEST_FAIL },          { "SKIP", TEST_SKIP },  { "EXPECTEDFAIL", TEST_SKIP },
    { "TIMEOUT", TEST_FAIL }, { "UNEXPECTEDPASS", TEST_FAIL }, { "ERROR", TEST_FAIL }, { "INTERRUPT", TEST_FAIL },
};

static bool meson_line(struct span line, struct span *name, enum test_status *status, struct span *rest)
{
    struct span s = span_trim(line);
    if (take_number(&s) < 0 || !take_prefix(&s, "/") || take_number(&s) < 0 || !s.n || s.p[0] != ' ')
        return false;
    s = span_trim(s);
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        char word[24];
        snprintf(word, sizeof word, " %s ", verdicts[i].word);
        ptrdiff_t at = span_rfind(s, word);
        if (at <= 0)
            continue;
        struct span after = span_trim(span_sub(s, (size_t)at + strlen(word), s.n));
        struct span time = after;
        if (take_number(&time) < 0 || !take_prefix(&time, "."))
            continue; /* the word was part of a name */
        *name = span_trim(span_sub(s, 0, (size_t)at));
        *status = verdicts[i].status;
        *rest = after;
        return name->n > 0;
    }
    return false;
}

static int meson_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, name, rest;
    enum test_status s;
    while (span_line(&text, &line))
        if (meson_line(line, &name, &s, &rest))
            results_add_test(out, SPAN(""), name, s, SPAN(""), 0, s == TEST_PASS ? SPAN("") : rest);
    return 0;
}

static int meson_sniff(struct span text)
{
    struct span line, name, rest;
    enum test_status s;
    bool summary = span_has(text, "Ok:  ") && span_has(text, "Fail:  ");
    while (span_line(&text, &line))
        if (meson_line(line, &name, &s, &rest))
            return summary ? 92 : 60;
    return 0;
}

const struct reader reader_meson = {
    .name = "meson",
    .summary = "meson test's console output",
    .lines = true,
    .sniff = meson_sniff,
    .read = meson_read,
};
