/* Batch norm of images whose channels are last in memory, and the leaky ReLU after it: two visits of memory each way.

   x is [groups m, c]: `groups` parts of m rows, each normalised by its own mean and variance. Sums are of the difference
   to the part's first row, in float32 over CHUNK rows and in float64 over those, in the same order whatever the number
   of threads. With slope 1 there is no ReLU. */

#include <math.h>
#include <stdlib.h>

#include "blocks.h"

/* rows that one thread sums up */
enum { CHUNK = 256 };

/* for all chunks: of `group`, the rows from `first` to before `last` */
#define CHUNKS                                                                                                         \
    const long chunks = (m + CHUNK - 1) / CHUNK;                                                                       \
    _Pragma("omp parallel for schedule(static)") for (long chunk = 0; chunk < groups * chunks; chunk++)
#define OF_CHUNK                                                                                                       \
    const long group = chunk / chunks, first = group * m + chunk % chunks * CHUNK;                                     \
    const long last = first + CHUNK < (group + 1) * m ? first + CHUNK : (group + 1) * m;

/* sums [2, groups chunks, c] of each chunk -> total [2, c] of a group */
static void add_up(const float *sums, double *total, long groups, long group, long m, long c) {
    const long chunks = (m + CHUNK - 1) / CHUNK;
    for (long i = 0; i < 2 * c; i++) total[i] = 0;
    for (int which = 0; which < 2; which++)
        for (long chunk = group * chunks; chunk < (group + 1) * chunks; chunk++)
            for (long k = 0; k < c; k++) total[which * c + k] += sums[(which * groups * chunks + chunk) * c + k];
}

