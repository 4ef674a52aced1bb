/*
 * The fit formulas against llama.cpp itself: for files that are made here, the engine loads each for real,
 * and what llama.cpp logs of its buffers is compared. KV within 0.1 %, the total within 3 %; also the closed
 * formulas alone (no measurement), within 20 %.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "base/proc.h"
#include "gguf-make.h"
#include "inference/fit.h"
#include "inference/isa.h"
#include "inference/locate.h"

struct row {
    const char *name;
    struct gguf_make m;
    int64_t ctx;
    int slots, ubatch;
    enum fit_kv k, v;
    bool unified;
};

#define SMALL .embd = 512, .heads = 8, .kv_heads = 2, .head_dim = 64, .ff = 1536, .vocab = 8000, .ctx = 131072, .seed = 7
#define DENSE { .arch = "llama", .layers = 8, SMALL, .type = "q8_0" }
#define DENSE_Q4 { .arch = "llama", .layers = 8, SMALL, .type = "q4_k" }
#define QWEN { .arch = "qwen3", .layers = 6, SMALL, .type = "q4_0" }
#define WINDOW { .arch = "gemma3", .layers = 12, SMALL, .type = "q8_0", .window = 512 }
#define HYBRID { .arch = "qwen35", .layers = 8, SMALL, .type = "q8_0", .state = 64, .groups = 4, .dt_rank = 8, .conv = 4 }
#define LIGHTNING { .arch = "minimax-01", .layers = 8, SMALL, .type = "q8_0" }
#define LATENT { .arch = "deepseek2", .layers = 6, .embd = 512, .heads = 8, .kv_heads = 1, .head_dim = 96, .ff = 1024, \
                 .vocab = 8000, .ctx = 131072, .seed = 7, .type = "f16", .lora_kv = 128, .rope_dim = 32 }

static const struct row rows[] = {
    { "dense 1k", DENSE, 1024, 1, 512, FIT_F16, FIT_F16, false },
    { "dense 5000, rounded up", DENSE, 5000, 1, 512, FIT_F16, FIT_F16, false },
    { "dense 32k, 4 slots", DENSE, 32768, 4, 512, FIT_F16, FIT_F16, false },
    { "dense 32k, 4 slots, one cache", DENSE, 8192, 4, 512, FIT_F16, FIT_F16, true },
    { "dense 5000, 7 slots, one cache", DENSE, 5000, 7, 512, FIT_F16, FIT_F16, true },
    { "dense q8_0 cache", DENSE_Q4, 16384, 2, 512, FIT_Q8_0, FIT_Q8_0, false },
    { "dense q4_0 keys", DENSE_Q4, 16384, 1, 512, FIT_Q4_0, FIT_F16, false },
    { "dense small batch", DENSE, 8192, 1, 128, FIT_F16, FIT_F16, false },
    { "qwen3, repacked", QWEN, 8192, 1, 512, FIT_F16, FIT_F16, false },
    { "window 1k", WINDOW, 1024, 1, 512, FIT_F16, FIT_F16, false },
    { "window 32k", WINDOW, 32768, 1, 512, FIT_F16, FIT_F16, false },
    { "window 32k, 3 slots", WINDOW, 32768, 3, 512, FIT_F16, FIT_F16, false },
    { "window 8k, 2 slots, one cache", WINDOW, 8192, 2, 256, FIT_Q8_0, FIT_Q8_0, true },
    { "hybrid 8k", HYBRID, 8192, 1, 512, FIT_F16, FIT_F16, false },
    { "hybrid 32k, 3 slots", HYBRID, 32768, 3, 512, FIT_F16, FIT_F16, false },
    { "lightning 8k", LIGHTNING, 8192, 1, 512, FIT_F16, FIT_F16, false },
    { "lightning 4k, 4 slots", LIGHTNING, 4096, 4, 1024, FIT_F16, FIT_F16, false },
    { "lightning 4k, 2 slots, one cache", LIGHTNING, 4096, 2, 512, FIT_Q8_0, FIT_F16, true },
    { "latent 8k", LATENT, 8192, 1, 512, FIT_F16, FIT_F16, false },
    { "latent 32k, 2 slots", LATENT, 32768, 2, 512, FIT_Q8_0, FIT_Q8_0, false },
};

struct logged {
    double model, kv, recurrent, compute, output;
};

/* The number before " MiB" of every line with `what`, added up. */
static double sum_mib(struct span log, const char *what)
{
    double sum = 0;
    struct span line;
    while (span_line(&log, &line)) {
        ptrdiff_t at = span_find(line, span_of(what));
        if (at < 0)
            continue;
        struct span rest = span_sub(line, (size_t)at + strlen(what), line.n);
        rest = span_trim(rest);
        if (span_starts(rest, "="))
            rest = span_trim(span_sub(rest, 1, rest.n));
        ptrdiff_t end = span_findc(rest, ' ');
        struct err e = ERR_INIT;
        double v = 0;
        if (end > 0 && parse_f64(span_sub(rest, 0, (size_t)end), 0, 1e12, &v, &e) == 0)
            sum += v;
    }
    return sum * 1048576.0;
}

