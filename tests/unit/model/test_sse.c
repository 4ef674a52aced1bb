#include "support/test.h"

#include "base/mem.h"
#include "model/sse.h"

static int note(void *ctx, struct span name, struct span data, struct err *e)
{
    (void)e;
    buf_addf(ctx, "[%.*s|%.*s]", (int)name.n, name.p, (int)data.n, data.p);
    return span_eqs(data, "stop") ? -ERR_INPUT : 0;
}

static const struct {
    const char *name, *in, *out;
} rows[] = {
    { "plain", "data: a\n\ndata: b\n\n", "[|a][|b]" },
    { "named", "event: x\ndata: a\n\n", "[x|a]" },
    { "no space", "data:a\n\n", "[|a]" },
    { "crlf", "data: a\r\n\r\ndata: b\r\n\r\n", "[|a][|b]" },
    { "cr", "data: a\r\rdata: b\r\r", "[|a][|b]" },
    { "lines joined", "data: a\ndata: b\n\n", "[|a\nb]" },
    { "comments", ": ping\n\n: ping\n\ndata: a\n\n", "[|a]" },
    { "no blank line at the end", "data: a\n\ndata: b\n", "[|a][|b]" },
    { "no newline at the end", "data: a\n\ndata: b", "[|a][|b]" },
    { "bare object", "data: a\n\n{\"error\":1}\ndata: b\n\n", "[|a][|{\"error\":1}][|b]" },
    { "bare object behind an open event", "data: a\n{\"x\":1}\n", "[|a][|{\"x\":1}]" },
    { "byte order mark", "\xef\xbb\xbf" "data: a\n\n", "[|a]" },
    { "unknown fields", "id: 1\nretry: 2\nfoo\ndata: a\n\n", "[|a]" },
    { "event without data", "event: x\n\ndata: a\n\n", "[|a]" },
    { "empty data", "data:\n\n", "[|]" },
    { "no line between events", "data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n", "[|{\"a\":1}][|{\"b\":2}][|[DONE]]" },
    { "an object over several lines", "data: {\"a\":\ndata: {\"b\":2}\ndata: }\n\n", "[|{\"a\":\n{\"b\":2}\n}]" },
    { "nothing", "", "" },
};

static void events__come_out_whatever_the_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t step = 1; step <= 16; step++) {
            struct err e = ERR_INIT;
            struct sse s;
            AUTO(buf) struct buf out = BUF_INIT(4096);
            struct span in = span_of(rows[i].in);
            sse_init(&s, 1024, note, &out);
            for (size_t at = 0; at < in.n; at += step)
                assert_ok(sse_feed(&s, span_sub(in, at, step), &e), &e);
            assert_ok(sse_end(&s, &e), &e);
            if (strcmp(buf_str(&out), rows[i].out) != 0)
                fail_msg("%s, step %zu: %s", rows[i].name, step, buf_str(&out));
            sse_finish(&s);
        }
}

static void feed__stops_where_the_reader_says_so(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct sse s;
    AUTO(buf) struct buf out = BUF_INIT(4096);
    sse_init(&s, 1024, note, &out);
    assert_int_equal(sse_feed(&s, SPAN("data: stop\n\ndata: never\n\n"), &e), -ERR_INPUT);
    assert_string_equal(buf_str(&out), "[|stop]");
    sse_finish(&s);
}

static void feed__limits_an_event(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct sse s;
    AUTO(buf) struct buf out = BUF_INIT(4096);
    sse_init(&s, 16, note, &out);
    assert_int_equal(sse_feed(&s, SPAN("data: 0123456789012345678901234567890123456789"), &e), -ERR_LIMIT);
    sse_finish(&s);
    sse_init(&s, 16, note, &out);
    assert_int_equal(sse_feed(&s, SPAN("data: 01234567\ndata: 0123456789\n\n"), &e), -ERR_LIMIT);
    assert_contains(e.text, "16 bytes");
    sse_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events__come_out_whatever_the_split),
        cmocka_unit_test(feed__stops_where_the_reader_says_so),
        cmocka_unit_test(feed__limits_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
