#include "verify/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#define REGEX_LINE_BYTES 4000u
#define REGEX_STEPS 100000u /* a pattern of data/rules needs a few hundred on a line */

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

int regex_compile(const char *pattern, struct regex **out, struct err *e)
{
    int code;
    PCRE2_SIZE at;
    struct regex *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "pattern '%s': out of memory", pattern);
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_NO_UTF_CHECK, &code, &at, NULL);
    if (!r->code) {
        PCRE2_UCHAR text[120];
        pcre2_get_error_message(code, text, sizeof text);
        free(r);
        return err_set(e, ERR_INPUT, "pattern '%.200s': %s at %zu", pattern, (const char *)text, (size_t)at);
    }
    r->data = pcre2_match_data_create_from_pattern(r->code, NULL);
    r->limits = pcre2_match_context_create(NULL);
    if (!r->data || !r->limits) {
        regex_destroy(r);
        return err_set(e, ERR_NOMEM, "pattern '%s': out of memory", pattern);
    }
    pcre2_set_match_limit(r->limits, REGEX_STEPS);
    *out = r;
    return 0;
}

void regex_destroy(struct regex *r)
{
    if (!r)
        return;
    pcre2_match_context_free(r->limits);
    pcre2_match_data_free(r->data);
    pcre2_code_free(r->code);
    free(r);
}

bool regex_match(const struct regex *r, struct span line, int n, struct span *group)
{
    if (line.n > REGEX_LINE_BYTES)
        line.n = REGEX_LINE_BYTES;
    int count = pcre2_match(r->code, (PCRE2_SPTR)(line.p ? line.p : ""), line.n, 0, 0, r->data, r->limits);
    if (count <= 0)
        return false;
    if (group) {
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(r->data);
        *group = (struct span){ "", 0 };
        if (n < count && v[2 * n] != PCRE2_UNSET)
            *group = span_sub(line, v[2 * n], v[2 * n + 1] - v[2 * n]);
    }
    return true;
}
