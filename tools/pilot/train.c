/*
 * train - trains the pilot model: a llama-architecture transformer of one or two million weights, on CPU.
 *
 *     train -c ctl -o model.ckpt [-r old.ckpt] [-t threads] [-n steps] [-b microbatches] [-d d,L,H,f,V]
 *     train -e data.tok -r model.ckpt          loss and exact-sequence rate on a file, no training
 *     train -g data.tok -d d,L,H,f,V           gradient check, tensor by tensor
 *
 * A data file is a run of records: u16 n, n tokens (u16), n loss weights (u8, 255 = 1.0: the weight of
 * predicting that token). The control file is read again every 20 steps, so that the mixture and the
 * learning rate can be changed while it runs:
 *
 *     lr 1.0                  factor on the base rates
 *     data copy.tok 0.3       a file and its share of the sequences
 *     decay 4000 6000         from step 4000 the rate falls linearly, to nothing at step 6000, then stop
 *
 * Matrices are trained with Muon (orthogonalised momentum), embeddings, output and norms with Adam.
 * Microbatches are shared out to threads as they become free, so a loaded machine only slows it down.
 *
 * The start is not blank: layers 0 to 2 begin with a rough copying circuit (heads that look one or two
 * tokens back; heads that look for the same token, or pair of tokens, earlier and predict what came
 * next). Training from noise needs tens of millions of tokens to find it. `-z` begins from noise.
 *
 * Rotary positions turn only 6 of the 16 pairs of a head (frequencies in rope_freq); the rest matches content at
 * any distance. GGUF says the same through rope_freqs.weight.
 */
#include "gemm.h"
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HD = 32, MBT = 1024, ROWS = 32, MAXL = 12, MAXTHREADS = 8 };
static const float rope_freq[HD / 2] = {1.6f, 0.7f, 0.3f, 0.12f, 0.045f, 0.015f};
static const float EPS = 1e-5f;

struct cfg { int d, L, H, f, V; };
static struct cfg C = {160, 6, 5, 448, 640};
static int A; /* width of attention, H * HD */

/* A weight matrix [rows][cols], its gradient per thread, optimiser state and packed forms. */
struct mat {
    const char *name;
    int rows, cols, muon, parts; /* parts: matrices stacked in rows, orthogonalised each for itself */
    float *w, *m, *v, *g[MAXTHREADS];
    uint32_t *fw, *bw;
};
struct layer { struct mat n1, qkv, o, n2, gu, down; };
static struct mat emb, out, nf;
static struct layer ly[MAXL];
static struct mat *all[MAXL * 6 + 3];
static int nall, nthreads = 2;
static float cos_t[MBT][HD / 2], sin_t[MBT][HD / 2];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static void *need(size_t n)
{
    void *p = aligned_alloc(64, (n + 63) & ~(size_t)63);
    if (!p) { fprintf(stderr, "train: out of memory\n"); exit(1); }
    memset(p, 0, (n + 63) & ~(size_t)63);
    return p;
}
static uint64_t rng_state = 88172645463325252ull;
static uint64_t rng(void)
{
    rng_state ^= rng_state << 13; rng_state ^= rng_state >> 7; rng_state ^= rng_state << 17;
    return rng_state * 2685821657736338717ull;
}
static float unif(void) { return (rng() >> 40) / 16777216.0f; }
static float gauss(void) { return sqrtf(-2 * logf(unif() + 1e-9f)) * cosf(6.2831853f * unif()); }

static void mat_init(struct mat *m, const char *name, int rows, int cols, int muon, int parts)
{
    size_t n = (size_t)rows * cols;
    *m = (struct mat){.name = name, .rows = rows, .cols = cols, .muon = muon, .parts = parts};
    m->w = need(n * 4); m->m = need(n * 4); m->v = need(n * 4);
    for (int t = 0; t < nthreads; t++) m->g[t] = need(n * 4);
    if (rows > 1) { m->fw = need(n * 2); m->bw = need(n * 2); }
    all[nall++] = m;
}

/* ---- start ---- */

