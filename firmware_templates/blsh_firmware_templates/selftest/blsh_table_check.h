/*
 * How the self-test knows a table again. The data headers list theirs where BLSH_ENABLE_TAP is
 * defined.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_TABLE_CHECK_H
#define BLSH_TABLE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* The entry after a list's last has a name of 0. */
typedef struct {
    const char *name;
    const void *table; /* where the runtime reads it  */
    size_t bytes;
    uint32_t crc32;    /* of its bytes, little-endian */
} blsh_table_check_t;

#endif
