#define PCRE2_CODE_UNIT_WIDTH 8
#include "route/privacy.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "config/yaml.h"
#include "route/class.h"
#include "route/placeholder.h"
#include "route/secretlike.h"

#define MATCH_STEPS 10000000
#define VALUE_MOST 200
#define FINDINGS_MOST 2000 /* more is not a request with secrets in it but a heap of them: blocked */

/* --- data files --- */

struct detector {
    char *name, *match;
    char **keys;
    size_t nkeys;
    int64_t group, within;
    enum secretlike_check check;
};

struct detector_file {
    struct detector *detectors;
    size_t ndetectors;
};

struct path_file {
    char **never, **except;
    size_t nnever, nexcept;
};

static const cyaml_schema_value_t text_value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 4000) };
static const cyaml_strval_t check_names[] = { { "none", CHECK_NONE }, { "random", CHECK_RANDOM }, { "quoted", CHECK_QUOTED },
                                              { "entropy", CHECK_ENTROPY },
                                              { "made-up", CHECK_MADE_UP }, { "token", CHECK_TOKEN }, { "basic", CHECK_BASIC },
                                              { "luhn", CHECK_LUHN }, { "iban", CHECK_IBAN }, { "email", CHECK_EMAIL } };
static const cyaml_schema_field_t detector_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct detector, name, 1, 60),
    CYAML_FIELD_STRING_PTR("match", CYAML_FLAG_POINTER, struct detector, match, 1, 4000),
    CYAML_FIELD_SEQUENCE_COUNT("keys", CYAML_FLAG_POINTER, struct detector, keys, nkeys, &text_value, 0, 100),
    CYAML_FIELD_INT("group", CYAML_FLAG_OPTIONAL, struct detector, group),
    CYAML_FIELD_INT("within", CYAML_FLAG_OPTIONAL, struct detector, within),
    CYAML_FIELD_ENUM("check", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct detector, check, check_names, CYAML_ARRAY_LEN(check_names)),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t detector_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct detector, detector_fields) };
static const cyaml_schema_field_t detectors_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("detectors", CYAML_FLAG_POINTER, struct detector_file, detectors, ndetectors, &detector_value, 1, 500),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t detectors_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct detector_file, detectors_fields) };
static const cyaml_schema_field_t path_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("never", CYAML_FLAG_POINTER, struct path_file, never, nnever, &text_value, 1, 1000),
    CYAML_FIELD_SEQUENCE_COUNT("except", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct path_file, except, nexcept, &text_value, 0, 1000),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t path_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct path_file, path_fields) };

static const struct {
    const char *path;
    enum privacy_kind kind;
} sources[] = {
    { "detectors/secrets.yaml", PRIVACY_SECRET },
    { "detectors/personal.yaml", PRIVACY_PERSONAL },
    { "detectors/marks.yaml", PRIVACY_MARK },
};

struct privacy {
    const struct config_guard *guard;
    const struct config_policy *policy;
    struct detector_file *files[COUNT_OF(sources)];
    pcre2_code **codes[COUNT_OF(sources)];
    struct path_file *paths;
    pcre2_code *path_code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    struct placeholders placeholders;
};

/* Where a serialised conversation names a file: arguments of tools, headers of diffs, lines that a search found. */
static const char path_pattern[] =
    "(?:[\"'](?:path|file|filename|file_path|filepath)\\\\*[\"']\\s*:\\s*\\\\*[\"']((?:[^\"'\\\\\\r\\n]){1,300}))|"
    "(?:(?:^|\\n|\\\\n)(?:---|\\+\\+\\+|diff --git) (?:a/|b/)((?:[^\\s\"\\\\]){1,300}))|"
    "(?:(?:^|\\n|\\\\n|\")((?:[^\\s:\"'\\\\<>|(){}]){1,300}):\\d{1,7}[:-])";

static int compile(const char *pattern, const char *name, pcre2_code **out, struct err *e)
{
    int why;
    PCRE2_SIZE at;
    *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &why, &at, NULL); /* bytes, not UTF: any input */
    if (*out) {
        (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); /* where the system allows it */
        return 0;
    }
    PCRE2_UCHAR said[120];
    (void)pcre2_get_error_message(why, said, sizeof said);
    return err_set(e, ERR_USAGE, "detector '%s' is wrong at character %zu: %s", name, at, (char *)said);
}