static void copying_start(void)
{
    /* residual: [0] constant, [1..T] token, then prev1, prev2 (20 each), then prediction */
    int d = C.d, M = HD - 12, T = (d - 1 - 2 * M) * 2 / 3, p1 = 1 + T, p2 = p1 + M, pr = p2 + M, P = d - pr;
    float *R = need(sizeof(float) * M * T), *Q = need(sizeof(float) * P * T), norm = 0;
    for (int i = 0; i < M * T; i++) R[i] = gauss() / sqrtf(T);
    for (int i = 0; i < P * T; i++) Q[i] = gauss() / sqrtf(T);
    const float c0 = 5;
    for (int v = 0; v < C.V; v++) {
        float *e = emb.w + (size_t)v * d;
        memset(e, 0, d * 4);
        e[0] = c0;
        for (int i = 0; i < T; i++) e[1 + i] = gauss();
        for (int i = 0; i < P; i++) {
            float s = 0;
            for (int k = 0; k < T; k++) s += Q[i * T + k] * e[1 + k];
            out.w[(size_t)v * d + pr + i] = 0.5f * s;
        }
    }
    norm = sqrtf((c0 * c0 + T) / d);
    float cn = c0 / norm, a = 6 / cn;
    for (int h = 0; h < 2; h++) { /* layer 0: look h+1 back */
        float *q = ly[0].qkv.w + (size_t)(h * HD) * d, *k = q + (size_t)A * d, *v = k + (size_t)A * d;
        memset(q, 0, sizeof(float) * HD * d); memset(k, 0, sizeof(float) * HD * d); memset(v, 0, sizeof(float) * HD * d);
        for (int i = 0; i < 6; i++) {
            q[(2 * i) * d] = a * cosf((h + 1) * rope_freq[i]);
            q[(2 * i + 1) * d] = -a * sinf((h + 1) * rope_freq[i]);
            k[(2 * i) * d] = a;
        }
        for (int i = 0; i < M; i++) {
            memcpy(v + (size_t)i * d + 1, R + i * T, T * 4);
            ly[0].o.w[(size_t)((h ? p2 : p1) + i) * A + h * HD + i] = 1;
        }
    }
    for (int l = 1; l <= 2; l++)
        for (int h = 0; h < 2; h++) { /* layer 1: same token; layer 2: same pair */
            float *q = ly[l].qkv.w + (size_t)(h * HD) * d, *k = q + (size_t)A * d, *v = k + (size_t)A * d, s = l == 1 ? 2.2f : 2.0f;
            memset(q, 0, sizeof(float) * HD * d); memset(k, 0, sizeof(float) * HD * d); memset(v, 0, sizeof(float) * HD * d);
            for (int i = 0; i < M; i++) {
                int pair = l == 2 && i >= M / 2;
                if (pair) q[(12 + i) * d + p1 + i] = s;
                else for (int j = 0; j < T; j++) q[(12 + i) * d + 1 + j] = s * R[i * T + j];
                k[(12 + i) * d + (pair ? p2 : p1) + i] = s;
            }
            for (int i = 0; i < HD; i++) {
                int r = (h * HD + i) % P;
                memcpy(v + (size_t)i * d + 1, Q + r * T, T * 4);
                ly[l].o.w[(size_t)(pr + r) * A + h * HD + i] = 1;
            }
        }
    free(R); free(Q);
}

static void model_create(int noise)
{
    A = C.H * HD;
    nall = 0;
    mat_init(&emb, "emb", C.V, C.d, 0, 1);
    for (int l = 0; l < C.L; l++) {
        mat_init(&ly[l].n1, "n1", 1, C.d, 0, 1);
        mat_init(&ly[l].qkv, "qkv", 3 * A, C.d, 1, 3);
        mat_init(&ly[l].o, "o", C.d, A, 1, 1);
        mat_init(&ly[l].n2, "n2", 1, C.d, 0, 1);
        mat_init(&ly[l].gu, "gu", 2 * C.f, C.d, 1, 2);
        mat_init(&ly[l].down, "down", C.d, C.f, 1, 1);
    }
    mat_init(&nf, "nf", 1, C.d, 0, 1);
    mat_init(&out, "out", C.V, C.d, 0, 1);
    for (int i = 0; i < nall; i++) {
        struct mat *m = all[i];
        float s = m == &emb ? 1 : m == &out ? 0.02f : 0.7f / sqrtf(m->cols);
        if (!strcmp(m->name, "o") || !strcmp(m->name, "down")) s *= 0.3f;
        for (size_t k = 0; k < (size_t)m->rows * m->cols; k++) m->w[k] = m->rows == 1 ? 1 : s * gauss();
    }
    if (!noise) copying_start();
    for (int t = 0; t < MBT; t++)
        for (int i = 0; i < HD / 2; i++) { cos_t[t][i] = cosf(t * rope_freq[i]); sin_t[t][i] = sinf(t * rope_freq[i]); }
}

/* ---- one microbatch ---- */

struct batch { int T, nseq, at[MBT / ROWS + 1], len[MBT / ROWS + 1]; uint16_t tok[MBT + 1]; float w[MBT]; uint16_t target[MBT]; };
struct act { float *x, *r1, *qkv, *lse, *o, *mid, *r2, *gu; };
struct work {
    int id;
    struct act a[MAXL];
    float *x, *rf, *h, *dh, *dx, *dqkv, *dgu, *do_, *logits, *big;
    uint32_t *pa, *pb, *pc;
    double loss, wsum; long exact, nseq, right, counted;
};

static void work_create(struct work *k, int id)
{
    memset(k, 0, sizeof *k);
    k->id = id;
    int wide = 3 * A > 2 * C.f ? 3 * A : 2 * C.f;
    if (C.V > wide) wide = C.V;
    for (int l = 0; l < C.L; l++)
        k->a[l] = (struct act){need(MBT * C.d * 4), need(MBT * 4), need(MBT * 3 * A * 4), need(MBT * C.H * 4), need(MBT * A * 4), need(MBT * C.d * 4), need(MBT * 4), need((size_t)MBT * 2 * C.f * 4)};
    k->x = need(MBT * C.d * 4); k->rf = need(MBT * 4); k->h = need((size_t)MBT * wide * 4); k->dh = need((size_t)MBT * wide * 4);
    k->dx = need(MBT * C.d * 4); k->dqkv = need(MBT * 3 * A * 4); k->dgu = need((size_t)MBT * 2 * C.f * 4);
    k->do_ = need(MBT * A * 4); k->logits = need((size_t)MBT * C.V * 4); k->big = need((size_t)ROWS * MBT * 8 + MBT * HD * 12 + 4096);
    k->pa = need((size_t)MBT * wide * 4); k->pb = need((size_t)MBT * wide * 4); k->pc = need((size_t)MBT * HD * 24);
}

