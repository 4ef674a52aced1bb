#include "route/breaker.h"

#include "base/mem.h"
#include "base/num.h"

bool breaker_would_allow(const struct breaker *b, int64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED: return true;
    case BREAKER_OPEN: return now_ms >= b->until_ms;
    case BREAKER_HALF_OPEN: return !b->probe_ms || now_ms - b->probe_ms >= BREAKER_PROBE_MS;
    }
    return true;
}

bool breaker_allow(struct breaker *b, int64_t now_ms)
{
    if (!breaker_would_allow(b, now_ms))
        return false;
    if (b->state != BREAKER_CLOSED) {
        b->state = BREAKER_HALF_OPEN;
        b->probe_ms = now_ms;
    }
    return true;
}

void breaker_success(struct breaker *b)
{
    *b = (struct breaker){ .state = BREAKER_CLOSED };
}

void breaker_failure(struct breaker *b, int64_t retry_after_ms, int64_t now_ms)
{
    if (b->failures < BREAKER_FAILURES)
        b->failures++;
    if (retry_after_ms > BREAKER_RETRY_MOST_MS)
        retry_after_ms = BREAKER_RETRY_MOST_MS; /* a server must not shut itself out for ever */
    bool probe_failed = b->state == BREAKER_HALF_OPEN;
    b->probe_ms = 0;
    if (!probe_failed && b->failures < BREAKER_FAILURES && retry_after_ms <= 0)
        return;
    int64_t cool = b->cool_ms ? b->cool_ms : BREAKER_COOL_MS;
    if (probe_failed)
        cool = cool * 2 > BREAKER_MOST_MS ? BREAKER_MOST_MS : cool * 2;
    b->cool_ms = cool;
    int64_t wait = retry_after_ms > cool ? retry_after_ms : cool;
    if (b->failures < BREAKER_FAILURES && !probe_failed)
        wait = retry_after_ms; /* a polite refusal of a healthy server: as long as it asks, no longer */
    b->state = BREAKER_OPEN;
    b->until_ms = now_ms + wait;
}

const char *breaker_state_name(enum breaker_state s)
{
    return s == BREAKER_CLOSED ? "closed" : s == BREAKER_OPEN ? "open" : "half-open";
}

bool breaker_write(const struct breaker *b, struct buf *out)
{
    return buf_addf(out, "%d %d %lld %lld %lld", (int)b->state, b->failures, (long long)b->cool_ms, (long long)b->until_ms,
                    (long long)b->probe_ms);
}

int breaker_read(struct span text, struct breaker *out, struct err *e)
{
    int64_t v[5];
    size_t n = 0;
    struct span rest = text, word;
    while (n < COUNT_OF(v) && span_split(&rest, ' ', &word))
        if (parse_i64(word, 0, INT64_MAX / 4, &v[n++], e) < 0)
            return err_wrap(e, "state of a circuit breaker");
    if (n != COUNT_OF(v) || v[0] > BREAKER_HALF_OPEN || v[1] > BREAKER_FAILURES || v[2] > BREAKER_MOST_MS)
        return err_set(e, ERR_INPUT, "state of a circuit breaker: expected five numbers");
    *out = (struct breaker){ (enum breaker_state)v[0], (int)v[1], v[2], v[3], v[4] };
    return 0;
}
