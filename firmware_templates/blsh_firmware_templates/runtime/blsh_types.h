/*
 * What the port headers and the runtime have in common. Internal.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_TYPES_H
#define BLSH_TYPES_H

#include <stdint.h>

/* Compilers that weigh size against speed would make calls of what is one instruction or two. */
#if defined(__GNUC__)
#define BLSH_INLINE inline __attribute__((always_inline))
#else
#define BLSH_INLINE inline
#endif

typedef struct {
    int32_t re, im;
} blsh_complex_t;

#endif