int privacy_create(const struct config_values *values, struct privacy **out, struct err *e)
{
    AUTO(privacy) struct privacy *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "setting up the privacy guard: out of memory");
    p->guard = &values->guard;
    p->policy = &values->policy;
    p->match = pcre2_match_data_create(16, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (!p->match || !p->limits)
        return err_set(e, ERR_NOMEM, "setting up the privacy guard: out of memory");
    pcre2_set_match_limit(p->limits, MATCH_STEPS);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        struct span text = data_find(sources[i].path);
        if (yaml_load(sources[i].path, text, &detectors_schema, (void **)&p->files[i], e) < 0)
            return err_wrap(e, "setting up the privacy guard");
        p->codes[i] = calloc(p->files[i]->ndetectors, sizeof(pcre2_code *));
        if (!p->codes[i])
            return err_set(e, ERR_NOMEM, "setting up the privacy guard: out of memory");
        for (size_t d = 0; d < p->files[i]->ndetectors; d++)
            if (compile(p->files[i]->detectors[d].match, p->files[i]->detectors[d].name, &p->codes[i][d], e) < 0)
                return err_wrap(e, "%s", sources[i].path);
    }
    if (yaml_load("detectors/paths.yaml", data_find("detectors/paths.yaml"), &path_schema, (void **)&p->paths, e) < 0 ||
        compile(path_pattern, "paths", &p->path_code, e) < 0)
        return err_wrap(e, "setting up the privacy guard");
    *out = TAKE(p);
    return 0;
}

void privacy_destroy(struct privacy *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        for (size_t d = 0; p->codes[i] && d < p->files[i]->ndetectors; d++)
            pcre2_code_free(p->codes[i][d]);
        free(p->codes[i]);
        yaml_destroy(&detectors_schema, p->files[i]);
    }
    pcre2_code_free(p->path_code);
    yaml_destroy(&path_schema, p->paths);
    pcre2_match_data_free(p->match);
    pcre2_match_context_free(p->limits);
    placeholders_finish(&p->placeholders);
    free(p);
}

const char *privacy_kind_name(enum privacy_kind k)
{
    static const char *const names[] = { "secret", "personal", "mark", "path" };
    return names[k];
}

const char *privacy_action_name(enum privacy_action a)
{
    static const char *const names[] = { "send", "redacted", "ask", "block" };
    return names[a];
}

/* --- scanning --- */

struct view { /* the bytes, or the bytes read in another way (escapes undone, ...) and where each came from */
    struct span text;
    const uint32_t *at; /* NULL: as they are; else at[i] is the offset of text.p[i], at[n] the end */
};

struct scan {
    struct privacy *p;
    const struct privacy_input *in;
    struct arena *arena;
    struct privacy_finding *items;
    size_t len, cap;
    size_t decoded; /* encoded texts looked at */
    bool failed; /* out of memory, too many, or a match that could not be finished: nothing may leave */
};

static size_t offset(const struct view *v, size_t i)
{
    return v->at ? v->at[i] : i;
}

static void add_finding(struct scan *s, enum privacy_kind kind, const char *detector, size_t from, size_t to)
{
    if (s->len >= FINDINGS_MOST || !array_grow((void **)&s->items, &s->cap, s->len, 1, sizeof *s->items)) {
        s->failed = true;
        return;
    }
    s->items[s->len++] = (struct privacy_finding){ kind, detector, from, to, 0 };
}

static bool is_allowed(const struct privacy *p, struct span s)
{
    for (size_t i = 0; i < p->guard->nallow; i++)
        if (span_eqs(s, p->guard->allow[i]))
            return true;
    return span_starts(s, "[redacted:");
}

static bool has_key(struct span text, const struct detector *d)
{
    if (d->nkeys == 0)
        return true;
    for (size_t k = 0; k < d->nkeys; k++) {
        const char *key = d->keys[k];
        size_t n = strlen(key);
        char low = (char)(key[0] | ((key[0] >= 'A' && key[0] <= 'Z') ? 32 : 0));
        char up = low >= 'a' && low <= 'z' ? (char)(low & ~32) : low;
        for (int half = 0; half < (low == up ? 1 : 2); half++) {
            const char *p = text.p, *end = text.p + text.n;
            while ((p = memchr(p, half ? up : low, (size_t)(end - p)))) {
                if ((size_t)(end - p) >= n && strncasecmp(p, key, n) == 0)
                    return true;
                p++;
            }
        }
    }
    return false;
}

/* A character of a value that somebody wrote down; what is only joined to such (a path, a call) is none. */
static bool in_value(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!@#$%^&*_+.~-", c));
}

