/*
 * 10,000 requests, each with secrets planted where a developer's secrets stand: configuration, code, tool output, diffs, URLs, and
 * the keys of some 150 services by the forms that they document (vendor-secrets.tsv);
 * plain, serialised as JSON, and serialised twice, in percent signs, base64, hexadecimal, colours, HTML, and put together from two
 * strings. None may be in what the guard lets pass. SEED=n repeats a run.
 */
#include "route/privacy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"

#define ROUTES 10000

static uint64_t dice;

static uint32_t roll(uint32_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 11) % n;
}

static void chance(struct buf *b, const char *alphabet, size_t n)
{
    size_t len = strlen(alphabet);
    while (n--)
        buf_addc(b, alphabet[roll((uint32_t)len)]);
}

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define HEX "0123456789abcdef"

/* A secret of a known form. */
static void known_secret(struct buf *b)
{
    switch (roll(14)) {
    case 0: buf_adds(b, "AKIA"), chance(b, UPPER, 16); break;
    case 1: buf_adds(b, "gh"), chance(b, "pousr", 1), buf_addc(b, '_'), chance(b, ALNUM, 36); break;
    case 2: buf_adds(b, "glpat-"), chance(b, ALNUM "_-", 20); break;
    case 3: buf_adds(b, "xoxb-"), chance(b, "0123456789", 12), buf_addc(b, '-'), chance(b, ALNUM, 24); break;
    case 4: buf_adds(b, "sk_live_"), chance(b, ALNUM, 24); break;
    case 5: buf_adds(b, "sk-proj-"), chance(b, ALNUM "_-", 48); break;
    case 6: buf_adds(b, "AIza"), chance(b, ALNUM "_-", 35); break;
    case 7: buf_adds(b, "eyJ"), chance(b, ALNUM, 20), buf_adds(b, ".eyJ"), chance(b, ALNUM "_-", 40), buf_addc(b, '.'), chance(b, ALNUM "_-", 43); break;
    case 8: buf_adds(b, "npm_"), chance(b, ALNUM, 36); break;
    case 9: buf_adds(b, "hf_"), chance(b, ALNUM, 34); break;
    case 10: buf_adds(b, "SG."), chance(b, ALNUM "_-", 22), buf_addc(b, '.'), chance(b, ALNUM "_-", 43); break;
    case 11: buf_adds(b, "dop_v1_"), chance(b, HEX, 64); break;
    case 12: buf_adds(b, "sk-ant-api03-"), chance(b, ALNUM "_-", 60); break;
    default: buf_adds(b, "-----BEGIN PRIVATE KEY-----\n"), chance(b, ALNUM "+/", 64), buf_addc(b, '\n'), chance(b, ALNUM "+/", 64),
        buf_adds(b, "\n-----END PRIVATE KEY-----"); break;
    }
}

static const char *pick(const char *const *list, size_t n)
{
    return list[roll((uint32_t)n)];
}
#define PICK(list) pick(list, COUNT_OF(list))

/* --- the forms of vendor-secrets.tsv --- */

static struct buf forms = { 0 };
static struct span form_rows[400];
static size_t nforms;

static int read_forms(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    buf_init(&forms, 1 << 20);
    if (file_read(FORMS_FILE, 1 << 20, &forms, &e) < 0) {
        print_error("%s\n", e.text);
        return -1;
    }
    struct span rest = buf_span(&forms), line;
    while (span_line(&rest, &line) && nforms < COUNT_OF(form_rows))
        if (line.n && line.p[0] != '#')
            form_rows[nforms++] = line;
    return nforms > 100 ? 0 : -1;
}

static int drop_forms(void **state)
{
    (void)state;
    buf_finish(&forms);
    return 0;
}

static void uuid(struct buf *b)
{
    static const int parts[] = { 8, 4, 4, 4, 12 };
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (i)
            buf_addc(b, '-');
        chance(b, HEX, (size_t)parts[i]);
    }
}

