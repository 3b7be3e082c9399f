/*
 * Port for 32-bit RISC-V cores with the bit manipulation of Zbb.
 *
 * Each instruction has a portable equivalent of the same name, used where the compiler does not
 * target such a core, so that this very code is tested on any host.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_RISCV_ZBB_H
#define BLSH_PORT_RISCV_ZBB_H

#if defined(__riscv_zbb) && __riscv_xlen == 32

/* Place of the lowest one; 32 for 0 */
static BLSH_INLINE uint32_t blsh_ctz(uint32_t word)
{
    uint32_t place;

    __asm__("ctz %0, %1" : "=r"(place) : "r"(word));
    return place;
}

/* Number of zeros above the highest one; 32 for 0 */
static BLSH_INLINE uint32_t blsh_clz(uint32_t word)
{
    uint32_t count;

    __asm__("clz %0, %1" : "=r"(count) : "r"(word));
    return count;
}

#else

static BLSH_INLINE uint32_t blsh_ctz(uint32_t word)
{
    uint32_t place = 0;

    for (; place < 32 && ((word >> place) & 1u) == 0; place++) {
    }
    return place;
}

static BLSH_INLINE uint32_t blsh_clz(uint32_t word)
{
    uint32_t count = 32;

    for (; word != 0; word >>= 1) {
        count--;
    }
    return count;
}

#endif

#define blsh_trailing_zeros blsh_trailing_zeros
static BLSH_INLINE unsigned blsh_trailing_zeros(uint32_t word)
{
    return (unsigned)blsh_ctz(word);
}

#define blsh_leading_zeros blsh_leading_zeros
static BLSH_INLINE unsigned blsh_leading_zeros(uint32_t word)
{
    return (unsigned)blsh_clz(word);
}

#endif
