/*
 * Features to hash code: the signs of linear projections.
 *
 * A row of weights and the features have L2 norms of at most 2^15 - 1, so by Cauchy and Schwarz
 * every partial sum stays within +-(2^15 - 1)^2, and the bias adds at most as much again: 32 bits
 * are enough.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_port.h"
#include "blsh_projection.h"
#include "blsh_stages.h"

void blsh_hash(unsigned band, const int16_t *features, int16_t norm, uint32_t *code)
{
    const blsh_projection_t *projection = &blsh_projections[band];
    const int16_t *row = projection->rows_q15;
    uint32_t word = 0;
    unsigned bit;

    features += projection->first_feature;
    for (bit = 0; bit < projection->n_bits; bit++) {
        const int32_t sum = blsh_dot_s16(row, features, projection->n_pairs)
                          + (int32_t)projection->bias_q15[bit] * norm;

        if (sum >= 0) {
            word |= 1u << (bit % 32);
        }
        if (bit % 32 == 31) {
            *code++ = word;
            word = 0;
        }
        row += 2 * (size_t)projection->n_pairs;
    }
    if (bit % 32 != 0) {
        *code = word;
    }
}
