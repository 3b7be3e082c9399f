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

/* Some neighbours of a dictionary. */
typedef struct {
    const uint16_t *masks; /* of all entries */
    size_t mask_length;
    const uint32_t *index;
    const uint8_t *weight;
    unsigned count;
} blsh_voters_t;

/*
 * Add the weighted levels of some neighbours to sums, two halfwords of levels at a time. `keep` is
 * all ones, or zero where the sums have no meaning yet. Two neighbours a turn: compilers do not know
 * how many there are.
 */
static BLSH_INLINE void add_voters(const blsh_voters_t *voters, uint32_t keep, uint32_t *sums,
                                   const uint32_t *end)
{
    const uint16_t *masks = voters->masks;

    while (sums < end) {
        uint32_t halves[BLSH_MASK_LEVELS] = {0};
        unsigned n = voters->count & 1u;

        if (n != 0) {
            const size_t first = voters->index[0] * voters->mask_length;

            add_levels(halves, blsh_load_halves(masks + first), voters->weight[0]);
        }
        for (; n < voters->count; n += 2) {
            const size_t one = voters->index[n] * voters->mask_length;
            const size_t other = voters->index[n + 1] * voters->mask_length;

            add_levels(halves, blsh_load_halves(masks + one), voters->weight[n]);
            add_levels(halves, blsh_load_halves(masks + other), voters->weight[n + 1]);
        }
        for (n = 0; n < BLSH_MASK_LEVELS; n++) {
            sums[n] = (sums[n] & keep) + (halves[n] & 0xFFFFu);
            sums[n + BLSH_MASK_LEVELS] = (sums[n + BLSH_MASK_LEVELS] & keep) + (halves[n] >> 16);
        }
        masks += 2;
        sums += 2 * BLSH_MASK_LEVELS;
    }
}

void blsh_vote(const blsh_model_t *model, unsigned dictionary, const uint32_t *index,
               const uint16_t *distance, uint32_t *sums, int16_t *votes)
{
    const blsh_vote_table_t *const table = &model->vote_tables[dictionary];
    const uint8_t *const weight_of = model->vote_weights + table->first_weight;
    const unsigned n_neighbours = table->neighbours, n_weights = table->n_weights;
    const uint32_t *const end = sums + table->n_sums;
    int16_t *const votes_end = votes + table->first_cell + table->n_cells;
    uint32_t total = 0, reciprocal;
    unsigned n = 0;

    do {
        uint8_t weights[LANE_NEIGHBOURS];
        const unsigned first = n;
        blsh_voters_t voters;

        for (; n < n_neighbours && n - first < LANE_NEIGHBOURS; n++) {
            const unsigned farther = (unsigned)distance[n] - distance[0];

            weights[n - first] = farther < n_weights ? weight_of[farther] : 0;
            total += weights[n - first];
        }
        voters.masks = model->masks + table->first_mask;
        voters.mask_length = table->mask_length;
        voters.index = index + first;
        voters.weight = weights;
        voters.count = n - first;
        if (first == 0) {
            add_voters(&voters, 0, sums, end);
        } else {
            add_voters(&voters, UINT32_MAX, sums, end);
        }
    } while (n < n_neighbours);
    reciprocal = (1u << 20) / total;
    votes += table->first_cell;
    while (votes < votes_end) {
        *votes = (int16_t)(*votes + (int16_t)((*sums++ * reciprocal) >> 16));
        votes++;
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
