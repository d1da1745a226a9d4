/* Linear maps of images whose channels are last in memory, each of which visits memory once: the ways from images to
   matrices and back, between which a convolution is a matrix product.

   Most are those of Winograd's minimal filtering F(2x2, r x r), r = 2 and 3. A tile is 2x2 outputs, for which it takes
   a x a inputs, a = r + 1. A convolution of stride 2 with a 4x4 kernel is one of stride 1 with a 2x2 kernel over pixels
   of 2x2 places: `stride` tells which it is, and place (p, q) of the padded image then has stride * stride * c
   numbers. */

#include <stdlib.h>
#include <string.h>

#include "numbers.h"

/* channels that are worked on at once: what lies between stays in the first cache */
enum { BLOCK = 64 };

/* One dimension of each map, over BLOCK channels: in and out are steps of `by` floats apart. */
#define EACH for (int k = 0; k < BLOCK; k++)
#define I(j) in[(j) * by + k]
#define O(j) out[(j) * by + k]

static inline void split_line(int a, const float *restrict in, float *restrict out, int by) {
    if (a == 3) EACH { O(0) = I(0) - I(1); O(1) = I(1); O(2) = I(1) - I(2); }
    else EACH { O(0) = I(0) - I(2); O(1) = I(1) + I(2); O(2) = I(2) - I(1); O(3) = I(1) - I(3); }
}
static inline void unsplit_line(int a, const float *restrict in, float *restrict out, int by) {
    if (a == 3) EACH { O(0) = I(0); O(1) = I(1) - I(0) + I(2); O(2) = -I(2); }
    else EACH { O(0) = I(0); O(1) = I(1) - I(2) + I(3); O(2) = I(1) + I(2) - I(0); O(3) = -I(3); }
}
static inline void merge_line(int a, const float *restrict in, float *restrict out, int by) {
    if (a == 3) EACH { O(0) = I(0) + I(1); O(1) = I(1) - I(2); }
    else EACH { O(0) = I(0) + I(1) + I(2); O(1) = I(1) - I(2) - I(3); }
}
static inline void unmerge_line(int a, const float *restrict in, float *restrict out, int by) {
    if (a == 3) EACH { O(0) = I(0); O(1) = I(0) + I(1); O(2) = -I(1); }
    else EACH { O(0) = I(0); O(1) = I(0) + I(1); O(2) = I(0) - I(1); O(3) = -I(1); }
}
static inline void kernels_line(int a, const float *restrict in, float *restrict out, int by) {
    if (a == 3) EACH { O(0) = I(0); O(1) = I(0) + I(1); O(2) = I(1); }
    else EACH { float even = I(0) + I(2); O(0) = I(0); O(1) = (even + I(1)) / 2; O(2) = (even - I(1)) / 2; O(3) = I(2); }
}
static inline void unkernels_line(int a, const float *restrict in, float *restrict out, int by) {
    if (a == 3) EACH { O(0) = I(0) + I(1); O(1) = I(1) + I(2); }
    else EACH { float even = (I(1) + I(2)) / 2; O(0) = I(0) + even; O(1) = (I(1) - I(2)) / 2; O(2) = even + I(3); }
}

typedef float Grid[4][4][BLOCK];

/* both dimensions: `from` x `from` numbers become `to` x `to` */
#define BOTH(line, a, from, to, grid)                                                        \
    do {                                                                                     \
        Grid half;                                                                           \
        for (int v_ = 0; v_ < (from); v_++) line(a, grid[0][v_], half[0][v_], 4 * BLOCK);    \
        for (int u_ = 0; u_ < (to); u_++) line(a, half[u_][0], grid[u_][0], BLOCK);          \
    } while (0)

