/*
 * The operations that a port may provide for its core. Internal.
 *
 * A port header defines any of these as a macro of its own name and an inline function; what it
 * leaves out is defined here, portably. Ports compute exactly the same.
 *
 *     blsh_mulw            product of 32 and 16 bits without its lowest 16
 *     BLSH_WIDE            how many complex numbers a blsh_wide_t holds, 1 or 4: neighbours for
 *                          blsh_load_wide and blsh_store_wide, every `step`-th one, which may go
 *                          down, for blsh_load_spaced and blsh_store_spaced
 *     blsh_load_twiddle    so many pairs of the twiddle table, `stride` pairs from each other, in
 *                          the form that the core multiplies by
 *     blsh_half_product    half the negated product of complex numbers and twiddles
 *     blsh_dot_s16         dot product of int16 vectors whose length is a multiple of 4
 *     blsh_dot4_s16        four of them with one vector in common
 *     blsh_dot4_s8         the same with weights of 8 bits, in pairs of rows
 *     blsh_sum_s16         sum of an int16 vector whose length is a multiple of 4
 *     blsh_add_power       add the square of a complex number's modulus
 *     blsh_clip_feature    the nearest number from -4095 to 4095
 *     blsh_take_two        the next two words of a table
 *     blsh_take_complex    the next complex number of a spectrum
 *     blsh_load_halves     two neighbouring halfwords, the first in the low half
 *     blsh_trailing_zeros  place of the lowest one in a word that is not 0
 *     blsh_leading_zeros   number of zeros above the highest one in a word that is not 0
 *     blsh_peek_24         at least three bytes, the first in the highest bits
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_H
#define BLSH_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "blsh_config.h"
#include "blsh_types.h"

#include BLSH_PORT_HEADER

#ifndef blsh_mulw
/*
 * floor(a w / 2^16) without a 64-bit product: with a = 2^16 h + l, 0 <= l < 2^16, it is
 * h w + floor(l w / 2^16), and neither product leaves 32 bits.
 */
static BLSH_INLINE int32_t blsh_mulw(int32_t a, int16_t w)
{
    return (a >> 16) * w + (((int32_t)((uint32_t)a & 0xFFFFu) * w) >> 16);
}
#endif

#ifndef BLSH_WIDE
#define BLSH_WIDE 1
typedef blsh_complex_t blsh_wide_t;

static BLSH_INLINE blsh_wide_t blsh_load_wide(const int32_t *z, size_t k)
{
    blsh_wide_t value;

    value.re = z[2 * k];
    value.im = z[2 * k + 1];
    return value;
}

static BLSH_INLINE void blsh_store_wide(int32_t *z, size_t k, blsh_wide_t value)
{
    z[2 * k] = value.re;
    z[2 * k + 1] = value.im;
}

static BLSH_INLINE blsh_wide_t blsh_load_spaced(const int32_t *z, size_t k, int step)
{
    (void)step;
    return blsh_load_wide(z, k);
}

static BLSH_INLINE void blsh_store_spaced(int32_t *z, size_t k, int step, blsh_wide_t value)
{
    (void)step;
    blsh_store_wide(z, k, value);
}
#endif

#ifndef blsh_load_twiddle
typedef struct {
    int16_t cos_q15, sin_q15; /* negated */
} blsh_twiddle_t;

static BLSH_INLINE blsh_twiddle_t blsh_load_twiddle(const int16_t *pair, size_t stride)
{
    blsh_twiddle_t w;

    (void)stride;
    w.cos_q15 = pair[0];
    w.sin_q15 = pair[1];
    return w;
}

/*
 * -(z e^-it) / 2 for a twiddle of -cos t and -sin t in Q15, each product rounded down. Where |z|
 * is below 2^31 so are both sums: |re cos + im sin| <= |z|, and halving leaves room for rounding.
 */
static BLSH_INLINE blsh_wide_t blsh_half_product(blsh_wide_t z, blsh_twiddle_t w)
{
    blsh_wide_t product;

    product.re = blsh_mulw(z.re, w.cos_q15) + blsh_mulw(z.im, w.sin_q15);
    product.im = blsh_mulw(z.im, w.cos_q15) - blsh_mulw(z.re, w.sin_q15);
    return product;
}
#endif

#ifndef blsh_dot_s16
static BLSH_INLINE int32_t blsh_dot_s16(const int16_t *a, const int16_t *b, size_t n)
{
    const int16_t *const end = a + n;
    int32_t sum = 0;

    while (a < end) {
        sum += (int32_t)*a++ * *b++;
    }
    return sum;
}
#endif