/* The pattern found a telling name: is there a value that passes within so many characters, on this line or the next? */
static void look_behind_name(struct scan *s, const struct view *v, const struct detector *d, size_t at, enum privacy_kind kind)
{
    struct span in = v->text;
    size_t most = at + (size_t)d->within < in.n ? at + (size_t)d->within : in.n;
    int lines = 0;
    for (size_t i = at; i < most && lines < 2;) {
        size_t from = i;
        while (i < in.n && i - from < VALUE_MOST && in_value(in.p[i]))
            i++;
        struct span value = span_sub(in, from, i - from);
        while (value.n && strchr(".-", value.p[value.n - 1])) /* a sentence's end */
            value.n--;
        bool alone = (from == 0 || in.p[from - 1] != '/') && (i >= in.n || !strchr("(/[", in.p[i]));
        if (from > at && alone && value.n && secretlike(d->check, value) && !is_allowed(s->p, value))
            add_finding(s, kind, d->name, offset(v, from), offset(v, from + value.n));
        lines += i == from && in.p[i] == '\n';
        i += i == from;
    }
}

static void run_detector(struct scan *s, const struct view *v, const struct detector *d, const pcre2_code *code, enum privacy_kind kind)
{
    size_t at = 0;
    while (at < v->text.n && !s->failed) {
        int rc = pcre2_match(code, (PCRE2_SPTR)v->text.p, v->text.n, at, 0, s->p->match, s->p->limits);
        if (rc == PCRE2_ERROR_NOMATCH)
            return;
        if (rc < 0) {
            s->failed = true;
            return;
        }
        const PCRE2_SIZE *o = pcre2_get_ovector_pointer(s->p->match);
        if (d->within > 0) {
            look_behind_name(s, v, d, o[1], kind);
            at = o[1] > at ? o[1] : at + 1;
            continue;
        }
        size_t g = d->group > 0 && d->group < rc ? (size_t)d->group : 0;
        size_t from = o[2 * g], to = o[2 * g + 1], end = o[1];
        if (from == PCRE2_UNSET || from >= to)
            from = o[0], to = o[1];
        struct span found = { v->text.p + from, to - from };
        bool is = secretlike(d->check, found) && !is_allowed(s->p, found);
        if (is)
            add_finding(s, kind, d->name, offset(v, from), offset(v, to));
        /* a match that was no finding may hide one that begins inside it */
        at = is ? (end > at ? end : at + 1) : (d->check == CHECK_ENTROPY ? end : from > at ? from + 1 : o[0] + 1);
    }
}

static bool path_stays(const struct privacy *p, const struct privacy_input *in, const char *path)
{
    return privacy_path(p, path) || (in->kept && in->kept(in->ctx, path));
}

static void find_paths(struct scan *s, const struct view *v)
{
    const char *last = "";
    bool last_stays = false;
    size_t at = 0;
    while (at < v->text.n) {
        int rc = pcre2_match(s->p->path_code, (PCRE2_SPTR)v->text.p, v->text.n, at, 0, s->p->match, s->p->limits);
        if (rc == PCRE2_ERROR_NOMATCH)
            return;
        if (rc < 0) {
            s->failed = true;
            return;
        }
        const PCRE2_SIZE *o = pcre2_get_ovector_pointer(s->p->match);
        int g = o[2] != PCRE2_UNSET ? 1 : o[4] != PCRE2_UNSET ? 2 : 3;
        size_t from = o[2 * g], to = o[2 * g + 1];
        char *path = arena_span(s->arena, (struct span){ v->text.p + from, to - from });
        if (path && strcmp(path, last) != 0) { /* a search names one file many times */
            last_stays = path_stays(s->p, s->in, path);
            last = path;
        }
        if (!path)
            s->failed = true;
        else if (last_stays)
            add_finding(s, PRIVACY_PATH, path, offset(v, from), offset(v, to));
        at = o[1] > at ? o[1] : at + 1;
    }
}

