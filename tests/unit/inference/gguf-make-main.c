/* gguf-make FILE [name=value ...] - see gguf-make.h; for scripts and for trying things by hand. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "gguf-make.h"

int main(int argc, char **argv)
{
    struct gguf_make m = GGUF_MAKE_LLAMA;
    struct err e = ERR_INIT;
    const struct {
        const char *name;
        int *value;
    } numbers[] = { { "layers", &m.layers }, { "embd", &m.embd }, { "heads", &m.heads }, { "kv_heads", &m.kv_heads },
                    { "head_dim", &m.head_dim }, { "ff", &m.ff }, { "vocab", &m.vocab }, { "ctx", &m.ctx },
                    { "window", &m.window }, { "lora_kv", &m.lora_kv }, { "rope_dim", &m.rope_dim }, { "state", &m.state },
                    { "groups", &m.groups }, { "dt_rank", &m.dt_rank }, { "conv", &m.conv }, { "after", &m.after } };
    AUTO(buf) struct buf template = BUF_INIT(1 << 20);
    const char *chain[16];
    m.chain = chain;
    for (int i = 2; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        int64_t v = 0;
        bool known = false;
        if (!eq)
            continue;
        *eq = 0;
        if (strcmp(argv[i], "arch") == 0 && (known = true))
            m.arch = eq + 1;
        if (strcmp(argv[i], "say") == 0 && m.nchain < (int)COUNT_OF(chain) && (known = true)) {
            chain[m.nchain++] = eq + 1;
            m.vocab = m.embd = 320;
            m.head_dim = 80;
        }
        if (strcmp(argv[i], "template") == 0 && (known = true)) {
            if (file_read(eq + 1, 1 << 20, &template, &e) < 0)
                break;
            m.chat_template = buf_str(&template);
        }
        if (strcmp(argv[i], "type") == 0 && (known = true))
            m.type = eq + 1;
        for (size_t k = 0; k < COUNT_OF(numbers); k++)
            if (strcmp(argv[i], numbers[k].name) == 0 && parse_i64(span_of(eq + 1), 0, 1 << 30, &v, &e) == 0 && (known = true))
                *numbers[k].value = (int)v;
        if (!known) {
            (void)fprintf(stderr, "gguf-make: '%s'?\n", argv[i]);
            return 2;
        }
    }
    if (argc < 2 || e.kind || gguf_make(&m, argv[1], &e) < 0) {
        (void)fprintf(stderr, "gguf-make: %s\n", argc < 2 ? "usage: gguf-make FILE [name=value ...]" : e.text);
        return 1;
    }
    return 0;
}