#ifndef blsh_dot4_s16
/* Weights come in groups of sixteen: four of row 0, four of row 1, of row 2, of row 3. */
static BLSH_INLINE void blsh_dot4_s16(const int16_t *weights, const int16_t *x, size_t n,
                                      int32_t sums[4])
{
    const int16_t *const end = x + n;
    int32_t sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;

    for (; x < end; x += 4, weights += 16) {
        const int32_t a = x[0], b = x[1], c = x[2], d = x[3];

        sum_0 += a * weights[0] + b * weights[1] + c * weights[2] + d * weights[3];
        sum_1 += a * weights[4] + b * weights[5] + c * weights[6] + d * weights[7];
        sum_2 += a * weights[8] + b * weights[9] + c * weights[10] + d * weights[11];
        sum_3 += a * weights[12] + b * weights[13] + c * weights[14] + d * weights[15];
    }
    sums[0] = sum_0;
    sums[1] = sum_1;
    sums[2] = sum_2;
    sums[3] = sum_3;
}
#endif

#ifndef blsh_dot4_s8
/*
 * Weights come in groups of sixteen: four pairs of rows 0 and 1, four of rows 2 and 3. The first of
 * a pair has 128 added and is unsigned, so that a pair is the number 256 second + first, which some
 * cores multiply as a whole. `start` is -128 times the sum of x. Weights and features start at a
 * word boundary.
 */
static BLSH_INLINE void blsh_dot4_s8(const int8_t *weights, const int16_t *x, size_t n,
                                     int32_t start, int32_t sums[4])
{
    const int16_t *const end = x + n;
    int32_t sum_0 = start, sum_1 = 0, sum_2 = start, sum_3 = 0;

    for (; x < end; x += 4, weights += 16) {
        const uint8_t *const first = (const uint8_t *)weights;
        const int32_t a = x[0], b = x[1], c = x[2], d = x[3];

        sum_0 += a * first[0] + b * first[2] + c * first[4] + d * first[6];
        sum_1 += a * weights[1] + b * weights[3] + c * weights[5] + d * weights[7];
        sum_2 += a * first[8] + b * first[10] + c * first[12] + d * first[14];
        sum_3 += a * weights[9] + b * weights[11] + c * weights[13] + d * weights[15];
    }
    sums[0] = sum_0;
    sums[1] = sum_1;
    sums[2] = sum_2;
    sums[3] = sum_3;
}
#endif

#ifndef blsh_sum_s16
static BLSH_INLINE int32_t blsh_sum_s16(const int16_t *x, size_t n)
{
    const int16_t *const end = x + n;
    int32_t sum = 0;

    for (; x < end; x += 4) {
        sum += x[0] + x[1] + x[2] + x[3];
    }
    return sum;
}
#endif

#ifndef blsh_clip_feature
static BLSH_INLINE int32_t blsh_clip_feature(int32_t value)
{
    if (value > 4095) {
        value = 4095;
    }
    return value < -4095 ? -4095 : value;
}
#endif

#ifndef blsh_add_power
/* Parts are -2^15 at least and below 2^15: their squares' sum is at most 2^31. */
static BLSH_INLINE uint64_t blsh_add_power(uint64_t sum, int32_t re, int32_t im)
{
    const uint32_t power = (uint32_t)(re * re) + (uint32_t)(im * im);

    return sum + power;
}
#endif

#ifndef blsh_take_two
static BLSH_INLINE void blsh_take_two(const uint32_t **next, uint32_t *a, uint32_t *b)
{
    *a = (*next)[0];
    *b = (*next)[1];
    *next += 2;
}
#endif

#ifndef blsh_take_complex
static BLSH_INLINE blsh_complex_t blsh_take_complex(const int32_t **next)
{
    blsh_complex_t value;

    value.re = (*next)[0];
    value.im = (*next)[1];
    *next += 2;
    return value;
}
#endif

#ifndef blsh_load_halves
static BLSH_INLINE uint32_t blsh_load_halves(const uint16_t *halves)
{
    return halves[0] | ((uint32_t)halves[1] << 16);
}
#endif

#ifndef blsh_trailing_zeros
static BLSH_INLINE unsigned blsh_trailing_zeros(uint32_t word)
{
    unsigned n = 0;

    for (; (word & 0xFFu) == 0; word >>= 8) {
        n += 8;
    }
    for (; (word & 1u) == 0; word >>= 1) {
        n++;
    }
    return n;
}
#endif

#ifndef blsh_leading_zeros
static BLSH_INLINE unsigned blsh_leading_zeros(uint32_t word)
{
    unsigned n = 0;

    for (; word >> 24 == 0; word <<= 8) {
        n += 8;
    }
    for (; word >> 31 == 0; word <<= 1) {
        n++;
    }
    return n;
}
#endif

#ifndef blsh_peek_24
static BLSH_INLINE uint32_t blsh_peek_24(const uint8_t *bytes)
{
    return ((uint32_t)bytes[0] << 24) | ((uint32_t)bytes[1] << 16) | ((uint32_t)bytes[2] << 8);
}
#endif

#endif