static void scan_view(struct scan *s, const struct view *v)
{
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        for (size_t d = 0; d < s->p->files[i]->ndetectors && !s->failed; d++)
            if (has_key(v->text, &s->p->files[i]->detectors[d]))
                run_detector(s, v, &s->p->files[i]->detectors[d], s->p->codes[i][d], sources[i].kind);
    find_paths(s, v);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* JSON's escapes undone once; each output byte remembers where it came from. */
static bool unescape(struct span in, char **text, uint32_t **at, size_t *n)
{
    *text = malloc(in.n + 1);
    *at = malloc((in.n + 1) * sizeof **at);
    if (!*text || !*at)
        return false;
    size_t out = 0;
    for (size_t i = 0; i < in.n;) {
        size_t from = i;
        char utf[4] = { in.p[i] };
        int len = 1;
        i++;
        if (utf[0] == '\\' && i < in.n) {
            static const char names[] = "nrtbf\"\\/'", values[] = "\n\r\t\b\f\"\\/'";
            const char *k = memchr(names, in.p[i], sizeof names - 1);
            if (k) {
                utf[0] = values[k - names];
                i++;
            } else if (in.p[i] == 'x' && in.n - i >= 3 && hex_digit(in.p[i + 1]) >= 0 && hex_digit(in.p[i + 2]) >= 0) {
                utf[0] = (char)(hex_digit(in.p[i + 1]) * 16 + hex_digit(in.p[i + 2]));
                i += 3;
            } else if (in.p[i] == 'u' && in.n - i >= 5) {
                uint32_t c = 0;
                bool hex = true;
                for (int d = 1; d <= 4; d++) {
                    char x = in.p[i + (size_t)d];
                    bool digit = x >= '0' && x <= '9', letter = (x | 32) >= 'a' && (x | 32) <= 'f';
                    hex &= digit || letter;
                    c = c * 16 + (uint32_t)(digit ? x - '0' : (x | 32) - 'a' + 10);
                }
                if (hex) {
                    len = c >= 0xd800 && c < 0xe000 ? utf8_encode(0xfffd, utf) : utf8_encode(c, utf);
                    i += 5;
                }
            }
        }
        for (int k = 0; k < len && out < in.n; k++) { /* an escape is never shorter than what it means */
            (*text)[out] = utf[k];
            (*at)[out++] = (uint32_t)from;
        }
    }
    (*at)[out] = (uint32_t)in.n;
    (*text)[out] = '\0';
    *n = out;
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct privacy_finding *x = a, *y = b;
    return x->from != y->from ? (x->from > y->from) - (x->from < y->from) : (x->to < y->to) - (x->to > y->to);
}

/* A view with memory of its own. */
struct own_view {
    char *text;
    uint32_t *at;
    size_t n;
};

static void own_view_auto(struct own_view *v)
{
    free(v->text);
    free(v->at);
}

static struct view view_of(const struct own_view *v)
{
    return (struct view){ { v->text, v->n }, v->at };
}

/* How many bytes at i belong together, and what one character they stand for; `*keep` false: for none. */
typedef size_t (*reader_fn)(struct span in, size_t i, char *stands, bool *keep);

/* What a terminal shows of it: without colours. */
static size_t read_colour(struct span in, size_t i, char *stands, bool *keep)
{
    *stands = in.p[i];
    if (in.p[i] != '\x1b' || i + 1 >= in.n || in.p[i + 1] != '[')
        return 1;
    size_t n = 2;
    while (i + n < in.n && strchr("0123456789;:?", in.p[i + n]) && in.p[i + n])
        n++;
    *keep = false;
    return i + n < in.n ? n + 1 : n;
}

/* Characters that nobody sees: zero width, soft hyphen, byte order mark. */
static size_t read_invisible(struct span in, size_t i, char *stands, bool *keep)
{
    static const char *const rows[] = { "\xe2\x80\x8b", "\xe2\x80\x8c", "\xe2\x80\x8d", "\xe2\x81\xa0", "\xef\xbb\xbf", "\xc2\xad" };
    *stands = in.p[i];
    for (size_t k = 0; (unsigned char)in.p[i] >= 0xc2 && k < COUNT_OF(rows); k++)
        if (span_starts(span_sub(in, i, in.n), rows[k])) {
            *keep = false;
            return strlen(rows[k]);
        }
    return 1;
}

static size_t read_percent(struct span in, size_t i, char *stands, bool *keep)
{
    (void)keep;
    *stands = in.p[i];
    if (in.p[i] != '%' || in.n - i < 3 || hex_digit(in.p[i + 1]) < 0 || hex_digit(in.p[i + 2]) < 0)
        return 1;
    *stands = (char)(hex_digit(in.p[i + 1]) * 16 + hex_digit(in.p[i + 2]));
    return 3;
}

/* base64 as it is and as in URLs */
static int sixty_four(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-'                                                                      ? 62
           : c == '/' || c == '_'                                                                      ? 63
                                                                                                       : -1;
}

#define WRAPPED_LEAST 16

/* The end of a line that a terminal or a mail program broke in the middle of a word as long as keys are. */
static size_t wrap_at(struct span in, size_t i)
{
    size_t n = in.p[i] == '\r' && i + 1 < in.n ? 2 : 1;
    if (in.p[i + n - 1] != '\n' || i < WRAPPED_LEAST)
        return 0;
    for (size_t k = i - WRAPPED_LEAST; k < i; k++)
        if (sixty_four(in.p[k]) < 0)
            return 0;
    while (i + n < in.n && n < 12 && strchr(" \t+>|", in.p[i + n]) && in.p[i + n])
        n++;
    return i + n < in.n && sixty_four(in.p[i + n]) >= 0 ? n : 0;
}

/* "a" + "b", "a" "b" on two lines, a backslash at a line's end: one string in most languages; and a word over two lines. */
static size_t read_joint(struct span in, size_t i, char *stands, bool *keep)
{
    size_t n = in.p[i] == '\n' || in.p[i] == '\r' ? wrap_at(in, i) : 0;
    if (n) {
        *keep = false;
        return n;
    }
    n = 1;
    char quote = in.p[i];
    bool plus = false;
    *stands = quote;
    if (quote == '\\' && i + 1 < in.n && in.p[i + 1] == '\n') {
        while (i + n < in.n && (in.p[i + n] == '\n' || in.p[i + n] == ' ' || in.p[i + n] == '\t'))
            n++;
        *keep = false;
        return n;
    }
    if (quote != '"' && quote != '\'' && quote != '`')
        return 1;
    while (i + n < in.n && n < 80 && strchr(" \t\r\n+.&|~\\", in.p[i + n]) && in.p[i + n]) {
        plus |= strchr("+.&|~\n", in.p[i + n]) != NULL;
        n++;
    }
    if (!plus || i + n >= in.n || in.p[i + n] != quote)
        return 1;
    *keep = false;
    return n + 1;
}

static size_t read_entity(struct span in, size_t i, char *stands, bool *keep)
{
    static const struct {
        const char *text;
        char stands;
    } rows[] = { { "&quot;", '"' }, { "&#34;", '"' }, { "&#39;", '\'' }, { "&#x27;", '\'' }, { "&apos;", '\'' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' } };
    (void)keep;
    *stands = in.p[i];
    for (size_t k = 0; in.p[i] == '&' && k < COUNT_OF(rows); k++)
        if (span_starts(span_sub(in, i, in.n), rows[k].text)) {
            *stands = rows[k].stands;
            return strlen(rows[k].text);
        }
    return 1;
}

/* The text as `reader` has it: 1, 0 where it is the same, negative without memory. */
static int rewrite(const struct view *in, reader_fn reader, struct own_view *out)
{
    bool changed = false;
    out->text = malloc(in->text.n + 1);
    out->at = malloc((in->text.n + 1) * sizeof *out->at);
    if (!out->text || !out->at)
        return -1;
    for (size_t i = 0; i < in->text.n;) {
        bool keep = true;
        char stands;
        size_t n = reader(in->text, i, &stands, &keep);
        changed |= n > 1;
        if (keep) {
            out->text[out->n] = stands;
            out->at[out->n++] = (uint32_t)offset(in, i);
        }
        i += n;
    }
    out->at[out->n] = (uint32_t)offset(in, in->text.n);
    out->text[out->n] = '\0';
    return changed;
}

/* --- what is encoded: base64, hexadecimal --- */

#define ENCODED_LEAST 12
#define ENCODED_LINE 56 /* characters after which a line's end does not end it */
#define PEEK 48         /* decoded bytes that decide whether it is text */
#define DECODED_MOST 20000 /* more encoded texts in one request are not looked at one by one: it is blocked */

static size_t decode_64(struct span in, char *out, size_t most)
{
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;
    for (size_t i = 0; i < in.n && n < most; i++) {
        int v = sixty_four(in.p[i]);
        if (v < 0)
            continue; /* a line's end */
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    return n;
}

static size_t decode_hex(struct span in, char *out, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < in.n && n < most; i += 2)
        out[n++] = (char)(hex_digit(in.p[i]) * 16 + hex_digit(in.p[i + 1]));
    return n;
}

static bool is_text(const char *p, size_t n)
{
    size_t good = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int len = utf8_decode((struct span){ p + i, n - i }, &c);
        size_t took = len > 0 ? (size_t)len : 1;
        if (len > 0 && (c >= 0x20 || c == '\n' || c == '\t' || c == '\r') && c != 0x7f)
            good += took;
        i += took;
    }
    return n >= ENCODED_LEAST * 6 / 10 && good * 20 >= n * 19;
}

#define DEPTH_MOST 2 /* base64 of base64 */

static void scan_rewritten(struct scan *s, const struct view *v, int depth);

/* What is found in the decoded text is found in all of what encodes it. */
static void scan_encoded(struct scan *s, const struct view *v, size_t from, size_t to, struct span run, int depth,
                         size_t (*decode)(struct span in, char *out, size_t most))
{
    char peek[PEEK];
    size_t n = decode(run, peek, sizeof peek), first = s->len;
    if (!is_text(peek, n))
        return;
    AUTO(ptr) char *text = malloc(run.n + 1);
    if (!text || ++s->decoded > DECODED_MOST) {
        s->failed = true;
        return;
    }
    n = decode(run, text, run.n);
    const struct view decoded = { { text, n }, NULL };
    scan_view(s, &decoded);
    scan_rewritten(s, &decoded, depth + 1);
    for (size_t i = first; i < s->len; i++) {
        s->items[i].from = offset(v, from);
        s->items[i].to = offset(v, to);
    }
}

/* Where the run of encoded characters at i ends; a long line goes on in the next. */
static size_t end_of_run(struct span in, size_t i)
{
    size_t line = 0;
    for (; i < in.n; i++) {
        if (sixty_four(in.p[i]) >= 0) {
            line++;
        } else if ((in.p[i] == '\n' || in.p[i] == '\r') && line >= ENCODED_LINE && i + 1 < in.n && (sixty_four(in.p[i + 1]) >= 0 || in.p[i + 1] == '\n')) {
            line = in.p[i] == '\r' ? line : 0;
        } else {
            break;
        }
    }
    return i;
}

static void scan_runs(struct scan *s, const struct view *v, int depth)
{
    struct span in = v->text;
    for (size_t i = 0; i < in.n && !s->failed;) {
        if (sixty_four(in.p[i]) < 0) {
            i++;
            continue;
        }
        size_t to = end_of_run(in, i), hex = 0;
        struct span run = span_sub(in, i, to - i);
        while (hex < run.n && hex_digit(run.p[hex]) >= 0)
            hex++;
        if (hex == run.n && run.n >= ENCODED_LEAST)
            scan_encoded(s, v, i, to, run, depth, decode_hex);
        for (size_t skip = 0; skip < 4 && run.n >= ENCODED_LEAST + skip; skip++) /* something may stand right before it */
            scan_encoded(s, v, i, to, span_sub(run, skip, run.n), depth, decode_64);
        i = to;
    }
}

/* --- all the ways to look at it --- */

/* Colours, percent signs and entities undone, strings put together, what is encoded decoded. */
static void scan_rewritten(struct scan *s, const struct view *v, int depth)
{
    static const struct {
        reader_fn reader;
        char sign; /* without it there is nothing to do */
    } steps[] = { { read_colour, '\x1b' }, { read_invisible, '\0' }, { read_percent, '%' }, { read_entity, '&' }, { read_joint, '\0' } };
    struct own_view made[COUNT_OF(steps)] = { { 0 } };
    struct view now = *v;
    for (size_t i = 0; i < COUNT_OF(steps) && !s->failed; i++) {
        if (steps[i].sign && !memchr(now.text.p, steps[i].sign, now.text.n))
            continue;
        int changed = rewrite(&now, steps[i].reader, &made[i]);
        if (changed < 0)
            s->failed = true;
        if (changed <= 0)
            continue;
        now = view_of(&made[i]);
        scan_view(s, &now);
    }
    if (!s->failed && depth < DEPTH_MOST)
        scan_runs(s, &now, depth);
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        own_view_auto(&made[i]);
}

/* As it is; JSON's escapes undone; undone twice, since arguments of tool calls are JSON in a JSON string. */
static void scan_all(struct scan *s, struct span bytes)
{
    struct own_view undone[2] = { { 0 } };
    struct view now = { bytes, NULL };
    scan_view(s, &now);
    for (size_t i = 0; i < COUNT_OF(undone) && !s->failed && now.text.n && memchr(now.text.p, '\\', now.text.n); i++) {
        if (!unescape(now.text, &undone[i].text, &undone[i].at, &undone[i].n)) {
            s->failed = true;
            break;
        }
        for (size_t k = 0; k <= undone[i].n; k++)
            undone[i].at[k] = (uint32_t)offset(&now, undone[i].at[k]);
        now = view_of(&undone[i]);
        scan_view(s, &now);
    }
    if (!s->failed && now.text.n)
        scan_rewritten(s, &now, 0);
    for (size_t i = 0; i < COUNT_OF(undone); i++)
        own_view_auto(&undone[i]);
}

/* --- deciding --- */

static enum config_guard_action action_for(const struct privacy *p, enum privacy_kind k)
{
    return k == PRIVACY_SECRET ? p->guard->on_secret : k == PRIVACY_PERSONAL ? p->guard->on_personal : p->guard->on_path;
}

/* A relative entry of policy.local_only_paths names files of the workspace; absolute ones name workspaces (route_local_only). */
static bool is_below(const char *entry, struct span path)
{
    size_t n = strlen(entry);
    if (*entry == '/' || *entry == '~')
        return false;
    if (span_starts(path, "./"))
        path = span_sub(path, 2, path.n);
    return path_glob(entry, path) || (path.n > n && memcmp(path.p, entry, n) == 0 && (path.p[n] == '/' || entry[n - 1] == '/'));
}

bool privacy_path(const struct privacy *p, const char *path)
{
    struct span s = span_of(path);
    for (size_t i = 0; i < p->guard->nnever_send; i++)
        if (path_glob(p->guard->never_send[i], s))
            return true;
    for (size_t i = 0; i < p->policy->nlocal_only_paths; i++)
        if (is_below(p->policy->local_only_paths[i], s))
            return true;
    for (size_t i = 0; i < p->paths->nexcept; i++)
        if (path_glob(p->paths->except[i], s))
            return false;
    for (size_t i = 0; i < p->paths->nnever; i++)
        if (path_glob(p->paths->never[i], s))
            return true;
    return false;
}

static void redact(struct span bytes, const struct scan *s, struct buf *out, size_t *redactions)
{
    size_t at = 0;
    for (size_t i = 0; i < s->len;) {
        const struct privacy_finding *f = &s->items[i++];
        size_t to = f->to;
        if (f->to <= at || f->kind == PRIVACY_PATH)
            continue;
        for (; i < s->len && (s->items[i].from < to || s->items[i].kind == PRIVACY_PATH); i++) /* overlapping ones have one mark */
            to = s->items[i].kind != PRIVACY_PATH && s->items[i].to > to ? s->items[i].to : to;
        buf_add_span(out, span_sub(bytes, at, f->from - at));
        (void)placeholder_write(&s->p->placeholders, f->detector, span_sub(bytes, f->from, to - f->from), out);
        ++*redactions;
        at = to;
    }
    buf_add_span(out, span_sub(bytes, at, bytes.n));
}

/* The views see the same thing up to three times. */
static void drop_repeated(struct scan *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++) {
        const struct privacy_finding *f = &s->items[i], *last = n ? &s->items[n - 1] : NULL;
        if (!last || f->from != last->from || f->to != last->to || strcmp(f->detector, last->detector) != 0)
            s->items[n++] = *f;
    }
    s->len = n;
}

static void number_lines(struct scan *s, struct span bytes)
{
    size_t line = 1, at = 0;
    for (size_t i = 0; i < s->len; i++) {
        for (; at < s->items[i].from && at < bytes.n; at++)
            line += bytes.p[at] == '\n';
        s->items[i].line = s->items[i].to ? line : 0;
    }
}

static int blocked(struct privacy_result *r, const char *why)
{
    r->action = PRIVACY_BLOCK;
    r->reason = why;
    return 0;
}

static enum privacy_action decide(const struct privacy *p, const struct scan *s, bool approved, const struct privacy_finding **first)
{
    enum privacy_action worst = PRIVACY_SEND;
    for (size_t i = 0; i < s->len; i++) {
        enum config_guard_action act = action_for(p, s->items[i].kind);
        bool redactable = s->items[i].kind == PRIVACY_SECRET || s->items[i].kind == PRIVACY_PERSONAL;
        enum privacy_action a = act == CONFIG_GUARD_BLOCK || (act == CONFIG_GUARD_REDACT && !redactable) ? PRIVACY_BLOCK
                                : act == CONFIG_GUARD_REDACT                                             ? PRIVACY_REDACTED
                                : approved                                                               ? PRIVACY_SEND
                                                                                                         : PRIVACY_ASK;
        if (a > worst) {
            worst = a;
            *first = &s->items[i];
        }
    }
    return worst;
}

/* Drop what a person approved, so that only the rest is redacted. */
static void keep_redactable(const struct privacy *p, struct scan *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++)
        if (action_for(p, s->items[i].kind) == CONFIG_GUARD_REDACT)
            s->items[n++] = s->items[i];
    s->len = n;
}

