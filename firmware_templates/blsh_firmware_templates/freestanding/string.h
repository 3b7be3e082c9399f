/* The part of <string.h> that a freestanding build may use, for toolchains that bring no libc.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_FREESTANDING_STRING_H
#define BLSH_FREESTANDING_STRING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void *memcpy(void *dst, const void *src, size_t size);
void *memmove(void *dst, const void *src, size_t size);
void *memset(void *dst, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#ifdef __cplusplus
}
#endif

/* A freestanding compiler treats memcpy as any other function; the built-in copies a few bytes
 * of known size in place, as the same code does in a hosted build. */
#if defined(__GNUC__)
#define memcpy(dst, src, size) __builtin_memcpy((dst), (src), (size))
#define memmove(dst, src, size) __builtin_memmove((dst), (src), (size))
#define memset(dst, value, size) __builtin_memset((dst), (value), (size))
#define memcmp(a, b, size) __builtin_memcmp((a), (b), (size))
#endif

#endif /* BLSH_FREESTANDING_STRING_H */