static void norm_forward(const float *x, const float *g, float *h, float *r, int T)
{
    for (int t = 0; t < T; t++) {
        float s = 0;
        for (int i = 0; i < C.d; i++) s += x[t * C.d + i] * x[t * C.d + i];
        r[t] = 1 / sqrtf(s / C.d + EPS);
        for (int i = 0; i < C.d; i++) h[t * C.d + i] = x[t * C.d + i] * r[t] * g[i];
    }
}
/* dx += gradient through the norm; dg too */
static void norm_backward(const float *x, const float *g, const float *r, const float *dh, float *dx, float *dg, int T)
{
    for (int t = 0; t < T; t++) {
        const float *xt = x + t * C.d, *dt = dh + t * C.d;
        float s = 0, rr = r[t];
        for (int i = 0; i < C.d; i++) { s += dt[i] * g[i] * xt[i]; dg[i] += dt[i] * xt[i] * rr; }
        s *= rr * rr * rr / C.d;
        for (int i = 0; i < C.d; i++) dx[t * C.d + i] += dt[i] * g[i] * rr - xt[i] * s;
    }
}
static void linear(struct work *k, const float *x, const struct mat *m, float *y, int T, int add)
{
    pack_rows(x, m->cols, k->pa, T, m->cols);
    gemm(k->pa, m->cols / 2, 1, m->fw, m->rows, y, m->rows, T, m->rows, m->cols / 2, add);
}
/* dx (or NULL) = dy W; dW += dy^T x */
static void linear_backward(struct work *k, const float *x, const float *dy, const struct mat *m, float *dx, int T, int add)
{
    pack_interleave(dy, m->rows, k->pa, T, m->rows);
    pack_interleave(x, m->cols, k->pb, T, m->cols);
    gemm(k->pa, 1, m->rows, k->pb, m->cols, m->g[k->id], m->cols, m->rows, m->cols, T / 2, 1);
    if (!dx) return;
    pack_rows(dy, m->rows, k->pa, T, m->rows);
    gemm(k->pa, m->rows / 2, 1, m->bw, m->cols, dx, m->cols, T, m->cols, m->rows / 2, add);
}
static void rope(float *p, int t, float sign)
{
    for (int i = 0; i < 6; i++) {
        float c = cos_t[t][i], s = sign * sin_t[t][i], a = p[2 * i], b = p[2 * i + 1];
        p[2 * i] = a * c - b * s;
        p[2 * i + 1] = a * s + b * c;
    }
}
static float row_softmax_scores(float *s, int visible, int n, float scale)
{
    float mx = -1e30f, sum = 0;
    for (int j = 0; j < visible; j++) { s[j] *= scale; mx = s[j] > mx ? s[j] : mx; }
    for (int j = 0; j < visible; j++) { s[j] = expf(s[j] - mx); sum += s[j]; }
    float inv = 1 / sum;
    for (int j = 0; j < visible; j++) s[j] *= inv;
    for (int j = visible; j < n; j++) s[j] = 0;
    return mx + logf(sum);
}
static void attention_forward(struct work *k, struct act *a, const struct batch *b)
{
    const int ld = 3 * A;
    const float scale = 1 / sqrtf(HD);
    for (int s = 0; s < b->nseq; s++)
        for (int h = 0; h < C.H; h++) {
            int n = b->len[s], at = b->at[s];
            const float *q = a->qkv + (size_t)at * ld + h * HD;
            uint32_t *Q = k->pc, *Kt = Q + MBT * HD / 2, *Vi = Kt + MBT * HD / 2;
            pack_rows(q, ld, Q, n, HD);
            pack_transpose(q + A, ld, Kt, n, HD);
            pack_interleave(q + 2 * A, ld, Vi, n, HD);
            for (int r = 0; r < n; r += ROWS) {
                int w = r + ROWS;
                float *S = k->big;
                gemm(Q + (size_t)r * HD / 2, HD / 2, 1, Kt, n, S, w, ROWS, w, HD / 2, 0);
                for (int i = 0; i < ROWS; i++)
                    a->lse[(size_t)(at + r + i) * C.H + h] = row_softmax_scores(S + (size_t)i * w, r + i + 1, w, scale);
                pack_rows(S, w, k->pb, ROWS, w);
                gemm(k->pb, w / 2, 1, Vi, HD, a->o + (size_t)(at + r) * A + h * HD, A, ROWS, HD, w / 2, 0);
            }
        }
}
static void attention_backward(struct work *k, struct act *a, const struct batch *b)
{
    const int ld = 3 * A;
    const float scale = 1 / sqrtf(HD);
    float *S = k->big, *dP = S + ROWS * MBT, *dK = dP + ROWS * MBT, *dV = dK + MBT * HD;
    for (int s = 0; s < b->nseq; s++)
        for (int h = 0; h < C.H; h++) {
            int n = b->len[s], at = b->at[s], half = MBT * HD / 2;
            const float *q = a->qkv + (size_t)at * ld + h * HD, *dO = k->do_ + (size_t)at * A + h * HD, *O = a->o + (size_t)at * A + h * HD;
            float *dq = k->dqkv + (size_t)at * ld + h * HD;
            uint32_t *Q = k->pc, *Kt = Q + half, *Vt = Kt + half, *Ki = Vt + half, *Qi = Ki + half, *dOr = Qi + half, *dOi = dOr + half;
            pack_rows(q, ld, Q, n, HD); pack_transpose(q + A, ld, Kt, n, HD); pack_transpose(q + 2 * A, ld, Vt, n, HD);
            pack_interleave(q + A, ld, Ki, n, HD); pack_interleave(q, ld, Qi, n, HD);
            pack_rows(dO, A, dOr, n, HD); pack_interleave(dO, A, dOi, n, HD);
            memset(dK, 0, sizeof(float) * n * HD); memset(dV, 0, sizeof(float) * n * HD);
            for (int r = 0; r < n; r += ROWS) {
                int w = r + ROWS;
                gemm(Q + (size_t)r * HD / 2, HD / 2, 1, Kt, n, S, w, ROWS, w, HD / 2, 0);
                gemm(dOr + (size_t)r * HD / 2, HD / 2, 1, Vt, n, dP, w, ROWS, w, HD / 2, 0);
                for (int i = 0; i < ROWS; i++) {
                    float *p = S + (size_t)i * w, *dp = dP + (size_t)i * w, lse = a->lse[(size_t)(at + r + i) * C.H + h], D = 0;
                    for (int c = 0; c < HD; c++) D += dO[(size_t)(r + i) * A + c] * O[(size_t)(r + i) * A + c];
                    int vis = r + i + 1;
                    for (int j = 0; j < vis; j++) { p[j] = expf(p[j] * scale - lse); dp[j] = p[j] * (dp[j] - D) * scale; }
                    for (int j = vis; j < w; j++) p[j] = dp[j] = 0;
                }
                pack_interleave(S, w, k->pa, ROWS, w);
                gemm(k->pa, 1, w, dOi + (size_t)(r / 2) * HD, HD, dV, HD, w, HD, ROWS / 2, 1);
                pack_interleave(dP, w, k->pa, ROWS, w);
                gemm(k->pa, 1, w, Qi + (size_t)(r / 2) * HD, HD, dK, HD, w, HD, ROWS / 2, 1);
                pack_rows(dP, w, k->pa, ROWS, w);
                gemm(k->pa, w / 2, 1, Ki, HD, dq + (size_t)r * ld, ld, ROWS, HD, w / 2, 0);
            }
            for (int t = 0; t < n; t++) {
                memcpy(dq + (size_t)t * ld + A, dK + t * HD, HD * 4);
                memcpy(dq + (size_t)t * ld + 2 * A, dV + t * HD, HD * 4);
            }
        }
}
static void swiglu(const float *gu, float *y, int T)
{
    for (int t = 0; t < T; t++) {
        const float *g = gu + (size_t)t * 2 * C.f, *u = g + C.f;
        for (int i = 0; i < C.f; i++) y[(size_t)t * C.f + i] = g[i] / (1 + expf(-g[i])) * u[i];
    }
}

