/*
 * Checks of a model's tables, before anything relies on them. Internal.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_CHECK_H
#define BLSH_CHECK_H

#include "blsh_stages.h"
#include "blsh_types.h"

/* The tables by number: BLSH_TABLE_<name>. */
typedef enum {
#define BLSH_TABLE_NUMBER(type, name) BLSH_TABLE_##name,
    BLSH_TABLE_LIST(BLSH_TABLE_NUMBER)
#undef BLSH_TABLE_NUMBER
    BLSH_TABLES
} blsh_table_t;

/* Whether `count` things from `first` on are among `size`. */
static BLSH_INLINE int blsh_fits(uint32_t first, uint32_t count, uint32_t size)
{
    return count <= size && first <= size - count;
}

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Whether the stages may use a model: its tables refer to nothing outside themselves, need no more
 * room than a state has, and no number in them can make a sum overflow.
 *
 *   sizes   elements of each table
 *
 *   return  BLSH_OK, BLSH_ERROR_CAPACITY or BLSH_ERROR_TABLES
 */
blsh_status_t blsh_check_tables(const blsh_model_t *model, const uint32_t *sizes);

#ifdef __cplusplus
}
#endif

#endif