static void sort_findings(struct scan *s)
{
    if (s->len)
        qsort(s->items, s->len, sizeof *s->items, by_place);
    drop_repeated(s);
}

#define REDACT_ROUNDS 4

/*
 * Redact, look at what is left, and redact again what only shows then (one thing stood right behind another): into *clean. False
 * when something is left after REDACT_ROUNDS, or cannot be checked.
 */
static bool redact_all(struct privacy *p, const struct privacy_input *in, struct scan *s, struct arena *a, struct buf *clean, size_t *redactions)
{
    redact(in->bytes, s, clean, redactions);
    for (int round = 1; round < REDACT_ROUNDS && !clean->failed; round++) {
        struct scan again = { .p = p, .in = in, .arena = a };
        const struct privacy_finding *first = NULL;
        AUTO(buf) struct buf next = BUF_INIT(PRIVACY_BYTES_MOST * 2);
        scan_all(&again, buf_span(clean));
        sort_findings(&again);
        enum privacy_action left = again.failed ? PRIVACY_BLOCK : decide(p, &again, in->approved, &first);
        keep_redactable(p, &again);
        if (left == PRIVACY_REDACTED)
            redact(buf_span(clean), &again, &next, redactions);
        free(again.items);
        if (left != PRIVACY_REDACTED)
            return left == PRIVACY_SEND;
        buf_reset(clean);
        buf_add_span(clean, buf_span(&next));
        clean->failed |= next.failed;
    }
    return false;
}

