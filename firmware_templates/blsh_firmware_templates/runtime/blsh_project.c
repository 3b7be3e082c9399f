/*
 * Condensed models: features to the frame's code, the signs of linear projections.
 *
 * Weights have 8 bits and features have 12 and a sign; with at most 2048 of each, sums
 * are below 2^30, and biases are at most that: 32 bits are enough.
 *
 * Rows are multiplied four at a time, which loads the features once for four rows; their weights
 * are interleaved in the order of use. Those of every other row have 128 added: sums that begin at
 * -128 times the sum of the features come out right, and are below 2^30 wherever they stop, since
 * features yet to come count as if their weights were -128.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if BLSH_CONDENSED

#include "blsh_port.h"

#define ROWS 4 /* multiplied together */

void blsh_project(const blsh_model_t *model, const int16_t *features, uint32_t *code)
{
    const int8_t *weights = model->hash_weights;
    const int32_t *bias = model->hash_bias;
    unsigned group;

    for (group = 0; group < BLSH_HASH_GROUPS; group++) {
        const blsh_hash_group_t *const hash = &model->hash_groups[group];
        const int16_t *const x = features + hash->first_feature;
        const int32_t *const end = bias + hash->n_rows;
        const int32_t start = -128 * blsh_sum_s16(x, hash->row_length);

        while (bias < end) {
            const int32_t *const word_end = bias + 32;
            uint32_t word = 0;

            while (bias < word_end) {
                int32_t sums[ROWS];
                unsigned n;

                blsh_dot4_s8(weights, x, hash->row_length, start, sums);
                weights += (size_t)ROWS * hash->row_length;
                for (n = 0; n < ROWS; n++) {
                    /* The inverted sign comes in from above: 32 rows later it is in its place. */
                    word = (word >> 1) | (~(uint32_t)(sums[n] + *bias++) & 0x80000000u);
                }
            }
            *code++ = word;
        }
    }
}

#endif