static void on_wait(void *ctx)
{
    *(bool *)ctx = true;
}

/* Load for real with the engine, wait until it is ready, end it; what llama.cpp said of its buffers. */
static void load_really(struct loop *loop, const char *dir, const char *model, const struct row *r, struct logged *out)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *program = engine_program(&e);
    assert_non_null(program);
    char ctx[24], slots[24], batch[24], sock[256], log[256];
    (void)snprintf(ctx, sizeof ctx, "%lld", (long long)r->ctx);
    (void)snprintf(slots, sizeof slots, "%d", r->slots);
    (void)snprintf(batch, sizeof batch, "%d", r->ubatch);
    (void)snprintf(sock, sizeof sock, "%s/s", dir);
    (void)snprintf(log, sizeof log, "%s/log", dir);
    (void)unlink(log);
    const char *argv[] = { program, "--model", model, "--socket", sock, "--ctx", ctx, "--slots", slots, "--batch", batch,
                           "--kv-k", fit_kv_name(r->k), "--kv-v", fit_kv_name(r->v), r->unified ? "--unified" : "--split",
                           "--log", log, "-vv", NULL };
    static const char *const env[] = { "LC_ALL=C.UTF-8", NULL };
    struct proc_spec spec = { .argv = argv, .env = env, .die_with_parent = true, .err = PROC_INHERIT };
    struct proc *p;
    assert_int_equal(proc_start(loop, &spec, &p, &e), 0);
    AUTO(buf) struct buf text = BUF_INIT(16u << 20);
    int64_t end = clock_ms() + 60000;
    while (clock_ms() < end) {
        buf_reset(&text);
        if (file_read(log, 8u << 20, &text, &e) == 0 && strstr(buf_str(&text), "info engine ready in"))
            break;
        assert_true(proc_running(p));
        bool over = false;
        assert_non_null(loop_timer(loop, 20, false, on_wait, &over));
        assert_int_equal(loop_wait(loop, &over, 0, NULL, &e), 0);
    }
    proc_kill(p, SIGTERM);
    int status;
    assert_int_equal(proc_wait(p, clock_ms() + 10000, NULL, &status, &e), 0);
    proc_destroy(p);
    struct span log_text = buf_span(&text);
    *out = (struct logged){ sum_mib(log_text, "model buffer size"), sum_mib(log_text, "KV buffer size"),
                            sum_mib(log_text, "RS buffer size"), sum_mib(log_text, "compute buffer size"),
                            sum_mib(log_text, "output buffer size") };
}

static double off(double got, double want)
{
    return want > 0 ? fabs(got - want) / want * 100 : got > 0 ? 100 : 0;
}

static void fit__agrees_with_llama_cpp(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(ptr) char *program = engine_program(&e);
    if (!program) {
        print_message("skipped: %s\n", e.text);
        skip();
    }
    char dir[] = "/tmp/stead-fit-XXXXXX", model[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(model, sizeof model, "%s/m.gguf", dir);
    AUTO(loop) struct loop *loop = NULL;
    assert_int_equal(loop_create(&loop, &e), 0);
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        AUTO(shape) struct shape s = { .layers = 0 };
        assert_int_equal(gguf_make(&r->m, model, &e), 0);
        assert_int_equal(shape_read(model, isa_read(), &s, &e), 0);
        struct fit_how how = FIT_HOW;
        how.slots = r->slots, how.ubatch = r->ubatch, how.type_k = r->k, how.type_v = r->v, how.unified = r->unified;
        struct fit_memory closed, m;
        fit_memory(&s, r->ctx, &how, &closed);
        m = closed;
        if (fit_measure(loop, model, r->ctx, &how, NULL, &m, &e) < 0)
            fail_msg("%s: %s", r->name, e.text);
        struct logged l = { 0 };
        load_really(loop, dir, model, r, &l);
        double want = l.model + l.kv + l.recurrent + l.compute + l.output;
        /* the log has two decimals of a MiB: 0.005 MiB a line */
        bool kv_ok = fabs((double)(closed.kv + closed.recurrent) - l.kv - l.recurrent) <= 0.001 * (l.kv + l.recurrent) + 3 * 5243;
        bool total_ok = off((double)m.total, want) <= 3, closed_ok = off((double)closed.total, want) <= 20;
        print_message("%-32s kv %9.2f / %9.2f MiB  total %9.2f / %9.2f MiB (%.2f %%), by formulas alone %9.2f (%.1f %%) compute %.2f / %.2f / %.2f%s\n",
                      r->name, (double)(closed.kv + closed.recurrent) / 1048576, (l.kv + l.recurrent) / 1048576,
                      (double)m.total / 1048576, want / 1048576, off((double)m.total, want), (double)closed.total / 1048576,
                      off((double)closed.total, want), (double)closed.compute / 1048576, (double)m.compute / 1048576,
                      l.compute / 1048576, kv_ok && total_ok && closed_ok ? "" : "  <- off");
        failed += !(kv_ok && total_ok && closed_ok);
    }
    (void)path_remove_tree(-100 /* AT_FDCWD */, dir, &e);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(fit__agrees_with_llama_cpp) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
