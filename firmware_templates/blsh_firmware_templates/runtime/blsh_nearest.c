/*
 * Condensed models: K nearest codes of a dictionary by Hamming distance, 32 codes at a time.
 *
 * A block holds 32 codes as one word for each bit position, a plane, in which every code has its
 * own bit, its lane. Only planes at which the query has a one are added up, by full adders on whole
 * words: with s the ones that a code c has in common with a query q, their distance is
 *
 *     |q| + |c| - 2 s = |q| + base - (2 (s + start) + odd)
 *
 * where odd is |c| % 2, start makes up for the rest of |c|, and base is the dictionary's own. start
 * and odd stand behind a block's planes, as planes themselves: counting begins at start, and the
 * larger the number 2 (s + start) + odd, the nearer the code.
 *
 * The exporter inverts those bits of all codes that are mostly one; the query follows suit.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if BLSH_CONDENSED

#include "blsh_adders.h"
#include "blsh_port.h"

#define LANES 32
#define LOW_PLANES 6 /* ones to thirty-twos, which stay in registers */

/* The low planes of 32 counters, and where the others are. */
typedef struct {
    uint32_t ones, twos, fours, eights, sixteens, thirty_twos;
    uint32_t *high, *high_end;
} blsh_counters_t;

void blsh_spread_code(const blsh_model_t *model, const uint32_t *code, uint32_t *ones,
                      uint16_t *ones_before)
{
    const uint32_t *const start = ones;
    unsigned n;

    for (n = 0; n < BLSH_MAX_CODE_WORDS; n++) {
        uint32_t word = code[n] ^ model->code_inversions[n];

        ones_before[n] = (uint16_t)(ones - start);
        for (; word != 0; word &= word - 1u) {
            *ones++ = LANES * n + blsh_trailing_zeros(word);
        }
    }
    ones_before[n] = (uint16_t)(ones - start);
}

/* The planes of two ones of the query. */
static BLSH_INLINE blsh_pair_t take_pair(const uint32_t *planes, const uint32_t **one)
{
    uint32_t first, second;
    blsh_pair_t pair;

    blsh_take_two(one, &first, &second);
    pair.a = planes[first];
    pair.a_xor_b = pair.a ^ planes[second];
    return pair;
}

/* Count four planes; returns the carries into the twos. */
static BLSH_INLINE blsh_pair_t add_four(uint32_t *ones, const uint32_t *planes,
                                        const uint32_t **one)
{
    const blsh_pair_t first = take_pair(planes, one);
    const blsh_pair_t second = take_pair(planes, one);

    return add_two_pairs(ones, first, second);
}

/* Count eight planes; returns the carries into the fours. */
static BLSH_INLINE blsh_pair_t add_eight(blsh_counters_t *count, const uint32_t *planes,
                                         const uint32_t **one)
{
    const blsh_pair_t first = add_four(&count->ones, planes, one);
    const blsh_pair_t second = add_four(&count->ones, planes, one);

    return add_two_pairs(&count->twos, first, second);
}

/* Carry from the sixteens upwards. */
static BLSH_INLINE void carry_sixteen(blsh_counters_t *count, uint32_t carry)
{
    uint32_t *high = count->high;

    carry = half_adder(&count->sixteens, carry);
    carry = half_adder(&count->thirty_twos, carry);
    while (high < count->high_end) {
        carry = half_adder(high++, carry);
    }
}

/* Carry from the fours and from the twos upwards. */
static BLSH_INLINE void carry_four(blsh_counters_t *count, uint32_t carry)
{
    carry = half_adder(&count->fours, carry);
    carry_sixteen(count, half_adder(&count->eights, carry));
}

static BLSH_INLINE void carry_two(blsh_counters_t *count, uint32_t carry)
{
    carry_four(count, half_adder(&count->twos, carry));
}

/*
 * Add up the planes of a block at all ones of the query.
 *
 *   planes    the block's planes
 *   start     where counting begins, n_counters planes
 *   one       the query's ones
 *   n_ones    how many there are
 *   counters  n_counters planes: the sums
 */