/* Forward, and backward when inv_weight > 0 (1 / the sum of loss weights of the whole step). */
static void microbatch(struct work *k, const struct batch *b, float inv_weight)
{
    int T = b->T, d = C.d;
    float *x = k->x;
    for (int t = 0; t < T; t++) memcpy(x + t * d, emb.w + (size_t)b->tok[t] * d, d * 4);
    for (int l = 0; l < C.L; l++) {
        struct act *a = &k->a[l];
        memcpy(a->x, x, (size_t)T * d * 4);
        norm_forward(x, ly[l].n1.w, k->h, a->r1, T);
        linear(k, k->h, &ly[l].qkv, a->qkv, T, 0);
        for (int s = 0; s < b->nseq; s++)
            for (int t = 0; t < b->len[s]; t++)
                for (int h = 0; h < 2 * C.H; h++) rope(a->qkv + (size_t)(b->at[s] + t) * 3 * A + h * HD, t, 1);
        attention_forward(k, a, b);
        linear(k, a->o, &ly[l].o, x, T, 1);
        memcpy(a->mid, x, (size_t)T * d * 4);
        norm_forward(x, ly[l].n2.w, k->h, a->r2, T);
        linear(k, k->h, &ly[l].gu, a->gu, T, 0);
        swiglu(a->gu, k->h, T);
        linear(k, k->h, &ly[l].down, x, T, 1);
    }
    norm_forward(x, nf.w, k->h, k->rf, T);
    linear(k, k->h, &out, k->logits, T, 0);
    for (int s = 0; s < b->nseq; s++) {
        int good = 1, any = 0;
        for (int t = b->at[s]; t < b->at[s] + b->len[s]; t++) {
            float *z = k->logits + (size_t)t * C.V, mx = -1e30f, sum = 0;
            if (b->w[t] <= 0) { memset(z, 0, C.V * 4); continue; }
            int best = b->target[t];
            float zt = z[best];
            for (int i = 0; i < C.V; i++) mx = z[i] > mx ? z[i] : mx;
            if (b->w[t] > 0.99f) { any = 1; k->counted++; if (zt >= mx) k->right++; else good = 0; }
            for (int i = 0; i < C.V; i++) { z[i] = expf(z[i] - mx); sum += z[i]; }
            k->loss += b->w[t] * (mx + logf(sum) - zt);
            k->wsum += b->w[t];
            float f = b->w[t] * inv_weight;
            for (int i = 0; i < C.V; i++) z[i] *= f / sum;
            z[best] -= f;
        }
        if (any) { k->nseq++; k->exact += good; }
    }
    if (inv_weight <= 0) return;

    memset(k->dx, 0, (size_t)T * d * 4);
    linear_backward(k, k->h, k->logits, &out, k->dh, T, 0);
    norm_backward(x, nf.w, k->rf, k->dh, k->dx, nf.g[k->id], T);
    for (int l = C.L - 1; l >= 0; l--) {
        struct act *a = &k->a[l];
        swiglu(a->gu, k->h, T);
        linear_backward(k, k->h, k->dx, &ly[l].down, k->dh, T, 0);
        for (int t = 0; t < T; t++) {
            const float *g = a->gu + (size_t)t * 2 * C.f, *u = g + C.f, *dy = k->dh + (size_t)t * C.f;
            float *dg = k->dgu + (size_t)t * 2 * C.f, *du = dg + C.f;
            for (int i = 0; i < C.f; i++) {
                float sg = 1 / (1 + expf(-g[i]));
                du[i] = dy[i] * g[i] * sg;
                dg[i] = dy[i] * u[i] * sg * (1 + g[i] * (1 - sg));
            }
        }
        norm_forward(a->mid, ly[l].n2.w, k->h, a->r2, T);
        linear_backward(k, k->h, k->dgu, &ly[l].gu, k->dh, T, 0);
        norm_backward(a->mid, ly[l].n2.w, a->r2, k->dh, k->dx, ly[l].n2.g[k->id], T);
        linear_backward(k, a->o, k->dx, &ly[l].o, k->do_, T, 0);
        attention_backward(k, a, b);
        for (int s = 0; s < b->nseq; s++)
            for (int t = 0; t < b->len[s]; t++)
                for (int h = 0; h < 2 * C.H; h++) rope(k->dqkv + (size_t)(b->at[s] + t) * 3 * A + h * HD, t, -1);
        norm_forward(a->x, ly[l].n1.w, k->h, a->r1, T);
        linear_backward(k, k->h, k->dqkv, &ly[l].qkv, k->dh, T, 0);
        norm_backward(a->x, ly[l].n1.w, a->r1, k->dh, k->dx, ly[l].n1.g[k->id], T);
    }
    for (int t = 0; t < T; t++) {
        float *g = emb.g[k->id] + (size_t)b->tok[t] * d;
        for (int i = 0; i < d; i++) g[i] += k->dx[t * d + i];
    }
}

