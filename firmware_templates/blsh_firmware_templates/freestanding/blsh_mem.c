/* memcpy, memmove, memset and memcmp for images that link no libc and are built with gcc.
 *
 * (With clang build it with -fno-builtin, or leave it out: compiler-rt may bring its own.)
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#if defined(__GNUC__) && !defined(__clang__)
/* Else gcc recognises the loops below and replaces them by a call to the function they define. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) blsh_word_t;
#else
typedef uint32_t blsh_word_t;
#endif

/* Both addresses on a word boundary: only then may an ARMv6-M core use LDR and STR. */
static int blsh_both_aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0u;
}

void *memcpy(void *dst, const void *src, size_t size)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;

    if (blsh_both_aligned(dst, src)) {
        blsh_word_t *to_word = (blsh_word_t *)dst;
        const blsh_word_t *from_word = (const blsh_word_t *)src;
        for (; size >= 4u; size -= 4u) {
            *to_word++ = *from_word++;
        }
        to = (unsigned char *)to_word;
        from = (const unsigned char *)from_word;
    }
    for (; size > 0u; --size) {
        *to++ = *from++;
    }
    return dst;
}

void *memmove(void *dst, const void *src, size_t size)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char *from = (const unsigned char *)src;

    if ((uintptr_t)dst <= (uintptr_t)src) {
        return memcpy(dst, src, size); /* ascending order is safe, and memcpy above ascends */
    }
    while (size > 0u) {
        --size;
        to[size] = from[size];
    }
    return dst;
}

void *memset(void *dst, int value, size_t size)
{
    unsigned char *to = (unsigned char *)dst;
    const unsigned char byte = (unsigned char)value;

    if (blsh_both_aligned(dst, dst)) {
        blsh_word_t *to_word = (blsh_word_t *)dst;
        const uint32_t word = (uint32_t)byte * UINT32_C(0x01010101);
        for (; size >= 4u; size -= 4u) {
            *to_word++ = word;
        }
        to = (unsigned char *)to_word;
    }
    for (; size > 0u; --size) {
        *to++ = byte;
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *left = (const unsigned char *)a;
    const unsigned char *right = (const unsigned char *)b;

    for (; size > 0u; --size, ++left, ++right) {
        if (*left != *right) {
            return (int)*left - (int)*right;
        }
    }
    return 0;
}
