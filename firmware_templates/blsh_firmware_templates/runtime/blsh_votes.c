/*
 * Condensed models: neighbours to votes on cells, and votes to gains.
 *
 * Masks are stored as halfwords of BLSH_MASK_LEVELS levels each, the first lowest, two halfwords to a
 * word. So many levels of a word are worked on in two steps: a mask leaves one of each half, and a
 * multiplication weighs both. Sums of halves stay within 16 bits for LANE_NEIGHBOURS neighbours;
 * then they are added up in words.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if BLSH_CONDENSED

#include "blsh_port.h"

#define BOTH_HALVES (BLSH_LEVEL_MAX << 16 | BLSH_LEVEL_MAX)
#define WEIGHT_MAX 255u
#define LANE_NEIGHBOURS (0xFFFFu / (WEIGHT_MAX * BLSH_LEVEL_MAX))
#define TOGETHER 4 /* levels of a half that are kept in registers */

/* Add a weighted word of levels to sums, one of each half a sum. */
static BLSH_INLINE void add_levels(uint32_t *sums, uint32_t word, uint32_t weight)
{
    unsigned n;

    sums[0] += (word & BOTH_HALVES) * weight;
    sums[1] += ((word >> BLSH_MASK_BITS) & BOTH_HALVES) * weight;
    sums[2] += ((word >> (2 * BLSH_MASK_BITS)) & BOTH_HALVES) * weight;
    sums[3] += ((word >> (3 * BLSH_MASK_BITS)) & BOTH_HALVES) * weight;
    for (n = TOGETHER; n < BLSH_MASK_LEVELS; n++) {
        sums[n] += ((word >> (n * BLSH_MASK_BITS)) & BOTH_HALVES) * weight;
    }
}

/*
 * Add the weighted levels of some neighbours to sums, two halfwords of levels at a time. `keep` is
 * all ones, or zero where the sums have no meaning yet.
 */
static void add_neighbours(const blsh_vote_table_t *table, const uint16_t *masks,
                           const uint32_t *index, const uint8_t *weight, unsigned n_neighbours,
                           uint32_t keep, uint32_t *sums)
{
    const uint32_t *const end = sums + table->n_sums;

    for (; sums < end; masks += 2) {
        uint32_t halves[BLSH_MASK_LEVELS] = {0};
        unsigned n;

        for (n = 0; n < n_neighbours; n++) {
            const uint16_t *const mask = masks + (size_t)index[n] * table->mask_length;

            add_levels(halves, blsh_load_halves(mask), weight[n]);
        }
        for (n = 0; n < BLSH_MASK_LEVELS; n++) {
            sums[n] = (sums[n] & keep) + (halves[n] & 0xFFFFu);
            sums[n + BLSH_MASK_LEVELS] = (sums[n + BLSH_MASK_LEVELS] & keep) + (halves[n] >> 16);
        }
        sums += 2 * BLSH_MASK_LEVELS;
    }
}

void blsh_vote(const blsh_model_t *model, unsigned dictionary, const uint32_t *index,
               const uint16_t *distance, uint32_t *sums, int16_t *votes)
{
    const blsh_vote_table_t *const table = &model->vote_tables[dictionary];
    const uint8_t *const weight_of = model->vote_weights + table->first_weight;
    const uint16_t *const masks = model->masks + table->first_mask;
    uint32_t total = 0, reciprocal;
    unsigned n, g;

    for (n = 0; n < table->neighbours;) {
        uint8_t weights[LANE_NEIGHBOURS];
        const unsigned first = n;

        for (; n < table->neighbours && n - first < LANE_NEIGHBOURS; n++) {
            const unsigned farther = (unsigned)distance[n] - distance[0];

            weights[n - first] = farther < table->n_weights ? weight_of[farther] : 0;
            total += weights[n - first];
        }
        add_neighbours(table, masks, index + first, weights, n - first,
                       first == 0 ? 0 : UINT32_MAX, sums);
    }
    reciprocal = (1u << 20) / total;
    votes += table->first_cell;
    for (g = 0; g < table->n_cells; g++) {
        votes[g] = (int16_t)(votes[g] + (int16_t)((sums[g] * reciprocal) >> 16));
    }
}

static BLSH_INLINE int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

void blsh_cell_gains(blsh_state_t *state, const int16_t *votes)
{
    const int32_t floor_q15 = state->gain_floor_q15, release_q15 = state->gain_release_q15;
    const int16_t *const gain_of_votes_q15 = state->model->gain_of_votes_q15;
    int16_t *gain_q15 = state->cell_gain_q15;
    int16_t *const end = gain_q15 + BLSH_CELLS;

    while (gain_q15 < end) {
        const int32_t released = (*gain_q15 * release_q15) >> 15;

        *gain_q15++ = (int16_t)larger(larger(gain_of_votes_q15[*votes++], released), floor_q15);
    }
}

#endif
