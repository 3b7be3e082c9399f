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

/* Number of ones in a word. */
static inline uint32_t blsh_cpop(uint32_t x)
{
    uint32_t count;

    __asm__("cpop %0, %1" : "=r"(count) : "r"(x));
    return count;
}

#else

static inline uint32_t blsh_cpop(uint32_t x)
{
    uint32_t count = 0;

    for (; x != 0; x &= x - 1) { /* each round clears the lowest one */
        count++;
    }
    return count;
}

#endif

#define blsh_popcount blsh_popcount
static inline uint32_t blsh_popcount(uint32_t x)
{
    return blsh_cpop(x);
}

#endif
