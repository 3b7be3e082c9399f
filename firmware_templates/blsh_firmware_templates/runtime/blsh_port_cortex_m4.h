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
static inline int32_t blsh_smulwb(int32_t a, int32_t w)
{
    int32_t product;

    __asm__("smulwb %0, %1, %2" : "=r"(product) : "r"(a), "r"(w));
    return product;
}

/* sum + low(a) * low(b) + high(a) * high(b) */
static inline int32_t blsh_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    int32_t result;

    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

#else

static inline int32_t blsh_smulwb(int32_t a, int32_t w)
{
    return (int32_t)(((int64_t)a * (int16_t)w) >> 16);
}

static inline int32_t blsh_smlad(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + (int32_t)(int16_t)(a & 0xFFFFu) * (int16_t)(b & 0xFFFFu)
         + (int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
}

#endif

#define blsh_mulw blsh_mulw
static inline int32_t blsh_mulw(int32_t a, int16_t w)
{
    return blsh_smulwb(a, w);
}

/*
 * Two neighbouring samples in one word. They may lie at an odd multiple of 2, which these cores
 * load at no cost; the builtin is that load even where a freestanding memcpy() is a call.
 */
static inline uint32_t blsh_load_pair(const int16_t *samples)
{
    uint32_t pair;

    __builtin_memcpy(&pair, samples, sizeof pair);
    return pair;
}

#define blsh_dot_s16 blsh_dot_s16
static inline int32_t blsh_dot_s16(const int16_t *a, const int16_t *b, size_t n_pairs)
{
    int32_t sum = 0;
    size_t n;

    for (n = 0; n < n_pairs; n++) {
        sum = blsh_smlad(blsh_load_pair(a + 2 * n), blsh_load_pair(b + 2 * n), sum);
    }
    return sum;
}

#endif
