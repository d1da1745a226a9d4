/* Batch norm of images whose channels are last in memory, and the leaky ReLU after it: two visits of memory each way.

   x is [groups m, c]: `groups` parts of m rows, each normalised by its own mean and variance, which are of `all` rows
   where other processes have more of them. Sums [groups, 2, c] are of differences to something near the mean, in
   float32 over CHUNK rows and in float64 over those, in the same order whatever the number of threads. With slope 1
   there is no ReLU. Those that return a number return 1 when there was no memory. */

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

/* parts [2, groups chunks, c], a row for each chunk -> sums */
static void add_up(const float *parts, double *sums, long groups, long m, long c) {
    const long chunks = (m + CHUNK - 1) / CHUNK;
    for (long i = 0; i < groups * 2 * c; i++) sums[i] = 0;
    for (int which = 0; which < 2; which++)
        for (long chunk = 0; chunk < groups * chunks; chunk++) {
            const float *from = parts + (which * groups * chunks + chunk) * c;
            double *to = sums + (chunk / chunks * 2 + which) * c;
            for (long k = 0; k < c; k++) to[k] += from[k];
        }
}

#define NORMS(T, LOAD, STORE, NAME)                                                                                    \
                                                                                                                       \
    /* x -> its sums and those of its squares */                                                                       \
    int moments_##NAME(const T *x, double *sums, long groups, long m, long c) {                                        \
        const long size = groups * ((m + CHUNK - 1) / CHUNK) * c;                                                      \
        float *parts = malloc(2 * size * sizeof(float));                                                               \
        if (!parts) return 1;                                                                                          \
        {                                                                                                              \
            CHUNKS {                                                                                                   \
                OF_CHUNK                                                                                               \
                BLOCKS(c) {                                                                                            \
                    float from[BLOCK], sum[BLOCK] = {0}, squares[BLOCK] = {0};                                         \
                    EACH(from[k] = LOAD(x[group * m * c + begin + k]));                                                \
                    for (long r = first; r < last; r++)                                                                \
                        EACH(const float far = LOAD(x[r * c + begin + k]) - from[k];                                   \
                             sum[k] += far; squares[k] += far * far);                                                  \
                    EACH(parts[chunk * c + begin + k] = sum[k]; parts[size + chunk * c + begin + k] = squares[k]);     \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        add_up(parts, sums, groups, m, c);                                                                             \
        free(parts);                                                                                                   \
        for (long group = 0; group < groups; group++)                                                                  \
            for (long k = 0; k < c; k++) {                                                                             \
                const double from = LOAD(x[group * m * c + k]);                                                        \
                double *sum = sums + group * 2 * c + k, *squares = sum + c;                                            \
                *squares += from * (2 * *sum + m * from);                                                              \
                *sum += m * from;                                                                                      \
            }                                                                                                          \
        return 0;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* x and the sums of all its rows -> y = p(w (x - mean) inverse + b); mean, inverse [groups, c], inverse =         \
       (variance + eps)^(-1/2). w, b and the running statistics may be missing */                                      \
    int normalised_##NAME(const T *x, const double *sums, const float *w, const float *b, T *y, float *mean,           \
                          float *inverse, float *running_mean, float *running_variance, long groups, long m, long c,   \
                          double all, float slope, float eps, float momentum) {                                        \
        float *scale = malloc(2 * groups * c * sizeof(float)), *shift = scale + groups * c;                            \
        if (!scale) return 1;                                                                                          \
        for (long at = 0; at < groups * c; at++) {                                                                     \
            const long k = at % c;                                                                                     \
            const double *sum = sums + at / c * 2 * c + k;                                                             \
            const double found = sum[0] / all, square = sum[c] / all - found * found;                                  \
            const double variance = square > 0 ? square : 0, root = sqrt(variance + eps);                              \
            mean[at] = found;                                                                                          \
            inverse[at] = 1 / root;                                                                                    \
            scale[at] = (w ? w[k] : 1) / root;                                                                         \
            shift[at] = (b ? b[k] : 0) - (w ? w[k] : 1) * found / root;                                                \
            if (running_mean) {                                                                                        \
                running_mean[k] += momentum * (found - running_mean[k]);                                               \
                running_variance[k] += momentum * (variance * all / (all > 1 ? all - 1 : 1) - running_variance[k]);    \
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
        free(scale);                                                                                                   \
        return 0;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* g, the derivative by y -> that by what the activation takes: its sums, and those of it times                    \
       (x - mean) inverse */                                                                                           \
    int unmoments_##NAME(const T *g, const T *x, const float *w, const float *b, const float *mean,                    \
                         const float *inverse, double *sums, long groups, long m, long c, float slope) {               \
        const long size = groups * ((m + CHUNK - 1) / CHUNK) * c;                                                      \
        float *parts = malloc(2 * size * sizeof(float));                                                               \
        if (!parts) return 1;                                                                                          \
        {                                                                                                              \
            CHUNKS {                                                                                                   \
                OF_CHUNK                                                                                               \
                BLOCKS(c) {                                                                                            \
                    float scale[BLOCK], offset[BLOCK], sum[BLOCK] = {0}, along[BLOCK] = {0};                           \
                    EACH(scale[k] = w ? w[begin + k] : 1; offset[k] = b ? b[begin + k] : 0);                           \
                    const float *centre = mean + group * c + begin, *over = inverse + group * c + begin;               \
                    for (long r = first; r < last; r++)                                                                \
                        EACH(const float far = (LOAD(x[r * c + begin + k]) - centre[k]) * over[k];                     \
                             const float found = LOAD(g[r * c + begin + k]);                                           \
                             const float change = far * scale[k] + offset[k] > 0 ? found : slope * found;              \
                             sum[k] += change; along[k] += change * far);                                              \
                    EACH(parts[chunk * c + begin + k] = sum[k]; parts[size + chunk * c + begin + k] = along[k]);       \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        add_up(parts, sums, groups, m, c);                                                                             \
        free(parts);                                                                                                   \
        return 0;                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* g and those sums of all rows -> the derivative by x */                                                          \
    int unnormalised_##NAME(const T *g, const T *x, const double *sums, const float *w, const float *b,                \
                            const float *mean, const float *inverse, T *by_x, long groups, long m, long c, double all, \
                            float slope) {                                                                             \
        CHUNKS {                                                                                                       \
            OF_CHUNK                                                                                                   \
            BLOCKS(c) {                                                                                                \
                float scale[BLOCK], offset[BLOCK], level[BLOCK], along[BLOCK];                                         \
                EACH(scale[k] = w ? w[begin + k] : 1; offset[k] = b ? b[begin + k] : 0);                               \
                EACH(level[k] = sums[group * 2 * c + begin + k] / all;                                                 \
                     along[k] = sums[(group * 2 + 1) * c + begin + k] / all);                                          \
                const float *centre = mean + group * c + begin, *over = inverse + group * c + begin;                   \
                for (long r = first; r < last; r++)                                                                    \
                    EACH(const float far = (LOAD(x[r * c + begin + k]) - centre[k]) * over[k];                         \
                         const float found = LOAD(g[r * c + begin + k]);                                               \
                         const float change = far * scale[k] + offset[k] > 0 ? found : slope * found;                  \
                         by_x[r * c + begin + k] = STORE(scale[k] * over[k] * (change - level[k] - far * along[k])));  \
            }                                                                                                          \
        }                                                                                                              \
        return 0;                                                                                                      \
    }

NORMS(float, from_float, to_float, float)
NORMS(bf16, from_bf16, to_bf16, bf16)
