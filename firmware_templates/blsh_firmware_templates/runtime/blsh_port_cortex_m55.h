/*
 * Port for cores with Helium, the vectors of Armv8.1-M (MVE) for integers: Cortex-M55 and M85.
 *
 * What has nothing to do with vectors is as on the Cortex-M4, and so is everything where such a
 * core's compiler is told to leave Helium alone. Each instruction has a portable equivalent of the
 * same name, used where the compiler targets no Arm core of this kind, so that this very code is
 * tested on any host.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_CORTEX_M55_H
#define BLSH_PORT_CORTEX_M55_H

/* Vectors are added and shifted by C's own operators, as GNU compilers allow. */
#if defined(__GNUC__) && (defined(__ARM_FEATURE_MVE) || !defined(__ARM_FEATURE_DSP))
#define BLSH_HELIUM 1
#else
#define BLSH_HELIUM 0
#endif

#if BLSH_HELIUM

#if defined(__ARM_FEATURE_MVE)

#include <arm_mve.h>

typedef uint8x16_t blsh_bytes_t;
typedef int16x8_t blsh_halves_t;
typedef int32x4_t blsh_words_t;
typedef uint32x4_t blsh_uwords_t;

#else

typedef uint8_t blsh_bytes_t __attribute__((vector_size(16)));
typedef int16_t blsh_halves_t __attribute__((vector_size(16)));
typedef int32_t blsh_words_t __attribute__((vector_size(16)));
typedef uint32_t blsh_uwords_t __attribute__((vector_size(16)));

#endif

typedef struct {
    blsh_words_t a, b;
} blsh_two_vectors_t;

typedef struct {
    blsh_words_t a, b, c, d;
} blsh_four_vectors_t;

#if defined(__ARM_FEATURE_MVE)

/* Eight neighbouring halfwords */
static BLSH_INLINE blsh_halves_t blsh_vldrh(const int16_t *halves)
{
    return vld1q_s16(halves);
}

/* Four words at offsets in bytes; all of them at word boundaries, here and below */
static BLSH_INLINE blsh_words_t blsh_vldrw(const void *base, blsh_uwords_t offsets)
{
    return vldrwq_gather_offset_s32((const int32_t *)base, offsets);
}

static BLSH_INLINE void blsh_vstrw(int32_t *base, blsh_uwords_t offsets, blsh_words_t words)
{
    vstrwq_scatter_offset_s32(base, offsets, words);
}

/* Eight neighbouring words: a gets every second one from the first, b the others. */
static BLSH_INLINE blsh_two_vectors_t blsh_vld2(const void *words)
{
    const int32x4x2_t both = vld2q_s32((const int32_t *)words);
    blsh_two_vectors_t vectors;

    vectors.a = both.val[0];
    vectors.b = both.val[1];
    return vectors;
}

static BLSH_INLINE void blsh_vst2(int32_t *words, blsh_two_vectors_t vectors)
{
    int32x4x2_t both;

    both.val[0] = vectors.a;
    both.val[1] = vectors.b;
    vst2q_s32(words, both);
}

/* Sixteen neighbouring words: a gets every fourth from the first, b from the second and so on. */
static BLSH_INLINE blsh_four_vectors_t blsh_vld4(const void *words)
{
    const int32x4x4_t all = vld4q_s32((const int32_t *)words);
    blsh_four_vectors_t vectors;

    vectors.a = all.val[0];
    vectors.b = all.val[1];
    vectors.c = all.val[2];
    vectors.d = all.val[3];
    return vectors;
}

/* Bytes 0, 2, 4 and so on, zero-extended to halfwords */
static BLSH_INLINE blsh_halves_t blsh_vmovlb(blsh_bytes_t bytes)
{
    return vreinterpretq_s16_u16(vmovlbq_u8(bytes));
}

/* sum + the sum of the eight products */
static BLSH_INLINE int32_t blsh_vmladava(int32_t sum, blsh_halves_t a, blsh_halves_t b)
{
    return vmladavaq_s16(sum, a, b);
}

/* The same with a sum of 64 bits */
static BLSH_INLINE int64_t blsh_vmlaldava(int64_t sum, blsh_halves_t a, blsh_halves_t b)
{
    return vmlaldavaq_s16(sum, a, b);
}

/* (a * b) >> 32, word by word */
static BLSH_INLINE blsh_words_t blsh_vmulh(blsh_words_t a, blsh_words_t b)
{
    return vmulhq_s32(a, b);
}

#else

static BLSH_INLINE blsh_halves_t blsh_vldrh(const int16_t *halves)
{
    blsh_halves_t vector;

    __builtin_memcpy(&vector, halves, sizeof vector);
    return vector;
}

static BLSH_INLINE blsh_words_t blsh_vldrw(const void *base, blsh_uwords_t offsets)
{
    blsh_words_t words = {0};
    unsigned n;

    for (n = 0; n < 4; n++) {
        int32_t word;

        __builtin_memcpy(&word, (const char *)base + (int32_t)offsets[n], sizeof word);
        words[n] = word;
    }
    return words;
}

