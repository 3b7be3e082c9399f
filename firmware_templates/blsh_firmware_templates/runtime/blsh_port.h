/*
 * The operations that a port may provide for its core. Internal.
 *
 * A port header defines any of these as a macro of its own name and an inline function; what it
 * leaves out is defined here, portably. Ports compute exactly the same.
 *
 *     blsh_mulw      product of 32 and 16 bits without its lowest 16
 *     blsh_dot_s16   dot product of int16 vectors of even length
 *     blsh_popcount  number of ones in a word
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_H
#define BLSH_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "blsh_config.h"

#include BLSH_PORT_HEADER

#ifndef blsh_mulw
/*
 * floor(a w / 2^16) without a 64-bit product: with a = 2^16 h + l, 0 <= l < 2^16, it is
 * h w + floor(l w / 2^16), and neither product leaves 32 bits.
 */
static inline int32_t blsh_mulw(int32_t a, int16_t w)
{
    return (a >> 16) * w + (((int32_t)((uint32_t)a & 0xFFFFu) * w) >> 16);
}
#endif

#ifndef blsh_dot_s16
static inline int32_t blsh_dot_s16(const int16_t *a, const int16_t *b, size_t n_pairs)
{
    int32_t sum = 0;
    size_t n;

    for (n = 0; n < 2 * n_pairs; n++) {
        sum += (int32_t)a[n] * b[n];
    }
    return sum;
}
#endif

#ifndef blsh_popcount
/* Sums of 2, 4 and 8 neighbouring bits, then of the four bytes. */
static inline uint32_t blsh_popcount(uint32_t x)
{
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0Fu;
    return (x * 0x01010101u) >> 24;
}
#endif

#endif