#define MAPS(T, LOAD, STORE, NAME)                                                                                     \
                                                                                                                       \
    static inline void load_##NAME(const T *x, float *out, long count) {                                               \
        if (count == BLOCK) EACH out[k] = LOAD(x[k]);                                                                  \
        else for (long k = 0; k < BLOCK; k++) out[k] = k < count ? LOAD(x[k]) : 0;                                     \
    }                                                                                                                  \
    static inline void store_##NAME(T *x, const float *in, long count) {                                               \
        if (count == BLOCK) EACH x[k] = STORE(in[k]);                                                                  \
        else for (long k = 0; k < count; k++) x[k] = STORE(in[k]);                                                     \
    }                                                                                                                  \
                                                                                                                       \
    /* x [n, h, w, c] -> tiles [a a, n rows columns, stride stride c] */                                               \
    void split_##NAME(const T *x, T *tiles, long n, long h, long w, long c, int stride) {                              \
        const int a = stride == 2 ? 3 : 4;                                                                             \
        const long rows = h / (2 * stride), columns = w / (2 * stride), inner = stride * stride * c;                   \
        const long apart = n * rows * columns * inner;                                                                 \
        _Pragma("omp parallel for schedule(static)") for (long row = 0; row < n * rows; row++) {                       \
            const T *image = x + row / rows * h * w * c;                                                               \
            const long top = row % rows * 2 * stride - 1;                                                              \
            for (long q = 0; q < columns; q++)                                                                         \
                for (int r = 0; r < stride; r++)                                                                       \
                    for (int s = 0; s < stride; s++)                                                                   \
                        for (long begin = 0; begin < c; begin += BLOCK) {                                              \
                            const long count = c - begin < BLOCK ? c - begin : BLOCK;                                  \
                            Grid grid;                                                                                 \
                            for (int u = 0; u < a; u++)                                                                \
                                for (int v = 0; v < a; v++) {                                                          \
                                    const long i = top + stride * u + r, j = (2 * q + v) * stride + s - 1;             \
                                    if (i < 0 || i >= h || j < 0 || j >= w) memset(grid[u][v], 0, sizeof grid[u][v]);  \
                                    else load_##NAME(image + (i * w + j) * c + begin, grid[u][v], count);              \
                                }                                                                                      \
                            if (a == 3) BOTH(split_line, 3, 3, 3, grid);                                               \
                            else BOTH(split_line, 4, 4, 4, grid);                                                      \
                            T *tile = tiles + (row * columns + q) * inner + (r * stride + s) * c + begin;              \
                            for (int u = 0; u < a; u++)                                                                \
                                for (int v = 0; v < a; v++) store_##NAME(tile + (u * a + v) * apart, grid[u][v], count); \
                        }                                                                                              \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* its adjoint; returns 1 when there was no memory */                                                              \
    int unsplit_##NAME(const T *tiles, T *x, long n, long h, long w, long c, int stride) {                             \
        const int a = stride == 2 ? 3 : 4;                                                                             \
        const long rows = h / (2 * stride), columns = w / (2 * stride), inner = stride * stride * c;                   \
        const long apart = n * rows * columns * inner;                                                                 \
        /* lines of the padded image that a row of tiles reaches, and those that the next row reaches no more */       \
        const long line = (w + 2 * stride) * c, reach = a * stride, done = 2 * stride;                                 \
        int failed = 0;                                                                                                \
        _Pragma("omp parallel for schedule(static)") for (long m = 0; m < n; m++) {                                    \
            float *sums = calloc(reach * line + BLOCK, sizeof(float));                                                 \
            if (!sums) { failed = 1; continue; }                                                                       \
            for (long p = 0; p <= rows; p++) {                                                                         \
                for (long q = 0; p < rows && q < columns; q++)                                                         \
                    for (int r = 0; r < stride; r++)                                                                   \
                        for (int s = 0; s < stride; s++)                                                               \
                            for (long begin = 0; begin < c; begin += BLOCK) {                                          \
                                const long count = c - begin < BLOCK ? c - begin : BLOCK;                              \
                                const T *tile = tiles + ((m * rows + p) * columns + q) * inner + (r * stride + s) * c + begin; \
                                Grid grid;                                                                             \
                                for (int u = 0; u < a; u++)                                                            \
                                    for (int v = 0; v < a; v++) load_##NAME(tile + (u * a + v) * apart, grid[u][v], count); \
                                if (a == 3) BOTH(unsplit_line, 3, 3, 3, grid);                                         \
                                else BOTH(unsplit_line, 4, 4, 4, grid);                                                \
                                for (int u = 0; u < a; u++)                                                            \
                                    for (int v = 0; v < a; v++) {                                                      \
                                        float *at = sums + (stride * u + r) * line + ((2 * q + v) * stride + s) * c + begin; \
                                        if (count == BLOCK) EACH at[k] += grid[u][v][k];                               \
                                        else for (long k = 0; k < count; k++) at[k] += grid[u][v][k];                  \
                                    }                                                                                  \
                            }                                                                                          \
                /* line 0 of the padded image is above the image */                                                    \
                for (long l = 0; l < done; l++) {                                                                      \
                    const long i = p * done + l - 1;                                                                   \
                    if (i < 0 || i >= h) continue;                                                                     \
                    T *to = x + (m * h + i) * w * c;                                                                   \
                    const float *from = sums + l * line + c;                                                           \
                    for (long k = 0; k < w * c; k++) to[k] = STORE(from[k]);                                           \
                }                                                                                                      \
                memmove(sums, sums + done * line, (reach - done) * line * sizeof(float));                              \
                memset(sums + (reach - done) * line, 0, done * line * sizeof(float));                                  \
            }                                                                                                          \
            free(sums);                                                                                                \
        }                                                                                                              \
        return failed;                                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    /* products [a a, n h/2 w/2, c] -> y [n, h, w, c] */                                                               \
    void merge_##NAME(const T *products, T *y, long n, long h, long w, long c, int a) {                                \
        const long rows = h / 2, columns = w / 2, apart = n * rows * columns * c;                                      \
        _Pragma("omp parallel for schedule(static)") for (long row = 0; row < n * rows; row++)                         \
            for (long q = 0; q < columns; q++)                                                                         \
                for (long begin = 0; begin < c; begin += BLOCK) {                                                      \
                    const long count = c - begin < BLOCK ? c - begin : BLOCK;                                          \
                    const T *product = products + (row * columns + q) * c + begin;                                     \
                    Grid grid;                                                                                         \
                    for (int u = 0; u < a; u++)                                                                        \
                        for (int v = 0; v < a; v++) load_##NAME(product + (u * a + v) * apart, grid[u][v], count);     \
                    if (a == 3) BOTH(merge_line, 3, 3, 2, grid);                                                       \
                    else BOTH(merge_line, 4, 4, 2, grid);                                                              \
                    for (int u = 0; u < 2; u++)                                                                        \
                        for (int v = 0; v < 2; v++) {                                                                  \
                            store_##NAME(y + ((2 * row + u) * w + 2 * q + v) * c + begin, grid[u][v], count);          \
                        }                                                                                              \
                }                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* its adjoint */                                                                                                  \
    void unmerge_##NAME(const T *y, T *products, long n, long h, long w, long c, int a) {                              \
        const long rows = h / 2, columns = w / 2, apart = n * rows * columns * c;                                      \
        _Pragma("omp parallel for schedule(static)") for (long row = 0; row < n * rows; row++)                         \
            for (long q = 0; q < columns; q++)                                                                         \
                for (long begin = 0; begin < c; begin += BLOCK) {                                                      \
                    const long count = c - begin < BLOCK ? c - begin : BLOCK;                                          \
                    T *product = products + (row * columns + q) * c + begin;                                           \
                    Grid grid;                                                                                         \
                    for (int u = 0; u < 2; u++)                                                                        \
                        for (int v = 0; v < 2; v++)                                                                    \
                            load_##NAME(y + ((2 * row + u) * w + 2 * q + v) * c + begin, grid[u][v], count);           \
                    if (a == 3) BOTH(unmerge_line, 3, 2, 3, grid);                                                     \
                    else BOTH(unmerge_line, 4, 2, 4, grid);                                                            \
                    for (int u = 0; u < a; u++)                                                                        \
                        for (int v = 0; v < a; v++) store_##NAME(product + (u * a + v) * apart, grid[u][v], count);    \
                }                                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* w [o, stride r, stride r, c] (r = a - 1) -> u [a a, o, stride stride c] */                                      \
    void kernels_##NAME(const float *w, T *u, long o, long c, int stride) {                                            \
        const int a = stride == 2 ? 3 : 4, r = a - 1;                                                                  \
        const long side = stride * r, inner = stride * stride * c, apart = o * inner;                                  \
        _Pragma("omp parallel for schedule(static)") for (long m = 0; m < o; m++)                                      \
            for (int i = 0; i < stride; i++)                                                                           \
                for (int j = 0; j < stride; j++)                                                                       \
                    for (long begin = 0; begin < c; begin += BLOCK) {                                                  \
                        const long count = c - begin < BLOCK ? c - begin : BLOCK;                                      \
                        Grid grid;                                                                                     \
                        for (int p = 0; p < r; p++)                                                                    \
                            for (int q = 0; q < r; q++)                                                                \
                                load_float(w + ((m * side + stride * p + i) * side + stride * q + j) * c + begin, grid[p][q], count); \
                        if (a == 3) BOTH(kernels_line, 3, 2, 3, grid);                                                 \
                        else BOTH(kernels_line, 4, 3, 4, grid);                                                        \
                        T *to = u + m * inner + (i * stride + j) * c + begin;                                          \
                        for (int p = 0; p < a; p++)                                                                    \
                            for (int q = 0; q < a; q++) store_##NAME(to + (p * a + q) * apart, grid[p][q], count);     \
                    }                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    /* its adjoint */                                                                                                  \
    void unkernels_##NAME(const T *u, float *w, long o, long c, int stride) {                                          \
        const int a = stride == 2 ? 3 : 4, r = a - 1;                                                                  \
        const long side = stride * r, inner = stride * stride * c, apart = o * inner;                                  \
        _Pragma("omp parallel for schedule(static)") for (long m = 0; m < o; m++)                                      \
            for (int i = 0; i < stride; i++)                                                                           \
                for (int j = 0; j < stride; j++)                                                                       \
                    for (long begin = 0; begin < c; begin += BLOCK) {                                                  \
                        const long count = c - begin < BLOCK ? c - begin : BLOCK;                                      \
                        const T *from = u + m * inner + (i * stride + j) * c + begin;                                  \
                        Grid grid;                                                                                     \
                        for (int p = 0; p < a; p++)                                                                    \
                            for (int q = 0; q < a; q++) load_##NAME(from + (p * a + q) * apart, grid[p][q], count);    \
                        if (a == 3) BOTH(unkernels_line, 3, 3, 2, grid);                                               \
                        else BOTH(unkernels_line, 4, 4, 3, grid);                                                      \
                        for (int p = 0; p < r; p++)                                                                    \
                            for (int q = 0; q < r; q++)                                                                \
                                store_float(w + ((m * side + stride * p + i) * side + stride * q + j) * c + begin, grid[p][q], count); \
                    }                                                                                                  \
    }