/* ---- optimiser ---- */

static float base_muon = 0.02f, base_adam = 0.004f;
static int adam_step;

static void orthogonalise(float *x, int rows, int cols, float *tmp)
{
    /* Newton-Schulz, five steps (K. Jordan, Muon); works on the short side */
    int m = rows < cols ? rows : cols, n = rows < cols ? cols : rows;
    float *X = tmp, *S = X + (size_t)m * n, *S2 = S + (size_t)m * m, *Y = S2 + (size_t)m * m, ss = 0;
    uint32_t *p = (uint32_t *)(Y + (size_t)m * n), *q = p + (size_t)m * n;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            float v = x[(size_t)r * cols + c];
            ss += v * v;
            X[rows <= cols ? (size_t)r * n + c : (size_t)c * n + r] = v;
        }
    float inv = 1 / (sqrtf(ss) + 1e-7f);
    for (size_t i = 0; i < (size_t)m * n; i++) X[i] *= inv;
    for (int it = 0; it < 5; it++) {
        const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
        pack_rows(X, n, p, m, n); pack_transpose(X, n, q, m, n);
        gemm(p, n / 2, 1, q, m, S, m, m, m, n / 2, 0);
        pack_rows(S, m, p, m, m); pack_interleave(S, m, q, m, m);
        gemm(p, m / 2, 1, q, m, S2, m, m, m, m / 2, 0);
        for (int i = 0; i < m * m; i++) S2[i] = b * S[i] + c * S2[i];
        pack_rows(S2, m, p, m, m); pack_interleave(X, n, q, m, n);
        gemm(p, m / 2, 1, q, n, Y, n, m, n, m / 2, 0);
        for (size_t i = 0; i < (size_t)m * n; i++) X[i] = a * X[i] + Y[i];
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) x[(size_t)r * cols + c] = X[rows <= cols ? (size_t)r * n + c : (size_t)c * n + r];
}
static void mat_pack(struct mat *m)
{
    if (m->rows == 1 || m == &emb) return;
    pack_transpose(m->w, m->cols, m->fw, m->rows, m->cols);
    pack_interleave(m->w, m->cols, m->bw, m->rows, m->cols);
}
static void mat_update(struct mat *m, float lr)
{
    size_t n = (size_t)m->rows * m->cols;
    float *g = m->g[0];
    for (int t = 1; t < nthreads; t++) {
        for (size_t i = 0; i < n; i++) g[i] += m->g[t][i];
        memset(m->g[t], 0, n * 4);
    }
    if (m->muon) {
        size_t pn = n / m->parts;
        int rows = m->rows / m->parts;
        float *u = need(pn * 4), *tmp = need((pn * 2 + 2ul * 512 * 512) * 4 * 2);
        for (int p = 0; p < m->parts; p++) {
            float *mo = m->m + p * pn, *gp = g + p * pn, *w = m->w + p * pn;
            for (size_t i = 0; i < pn; i++) { mo[i] = 0.95f * mo[i] + gp[i]; u[i] = gp[i] + 0.95f * mo[i]; }
            orthogonalise(u, rows, m->cols, tmp);
            float s = base_muon * lr * sqrtf(rows > m->cols ? (float)rows / m->cols : 1);
            for (size_t i = 0; i < pn; i++) w[i] = w[i] * (1 - 0.01f * base_muon * lr) - s * u[i];
        }
        free(u); free(tmp);
    } else {
        float c1 = 1 - powf(0.9f, adam_step), c2 = 1 - powf(0.98f, adam_step), s = base_adam * lr;
        for (size_t i = 0; i < n; i++) {
            m->m[i] = 0.9f * m->m[i] + 0.1f * g[i];
            m->v[i] = 0.98f * m->v[i] + 0.02f * g[i] * g[i];
            m->w[i] -= s * (m->m[i] / c1) / (sqrtf(m->v[i] / c2) + 1e-10f);
        }
    }
    memset(g, 0, n * 4);
    mat_pack(m);
}

