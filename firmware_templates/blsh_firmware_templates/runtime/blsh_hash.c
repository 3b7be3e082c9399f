/*
 * Features to hash code: the signs of linear projections.
 *
 * A row of weights has an L2 norm of at most 2^15 - 1, the features one below 2^15: by Cauchy-Schwarz
 * every partial sum is below 2^15 (2^15 - 1), and the bias adds at most (2^15 - 1)^2: 32 bits
 * are enough.
 *
 * Rows are multiplied four at a time, which loads the features once for four rows; their weights
 * are interleaved in the order of use, four of each row in turn. Up to three rows are left over and
 * multiplied one by one.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if !BLSH_CONDENSED

#include "blsh_port.h"

#define ROWS 4 /* multiplied together */

/* Set bit `bit` of a code whose bits are all 0 so far. */
static void set_sign(uint32_t *code, unsigned bit, int32_t sum)
{
    if (sum >= 0) {
        code[bit / 32] |= 1u << (bit % 32);
    }
}

void blsh_hash(const blsh_model_t *model, unsigned band, const int16_t *features, int16_t norm,
               uint32_t *code)
{
    const blsh_projection_t *projection = &model->projections[band];
    const size_t row_length = projection->row_length;
    const int16_t *weights = model->projection_q15 + projection->first_weight;
    const int16_t *bias = model->bias_q15 + projection->first_bias;
    unsigned bit, n;

    features += projection->first_feature;
    for (bit = 0; bit < projection->n_bits; bit += 32) {
        code[bit / 32] = 0;
    }
    for (bit = 0; bit + ROWS <= projection->n_bits; weights += ROWS * row_length) {
        int32_t sums[ROWS];

        blsh_dot4_s16(weights, features, row_length, sums);
        for (n = 0; n < ROWS; n++, bit++) {
            set_sign(code, bit, sums[n] + (int32_t)bias[bit] * norm);
        }
    }
    for (; bit < projection->n_bits; bit++, weights += row_length) {
        const int32_t sum = blsh_dot_s16(weights, features, row_length);

        set_sign(code, bit, sum + (int32_t)bias[bit] * norm);
    }
}

#endif
