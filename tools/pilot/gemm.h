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
 * VDPBF16PS; with AVX-512 alone the words are spread to floats once a block and multiplied there; without either
 * they are multiplied in plain C: slower, same meaning.
 */
#ifndef PILOT_GEMM_H
#define PILOT_GEMM_H
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
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

#ifdef __AVX512F__
/* Sixteen floats, rounded so that their upper halves are the bfloat16. */
static inline __m512i bf16_round(const float *p)
{
    __m512i u = _mm512_loadu_si512(p);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
}
#endif

static void pack_rows(const float *x, int ld, uint32_t *w, int rows, int cols)
{
    for (int r = 0; r < rows; r++) {
        const float *p = x + (size_t)r * ld;
        uint32_t *q = w + (size_t)r * (cols / 2);
        int c = 0;
#ifdef __AVX512BF16__
        for (; c + 32 <= cols; c += 32)
            _mm512_storeu_si512(q + c / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(p + c + 16), _mm512_loadu_ps(p + c)));
#elif defined __AVX512F__
        const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        for (; c + 32 <= cols; c += 32) {
            __m512i lo = bf16_round(p + c), hi = bf16_round(p + c + 16);
            __m512i first = _mm512_permutex2var_epi32(lo, even, hi);
            __m512i second = _mm512_permutex2var_epi32(lo, _mm512_add_epi32(even, _mm512_set1_epi32(1)), hi);
            _mm512_storeu_si512(q + c / 2, _mm512_or_si512(_mm512_srli_epi32(first, 16), _mm512_and_si512(second, _mm512_set1_epi32((int)0xffff0000))));
        }
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
    for (int r0 = 0; r0 < rows; r0 += 16) /* sixteen rows are read in turns, so that writing is in order */
        for (int c = 0; c < cols; c += 2)
            for (int r = r0; r < r0 + 16 && r < rows; r++)
                w[(size_t)(c / 2) * rows + r] = bf16_bits(x[(size_t)r * ld + c]) | bf16_bits(x[(size_t)r * ld + c + 1]) << 16;
}

#define GEMM_PAIRS 128 /* pairs per block: so that a block of B stays in the first-level cache */

#if defined __AVX512F__ && !defined __AVX512BF16__
/* Eight rows of A, spread to floats: element (row i, pair k, half h) lies at i * *si + k * *sk + h * *sh. */
static void spread_rows(const uint32_t *a, int rs, int ks, int kn, float *f, int *si, int *sk, int *sh)
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    if (rs == 1) {
        *si = 1; *sk = 16; *sh = 8;
        for (int k = 0; k < kn; k++) {
            __m256i w = _mm256_loadu_si256((const void *)(a + (size_t)k * ks));
            _mm256_storeu_si256((void *)(f + k * 16), _mm256_slli_epi32(w, 16));
            _mm256_storeu_si256((void *)(f + k * 16 + 8), _mm256_and_si256(w, _mm512_castsi512_si256(upper)));
        }
        return;
    }
    *si = 2 * GEMM_PAIRS; *sk = 1; *sh = GEMM_PAIRS;
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < kn; k += 16) {
            __mmask16 m = kn - k < 16 ? (__mmask16)((1u << (kn - k)) - 1) : 0xffff;
            __m512i w = _mm512_maskz_loadu_epi32(m, a + (size_t)i * rs + k);
            _mm512_storeu_si512(f + i * *si + k, _mm512_slli_epi32(w, 16));
            _mm512_storeu_si512(f + i * *si + k + GEMM_PAIRS, _mm512_and_si512(w, upper));
        }
}
#endif

/* C[8][32] of one block: rows a of A, a panel of B. */
static inline void gemm_block(const uint32_t *a, int rs, int ks, const uint32_t *panel, float *c, int ldc, int kn, int sum)
{
#if defined __AVX512F__
    __m512 s[8][2];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 2; j++)
            s[i][j] = sum ? _mm512_loadu_ps(c + (size_t)i * ldc + j * 16) : _mm512_setzero_ps();
#if defined __AVX512BF16__
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
#else
    float f[16 * GEMM_PAIRS] __attribute__((aligned(64)));
    int si, sk, sh;
    spread_rows(a, rs, ks, kn, f, &si, &sk, &sh);
    for (int k = 0; k < kn; k++)
        for (int h = 0; h < 2; h++) {
            const float *b = (const float *)panel + (k * 2 + h) * 32, *p = f + k * sk + h * sh;
            __m512 b0 = _mm512_load_ps(b), b1 = _mm512_load_ps(b + 16);
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) {
                __m512 v = _mm512_set1_ps(p[i * si]);
                s[i][0] = _mm512_fmadd_ps(v, b0, s[i][0]);
                s[i][1] = _mm512_fmadd_ps(v, b1, s[i][1]);
            }
        }
#endif
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

/* A block of B, kn pairs of 32 columns, side by side; as floats where the kernel multiplies floats. */
static inline void gemm_panel(const uint32_t *B, int ldb, uint32_t *panel, int kn)
{
    for (int k = 0; k < kn; k++) {
#if defined __AVX512F__ && !defined __AVX512BF16__
        for (int j = 0; j < 32; j++) {
            panel[k * 64 + j] = B[(size_t)k * ldb + j] << 16;
            panel[k * 64 + 32 + j] = B[(size_t)k * ldb + j] & 0xffff0000;
        }
#else
        memcpy(panel + k * 32, B + (size_t)k * ldb, 128);
#endif
    }
}

static void gemm(const uint32_t *A, int rs, int ks, const uint32_t *B, int ldb, float *C, int ldc,
                 int M, int N, int pairs, int add)
{
    uint32_t panel[GEMM_PAIRS * 64] __attribute__((aligned(64)));
    for (int kb = 0; kb < pairs; kb += GEMM_PAIRS) {
        int kn = pairs - kb < GEMM_PAIRS ? pairs - kb : GEMM_PAIRS;
        for (int n = 0; n < N; n += 32) {
            gemm_panel(B + (size_t)kb * ldb + n, ldb, panel, kn);
            for (int m = 0; m < M; m += 8)
                gemm_block(A + (size_t)m * rs + (size_t)kb * ks, rs, ks, panel, C + (size_t)m * ldc + n, ldc, kn, add || kb);
        }
    }
}
#endif