/* ---- data ---- */

struct data { char path[256]; float share; uint8_t *bytes; size_t size; size_t *rec; long n, pos; };
static struct data sets[16];
static int nsets;
static float ctl_lr = 1;
static long decay_from, decay_to;

static int data_open(struct data *s, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0) { fprintf(stderr, "train: cannot read %s\n", path); return -1; }
    snprintf(s->path, sizeof s->path, "%s", path);
    s->bytes = malloc(st.st_size + 1); s->size = 0;
    for (ssize_t r; (r = read(fd, s->bytes + s->size, st.st_size - s->size)) > 0;) s->size += r;
    close(fd);
    s->n = s->pos = 0;
    for (int pass = 0; pass < 2; pass++) {
        long n = 0;
        for (size_t p = 0; p + 2 <= s->size; n++) {
            if (pass) s->rec[n] = p;
            p += 2 + 3ul * *(uint16_t *)(s->bytes + p);
        }
        if (!pass) { s->n = n; s->rec = malloc((n + 1) * sizeof *s->rec); }
    }
    for (long i = s->n - 1; i > 0; i--) { long j = rng() % (i + 1); size_t t = s->rec[i]; s->rec[i] = s->rec[j]; s->rec[j] = t; }
    return 0;
}
static void data_close(struct data *s) { free(s->bytes); free(s->rec); memset(s, 0, sizeof *s); }

static void control_read(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) return;
    char line[400], name[256];
    float v;
    int seen[16] = {0};
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "lr %f", &v) == 1) ctl_lr = v;
        else if (sscanf(line, "muon %f", &v) == 1) base_muon = v;
        else if (sscanf(line, "adam %f", &v) == 1) base_adam = v;
        else if (sscanf(line, "decay %ld %ld", &decay_from, &decay_to) == 2) continue;
        else if (sscanf(line, "data %255s %f", name, &v) == 2) {
            int i = 0;
            while (i < nsets && strcmp(sets[i].path, name)) i++;
            if (i == nsets && (nsets == 16 || data_open(&sets[i], name) < 0)) continue;
            if (i == nsets) { nsets++; printf("data %s: %ld sequences\n", name, sets[i].n); }
            sets[i].share = v;
            seen[i] = 1;
        }
    }
    for (int i = nsets - 1; i >= 0; i--)
        if (!seen[i]) { data_close(&sets[i]); sets[i] = sets[--nsets]; memset(&sets[nsets], 0, sizeof sets[0]); }
    fclose(f);
}

/* Append one record; 0 when it does not fit. */
static int batch_add(struct batch *b, const uint8_t *rec)
{
    int n = *(const uint16_t *)rec, use = n - 1, pad = (use + ROWS - 1) / ROWS * ROWS;
    const uint16_t *tok = (const uint16_t *)(rec + 2);
    const uint8_t *w = rec + 2 + 2 * n;
    if (n < 2 || b->T + pad > MBT) return 0;
    b->at[b->nseq] = b->T; b->len[b->nseq++] = pad;
    for (int i = 0; i < pad; i++) {
        b->tok[b->T + i] = i < use ? tok[i] : 0;
        b->target[b->T + i] = i < use ? tok[i + 1] : 0;
        b->w[b->T + i] = i < use ? w[i + 1] / 255.0f : 0;
    }
    b->T += pad;
    return 1;
}
static const uint8_t *data_next(struct data *s)
{
    if (s->pos >= s->n) {
        s->pos = 0;
        for (long i = s->n - 1; i > 0; i--) { long j = rng() % (i + 1); size_t t = s->rec[i]; s->rec[i] = s->rec[j]; s->rec[j] = t; }
    }
    return s->bytes + s->rec[s->pos++];
}
static void batch_fill(struct batch *b)
{
    float total = 0;
    for (int i = 0; i < nsets; i++) total += sets[i].share;
    b->T = b->nseq = 0;
    for (int miss = 0; miss < 4 && b->T < MBT;) {
        float u = unif() * total;
        int i = 0;
        while (i < nsets - 1 && (u -= sets[i].share) > 0) i++;
        if (!batch_add(b, data_next(&sets[i]))) miss++;
    }
}

