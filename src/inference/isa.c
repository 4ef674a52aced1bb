/* isa.c - see isa.h. /proc/cpuinfo: the kernel's own list, with what it has switched off left out. */
#include "inference/isa.h"

#include <stddef.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

static const struct {
    const char *flag; /* in /proc/cpuinfo */
    const char *name;
    unsigned bit;
} flags[] = {
    { "avx", "avx", ISA_AVX },
    { "avx2", "avx2", ISA_AVX2 },
    { "fma", "fma", ISA_FMA },
    { "f16c", "f16c", ISA_F16C },
    { "avx512f", "avx512", ISA_AVX512 },
    { "avx512_vnni", "avx512_vnni", ISA_AVX512_VNNI },
    { "avx_vnni", "avx_vnni", ISA_AVX_VNNI },
    { "avx512_bf16", "bf16", ISA_BF16 },
    { "amx_int8", "amx", ISA_AMX },
    { "asimddp", "dotprod", ISA_NEON_DOTPROD },
    { "i8mm", "i8mm", ISA_NEON_I8MM },
    { "sve", "sve", ISA_SVE },
};

unsigned isa_read(void)
{
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf text = BUF_INIT(16u << 20);
    if (file_read("/proc/cpuinfo", text.limit, &text, &ignored) < 0)
        return 0;
    struct span rest = buf_span(&text), line;
    unsigned isa = 0;
    while (span_line(&rest, &line)) { /* the first processor's line stands for all */
        struct span name, word;
        if (!span_split(&line, ':', &name))
            continue;
        name = span_trim(name);
        if (!span_eqs(name, "flags") && !span_eqs(name, "Features"))
            continue;
        while (span_split(&line, ' ', &word))
            for (size_t i = 0; i < COUNT_OF(flags); i++)
                if (span_eqs(word, flags[i].flag))
                    isa |= flags[i].bit;
        break;
    }
    return isa;
}

int isa_each(unsigned isa, int (*fn)(void *ctx, const char *name), void *ctx)
{
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (!(isa & flags[i].bit))
            continue;
        int rc = fn(ctx, flags[i].name);
        if (rc)
            return rc;
    }
    return 0;
}