static BLSH_INLINE void blsh_vstrw(int32_t *base, blsh_uwords_t offsets, blsh_words_t words)
{
    unsigned n;

    for (n = 0; n < 4; n++) {
        base[(int32_t)offsets[n] / 4] = words[n];
    }
}

static BLSH_INLINE blsh_two_vectors_t blsh_vld2(const void *words)
{
    const blsh_uwords_t first = {0, 8, 16, 24}, second = {4, 12, 20, 28};
    blsh_two_vectors_t vectors;

    vectors.a = blsh_vldrw(words, first);
    vectors.b = blsh_vldrw(words, second);
    return vectors;
}

static BLSH_INLINE void blsh_vst2(int32_t *words, blsh_two_vectors_t vectors)
{
    const blsh_uwords_t first = {0, 8, 16, 24}, second = {4, 12, 20, 28};

    blsh_vstrw(words, first, vectors.a);
    blsh_vstrw(words, second, vectors.b);
}

static BLSH_INLINE blsh_four_vectors_t blsh_vld4(const void *words)
{
    const blsh_uwords_t first = {0, 16, 32, 48};
    blsh_four_vectors_t vectors;

    vectors.a = blsh_vldrw(words, first);
    vectors.b = blsh_vldrw(words, first + 4u);
    vectors.c = blsh_vldrw(words, first + 8u);
    vectors.d = blsh_vldrw(words, first + 12u);
    return vectors;
}

static BLSH_INLINE blsh_halves_t blsh_vmovlb(blsh_bytes_t bytes)
{
    blsh_halves_t halves = {0};
    unsigned n;

    for (n = 0; n < 8; n++) {
        halves[n] = bytes[2 * n];
    }
    return halves;
}

static BLSH_INLINE int32_t blsh_vmladava(int32_t sum, blsh_halves_t a, blsh_halves_t b)
{
    unsigned n;

    for (n = 0; n < 8; n++) {
        sum += (int32_t)a[n] * b[n];
    }
    return sum;
}

static BLSH_INLINE int64_t blsh_vmlaldava(int64_t sum, blsh_halves_t a, blsh_halves_t b)
{
    unsigned n;

    for (n = 0; n < 8; n++) {
        sum += (int32_t)a[n] * b[n];
    }
    return sum;
}

static BLSH_INLINE blsh_words_t blsh_vmulh(blsh_words_t a, blsh_words_t b)
{
    blsh_words_t high = {0};
    unsigned n;

    for (n = 0; n < 4; n++) {
        high[n] = (int32_t)(((int64_t)a[n] * b[n]) >> 32);
    }
    return high;
}

#endif

/* Four complex numbers at once. */
#define BLSH_WIDE 4

/* No instruction: keeps gcc 12 from stepping an address in ways that VLD2 and VST2 do not know. */
#define BLSH_SETTLE(address) __asm__("" : "+r"(address))

typedef struct {
    blsh_words_t re, im;
} blsh_wide_t;

static BLSH_INLINE blsh_wide_t blsh_load_wide(const int32_t *z, size_t k)
{
    blsh_two_vectors_t parts;
    blsh_wide_t value;

    z += 2 * k;
    BLSH_SETTLE(z);
    parts = blsh_vld2(z);
    value.re = parts.a;
    value.im = parts.b;
    return value;
}

static BLSH_INLINE void blsh_store_wide(int32_t *z, size_t k, blsh_wide_t value)
{
    blsh_two_vectors_t parts;

    parts.a = value.re;
    parts.b = value.im;
    z += 2 * k;
    BLSH_SETTLE(z);
    blsh_vst2(z, parts);
}

/* Offsets of complex numbers; where the step is negative they wrap around, as addresses do. */
static BLSH_INLINE blsh_uwords_t blsh_spaced(int step)
{
    const blsh_words_t numbers = {0, 8, 16, 24};

    return (blsh_uwords_t)(numbers * step);
}

static BLSH_INLINE blsh_wide_t blsh_load_spaced(const int32_t *z, size_t k, int step)
{
    blsh_wide_t value;

    value.re = blsh_vldrw(z + 2 * k, blsh_spaced(step));
    value.im = blsh_vldrw(z + 2 * k + 1, blsh_spaced(step));
    return value;
}

static BLSH_INLINE void blsh_store_spaced(int32_t *z, size_t k, int step, blsh_wide_t value)
{
    blsh_vstrw(z + 2 * k, blsh_spaced(step), value.re);
    blsh_vstrw(z + 2 * k + 1, blsh_spaced(step), value.im);
}

typedef struct {
    blsh_words_t cos_q31, sin_q31; /* negated; the lower halves are 0 */
} blsh_twiddle_t;

#define blsh_load_twiddle blsh_load_twiddle
static BLSH_INLINE blsh_twiddle_t blsh_load_twiddle(const int16_t *pair, size_t stride)
{
    const blsh_uwords_t numbers = {0, 4, 8, 12};
    const blsh_words_t both = blsh_vldrw(pair, numbers * (uint32_t)stride);
    blsh_twiddle_t w;

    w.cos_q31 = (blsh_words_t)((blsh_uwords_t)both << 16);
    w.sin_q31 = (blsh_words_t)((blsh_uwords_t)both & 0xFFFF0000u);
    return w;
}

