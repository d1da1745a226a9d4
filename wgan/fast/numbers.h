/* float and bfloat16 in memory; all sums are in float32. */

#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float from_float(float x) { return x; }
static inline float to_float(float x) { return x; }
static inline float from_bf16(bf16 x) {
    uint32_t bits = (uint32_t)x << 16;
    float found;
    memcpy(&found, &bits, 4);
    return found;
}
/* to the nearest, ties to even; NaN stays NaN */
static inline bf16 to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (bf16)(x != x ? 0x7fc0 : rounded);
}