/* ---- threads ---- */

static struct work works[MAXTHREADS];
static struct batch *batches;
static int nbatches;
static atomic_int next_job;
static float step_inv, step_lr;
static int phase; /* 0 microbatches, 1 update, 2 stop */
static pthread_barrier_t gate;

static void do_phase(struct work *k)
{
    for (int j; (j = atomic_fetch_add(&next_job, 1)) < (phase ? nall : nbatches);)
        if (phase) mat_update(all[j], step_lr); else microbatch(k, &batches[j], step_inv);
}
static void *worker(void *p)
{
    for (;;) {
        pthread_barrier_wait(&gate);
        if (phase == 2) return NULL;
        do_phase(p);
        pthread_barrier_wait(&gate);
    }
}
static void run_phase(int ph)
{
    phase = ph; next_job = 0;
    if (nthreads > 1) pthread_barrier_wait(&gate);
    do_phase(&works[0]);
    if (nthreads > 1) pthread_barrier_wait(&gate);
}

/* ---- checkpoints ---- */

static void save(const char *path, long step, long tokens)
{
    char tmp[300];
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "wb");
    if (!f) return;
    long head[8] = {0x544f4c4950, C.d, C.L, C.H, C.f, C.V, step, tokens};
    fwrite(head, sizeof head, 1, f);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < nall; i++) {
            struct mat *m = all[i];
            fwrite(k == 0 ? m->w : k == 1 ? m->m : m->v, 4, (size_t)m->rows * m->cols, f);
        }
    if (fclose(f) == 0) rename(tmp, path);
}
static int load(const char *path, long *step, long *tokens, int weights_only)
{
    FILE *f = fopen(path, "rb");
    long head[8];
    if (!f || fread(head, sizeof head, 1, f) != 1 || head[0] != 0x544f4c4950) { fprintf(stderr, "train: %s is no checkpoint\n", path); exit(1); }
    if (!nall) {
        C = (struct cfg){head[1], head[2], head[3], head[4], head[5]};
        model_create(1);
    }
    for (int k = 0; k < (weights_only ? 1 : 3); k++)
        for (int i = 0; i < nall; i++) {
            struct mat *m = all[i];
            size_t n = (size_t)m->rows * m->cols;
            if (fread(k == 0 ? m->w : k == 1 ? m->m : m->v, 4, n, f) != n) { fprintf(stderr, "train: %s is short\n", path); exit(1); }
        }
    fclose(f);
    *step = head[6]; *tokens = head[7];
    return 0;
}

static void evaluate(const char *path, long limit)
{
    struct data s = {0};
    static struct batch b;
    struct work *k = &works[0];
    if (data_open(&s, path) < 0) return;
    k->loss = k->wsum = k->exact = k->nseq = k->right = k->counted = 0;
    for (long i = 0; i < s.n && i < limit;) {
        b.T = b.nseq = 0;
        while (i < s.n && i < limit && batch_add(&b, s.bytes + s.rec[i])) i++;
        if (b.T) microbatch(k, &b, 0); else i++;
    }
    printf("eval %s: loss %.4f, tokens right %.4f, sequences exact %.4f of %ld\n", path, k->loss / k->wsum, (double)k->right / k->counted, (double)k->exact / k->nseq, k->nseq);
    k->loss = k->wsum = k->exact = k->nseq = k->right = k->counted = 0;
    data_close(&s);
}

static void gradient_check(const char *path)
{
    static struct batch b;
    struct work *k = &works[0];
    if (data_open(&sets[0], path) < 0) exit(1);
    sets[0].share = 1; nsets = 1;
    batch_fill(&b);
    double ws = 0;
    for (int t = 0; t < b.T; t++) ws += b.w[t];
    for (int i = 0; i < nall; i++) mat_pack(all[i]);
    microbatch(k, &b, 1 / ws);
    for (int i = 0; i < nall; i++) {
        struct mat *m = all[i];
        size_t n = (size_t)m->rows * m->cols;
        double gg = 0, L[2];
        for (size_t j = 0; j < n; j++) gg += (double)m->g[0][j] * m->g[0][j];
        float eps = 0.03 / gg; /* a change of about 0.03 in the loss each way */
        float *keep = need(n * 4);
        memcpy(keep, m->w, n * 4);
        for (int s = 0; s < 2; s++) {
            for (size_t j = 0; j < n; j++) m->w[j] = keep[j] + (s ? -eps : eps) * m->g[0][j];
            mat_pack(m);
            k->loss = k->wsum = 0;
            microbatch(k, &b, 0);
            L[s] = k->loss / k->wsum;
        }
        memcpy(m->w, keep, n * 4);
        mat_pack(m);
        free(keep);
        printf("%-5s |g|^2 %.3e  measured %.5f  expected 0.06000  ratio %.3f\n", m->name, gg, L[0] - L[1], (L[0] - L[1]) / 0.06);
    }
}