/* As in blsh_port.h: a product with w 2^16 has floor(a w / 2^16) for its upper half. */
static BLSH_INLINE blsh_wide_t blsh_half_product(blsh_wide_t z, blsh_twiddle_t w)
{
    blsh_wide_t product;

    product.re = blsh_vmulh(z.re, w.cos_q31) + blsh_vmulh(z.im, w.sin_q31);
    product.im = blsh_vmulh(z.im, w.cos_q31) - blsh_vmulh(z.re, w.sin_q31);
    return product;
}

#endif

#include "blsh_port_cortex_m4.h"

#if BLSH_HELIUM

/* Add the first weights of eight pairs times their columns. */
static BLSH_INLINE int32_t blsh_add_first(int32_t sum, blsh_words_t pairs, blsh_words_t x)
{
    return blsh_vmladava(sum, (blsh_halves_t)x, blsh_vmovlb((blsh_bytes_t)pairs));
}

/* Add the pairs themselves, 256 second + first, times their columns. */
static BLSH_INLINE int64_t blsh_add_pairs(int64_t sum, blsh_words_t pairs, blsh_words_t x)
{
    return blsh_vmlaldava(sum, (blsh_halves_t)x, (blsh_halves_t)pairs);
}

/*
 * Sixteen columns at a time: VLD4 tells the two pairs of rows apart, and of each group of four columns
 * the first two from the others, as VLD2 does with x. The second rows' sums follow as on the M4.
 *
 * First rows' sums begin at 0 and not at `start`, which comes in with the columns that are left: they
 * reach 255 * 4095 * 2048, which is just below 2^31.
 */
static BLSH_INLINE void blsh_dot4_s8_helium(const int8_t *weights, const int16_t *x, size_t n,
                                            int32_t start, int32_t sums[4])
{
    const size_t n_left = n % 16;
    const int16_t *const end = x + (n - n_left);
    int32_t sum_0 = 0, sum_2 = 0;
    int64_t both_01 = 0, both_23 = 0;

    /* No instruction: from here on halfwords are read as words, after whatever wrote them. */
    __asm__("" : "+r"(x) : : "memory");
    for (; x < end; x += 16, weights += 64) {
        const blsh_two_vectors_t columns = blsh_vld2(x);
        const blsh_four_vectors_t rows = blsh_vld4(weights);

        both_01 = blsh_add_pairs(both_01, rows.a, columns.a);
        both_23 = blsh_add_pairs(both_23, rows.c, columns.a);
        both_01 = blsh_add_pairs(both_01, rows.b, columns.b);
        both_23 = blsh_add_pairs(both_23, rows.d, columns.b);
        sum_0 = blsh_add_first(sum_0, rows.a, columns.a);
        sum_2 = blsh_add_first(sum_2, rows.c, columns.a);
        sum_0 = blsh_add_first(sum_0, rows.b, columns.b);
        sum_2 = blsh_add_first(sum_2, rows.d, columns.b);
    }
    blsh_dot4_s8(weights, x, n_left, start, sums);
    sums[0] += sum_0;
    sums[1] += (int32_t)((both_01 - sum_0) >> 8);
    sums[2] += sum_2;
    sums[3] += (int32_t)((both_23 - sum_2) >> 8);
}
#undef blsh_dot4_s8
#define blsh_dot4_s8 blsh_dot4_s8_helium

/*
 * Eight columns at a time: a row's words of two neighbouring groups are gathered. Sums stay within
 * 32 bits in any order of their products: no part of a vector has a larger norm (see blsh_hash.c).
 */
static BLSH_INLINE void blsh_dot4_s16_helium(const int16_t *weights, const int16_t *x, size_t n,
                                             int32_t sums[4])
{
    const blsh_uwords_t row_0 = {0, 4, 32, 36}, row_1 = row_0 + 8, row_2 = row_0 + 16;
    const blsh_uwords_t row_3 = row_0 + 24;
    const size_t n_left = n % 8;
    const int16_t *const end = x + (n - n_left);
    int32_t sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;

    for (; x < end; x += 8, weights += 32) {
        const blsh_halves_t columns = blsh_vldrh(x);

        sum_0 = blsh_vmladava(sum_0, columns, (blsh_halves_t)blsh_vldrw(weights, row_0));
        sum_1 = blsh_vmladava(sum_1, columns, (blsh_halves_t)blsh_vldrw(weights, row_1));
        sum_2 = blsh_vmladava(sum_2, columns, (blsh_halves_t)blsh_vldrw(weights, row_2));
        sum_3 = blsh_vmladava(sum_3, columns, (blsh_halves_t)blsh_vldrw(weights, row_3));
    }
    blsh_dot4_s16(weights, x, n_left, sums);
    sums[0] += sum_0;
    sums[1] += sum_1;
    sums[2] += sum_2;
    sums[3] += sum_3;
}
#undef blsh_dot4_s16
#define blsh_dot4_s16 blsh_dot4_s16_helium

#endif

#endif