/* <a36> and the like by chance, \n a line's end; all else as it stands. */
static void write_form(struct span form, struct buf *b)
{
    static const char kinds[] = "ahuldLbB";
    static const char *const alphabets[] = { ALNUM, HEX, UPPER, "abcdefghijklmnopqrstuvwxyz0123456789", "123456789",
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", ALNUM "-_", ALNUM "+/" };
    for (size_t i = 0; i < form.n; i++) {
        const char *kind = form.p[i] == '<' && i + 2 < form.n ? strchr(kinds, form.p[i + 1]) : NULL;
        size_t n = 0, k = i + 2;
        while (kind && k < form.n && form.p[k] >= '0' && form.p[k] <= '9')
            n = n * 10 + (size_t)(form.p[k++] - '0');
        if (kind && n && k < form.n && form.p[k] == '>') {
            chance(b, alphabets[kind - kinds], n);
            i = k;
        } else if (span_starts(span_sub(form, i, form.n), "<U>")) {
            uuid(b);
            i += 2;
        } else if (span_starts(span_sub(form, i, form.n), "\\n")) {
            buf_addc(b, '\n');
            i++;
        } else {
            buf_addc(b, form.p[i]);
        }
    }
}

static void place_vendor(size_t row, struct buf *text, struct buf *secret)
{
    struct span rest = form_rows[row], before, body;
    span_split(&rest, '\t', &before);
    span_split(&rest, '\t', &body);
    write_form(body, secret);
    write_form(before, text);
    buf_add_span(text, buf_span(secret));
    write_form(rest, text);
    buf_addc(text, '\n');
}

/* A secret that only its place gives away; `text` is what stands around it. */
static void place(struct buf *text, struct buf *secret)
{
    static const char *const names[] = { "password", "DB_PASSWORD", "api_key", "apiKey", "SECRET_KEY", "client_secret", "access_token",
                                         "AUTH_TOKEN", "private_key", "db.passwd", "signing-key", "Passphrase", "aws_secret_access_key" };
    static const char *const around[][2] = { { " = \"", "\"\n" }, { "=", "\n" }, { ": ", "\n" }, { "': '", "',\n" }, { "\": \"", "\"}\n" },
                                             { " := `", "`\n" }, { "=", "&x=1\n" }, { " => '", "'\n" }, { ": '", "'\n" } };
    if (roll(3) == 0) {
        place_vendor(roll((uint32_t)nforms), text, secret);
        return;
    }
    if (roll(3)) {
        known_secret(secret);
        static const char *const before[] = { "token ", "", "key=", "curl -H 'X: ", "// ", "+", "  - ", "\"", "export T=" };
        static const char *const after[] = { "\n", " ", "'", "\"", ";", ",\n", "\t" };
        if (roll(6) == 0 && !memchr(secret->p, '\n', secret->n)) { /* "first" + "second" */
            size_t half = secret->n / 2;
            buf_addf(text, "x = \"%.*s\"%s\"%s\"\n", (int)half, secret->p, roll(2) ? " + " : "\n    ", secret->p + half);
            return;
        }
        buf_adds(text, PICK(before));
        buf_add_span(text, buf_span(secret));
        buf_adds(text, PICK(after));
        return;
    }
    size_t n = 10 + roll(30), how = roll(COUNT_OF(around));
    chance(secret, "ABCDEFGHJKLMNPQRSTUVWXYZ", 2);
    chance(secret, "0123456789", 2);
    chance(secret, ALNUM "_-+/.!", n);
    chance(secret, ALNUM, 1);
    if (roll(8) == 0) {
        buf_addf(text, "postgres://app:");
        for (size_t i = 0; i < secret->n; i++) /* it would have to be escaped in a URL */
            secret->p[i] = secret->p[i] == '/' ? 'x' : secret->p[i];
        buf_add_span(text, buf_span(secret));
        buf_adds(text, "@db.internal/x\n");
        return;
    }
    buf_addf(text, "%s%s", PICK(names), around[how][0]);
    buf_add_span(text, buf_span(secret));
    buf_adds(text, around[how][1]);
}

static void filler(struct buf *b)
{
    static const char *const lines[] = {
        "int main(void)\n{\n    return parse(argv[1]);\n}\n", "def total(items):\n    return sum(i.price for i in items)\n",
        "FAILED tests/test_a.py::test_x - assert 3 == 4\n", "diff --git a/src/a.c b/src/a.c\n@@ -1,3 +1,4 @@\n-old\n+new\n",
        "The quick brown fox\tjumps \"over\" the lazy dog.\\n\n", "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad\n",
        "const tokens = lexer.tokens(input); // \xc3\xbc\n", "server: nginx\nlisten: 8080\n", "[exit 1]\n", "C:\\new\\table\\users\n",
    };
    for (uint32_t n = roll(6); n--;)
        buf_adds(b, PICK(lines));
}

enum form { PLAIN, JSON_ONCE, JSON_TWICE, PERCENT, BASE64, HEXADECIMAL, COLOURS, ENTITIES, FORMS };

static void base64(struct span in, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < in.n; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < in.n ? (unsigned char)in.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buf_addc(out, i + k > in.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
    }
}

static void encode(struct span in, enum form how, struct buf *out)
{
    if (how == BASE64) {
        base64(in, out);
        return;
    }
    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        if (how == HEXADECIMAL)
            buf_addf(out, "%02x", c);
        else if (how == PERCENT && !strchr(ALNUM "-_.~", c))
            buf_addf(out, "%%%02X", c);
        else if (how == ENTITIES && strchr("\"'<>&", c))
            buf_adds(out, c == '"' ? "&quot;" : c == '\'' ? "&#39;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;");
        else
            buf_addc(out, (char)c);
    }
}

