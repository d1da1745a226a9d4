/* Dense rows of numbers, worked on by blocks of a length that compilers make good code of. */

#include "numbers.h"

/* numbers that are worked on at once */
enum { BLOCK = 64 };

/* for k below `count`, the length of a block */
#define EACH(...)                                                                           \
    do {                                                                                    \
        if (count == BLOCK) { for (int k = 0; k < BLOCK; k++) { __VA_ARGS__; } }            \
        else for (int k = 0; k < count; k++) { __VA_ARGS__; }                               \
    } while (0)
/* the blocks of a row of h numbers */
#define BLOCKS(h) for (long begin = 0, count; count = (h) - begin < BLOCK ? (h) - begin : BLOCK, begin < (h); begin += BLOCK)