int main(int argc, char **argv)
{
    const char *ctl = NULL, *outp = NULL, *resume = NULL, *evalf = NULL, *gradf = NULL, *valf = NULL;
    long steps = 1000000, step = 0, tokens = 0, every = 200;
    int noise = 0, fresh = 0, o;
    nbatches = 8;
    while ((o = getopt(argc, argv, "c:o:r:t:n:b:d:e:g:zwv:s:k:")) > 0)
        switch (o) {
        case 'c': ctl = optarg; break;
        case 'o': outp = optarg; break;
        case 'r': resume = optarg; break;
        case 't': nthreads = atoi(optarg); break;
        case 'n': steps = atol(optarg); break;
        case 'b': nbatches = atoi(optarg); break;
        case 'd': sscanf(optarg, "%d,%d,%d,%d,%d", &C.d, &C.L, &C.H, &C.f, &C.V); break;
        case 'e': evalf = optarg; break;
        case 'g': gradf = optarg; break;
        case 'v': valf = optarg; break;
        case 'k': every = atol(optarg); break;
        case 'z': noise = 1; break;
        case 'w': fresh = 1; break;
        case 's': rng_state ^= strtoull(optarg, NULL, 10) * 0x9E3779B97F4A7C15ull; break;
        default: fprintf(stderr, "usage: see the head of train.c\n"); return 2;
        }
    if (nthreads < 1 || nthreads > MAXTHREADS) nthreads = 1;
    if (resume) load(resume, &step, &tokens, fresh || evalf != NULL); else model_create(noise);
    if (C.d % 32 || C.f % 32 || C.V % 32 || C.d / HD < 1) { fprintf(stderr, "train: d, f and V must be multiples of 32\n"); return 2; }
    for (int t = 0; t < nthreads; t++) work_create(&works[t], t);
    for (int i = 0; i < nall; i++) mat_pack(all[i]);
    if (gradf) { gradient_check(gradf); return 0; }
    if (evalf) { evaluate(evalf, 1000000); return 0; }
    if (!ctl || !outp) { fprintf(stderr, "train: -c and -o are needed\n"); return 2; }

    long params = 0;
    for (int i = 0; i < nall; i++) params += (long)all[i]->rows * all[i]->cols;
    printf("d %d, layers %d, heads %d, ffn %d, vocabulary %d: %ld weights\n", C.d, C.L, C.H, C.f, C.V, params);
    setvbuf(stdout, NULL, _IOLBF, 0);
    batches = need(sizeof *batches * nbatches);
    pthread_barrier_init(&gate, NULL, nthreads);
    pthread_t th[MAXTHREADS];
    for (int t = 1; t < nthreads; t++) pthread_create(&th[t], NULL, worker, &works[t]);
    rng_state += step * 7919;
    double t0 = now(), mark = t0;
    long marked = tokens, since = 0;
    if (fresh) step = tokens = 0;
    adam_step = step;
    control_read(ctl);
    for (long end = step + steps; step < end;) {
        if (step % 20 == 0) control_read(ctl);
        if (!nsets) { fprintf(stderr, "train: the control file names no data\n"); return 1; }
        double ws = 0;
        for (int i = 0; i < nbatches; i++) {
            batch_fill(&batches[i]);
            for (int t = 0; t < batches[i].T; t++) ws += batches[i].w[t];
            tokens += batches[i].T;
        }
        step_inv = 1 / (ws + 1e-6);
        run_phase(0);
        step++; since++;
        adam_step++;
        step_lr = ctl_lr * (adam_step < 50 ? adam_step / 50.0f : 1);
        if (decay_to > decay_from && step > decay_from) step_lr *= step >= decay_to ? 0 : (float)(decay_to - step) / (decay_to - decay_from);
        run_phase(1);
        if (step % 50 == 0) {
            double loss = 0, w = 0, t = now();
            long ex = 0, ns = 0, ri = 0, co = 0;
            for (int i = 0; i < nthreads; i++) {
                loss += works[i].loss; w += works[i].wsum; ex += works[i].exact; ns += works[i].nseq; ri += works[i].right; co += works[i].counted;
                works[i].loss = works[i].wsum = works[i].exact = works[i].nseq = works[i].right = works[i].counted = 0;
            }
            printf("step %ld  %.2fM tokens  loss %.4f  right %.4f  exact %.4f  lr %.3f  %.0f tok/s  %.0f s\n", step, tokens / 1e6, loss / w, ri / (co + 1e-9), ex / (ns + 1e-9), step_lr, (tokens - marked) / (t - mark), t - t0);
            mark = t; marked = tokens;
        }
        if (step % every == 0) { save(outp, step, tokens); if (valf) evaluate(valf, 300); mark = now(); }
        if (decay_to > decay_from && step >= decay_to) break;
    }
    save(outp, step, tokens);
    if (valf) evaluate(valf, 100000);
    return 0;
}