/* As the request carries it: plain, in JSON, JSON in JSON (arguments of a tool call), or encoded in some way. */
static void serialise(const struct buf *text, enum form how, struct buf *out)
{
    if (how == PLAIN) {
        buf_add_span(out, buf_span(text));
        return;
    }
    if (how == COLOURS) {
        struct span rest = buf_span(text), word;
        while (span_split(&rest, ' ', &word))
            buf_addf(out, "\x1b[1;3%um%.*s\x1b[0m ", roll(8), (int)word.n, word.p);
        return;
    }
    if (how > JSON_TWICE) {
        encode(buf_span(text), how, out);
        return;
    }
    AUTO(buf) struct buf inner = BUF_INIT(1 << 20);
    if (how == JSON_TWICE) {
        buf_adds(&inner, "{\"content\":");
        buf_add_json(&inner, buf_span(text));
        buf_addc(&inner, '}');
    } else {
        buf_add_span(&inner, buf_span(text));
    }
    buf_adds(out, "{\"messages\":[{\"role\":\"user\",\"content\":");
    buf_add_json(out, buf_span(&inner));
    buf_adds(out, "}]}");
}

static bool holds(struct span out, struct span secret, enum form how, struct span body)
{
    if (how == BASE64 || how == HEXADECIMAL) /* a longer text has no form of its own in it */
        return out.n >= body.n && memcmp(out.p, body.p, body.n) == 0;
    AUTO(buf) struct buf encoded = BUF_INIT(1 << 20);
    encode(secret, how, &encoded);
    if (span_find(out, buf_span(&encoded)) >= 0)
        return true;

    AUTO(buf) struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
    buf_add_json(&once, secret);
    struct span inner = span_sub(buf_span(&once), 1, once.n - 2);
    buf_add_json(&twice, inner);
    return span_find(out, secret) >= 0 || span_find(out, inner) >= 0 || span_find(out, span_sub(buf_span(&twice), 1, twice.n - 2)) >= 0;
}

