/* load.c - see load.h. */
#include "inference/engine/load.h"

#include <dlfcn.h>
#include <ggml-backend.h>
#include <llama.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define LOG_MODULE "engine"
#include "base/log.h"
#include "base/mem.h"

static const char *const kv_names[] = { "f16", "q8_0", "q5_1", "q4_0", "iq4_nl", "f32", "bf16" };
static const enum ggml_type kv_types[] = { GGML_TYPE_F16,    GGML_TYPE_Q8_0, GGML_TYPE_Q5_1, GGML_TYPE_Q4_0,
                                           GGML_TYPE_IQ4_NL, GGML_TYPE_F32,  GGML_TYPE_BF16 };
_Static_assert(COUNT_OF(kv_names) == WORKER_KV_TYPES, "one name a type");
_Static_assert(COUNT_OF(kv_types) == WORKER_KV_TYPES, "one type a type");

int worker_kv_parse(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(kv_names); i++)
        if (span_eqs(name, kv_names[i]))
            return (int)i;
    return -1;
}

const char *worker_kv_name(enum worker_kv type)
{
    return kv_names[type];
}

/* llama.cpp's first complaint while loading: the reason that its NULL does not carry; the later ones repeat it. */
static char first_complaint[240];

static atomic_bool abort_expected;

void load_expect_abort(bool expected)
{
    atomic_store(&abort_expected, expected);
}

static void on_llama_log(enum ggml_log_level level, const char *text, void *arg)
{
    static enum ggml_log_level last = GGML_LOG_LEVEL_INFO;
    (void)arg;
    if (level != GGML_LOG_LEVEL_CONT)
        last = level;
    size_t n = strcspn(text, "\n");
    if (n == 0)
        return;
    if (last == GGML_LOG_LEVEL_ERROR && !atomic_load(&abort_expected)) {
        log_warn("llama.cpp: %.*s", (int)n, text);
        if (!first_complaint[0])
            (void)snprintf(first_complaint, sizeof first_complaint, "%.*s", (int)n, text);
    } else if (last == GGML_LOG_LEVEL_WARN) {
        log_info("llama.cpp: %.*s", (int)n, text);
    } else {
        log_debug("llama.cpp: %.*s", (int)n, text);
    }
}

/* The CPU variants lie beside libggml: find them there, wherever that is. */
static void load_backends(void)
{
    Dl_info info;
    char dir[4096];
    if (!dladdr((const void *)(uintptr_t)ggml_backend_load_all_from_path, &info) || !info.dli_fname)
        return;
    const char *slash = strrchr(info.dli_fname, '/');
    if (!slash || (size_t)(slash - info.dli_fname) >= sizeof dir)
        return;
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - info.dli_fname), info.dli_fname);
    ggml_backend_load_all_from_path(dir);
    if (ggml_backend_dev_count() == 0)
        ggml_backend_load_all(); /* a distribution's own directory */
}

int load_model(const struct worker_options *o, const struct load_params *params, struct llama_model **out, struct err *e)
{
    llama_log_set(on_llama_log, NULL);
    load_backends();
    llama_backend_init();
    if (ggml_backend_dev_count() == 0) {
        (void)err_set(e, ERR_UNSUPPORTED, "llama.cpp found no backend that runs on this processor");
        err_hint(e, "the libggml-cpu-*.so files must lie beside libggml.so");
        return -e->kind;
    }
    struct llama_model_params p = llama_model_default_params();
    p.n_gpu_layers = o->gpu_layers;
    p.use_extra_bufts = o->repack;
    p.no_alloc = params->no_alloc;
    if (params->no_alloc)
        p.load_mode = LLAMA_LOAD_MODE_NONE;
    else if (o->mlock)
        p.load_mode = LLAMA_LOAD_MODE_MMAP_MLOCK;
    p.progress_callback = params->progress;
    p.progress_callback_user_data = params->ctx;
    first_complaint[0] = 0;
    *out = llama_model_load_from_file(o->model, p);
    if (!*out) {
        (void)err_set(e, ERR_INPUT, "cannot load the model '%s': %s", o->model,
                      first_complaint[0] ? first_complaint : "llama.cpp gives no reason");
        err_hint(e, "`stead fit FILE` says what is in the file and what it needs");
        return -e->kind;
    }
    return 0;
}

int load_context(struct llama_model *model, const struct worker_options *o, bool (*abort)(void *ctx), void *ctx,
                 struct llama_context **out, struct err *e)
{
    int32_t ctx_tokens = o->ctx_tokens;
    if (ctx_tokens <= 0) {
        ctx_tokens = llama_model_n_ctx_train(model);
        if (ctx_tokens <= 0 || ctx_tokens > WORKER_CTX_DEFAULT)
            ctx_tokens = WORKER_CTX_DEFAULT;
    }
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)ctx_tokens * (uint32_t)o->slots;
    p.n_seq_max = (uint32_t)o->slots;
    p.n_batch = p.n_ubatch = (uint32_t)o->batch;
    /* Only the last token of each sequence is sampled from: reserving logits for a whole batch, the default,
     * takes 300 MB more with a vocabulary of 150,000. */
    p.n_outputs_max = o->all_outputs ? 0 : (uint32_t)o->slots;
    p.n_threads = p.n_threads_batch = o->threads;
    p.type_k = kv_types[o->type_k];
    p.type_v = kv_types[o->type_v];
    p.offload_kqv = true;
    p.kv_unified = o->unified;
    p.swa_full = false;
    p.no_perf = true;
    p.abort_callback = abort;
    p.abort_callback_data = ctx;
    first_complaint[0] = 0;
    struct llama_context *made = llama_init_from_model(model, p);
    if (!made) {
        (void)err_set(e, ERR_UNAVAILABLE, "cannot make a context of %d x %d tokens for '%s': %s", o->slots, ctx_tokens,
                      o->model, first_complaint[0] ? first_complaint : "llama.cpp gives no reason");
        err_hint(e, "ask for a smaller context or fewer slots");
        return -e->kind;
    }
    *out = made;
    return 0;
}