static int finish(struct privacy *p, const struct privacy_input *in, struct scan *s, struct arena *a, struct buf *out,
                  struct privacy_result *r, struct err *e)
{
    const struct privacy_finding *first = NULL;
    r->action = decide(p, s, in->approved, &first);
    if (r->action == PRIVACY_BLOCK || r->action == PRIVACY_ASK) {
        const char *verb = r->action == PRIVACY_BLOCK ? "may not leave" : "leaves only if a person agrees";
        r->reason = arena_printf(a, "%s '%s' %s%s", privacy_kind_name(first->kind), first->detector, verb,
                                 s->len > 1 ? " (and more)" : "");
        return r->reason ? 0 : blocked(r, "content that may not leave");
    }
    if (r->action == PRIVACY_SEND) {
        buf_add_span(out, in->bytes);
    } else {
        AUTO(buf) struct buf clean = BUF_INIT(PRIVACY_BYTES_MOST * 2);
        keep_redactable(p, s);
        bool all = redact_all(p, in, s, a, &clean, &r->redactions);
        if (buf_check(&clean, e) < 0)
            return -(int)e->kind;
        if (!all)
            return blocked(r, "what is left after redaction still looks like a secret");
        buf_add_span(out, buf_span(&clean));
        r->reason = arena_printf(a, "%zu redacted", r->redactions);
    }
    return buf_check(out, e);
}

