/*
 * make-journal FILE EVENTS SEED: a journal with so many events of made-up but plausible sessions, through the journal's own
 * interface. Events carry the times of a frozen clock, over many weeks.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "journal/journal.h"

static uint64_t dice;
static uint32_t roll(uint32_t n)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 11) % n;
}

static int64_t now_ms, made;
static struct journal *j;
static struct err e;

static bool add(const char *session, const char *type, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool add(const char *session, const char *type, const char *fmt, ...)
{
    static struct buf b = BUF_INIT(1 << 20);
    buf_reset(&b);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    clock_freeze(now_ms, now_ms);
    made++;
    return journal_append(j, session, type, buf_span(&b), NULL, &e) == 0;
}

static const char *const classes[] = { "test", "test-repair", "refactor", "lint", "explain", "qa", "docs", "fix", "security", "debugging" };
static const char *const models[] = { "pilot", "qwen3-30b-a3b", "claude-x" };
static const char *const tools[] = { "read", "edit", "shell", "search", "list" };
static const char *const causes[] = { "gates-red", "slow", "context", "budget", "down", "loop", "strange" };

/* Steps with their tools until the attempt ends. */
static bool work(const char *s, uint32_t steps)
{
    for (uint32_t n = 1; n <= steps; n++) {
        int64_t ttft = 200 + roll(9000), duration = ttft + 500 + roll(20000) + (roll(40) == 0 ? 100000 : 0);
        now_ms += duration + roll(4);
        bool cached = roll(5) != 0;
        if (!(cached ? add(s, "step", "{\"n\":%u,\"prompt_tokens\":%u,\"cached_tokens\":%u,\"completion_tokens\":%u,\"ttft_ms\":%lld,\"duration_ms\":%lld,\"endpoint\":\"e\"}",
                           n, 2000 + n * 300, 1500 + n * 200, 20 + roll(300), (long long)ttft, (long long)duration)
                     : add(s, "step", "{\"n\":%u,\"prompt_tokens\":%u,\"cached_tokens\":null,\"completion_tokens\":%u,\"ttft_ms\":%lld,\"duration_ms\":%lld,\"endpoint\":\"e\"}",
                           n, 2000 + n * 300, 20 + roll(300), (long long)ttft, (long long)duration)))
            return false;
        if (!add(s, "text", "{\"text\":\"I look at \\\"a.c\\\" now.\"}"))
            return false;
        int64_t ms = roll(900);
        if (!add(s, "tool_call", "{\"id\":\"c%u\",\"tool\":\"read\",\"args\":{\"path\":\"a.c\"},\"step\":%u}", n, n))
            return false;
        now_ms += ms;
        if (!add(s, "tool_result", "{\"id\":\"c%u\",\"ok\":%s,\"output\":\"%0300u\",\"duration_ms\":%lld,\"truncated\":false,\"tool\":\"%s\"}", n,
                 roll(9) ? "true" : "false", n, (long long)ms, tools[roll(5)]))
            return false;
    }
    return true;
}

