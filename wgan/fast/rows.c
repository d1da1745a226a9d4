/* What a perceptron does to its rows between the products of large matrices, in one visit of memory each.

   T is what the hidden layers are stored in; ends, weights of rows and sums are float32. Matrices are dense, a row after
   the other; those of the ends have few columns (d). Activations are leaky ReLUs, p(x) = max(x, slope x). */

#include "blocks.h"

/* numbers that a second thread is not worth its start for */
enum { FEW = 1 << 18 };

#define PRAGMA(...) _Pragma(#__VA_ARGS__)
#define THREADS(numbers) PRAGMA(omp parallel for schedule(static) if (numbers > FEW))

#define ROW_MAPS(T, LOAD, STORE, NAME)                                                                                 \
                                                                                                                       \
    /* g where y > 0, slope g elsewhere; out may be g */                                                               \
    void masked_##NAME(const T *g, const T *y, T *out, long size, float slope) {                                       \
        THREADS(size) for (long begin = 0; begin < size; begin += BLOCK) {                                             \
            const long count = size - begin < BLOCK ? size - begin : BLOCK;                                            \
            float found[BLOCK];                                                                                        \
            EACH(const float value = LOAD(g[begin + k]); found[k] = LOAD(y[begin + k]) > 0 ? value : slope * value);   \
            EACH(out[begin + k] = STORE(found[k]));                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* x [m, d], w [d, h] -> y = p(x w + b) [m, h]; without b, x w times p' at `at` [m, h] */                          \
    void opened_##NAME(const float *x, const float *w, const float *b, const T *at, T *y, long m, long d, long h,      \
                       float slope) {                                                                                  \
        THREADS(m * h) for (long r = 0; r < m; r++) BLOCKS(h) {                                                        \
            float sums[BLOCK] = {0}, decides[BLOCK];                                                                   \
            if (b) EACH(sums[k] = b[begin + k]);                                                                       \
            for (long j = 0; j < d; j++) {                                                                             \
                const float number = x[r * d + j], *row = w + j * h + begin;                                           \
                EACH(sums[k] += number * row[k]);                                                                      \
            }                                                                                                          \
            if (b) EACH(decides[k] = sums[k]);                                                                         \
            else EACH(decides[k] = LOAD(at[r * h + begin + k]));                                                       \
            EACH(y[r * h + begin + k] = STORE(decides[k] > 0 ? sums[k] : slope * sums[k]));                            \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* a [m, h], v [h] -> scores a v of the first n rows, and p' at a, times v [m, h] */                               \
    void topped_##NAME(const T *a, const float *v, float *scores, T *delta, long n, long m, long h, float slope) {     \
        THREADS(m * h) for (long r = 0; r < m; r++) {                                                                  \
            float sums[BLOCK] = {0}, sum = 0;                                                                          \
            BLOCKS(h) {                                                                                                \
                float found[BLOCK];                                                                                    \
                EACH(const float value = LOAD(a[r * h + begin + k]), weight = v[begin + k];                            \
                     sums[k] += value * weight;                                                                        \
                     found[k] = value > 0 ? weight : slope * weight);                                                  \
                EACH(delta[r * h + begin + k] = STORE(found[k]));                                                      \
            }                                                                                                          \
            for (int k = 0; k < BLOCK; k++) sum += sums[k];                                                            \
            if (r < n) scores[r] = sum;                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* x [m, h], w [d, h] -> x w^T [m, d] */                                                                           \
    void lowered_##NAME(const T *x, const float *w, float *out, long m, long d, long h) {                              \
        THREADS(m * h) for (long r = 0; r < m; r++)                                                                    \
            for (long j = 0; j < d; j++) {                                                                             \
                float sums[BLOCK] = {0}, sum = 0;                                                                      \
                BLOCKS(h) EACH(sums[k] += LOAD(x[r * h + begin + k]) * w[j * h + begin + k]);                          \
                for (int k = 0; k < BLOCK; k++) sum += sums[k];                                                        \
                out[r * d + j] = sum;                                                                                  \
            }                                                                                                          \
    }                                                                                                                  \
                                                                                                                       \
    /* x [m, h], weights [m] -> each row times its weight */                                                           \
    void weighted_##NAME(const T *x, const float *weights, T *out, long m, long h) {                                   \
        THREADS(m * h) for (long r = 0; r < m; r++)                                                                    \
            BLOCKS(h) EACH(out[r * h + begin + k] = STORE(weights[r] * LOAD(x[r * h + begin + k])));                   \
    }                                                                                                                  \
                                                                                                                       \
    /* c [m, d], x [m, h] -> c^T x [d, h] */                                                                           \
    void gathered_##NAME(const float *c, const T *x, float *out, long m, long d, long h) {                             \
        THREADS(m * h) for (long begin = 0; begin < h; begin += BLOCK) {                                               \
            const long count = h - begin < BLOCK ? h - begin : BLOCK;                                                  \
            for (long j = 0; j < d; j++) {                                                                             \
                float sums[BLOCK] = {0};                                                                               \
                for (long r = 0; r < m; r++) {                                                                         \
                    const float number = c[r * d + j];                                                                 \
                    EACH(sums[k] += number * LOAD(x[r * h + begin + k]));                                              \
                }                                                                                                      \
                EACH(out[j * h + begin + k] = sums[k]);                                                                \
            }                                                                                                          \
        }                                                                                                              \
    }

ROW_MAPS(float, from_float, to_float, float)
ROW_MAPS(bf16, from_bf16, to_bf16, bf16)
