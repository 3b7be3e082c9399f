/*
 * Port for cores with the ARMv7E-M DSP extension: Cortex-M4, M7, M33 with DSP.
 *
 * Each instruction has a portable equivalent of the same name, used where the compiler does not
 * target such a core, so that this very code is tested on any host.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_CORTEX_M4_H
#define BLSH_PORT_CORTEX_M4_H

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* (a * low half of w) >> 16 */
static BLSH_INLINE int32_t blsh_smulwb(int32_t a, uint32_t w)
{
    int32_t product;

    __asm__("smulwb %0, %1, %2" : "=r"(product) : "r"(a), "r"(w));
    return product;
}

/* (a * high half of w) >> 16 */
static BLSH_INLINE int32_t blsh_smulwt(int32_t a, uint32_t w)
{
    int32_t product;

    __asm__("smulwt %0, %1, %2" : "=r"(product) : "r"(a), "r"(w));
    return product;
}

/* sum + ((a * high half of w) >> 16) */
static BLSH_INLINE int32_t blsh_smlawt(int32_t a, uint32_t w, int32_t sum)
{
    int32_t result;

    __asm__("smlawt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(w), "r"(sum));
    return result;
}

/* sum + low(a) * low(b) + high(a) * high(b) */
static BLSH_INLINE int32_t blsh_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t result;

    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* The same with a sum of 64 bits */
static BLSH_INLINE int64_t blsh_smlald(uint32_t a, uint32_t b, int64_t sum)
{
    __asm__("smlald %Q0, %R0, %1, %2" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* Bytes 0 and 2, zero-extended to the two halves */
static BLSH_INLINE uint32_t blsh_uxtb16(uint32_t word)
{
    uint32_t halves;

    __asm__("uxtb16 %0, %1" : "=r"(halves) : "r"(word));
    return halves;
}

/* Bits in reverse order */
static BLSH_INLINE uint32_t blsh_rbit(uint32_t word)
{
    uint32_t reversed;

    __asm__("rbit %0, %1" : "=r"(reversed) : "r"(word));
    return reversed;
}

/* The nearest number from -4096 to 4095 */
static BLSH_INLINE int32_t blsh_ssat13(int32_t value)
{
    int32_t saturated;

    __asm__("ssat %0, #13, %1" : "=r"(saturated) : "r"(value) : "cc");
    return saturated;
}

/* Number of zeros above the highest one; 32 for 0 */
static BLSH_INLINE uint32_t blsh_clz(uint32_t word)
{
    uint32_t count;

    __asm__("clz %0, %1" : "=r"(count) : "r"(word));
    return count;
}

/* Bytes in reverse order */
static BLSH_INLINE uint32_t blsh_rev(uint32_t word)
{
    uint32_t reversed;

    __asm__("rev %0, %1" : "=r"(reversed) : "r"(word));
    return reversed;
}

/* What LDRD reads, whatever it was written as: compilers must not take it for other memory. */
typedef struct {
    uint32_t words[2];
} __attribute__((may_alias)) blsh_two_words_t;

/* Two words from a word boundary; moves the pointer past them. */
static BLSH_INLINE void blsh_ldrd(const uint32_t **next, uint32_t *a, uint32_t *b)
{
    __asm__("ldrd %0, %1, [%2], #8"
            : "=&r"(*a), "=&r"(*b), "+r"(*next)
            : "m"(*(const blsh_two_words_t *)*next));
}

/* The same for a complex number, for four halfwords and for eight bytes. */
static BLSH_INLINE void blsh_ldrd_complex(const int32_t **next, int32_t *re, int32_t *im)
{
    __asm__("ldrd %0, %1, [%2], #8"
            : "=&r"(*re), "=&r"(*im), "+r"(*next)
            : "m"(*(const blsh_two_words_t *)*next));
}

static BLSH_INLINE void blsh_ldrd_halves(const int16_t **next, uint32_t *a, uint32_t *b)
{
    __asm__("ldrd %0, %1, [%2], #8"
            : "=&r"(*a), "=&r"(*b), "+r"(*next)
            : "m"(*(const blsh_two_words_t *)*next));
}

static BLSH_INLINE void blsh_ldrd_bytes(const int8_t **next, uint32_t *a, uint32_t *b)
{
    __asm__("ldrd %0, %1, [%2], #8"
            : "=&r"(*a), "=&r"(*b), "+r"(*next)
            : "m"(*(const blsh_two_words_t *)*next));
}

#else

static BLSH_INLINE int32_t blsh_smulwb(int32_t a, uint32_t w)
{
    return (int32_t)(((int64_t)a * (int16_t)(w & 0xFFFFu)) >> 16);
}

static BLSH_INLINE int32_t blsh_smulwt(int32_t a, uint32_t w)
{
    return (int32_t)(((int64_t)a * (int16_t)(w >> 16)) >> 16);
}

static BLSH_INLINE int32_t blsh_smlawt(int32_t a, uint32_t w, int32_t sum)
{
    return sum + blsh_smulwt(a, w);
}

static BLSH_INLINE int32_t blsh_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + (int32_t)(int16_t)(a & 0xFFFFu) * (int16_t)(b & 0xFFFFu)
         + (int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
}

static BLSH_INLINE int64_t blsh_smlald(uint32_t a, uint32_t b, int64_t sum)
{
    const int32_t low = (int32_t)(int16_t)(a & 0xFFFFu) * (int16_t)(b & 0xFFFFu);
    const int32_t high = (int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);

    return sum + low + high;
}

static BLSH_INLINE uint32_t blsh_uxtb16(uint32_t word)
{
    return word & 0x00FF00FFu;
}

static BLSH_INLINE uint32_t blsh_rbit(uint32_t word)
{
    uint32_t reversed = 0;
    unsigned n;

    for (n = 0; n < 32; n++, word >>= 1) {
        reversed = 2 * reversed + (word & 1u);
    }
    return reversed;
}

static BLSH_INLINE int32_t blsh_ssat13(int32_t value)
{
    if (value > 4095) {
        value = 4095;
    }
    return value < -4096 ? -4096 : value;
}

static BLSH_INLINE uint32_t blsh_clz(uint32_t word)
{
    uint32_t count = 32;

    for (; word != 0; word >>= 1) {
        count--;
    }
    return count;
}

static BLSH_INLINE uint32_t blsh_rev(uint32_t word)
{
    return (word << 24) | ((word & 0xFF00u) << 8) | ((word >> 8) & 0xFF00u) | (word >> 24);
}

static BLSH_INLINE void blsh_ldrd(const uint32_t **next, uint32_t *a, uint32_t *b)
{
    *a = (*next)[0];
    *b = (*next)[1];
    *next += 2;
}

static BLSH_INLINE void blsh_ldrd_complex(const int32_t **next, int32_t *re, int32_t *im)
{
    *re = (*next)[0];
    *im = (*next)[1];
    *next += 2;
}

static BLSH_INLINE void blsh_ldrd_halves(const int16_t **next, uint32_t *a, uint32_t *b)
{
    __builtin_memcpy(a, *next, sizeof *a);
    __builtin_memcpy(b, *next + 2, sizeof *b);
    *next += 4;
}

static BLSH_INLINE void blsh_ldrd_bytes(const int8_t **next, uint32_t *a, uint32_t *b)
{
    __builtin_memcpy(a, *next, sizeof *a);
    __builtin_memcpy(b, *next + 4, sizeof *b);
    *next += 8;
}

#endif

/*
 * Two neighbouring samples in one word. They may lie at an odd multiple of 2, which these cores can
 * load unless CCR.UNALIGN_TRP is set; the builtin is that load even where memcpy() is a call.
 */
static BLSH_INLINE uint32_t blsh_load_pair(const int16_t *samples)
{
    uint32_t pair;

    __builtin_memcpy(&pair, samples, sizeof pair);
    return pair;
}

#define blsh_mulw blsh_mulw
static BLSH_INLINE int32_t blsh_mulw(int32_t a, int16_t w)
{
    return blsh_smulwb(a, (uint32_t)w);
}

#ifndef blsh_load_twiddle /* which the port for vectors has of its own */
typedef uint32_t blsh_twiddle_t; /* -cos in the low half, -sin in the high half */

#define blsh_load_twiddle blsh_load_twiddle
static BLSH_INLINE blsh_twiddle_t blsh_load_twiddle(const int16_t *pair, size_t stride)
{
    (void)stride;
    return blsh_load_pair(pair);
}

static BLSH_INLINE blsh_complex_t blsh_half_product(blsh_complex_t z, blsh_twiddle_t w)
{
    blsh_complex_t product;

    product.re = blsh_smlawt(z.im, w, blsh_smulwb(z.re, w));
    product.im = blsh_smulwb(z.im, w) - blsh_smulwt(z.re, w);
    return product;
}
#endif

#define blsh_dot_s16 blsh_dot_s16
static BLSH_INLINE int32_t blsh_dot_s16(const int16_t *a, const int16_t *b, size_t n)
{
    const int16_t *const end = a + n;
    int32_t sum = 0;

    for (; a < end; a += 2, b += 2) {
        sum = blsh_smlad(blsh_load_pair(a), blsh_load_pair(b), sum);
    }
    return sum;
}

#define blsh_dot4_s16 blsh_dot4_s16
static BLSH_INLINE void blsh_dot4_s16(const int16_t *weights, const int16_t *x, size_t n,
                                      int32_t sums[4])
{
    const int16_t *const end = x + n;
    int32_t sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;

    for (; x < end; x += 4) {
        const uint32_t x_a = blsh_load_pair(x), x_b = blsh_load_pair(x + 2);
        uint32_t a, b;

        blsh_ldrd_halves(&weights, &a, &b);
        sum_0 = blsh_smlad(x_b, b, blsh_smlad(x_a, a, sum_0));
        blsh_ldrd_halves(&weights, &a, &b);
        sum_1 = blsh_smlad(x_b, b, blsh_smlad(x_a, a, sum_1));
        blsh_ldrd_halves(&weights, &a, &b);
        sum_2 = blsh_smlad(x_b, b, blsh_smlad(x_a, a, sum_2));
        blsh_ldrd_halves(&weights, &a, &b);
        sum_3 = blsh_smlad(x_b, b, blsh_smlad(x_a, a, sum_3));
    }
    sums[0] = sum_0;
    sums[1] = sum_1;
    sums[2] = sum_2;
    sums[3] = sum_3;
}

/*
 * Two pairs of weights are multiplied as they are, and so give the second row's sum times 256 plus
 * the first's; only the first's weights are unpacked as well. That saves every second unpacking.
 */
#define blsh_dot4_s8 blsh_dot4_s8
static BLSH_INLINE void blsh_dot4_s8(const int8_t *weights, const int16_t *x, size_t n,
                                     int32_t start, int32_t sums[4])
{
    const int16_t *const end = x + n;
    int32_t sum_0 = start, sum_2 = start;
    int64_t both_01 = start, both_23 = start;

    while (x < end) {
        uint32_t x_a, x_b, a, b;

        blsh_ldrd_halves(&x, &x_a, &x_b);
        blsh_ldrd_bytes(&weights, &a, &b);
        both_01 = blsh_smlald(x_b, b, blsh_smlald(x_a, a, both_01));
        sum_0 = blsh_smlad(x_b, blsh_uxtb16(b), blsh_smlad(x_a, blsh_uxtb16(a), sum_0));
        blsh_ldrd_bytes(&weights, &a, &b);
        both_23 = blsh_smlald(x_b, b, blsh_smlald(x_a, a, both_23));
        sum_2 = blsh_smlad(x_b, blsh_uxtb16(b), blsh_smlad(x_a, blsh_uxtb16(a), sum_2));
    }
    sums[0] = sum_0;
    sums[1] = (int32_t)((both_01 - sum_0) >> 8);
    sums[2] = sum_2;
    sums[3] = (int32_t)((both_23 - sum_2) >> 8);
}

#define blsh_sum_s16 blsh_sum_s16
static BLSH_INLINE int32_t blsh_sum_s16(const int16_t *x, size_t n)
{
    const int16_t *const end = x + n;
    int32_t sum = 0;

    while (x < end) {
        uint32_t a, b;

        blsh_ldrd_halves(&x, &a, &b);
        sum = blsh_smlad(b, 0x00010001u, blsh_smlad(a, 0x00010001u, sum));
    }
    return sum;
}

/* The core adds a product of 64 bits in one instruction. */
#define blsh_add_power blsh_add_power
static BLSH_INLINE uint64_t blsh_add_power(uint64_t sum, int32_t re, int32_t im)
{
    const int64_t with_re = (int64_t)sum + (int64_t)re * re;

    return (uint64_t)(with_re + (int64_t)im * im);
}

#define blsh_take_two blsh_take_two
static BLSH_INLINE void blsh_take_two(const uint32_t **next, uint32_t *a, uint32_t *b)
{
    blsh_ldrd(next, a, b);
}

#define blsh_take_complex blsh_take_complex
static BLSH_INLINE blsh_complex_t blsh_take_complex(const int32_t **next)
{
    blsh_complex_t value;

    blsh_ldrd_complex(next, &value.re, &value.im);
    return value;
}

#define blsh_clip_feature blsh_clip_feature
static BLSH_INLINE int32_t blsh_clip_feature(int32_t value)
{
    value = blsh_ssat13(value);
    /* -4096 becomes -4095: only there is the sum negative. */
    return value + (int32_t)((uint32_t)(value + 4095) >> 31);
}

#define blsh_load_halves blsh_load_halves
static BLSH_INLINE uint32_t blsh_load_halves(const uint16_t *halves)
{
    uint32_t word;

    __builtin_memcpy(&word, halves, sizeof word);
    return word;
}

#define blsh_trailing_zeros blsh_trailing_zeros
static BLSH_INLINE unsigned blsh_trailing_zeros(uint32_t word)
{
    return (unsigned)blsh_clz(blsh_rbit(word));
}

#define blsh_leading_zeros blsh_leading_zeros
static BLSH_INLINE unsigned blsh_leading_zeros(uint32_t word)
{
    return (unsigned)blsh_clz(word);
}

#define blsh_peek_24 blsh_peek_24
static BLSH_INLINE uint32_t blsh_peek_24(const uint8_t *bytes)
{
    uint32_t word;

    __builtin_memcpy(&word, bytes, sizeof word);
    return blsh_rev(word);
}

#endif