int privacy_check(struct privacy *p, const struct privacy_input *in, struct arena *a, struct buf *out,
                  struct privacy_result *r, struct err *e)
{
    struct scan s = { .p = p, .in = in, .arena = a };
    size_t before = out->n;
    *r = (struct privacy_result){ .reason = "" };
    if (in->bytes.n > PRIVACY_BYTES_MOST)
        return blocked(r, "the request is too large to be checked");
    for (size_t i = 0; i < in->paths.len; i++)
        if (path_stays(p, in, in->paths.items[i])) {
            char *path = arena_strdup(a, in->paths.items[i]);
            add_finding(&s, PRIVACY_PATH, path ? path : "a path", 0, 0);
        }
    scan_all(&s, in->bytes);
    sort_findings(&s);
    number_lines(&s, in->bytes);
    r->nfindings = s.len;
    r->findings = arena_array(a, s.len + 1, sizeof *r->findings);
    int ret = 0;
    if (s.failed || !r->findings)
        ret = blocked(r, "the request could not be checked whole");
    else {
        for (size_t i = 0; i < s.len; i++) {
            r->findings[i] = s.items[i];
            const char *name = arena_strdup(a, s.items[i].detector); /* the result may outlive the guard */
            r->findings[i].detector = name ? name : "?";
        }
        ret = finish(p, in, &s, a, out, r, e);
    }
    free(s.items);
    if (ret == 0 && r->action <= PRIVACY_REDACTED)
        r->hash = hash_bytes(buf_str(out) + before, out->n - before);
    else
        buf_truncate(out, before);
    return ret;
}

size_t privacy_restore(const struct privacy *p, struct span text, struct buf *out)
{
    return placeholder_restore(&p->placeholders, text, out);
}

bool privacy_sent(struct buf *out, const char *endpoint, const struct privacy_result *r, size_t bytes)
{
    buf_adds(out, "{\"endpoint\":");
    buf_add_json(out, span_of(endpoint));
    return buf_addf(out, ",\"hash\":\"%s\",\"bytes\":%zu,\"redactions\":%zu}", r->hash.s, bytes, r->redactions);
}
