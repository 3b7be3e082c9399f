/*
 * Port for 32-bit RISC-V cores with the bit manipulation of Zbb.
 *
 * The instruction has a portable equivalent of the same name, used where the compiler does not
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

#else

static BLSH_INLINE uint32_t blsh_ctz(uint32_t word)
{
    uint32_t place = 0;

    for (; place < 32 && ((word >> place) & 1u) == 0; place++) {
    }
    return place;
}

#endif

#define blsh_trailing_zeros blsh_trailing_zeros
static BLSH_INLINE unsigned blsh_trailing_zeros(uint32_t word)
{
    return (unsigned)blsh_ctz(word);
}

#endif