static bool one_task(const char *s)
{
    const char *class = classes[roll(COUNT_OF(classes))];
    uint32_t model = roll(3), escalations = 0;
    static const char *const people[] = { "ada", "grace", "linus" };
    if (!(roll(4) ? add(s, "task", "{\"text\":\"do something\",\"class\":\"%s\",\"workspace\":\"/w\",\"person\":\"%s\"}", class, people[roll(3)])
                  : add(s, "task", "{\"text\":\"do something\",\"class\":\"%s\",\"workspace\":\"/w\"}", class)) ||
        !add(s, "route", "{\"endpoint\":\"e\",\"model\":\"%s\",\"local\":%s,\"reasons\":[],\"rejected\":[]}", models[model], model == 2 ? "false" : "true") ||
        !work(s, 1 + roll(8)))
        return false;
    if (roll(25) == 0) { /* a person loses patience */
        now_ms += 1000 + roll(200000);
        return add(s, "error", "{\"code\":\"cancelled\",\"message\":\"interrupted\",\"hint\":\"\"}") &&
               add(s, "result", "{\"status\":\"failed\",\"exit\":130,\"change\":null,\"files\":0,\"lines\":0,\"applied\":false}") &&
               (roll(3) || add(s, "decision", "{\"what\":\"interrupted\",\"choice\":\"%s\"}", roll(3) ? "wrong" : "slow"));
    }
    if (roll(30) == 0)
        return true; /* killed: no result ever comes */
    bool red = roll(3) == 0;
    for (int round = 0; red && round < 3; round++) {
        now_ms += 3000;
        if (!add(s, "gate", "{\"name\":\"make test\",\"kind\":\"test\",\"verdict\":\"fail\",\"new_failures\":[\"test_a\"],\"old_failures\":[],\"duration_ms\":3000}"))
            return false;
        if (roll(4) == 0 && !add(s, "user", "{\"kind\":\"told\",\"text\":\"no, the other file\"}"))
            return false;
        if (roll(2) && !add(s, "user", "{\"kind\":\"told\",\"text\":\"Still failing:\\n$ make test\"}"))
            return false;
        if (!work(s, 1 + roll(3)))
            return false;
        red = roll(2);
    }
    if (red && roll(2)) {
        escalations = 1;
        if (!add(s, "escalate", "{\"from\":\"e\",\"to\":\"person\",\"cause\":\"%s\",\"reason\":\"x\"}", causes[roll(COUNT_OF(causes))]))
            return false;
    }
    bool answer = strcmp(class, "explain") == 0 || strcmp(class, "qa") == 0, applied = !red && !answer && roll(2);
    now_ms += 2000;
    if (!red && !add(s, "gate", "{\"name\":\"make test\",\"kind\":\"test\",\"verdict\":\"pass\",\"new_failures\":[],\"old_failures\":[\"old\"],\"duration_ms\":2000}"))
        return false;
    if (!add(s, "result", "{\"status\":\"%s\",\"exit\":%d,\"change\":\"c1\",\"files\":1,\"lines\":%u,\"escalations\":%u,\"applied\":%s}",
             answer && !red ? "unchanged" : red ? "red" : "verified", red ? 3 : 0, 1 + roll(80), escalations, applied ? "true" : "false"))
        return false;
    if (!answer && roll(2)) { /* somebody reads it, perhaps much later */
        bool reject = roll(5) == 0;
        now_ms += 60000 + roll(4000000);
        if (!add(s, "approval", "{\"what\":\"h\",\"decision\":\"%s\",\"by\":\"review\",\"change\":\"c1\",\"hunks\":2,\"approved\":2,\"rejected\":0,\"active_ms\":%u}",
                 reject ? "rejected" : "approved", 5000 + roll(90000)))
            return false;
        if (reject && roll(2) && !add(s, "decision", "{\"what\":\"review\",\"choice\":\"%s\"}", roll(2) ? "wrong" : "slow"))
            return false;
        if (!reject && !applied && !add(s, "apply", "{\"change\":\"c1\",\"files\":[\"a.c\"],\"conflicts\":[]}"))
            return false;
    }
    if (roll(40) == 0)
        return add(s, "edited", "{\"change\":\"c1\",\"lines\":3}");
    return roll(60) != 0 || add(s, "change", "{\"id\":\"c1\",\"status\":\"reverted\"}");
}

int main(int argc, char **argv)
{
    int64_t events = 0, seed = 0;
    if (argc != 4 || parse_i64(span_of(argv[2]), 1, 100000000, &events, &e) < 0 || parse_i64(span_of(argv[3]), 1, INT64_MAX, &seed, &e) < 0) {
        (void)fprintf(stderr, "usage: make-journal FILE EVENTS SEED\n");
        return 2;
    }
    dice = (uint64_t)seed;
    now_ms = 1760000000000;
    if (journal_open(argv[1], JOURNAL_CREATE, &j, &e) < 0 || journal_begin(j, &e) < 0)
        goto failed;
    int64_t committed = 0;
    while (made < events) {
        clock_freeze(now_ms, now_ms);
        struct journal_session s = { .workspace = "/w" };
        if (journal_session_start(j, &s, &e) < 0)
            goto failed;
        for (uint32_t n = 1 + roll(2); n--;) /* an interactive session may have several tasks */
            if (!one_task(s.id))
                goto failed;
        now_ms += 60000 + roll(1800000);
        if (made - committed > 20000) {
            committed = made;
            if (journal_commit(j, &e) < 0 || journal_begin(j, &e) < 0)
                goto failed;
        }
    }
    if (journal_commit(j, &e) < 0)
        goto failed;
    journal_destroy(j);
    (void)printf("%lld events\n", (long long)made);
    return 0;
failed:
    (void)fprintf(stderr, "make-journal: %s\n", e.text);
    return 1;
}
