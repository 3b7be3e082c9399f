/*
 * K nearest codes by Hamming distance, 32 codes at a time.
 *
 * The dictionary is bit-sliced: a block holds 32 codes as one word for each bit position, a plane,
 * in which every code has its own bit, its lane. The planes in which codes differ from the query
 * are added up by full adders on whole words, so that 32 distances grow at once as binary numbers
 * standing upright in the lanes of a few words: ones, twos, fours and so on.
 *
 * Counting starts not from 0 but from 2^n - limit, where a distance has to be below `limit` to be
 * of interest. A lane that carries out of its n bits has reached the limit, and once all 32 have,
 * the rest of the block cannot matter. Lanes that never carry hold 2^n - limit + distance, exactly.
 * The exporter puts first the planes in which the dictionary's codes differ most.
 *
 * Ports with vectors compare BLSH_BLOCKS blocks at once, whose planes have a word of each block. A
 * group of blocks is left once all of its lanes have reached the limit.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if !BLSH_CONDENSED

#include "blsh_port.h"

#define BLSH_ADDED blsh_planes_t
#include "blsh_adders.h"

#define LANES 32
#define LOW_PLANES 6   /* ones to thirty-twos, which stay in registers            */
#define HIGH_PLANES 10 /* sixty-fours and up: with the low ones, a 16-bit counter */
#define ALL_LANES UINT32_MAX

/* The low planes of each lane's counter, and the lanes that have reached the limit. */
typedef struct {
    blsh_planes_t ones, twos, fours, eights, sixteens, thirty_twos, reached;
} blsh_low_planes_t;

/* A counter for each lane. */
typedef struct {
    blsh_low_planes_t low;
    blsh_planes_t high[HIGH_PLANES];
    unsigned n_high; /* how many high planes are in use */
} blsh_lanes_t;

/* The K nearest entries so far, in the caller's arrays. */
typedef struct {
    uint32_t *index;
    uint16_t *distance;
    unsigned last; /* K - 1 */
} blsh_nearest_t;

/* Where the next pair of planes differs from the query. */
static BLSH_INLINE blsh_pair_t take_pair(const uint32_t **plane, size_t stride,
                                         const uint32_t **query)
{
    blsh_pair_t codes;
    uint32_t a, a_xor_b;

    blsh_take_two_planes(plane, stride, &codes.a, &codes.a_xor_b);
    blsh_take_two(query, &a, &a_xor_b);
    codes.a ^= blsh_in_all(a);
    codes.a_xor_b ^= blsh_in_all(a_xor_b);
    return codes;
}

static BLSH_INLINE blsh_pair_t add_four(blsh_planes_t *ones, const uint32_t **plane,
                                        size_t stride, const uint32_t **query)
{
    const blsh_pair_t first = take_pair(plane, stride, query);
    const blsh_pair_t second = take_pair(plane, stride, query);

    return add_two_pairs(ones, first, second);
}

/* Count the differences in the next eight planes; returns the carries into the fours. */
static BLSH_INLINE blsh_pair_t add_eight(blsh_low_planes_t *low, const uint32_t **plane,
                                         size_t stride, const uint32_t **query)
{
    const blsh_pair_t first = add_four(&low->ones, plane, stride, query);
    const blsh_pair_t second = add_four(&low->ones, plane, stride, query);

    return add_two_pairs(&low->twos, first, second);
}

/* Start all counters at 2^n - limit, with the smallest n that will do. */
static void set_limit(blsh_lanes_t *lanes, uint32_t limit)
{
    uint32_t start;
    unsigned n;

    lanes->n_high = 0;
    while ((1u << (LOW_PLANES + lanes->n_high)) < limit) {
        lanes->n_high++;
    }
    start = (1u << (LOW_PLANES + lanes->n_high)) - limit;
    lanes->low.ones = blsh_in_all(0u - (start & 1u));
    lanes->low.twos = blsh_in_all(0u - ((start >> 1) & 1u));
    lanes->low.fours = blsh_in_all(0u - ((start >> 2) & 1u));
    lanes->low.eights = blsh_in_all(0u - ((start >> 3) & 1u));
    lanes->low.sixteens = blsh_in_all(0u - ((start >> 4) & 1u));
    lanes->low.thirty_twos = blsh_in_all(0u - ((start >> 5) & 1u));
    lanes->low.reached = blsh_in_all(0);
    for (n = 0; n < lanes->n_high; n++) {
        lanes->high[n] = blsh_in_all(0u - ((start >> (LOW_PLANES + n)) & 1u));
    }
}

/* Carry from the sixteens upwards. */
static BLSH_INLINE void carry_up(blsh_low_planes_t *low, blsh_planes_t *high,
                                 const blsh_planes_t *high_end, blsh_planes_t carry)
{
    carry = half_adder(&low->sixteens, carry);
    carry = half_adder(&low->thirty_twos, carry);
    while (high < high_end) {
        carry = half_adder(high++, carry);
    }
    low->reached |= carry;
}

/*
 * Count the distances of a block, or of BLSH_BLOCKS, until all lanes have reached the limit.
 *
 *   start    counters as set_limit() has started them
 *   plane    the first block's planes
 *   stride   words from a block to the next
 *   lanes    the counters at the end, unless all lanes have reached the limit
 *
 *   return   whether there are lanes that have not
 */
