/* Stubs of Zephyr: what the example uses, declared as Zephyr 3.7 declares it. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t ticks;
} k_timeout_t;

#define K_NO_WAIT ((k_timeout_t){0})

struct k_mem_slab {
    char *buffer;
    size_t block_size;
};

#define K_MEM_SLAB_DEFINE_STATIC(name, size, count, align)     \
    static char name##_buffer[(size) * (count)];               \
    static struct k_mem_slab name = {name##_buffer, (size)}

int k_mem_slab_alloc(struct k_mem_slab *slab, void **mem, k_timeout_t timeout);
void k_mem_slab_free(struct k_mem_slab *slab, void *mem);

#endif
