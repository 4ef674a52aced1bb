/*
 * isa - the instruction sets of this processor that change what llama.cpp does. Any thread.
 */
#ifndef STEAD_INFERENCE_ISA_H
#define STEAD_INFERENCE_ISA_H

enum isa {
    ISA_AVX2 = 1 << 0,
    ISA_AVX512 = 1 << 1,
    ISA_AVX512_VNNI = 1 << 2,
    ISA_AMX = 1 << 3,
    ISA_FMA = 1 << 4,
    ISA_F16C = 1 << 5,
    ISA_NEON_DOTPROD = 1 << 6,
    ISA_NEON_I8MM = 1 << 7,
    ISA_SVE = 1 << 8,
    ISA_AVX = 1 << 9,
    ISA_AVX_VNNI = 1 << 10,
    ISA_BF16 = 1 << 11,
};

unsigned isa_read(void);

/* Names, in the order of the enum's values, for each bit that is set: stops at the first non-zero result. */
int isa_each(unsigned isa, int (*fn)(void *ctx, const char *name), void *ctx);

#endif
