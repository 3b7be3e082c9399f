/* The part of <string.h> that a freestanding build may use, for toolchains that bring no libc. */
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

#endif /* BLSH_FREESTANDING_STRING_H */