static int count_blocks(const blsh_lanes_t *start, const uint32_t *plane, size_t stride,
                        const uint32_t *query, unsigned n_planes, blsh_lanes_t *lanes)
{
    const uint32_t *const end = plane + n_planes;
    blsh_planes_t *const high_end = lanes->high + start->n_high;
    blsh_low_planes_t low = start->low;
    unsigned n;

    for (n = 0; n < start->n_high; n++) {
        lanes->high[n] = start->high[n];
    }
    if (n_planes % 16 != 0) {
        const blsh_planes_t carry = add_pair(&low.fours, add_eight(&low, &plane, stride, &query));

        carry_up(&low, lanes->high, high_end, half_adder(&low.eights, carry));
    }
    while (plane < end) {
        const blsh_pair_t first = add_eight(&low, &plane, stride, &query);
        const blsh_pair_t second = add_eight(&low, &plane, stride, &query);
        const blsh_pair_t carries = add_two_pairs(&low.fours, first, second);

        carry_up(&low, lanes->high, high_end, add_pair(&low.eights, carries));
        if (blsh_are_ones(low.reached)) {
            return 0;
        }
    }
    lanes->low = low;
    lanes->n_high = start->n_high;
    return !blsh_are_ones(low.reached);
}

/* Bit of a lane, counted over all blocks. */
static BLSH_INLINE uint32_t lane_bit(const blsh_planes_t *planes, unsigned lane)
{
    return (blsh_in_block(planes, lane / LANES) >> (lane % LANES)) & 1u;
}

/* Distance of a lane that has not reached the limit. */
static uint32_t lane_distance(const blsh_lanes_t *lanes, uint32_t limit, unsigned lane)
{
    uint32_t value = lane_bit(&lanes->low.ones, lane) + lane_bit(&lanes->low.twos, lane) * 2
                   + lane_bit(&lanes->low.fours, lane) * 4 + lane_bit(&lanes->low.eights, lane) * 8
                   + lane_bit(&lanes->low.sixteens, lane) * 16
                   + lane_bit(&lanes->low.thirty_twos, lane) * 32;
    unsigned n;

    for (n = 0; n < lanes->n_high; n++) {
        value += lane_bit(&lanes->high[n], lane) << (LOW_PLANES + n);
    }
    return value + limit - (1u << (LOW_PLANES + lanes->n_high));
}

/* Entries come in order of index: an equal distance never overtakes an earlier one. */
static void insert(const blsh_nearest_t *nearest, uint32_t entry, uint32_t d)
{
    unsigned place = nearest->last;

    for (; place > 0 && d < nearest->distance[place - 1]; place--) {
        nearest->distance[place] = nearest->distance[place - 1];
        nearest->index[place] = nearest->index[place - 1];
    }
    nearest->distance[place] = (uint16_t)d;
    nearest->index[place] = entry;
}

/* A word of all zeros or all ones for each plane, XORed in pairs as the dictionary's planes are. */
static void spread_query(const uint16_t *plane_bits, unsigned n_planes, const uint32_t *code,
                         uint32_t *query)
{
    unsigned n;

    for (n = 0; n < n_planes; n++) {
        const unsigned bit = plane_bits[n];

        query[n] = 0u - ((code[bit / 32] >> (bit % 32)) & 1u);
        if (n % 2 != 0) {
            query[n] ^= query[n - 1];
        }
    }
}

/* Take over those entries of the blocks that are nearer than the nearest so far. */
static void take_nearer(const blsh_nearest_t *nearest, const blsh_lanes_t *lanes, uint32_t limit,
                        uint32_t first)
{
    unsigned block;

    for (block = 0; block < BLSH_BLOCKS; block++) {
        uint32_t below = ~blsh_in_block(&lanes->low.reached, block);

        for (; below != 0; below &= below - 1u) {
            const unsigned lane = LANES * block + blsh_trailing_zeros(below);
            const uint32_t d = lane_distance(lanes, limit, lane);

            if (d < nearest->distance[nearest->last]) {
                insert(nearest, first + lane, d);
            }
        }
    }
}

void blsh_search(const blsh_model_t *model, unsigned band, const uint32_t *code,
                 uint32_t *query, uint32_t *index, uint16_t *distance)
{
    const blsh_dictionary_t *dictionary = &model->dictionaries[band];
    const unsigned n_planes = dictionary->n_planes;
    const uint32_t *plane = model->codes + dictionary->first_plane;
    const blsh_nearest_t nearest = {index, distance, dictionary->neighbours - 1u};
    uint32_t first, limit = n_planes + 1u; /* which no distance reaches */
    blsh_lanes_t start, lanes;
    unsigned n, n_blocks = BLSH_BLOCKS;
    size_t stride = n_planes; /* from a plane to the same of the next block */

    for (n = 0; n <= nearest.last; n++) {
        distance[n] = (uint16_t)limit;
        index[n] = 0;
    }
    spread_query(model->plane_bits + dictionary->first_plane_bit, n_planes, code, query);
    set_limit(&start, limit);
    for (first = 0; first < dictionary->n_entries && limit > 0; first += n_blocks * LANES) {
        const uint32_t present = dictionary->n_entries - first;

        if (present < BLSH_BLOCKS * LANES) {
            n_blocks = 1; /* and in place of the others the same, but lanes that have reached it */
            stride = 0;
            start.low.reached = blsh_in_first(present < LANES ? ALL_LANES << present : 0);
        }
        if (count_blocks(&start, plane, stride, query, n_planes, &lanes)) {
            take_nearer(&nearest, &lanes, limit, first);
            limit = distance[nearest.last];
            set_limit(&start, limit);
        }
        plane += n_blocks * n_planes;
    }
}

#endif