static void guard__lets_no_planted_secret_pass(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    int64_t seed = 20261123;
    if (getenv("SEED") && parse_i64(span_of(getenv("SEED")), 1, INT64_MAX, &seed, &e) < 0)
        fail_msg("SEED: %s", e.text);
    dice = (uint64_t)seed;
    int leaks = 0, passed = 0, blocked = 0, redacted = 0;
    static const enum config_guard_action actions[] = { CONFIG_GUARD_BLOCK, CONFIG_GUARD_REDACT, CONFIG_GUARD_REDACT, CONFIG_GUARD_ASK };
    struct config_values values[COUNT_OF(actions)];
    struct privacy *p[COUNT_OF(actions)];
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        values[i] = (struct config_values){ .guard = { .on_secret = actions[i], .on_personal = CONFIG_GUARD_REDACT } };
        if (privacy_create(&values[i], &p[i], &e) < 0)
            fail_msg("%s", e.text);
    }
    for (int n = 0; n < ROUTES; n++) {
        AUTO(arena) struct arena a = ARENA_INIT(4 << 20);
        AUTO(buf) struct buf text = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
        struct buf secrets[3] = { BUF_INIT(4096), BUF_INIT(4096), BUF_INIT(4096) };
        uint32_t planted = roll(4);
        enum form how = (enum form)roll(FORMS);
        filler(&text);
        for (uint32_t i = 0; i < planted; i++) {
            place(&text, &secrets[i]);
            filler(&text);
        }
        serialise(&text, how, &body);
        struct privacy_input in = { .bytes = buf_span(&body) };
        struct privacy_result r;
        if (privacy_check(p[roll(COUNT_OF(actions))], &in, &a, &out, &r, &e) < 0)
            fail_msg("%s", e.text);
        blocked += r.action >= PRIVACY_ASK;
        redacted += r.action == PRIVACY_REDACTED;
        passed += r.action == PRIVACY_SEND;
        if (r.action >= PRIVACY_ASK)
            assert_int_equal(out.n, 0);
        for (uint32_t i = 0; i < planted; i++) {
            if (r.action <= PRIVACY_REDACTED && holds(buf_span(&out), buf_span(&secrets[i]), how, buf_span(&body))) {
                leaks++;
                print_message("route %d, form %u: leaked %s\n   in: %.300s\n", n, how, buf_str(&secrets[i]), buf_str(&text));
            }
        }
        for (int i = 0; i < 3; i++)
            buf_finish(&secrets[i]);
    }
    for (size_t i = 0; i < COUNT_OF(actions); i++)
        privacy_destroy(p[i]);
    print_message("%d routes: %d passed, %d redacted, %d blocked or asked, %d leaks (seed %lld)\n", ROUTES, passed, redacted, blocked, leaks,
                  (long long)seed);
    assert_int_equal(leaks, 0);
    assert_true(passed > ROUTES / 10);   /* requests without secrets get through */
    assert_true(redacted > ROUTES / 10); /* and redaction really happens */
}

/* Each form by itself, in a message: nothing beside it could give it away. */
static void guard__knows_the_keys_of_every_vendor(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct config_values values = { .guard = { .on_secret = CONFIG_GUARD_BLOCK, .on_personal = CONFIG_GUARD_REDACT } };
    AUTO(privacy) struct privacy *p = NULL;
    int leaks = 0;
    dice = 20261128;
    if (privacy_create(&values, &p, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < nforms * 4; i++) {
        AUTO(arena) struct arena a = ARENA_INIT(4 << 20);
        AUTO(buf) struct buf text = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20), secret = BUF_INIT(4096);
        struct privacy_result r;
        place_vendor(i % nforms, &text, &secret);
        serialise(&text, i / nforms % 2 ? JSON_ONCE : PLAIN, &body);
        const struct privacy_input in = { .bytes = buf_span(&body) };
        if (privacy_check(p, &in, &a, &out, &r, &e) < 0)
            fail_msg("%s", e.text);
        if (r.action != PRIVACY_BLOCK) {
            leaks++;
            print_message("not seen: %s", buf_str(&text));
        }
    }
    assert_int_equal(leaks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guard__knows_the_keys_of_every_vendor),
        cmocka_unit_test(guard__lets_no_planted_secret_pass),
    };
    return cmocka_run_group_tests(tests, read_forms, drop_forms);
}
