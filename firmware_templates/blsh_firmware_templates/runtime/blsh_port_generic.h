/*
 * Port for any C99 compiler: leaves every operation to the portable code of blsh_port.h, but for
 * the popcount instruction where the compiler has been told that the processor has it.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_GENERIC_H
#define BLSH_PORT_GENERIC_H

#if defined(__POPCNT__) || defined(__ARM_FEATURE_SVE) || defined(__riscv_zbb)
#define blsh_popcount blsh_popcount
static inline uint32_t blsh_popcount(uint32_t x)
{
    return (uint32_t)__builtin_popcountl((unsigned long)x);
}
#endif

#endif
