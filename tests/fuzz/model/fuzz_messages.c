/* Saved conversations on any bytes: what is read can be written again by both dialects, and read to the same. */
#include <stdint.h>
#include <stdlib.h>

#include "model/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const struct dialect *d = data[0] & 1 ? &dialect_anthropic_messages : &dialect_openai_chat;
    struct arena a = ARENA_INIT(8 << 20), again = ARENA_INIT(8 << 20);
    struct err e = ERR_INIT;
    struct message *m = NULL, *m2 = NULL;
    size_t n = 0, n2 = 0;
    int open = 0, open2 = 0;
    struct behaviour how = { .tools = true, .merge_user_after_tool = data[0] & 2, .reasoning = (data[0] & 4) ? REPLAY_FIELD : REPLAY_NONE };
    struct sampling calm = { .seed = -1, .top_k = -1 };
    struct head h = { .model = "m", .instructions = SPAN("s"), .sampling = &calm, .behaviour = &how };
    if (d->read((struct span){ (const char *)data + 1, size - 1 }, &a, &m, &n, &open, &e) >= 0) {
        for (size_t k = 0; dialects[k]; k++) {
            struct wire w = { .bytes = BUF_INIT(4 << 20), .behaviour = &how };
            (void)dialects[k]->head(&w, &h);
            for (size_t i = 0; i < n; i++) {
                struct message one = m[i];
                struct said_call calls[CHAT_MAX_CALLS];
                for (size_t c = 0; c < one.ncalls && c < CHAT_MAX_CALLS; c++) {
                    calls[c] = one.calls[c];
                    json_t *j = json_loadb(calls[c].args.p, calls[c].args.n, 0, NULL);
                    if (!json_is_object(j)) /* the writers are promised an object */
                        calls[c].args = SPAN("{}");
                    json_decref(j);
                }
                one.calls = calls;
                one.ncalls = one.ncalls < CHAT_MAX_CALLS ? one.ncalls : CHAT_MAX_CALLS;
                (void)dialects[k]->add(&w, &one);
            }
            if (!w.bytes.failed && dialects[k]->read(buf_span(&w.bytes), &again, &m2, &n2, &open2, &e) < 0)
                abort();
            buf_finish(&w.bytes);
        }
    }
    arena_finish(&a);
    arena_finish(&again);
    return 0;
}