static void count_block(const uint32_t *planes, const uint32_t *start, unsigned n_counters,
                        const uint32_t *one, unsigned n_ones, uint32_t *counters)
{
    const uint32_t *const end = one + n_ones / 16 * 16;
    blsh_counters_t count;
    unsigned n;

    for (n = LOW_PLANES; n < n_counters; n++) {
        counters[n] = start[n];
    }
    count.ones = start[0];
    count.twos = start[1];
    count.fours = start[2];
    count.eights = start[3];
    count.sixteens = start[4];
    count.thirty_twos = start[5];
    count.high = counters + LOW_PLANES;
    count.high_end = counters + n_counters;
    while (one < end) {
        const blsh_pair_t first = add_eight(&count, planes, &one);
        const blsh_pair_t second = add_eight(&count, planes, &one);
        const blsh_pair_t carries = add_two_pairs(&count.fours, first, second);

        carry_sixteen(&count, add_pair(&count.eights, carries));
    }
    if ((n_ones & 8u) != 0) {
        const uint32_t carry = add_pair(&count.fours, add_eight(&count, planes, &one));

        carry_sixteen(&count, half_adder(&count.eights, carry));
    }
    if ((n_ones & 4u) != 0) {
        carry_four(&count, add_pair(&count.twos, add_four(&count.ones, planes, &one)));
    }
    if ((n_ones & 2u) != 0) {
        carry_two(&count, add_pair(&count.ones, take_pair(planes, &one)));
    }
    if ((n_ones & 1u) != 0) {
        carry_two(&count, half_adder(&count.ones, planes[*one]));
    }
    counters[0] = count.ones;
    counters[1] = count.twos;
    counters[2] = count.fours;
    counters[3] = count.eights;
    counters[4] = count.sixteens;
    counters[5] = count.thirty_twos;
}

/* Those of some lanes that have a one in the next plane, or all; a bit more of their number. */
static BLSH_INLINE uint32_t narrowed(uint32_t lanes, uint32_t plane, uint32_t *number)
{
    const uint32_t with = lanes & plane;

    *number *= 2;
    if (with != 0) {
        lanes = with;
        *number += 1;
    }
    return lanes;
}

/*
 * Those of some lanes that have the largest number, and that number. All but the high planes are
 * always there.
 */
static BLSH_INLINE uint32_t largest(const uint32_t *planes, unsigned n_high, uint32_t lanes,
                                    uint32_t *number)
{
    const uint32_t *const high = planes + 1 + LOW_PLANES;
    const uint32_t *plane = high + n_high;

    *number = 0;
    while (plane > high) {
        lanes = narrowed(lanes, *--plane, number);
    }
    lanes = narrowed(lanes, planes[6], number);
    lanes = narrowed(lanes, planes[5], number);
    lanes = narrowed(lanes, planes[4], number);
    lanes = narrowed(lanes, planes[3], number);
    lanes = narrowed(lanes, planes[2], number);
    lanes = narrowed(lanes, planes[1], number);
    return narrowed(lanes, planes[0], number);
}

/*
 * Put an entry where its distance belongs among `n` others. Entries of equal distance come in order
 * of index: one never overtakes an earlier one.
 */
static BLSH_INLINE void insert(uint32_t *index, uint16_t *distance, unsigned n, uint32_t entry,
                               uint32_t d)
{
    for (; n > 0 && d < distance[n - 1]; n--) {
        distance[n] = distance[n - 1];
        index[n] = index[n - 1];
    }
    distance[n] = (uint16_t)d;
    index[n] = entry;
}

void blsh_nearest(const blsh_model_t *model, unsigned dictionary, const uint32_t *ones,
                  const uint16_t *ones_before, uint32_t *counters, uint32_t *index,
                  uint16_t *distance)
{
    const blsh_code_table_t *const table = &model->code_tables[dictionary];
    const unsigned end_word = (unsigned)table->first_word + table->n_words;
    const unsigned n_ones = (unsigned)ones_before[end_word] - ones_before[table->first_word];
    const unsigned n_planes = LANES * (unsigned)table->n_words, n_counters = table->n_counters;
    const uint32_t *block = model->code_planes + table->first_plane;
    const uint32_t bound = n_ones + table->base;
    const unsigned n_high = n_counters - LOW_PLANES;
    const unsigned n_entries = table->n_entries, neighbours = table->neighbours;
    unsigned first, found = 0;

    ones += ones_before[table->first_word];
    for (first = 0; first < n_entries; first += LANES) {
        const unsigned present = n_entries - first;
        const uint32_t *const odd = block + n_planes;
        uint32_t left = present < LANES ? (1u << present) - 1u : UINT32_MAX;

        /* Ones are numbered from the first word of all. */
        count_block(block - LANES * (size_t)table->first_word, odd + 1, n_counters, ones, n_ones,
                    counters + 1);
        counters[0] = *odd;
        while (left != 0) {
            uint32_t number, d, lanes = largest(counters, n_high, left, &number);

            d = bound - number;
            if (found == neighbours && d >= distance[found - 1]) {
                break;
            }
            left ^= lanes;
            for (; lanes != 0; lanes &= lanes - 1u) {
                if (found == neighbours) {
                    if (d >= distance[found - 1]) {
                        break;
                    }
                    found--; /* the farthest makes room */
                }
                insert(index, distance, found, first + blsh_trailing_zeros(lanes), d);
                found++;
            }
        }
        block = odd + 1 + n_counters;
    }
}

#endif
