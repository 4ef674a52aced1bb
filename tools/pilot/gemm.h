/*
 * gemm - the one matrix product that the trainer needs: float32 in, bfloat16 products, float32 sums.
 *
 * Operands are arrays of 32-bit words, each holding two bfloat16 that are neighbours along the summed
 * dimension k ("a pair"). A is read with a row stride and a pair stride, so it may lie row-major (rows of
 * pairs) or interleaved (pairs of rows); B lies as [pair][column]. C is plain float, C = A*B or C += A*B.
 *
 *     pack_rows(x, ld, w, rows, cols)        words [rows][cols/2]: pairs along the columns
 *     pack_interleave(x, ld, w, rows, cols)  words [rows/2][cols]: pairs along the rows
 *     pack_transpose(x, ld, w, rows, cols)   words [cols/2][rows]: pairs along the columns, transposed
 *     gemm(A, row_stride, pair_stride, B, ldb, C, ldc, M, N, pairs, add)
 *
 * M is a multiple of 8, N of 32. With AVX-512 BF16 (Zen 4, Cooper Lake, Sapphire Rapids) the kernel uses
 * VDPBF16PS; without it the same words are multiplied in plain C: slower, same meaning.
 */
#ifndef PILOT_GEMM_H
#define PILOT_GEMM_H
#include <stdint.h>
#include <string.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

static inline uint32_t bf16_bits(float v)
{
    uint32_t u;
    memcpy(&u, &v, 4);
    return (u + 0x7fff + ((u >> 16) & 1)) >> 16;
}
static inline float bf16_float(uint32_t h)
{
    uint32_t u = h << 16;
    float v;
    memcpy(&v, &u, 4);
    return v;
}

static void pack_rows(const float *x, int ld, uint32_t *w, int rows, int cols)
{
    for (int r = 0; r < rows; r++) {
        const float *p = x + (size_t)r * ld;
        uint32_t *q = w + (size_t)r * (cols / 2);
        int c = 0;
#ifdef __AVX512BF16__
        for (; c + 32 <= cols; c += 32)
            _mm512_storeu_si512(q + c / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + c + 16), _mm512_loadu_ps(p + c)));
#endif
        for (; c < cols; c += 2)
            q[c / 2] = bf16_bits(p[c]) | bf16_bits(p[c + 1]) << 16;
    }
}

static void pack_interleave(const float *x, int ld, uint32_t *w, int rows, int cols)
{
    for (int r = 0; r < rows; r += 2) {
        const float *a = x + (size_t)r * ld, *b = a + ld;
        uint32_t *q = w + (size_t)(r / 2) * cols;
        for (int c = 0; c < cols; c++)
            q[c] = bf16_bits(a[c]) | bf16_bits(b[c]) << 16;
    }
}

static void pack_transpose(const float *x, int ld, uint32_t *w, int rows, int cols)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c += 2)
            w[(size_t)(c / 2) * rows + r] = bf16_bits(x[(size_t)r * ld + c]) | bf16_bits(x[(size_t)r * ld + c + 1]) << 16;
}

#define GEMM_PAIRS 128 /* pairs per block: 128 x 32 words = 16 KiB of B stay in the first-level cache */

static void gemm(const uint32_t *A, int rs, int ks, const uint32_t *B, int ldb, float *C, int ldc,
                 int M, int N, int pairs, int add)
{
    uint32_t panel[GEMM_PAIRS * 32] __attribute__((aligned(64)));
    for (int kb = 0; kb < pairs; kb += GEMM_PAIRS) {
        int kn = pairs - kb < GEMM_PAIRS ? pairs - kb : GEMM_PAIRS;
        int sum = add || kb;
        for (int n = 0; n < N; n += 32) {
            for (int k = 0; k < kn; k++)
                memcpy(panel + k * 32, B + (size_t)(kb + k) * ldb + n, 128);
            for (int m = 0; m < M; m += 8) {
                const uint32_t *a = A + (size_t)m * rs + (size_t)kb * ks;
                float *c = C + (size_t)m * ldc + n;
#ifdef __AVX512BF16__
                __m512 s[8][2];
                for (int i = 0; i < 8; i++)
                    for (int j = 0; j < 2; j++)
                        s[i][j] = sum ? _mm512_loadu_ps(c + (size_t)i * ldc + j * 16) : _mm512_setzero_ps();
                for (int k = 0; k < kn; k++) {
                    __m512bh b0 = (__m512bh)_mm512_load_si512(panel + k * 32), b1 = (__m512bh)_mm512_load_si512(panel + k * 32 + 16);
                    const uint32_t *p = a + (size_t)k * ks;
#pragma GCC unroll 8
                    for (int i = 0; i < 8; i++) {
                        __m512bh v = (__m512bh)_mm512_set1_epi32((int)p[(size_t)i * rs]);
                        s[i][0] = _mm512_dpbf16_ps(s[i][0], v, b0);
                        s[i][1] = _mm512_dpbf16_ps(s[i][1], v, b1);
                    }
                }
                for (int i = 0; i < 8; i++)
                    for (int j = 0; j < 2; j++)
                        _mm512_storeu_ps(c + (size_t)i * ldc + j * 16, s[i][j]);
#else
                for (int i = 0; i < 8; i++)
                    for (int j = 0; j < 32; j++) {
                        float s = sum ? c[(size_t)i * ldc + j] : 0;
                        for (int k = 0; k < kn; k++) {
                            uint32_t u = a[(size_t)i * rs + (size_t)k * ks], v = panel[k * 32 + j];
                            s += bf16_float(u & 0xffff) * bf16_float(v & 0xffff) + bf16_float(u >> 16) * bf16_float(v >> 16);
                        }
                        c[(size_t)i * ldc + j] = s;
                    }
#endif
            }
        }
    }
}
#endif