/* Every patch as a row, and back. */
#define MORE(T, LOAD, STORE, NAME)                                                                                     \
                                                                                                                       \
    /* x [n, h, w, c] -> rows [n h' w', k k c] */                                                                      \
    void columns_##NAME(const T *x, T *rows, long n, long h, long w, long c, int k, int stride, int padding) {         \
        const long height = (h + 2 * padding - k) / stride + 1, width = (w + 2 * padding - k) / stride + 1;            \
        _Pragma("omp parallel for schedule(static)") for (long row = 0; row < n * height; row++) {                     \
            const T *image = x + row / height * h * w * c;                                                             \
            T *to = rows + row * width * k * k * c;                                                                    \
            for (long q = 0; q < width; q++)                                                                           \
                for (int a = 0; a < k; a++, to += k * c) {                                                             \
                    const long i = row % height * stride + a - padding, j = q * stride - padding;                      \
                    const long from = j < 0 ? -j : 0, until = j + k > w ? w - j : k;                                   \
                    if (i < 0 || i >= h || from >= until) { memset(to, 0, k * c * sizeof(T)); continue; }              \
                    memset(to, 0, from * c * sizeof(T));                                                               \
                    memcpy(to + from * c, image + (i * w + j + from) * c, (until - from) * c * sizeof(T));             \
                    memset(to + until * c, 0, (k - until) * c * sizeof(T));                                            \
                }                                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* its adjoint; returns 1 when there was no memory */                                                              \
    int uncolumns_##NAME(const T *rows, T *x, long n, long h, long w, long c, int k, int stride, int padding) {        \
        const long height = (h + 2 * padding - k) / stride + 1, width = (w + 2 * padding - k) / stride + 1;            \
        int failed = 0;                                                                                                \
        _Pragma("omp parallel for schedule(static)") for (long m = 0; m < n; m++) {                                    \
            float *sums = calloc(h * w * c, sizeof(float));                                                            \
            if (!sums) { failed = 1; continue; }                                                                       \
            const T *at = rows + m * height * width * k * k * c;                                                       \
            for (long p = 0; p < height; p++)                                                                          \
                for (long q = 0; q < width; q++)                                                                       \
                    for (int a = 0; a < k; a++, at += k * c) {                                                         \
                        const long i = p * stride + a - padding, j = q * stride - padding;                             \
                        const long from = j < 0 ? -j : 0, until = j + k > w ? w - j : k;                               \
                        if (i < 0 || i >= h) continue;                                                                 \
                        float *to = sums + (i * w + j) * c;                                                            \
                        for (long l = from * c; l < until * c; l++) to[l] += LOAD(at[l]);                              \
                    }                                                                                                  \
            for (long l = 0; l < h * w * c; l++) x[m * h * w * c + l] = STORE(sums[l]);                                \
            free(sums);                                                                                                \
        }                                                                                                              \
        return failed;                                                                                                 \
    }

MAPS(float, from_float, to_float, float)
MORE(float, from_float, to_float, float)
MORE(bf16, from_bf16, to_bf16, bf16)
MAPS(bf16, from_bf16, to_bf16, bf16)