#define NORMS(T, LOAD, STORE, NAME)                                                                                    \
                                                                                                                       \
    /* x -> y = p(w (x - mean) inverse + b); mean, inverse [groups, c], inverse = (variance + eps)^(-1/2). w, b and the\
       running statistics may be missing; returns 1 when there was no memory */                                        \
    int normalised_##NAME(const T *x, const float *w, const float *b, T *y, float *mean, float *inverse,               \
                          float *running_mean, float *running_variance, long groups, long m, long c, float slope,      \
                          float eps, float momentum) {                                                                 \
        const long size = groups * ((m + CHUNK - 1) / CHUNK) * c;                                                      \
        float *sums = malloc((2 * size + 2 * groups * c) * sizeof(float));                                             \
        double *total = malloc(2 * c * sizeof(double));                                                                \
        if (!sums || !total) { free(sums); free(total); return 1; }                                                    \
        float *scale = sums + 2 * size, *shift = scale + groups * c;                                                   \
        {                                                                                                              \
            CHUNKS {                                                                                                   \
                OF_CHUNK                                                                                               \
                BLOCKS(c) {                                                                                            \
                    float from[BLOCK], sum[BLOCK] = {0}, squares[BLOCK] = {0};                                         \
                    EACH(from[k] = LOAD(x[group * m * c + begin + k]));                                                \
                    for (long r = first; r < last; r++)                                                                \
                        EACH(const float far = LOAD(x[r * c + begin + k]) - from[k]; sum[k] += far; squares[k] += far * far);\
                    EACH(sums[chunk * c + begin + k] = sum[k]; sums[size + chunk * c + begin + k] = squares[k]);       \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (long group = 0; group < groups; group++) {                                                                \
            add_up(sums, total, groups, group, m, c);                                                                  \
            for (long k = 0; k < c; k++) {                                                                             \
                const double far = total[k] / m, found = LOAD(x[group * m * c + k]) + far;                             \
                const double square = total[c + k] / m - far * far, variance = square > 0 ? square : 0;                \
                const long at = group * c + k;                                                                         \
                mean[at] = found;                                                                                      \
                inverse[at] = 1 / sqrt(variance + eps);                                                                \
                scale[at] = (w ? w[k] : 1) * inverse[at];                                                              \
                shift[at] = (b ? b[k] : 0) - (w ? w[k] : 1) * (found / sqrt(variance + eps));                          \
                if (running_mean) {                                                                                    \
                    running_mean[k] += momentum * (found - running_mean[k]);                                           \
                    running_variance[k] += momentum * (variance * m / (m - 1) - running_variance[k]);                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        {                                                                                                              \
            CHUNKS {                                                                                                   \
                OF_CHUNK                                                                                               \
                for (long r = first; r < last; r++) BLOCKS(c) {                                                        \
                    const float *by = scale + group * c + begin, *plus = shift + group * c + begin;                    \
                    EACH(const float value = LOAD(x[r * c + begin + k]) * by[k] + plus[k];                             \
                         y[r * c + begin + k] = STORE(value > 0 ? value : slope * value));                             \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        free(sums);                                                                                                    \
        free(total);                                                                                                   \
        return 0;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* g, the derivative by y -> by x, by w and by b [c], which may be missing; returns 1 when there was no memory */  \
    int unnormalised_##NAME(const T *g, const T *x, const float *w, const float *b, const float *mean,                 \
                            const float *inverse, T *by_x, float *by_w, float *by_b, long groups, long m, long c,      \
                            float slope) {                                                                             \
        const long size = groups * ((m + CHUNK - 1) / CHUNK) * c;                                                      \
        float *sums = malloc((2 * size + 4 * groups * c) * sizeof(float));                                             \
        double *total = malloc(2 * c * sizeof(double));                                                                \
        if (!sums || !total) { free(sums); free(total); return 1; }                                                    \
        float *scale = sums + 2 * size, *shift = scale + groups * c;                                                   \
        /* by_x = of_g g + of_x x + rest */                                                                            \
        float *of_g = scale, *of_x = shift + groups * c, *rest = of_x + groups * c;                                    \
        for (long i = 0; i < groups * c; i++) {                                                                        \
            scale[i] = (w ? w[i % c] : 1) * inverse[i];                                                                \
            shift[i] = (b ? b[i % c] : 0) - scale[i] * mean[i];                                                        \
        }                                                                                                              \
        {                                                                                                              \
            CHUNKS {                                                                                                   \
                OF_CHUNK                                                                                               \
                BLOCKS(c) {                                                                                            \
                    const long at = group * c + begin;                                                                 \
                    float sum[BLOCK] = {0}, along[BLOCK] = {0};                                                        \
                    for (long r = first; r < last; r++)                                                                \
                        EACH(const float value = LOAD(x[r * c + begin + k]), found = LOAD(g[r * c + begin + k]);       \
                             const float change = value * scale[at + k] + shift[at + k] > 0 ? found : slope * found;   \
                             sum[k] += change; along[k] += change * (value - mean[at + k]));                           \
                    EACH(sums[chunk * c + begin + k] = sum[k]; sums[size + chunk * c + begin + k] = along[k]);         \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        for (long k = 0; k < c && by_w; k++) by_w[k] = 0;                                                              \
        for (long k = 0; k < c && by_b; k++) by_b[k] = 0;                                                              \
        for (long group = 0; group < groups; group++) {                                                                \
            add_up(sums, total, groups, group, m, c);                                                                  \
            for (long k = 0; k < c; k++) {                                                                             \
                const long at = group * c + k;                                                                         \
                const double along = total[c + k] * inverse[at];                                                       \
                if (by_w) by_w[k] += along;                                                                            \
                if (by_b) by_b[k] += total[k];                                                                         \
                of_x[at] = -scale[at] * inverse[at] * along / m;                                                       \
                rest[at] = -scale[at] * total[k] / m - of_x[at] * mean[at];                                            \
            }                                                                                                          \
        }                                                                                                              \
        {                                                                                                              \
            CHUNKS {                                                                                                   \
                OF_CHUNK                                                                                               \
                for (long r = first; r < last; r++) BLOCKS(c) {                                                        \
                    const long at = group * c + begin;                                                                 \
                    EACH(const float value = LOAD(x[r * c + begin + k]), found = LOAD(g[r * c + begin + k]);           \
                         const float change = value * scale[at + k] + shift[at + k] > 0 ? found : slope * found;       \
                         by_x[r * c + begin + k] = STORE(of_g[at + k] * change + of_x[at + k] * value + rest[at + k]));\
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        free(sums);                                                                                                    \
        free(total);                                                                                                   \
        return 0;                                                                                                      \
    }

NORMS(float, from_float, to_float, float)
NORMS(bf16, from_bf16, to_bf16, bf16)
