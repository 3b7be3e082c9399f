/*
 * K nearest codes of a dictionary by Hamming distance, 32 codes at a time.
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

#include "blsh_adders.h"
#include "blsh_port.h"

#define LANES 32
#define LOW_PLANES 6 /* ones to thirty-twos, which stay in registers */

/* The low planes of 32 counters, and where the others are. */
typedef struct {
    uint32_t ones, twos, fours, eights, sixteens, thirty_twos;
    uint32_t *high, *high_end;
} blsh_counters_t;

/* A dictionary. */
typedef struct {
    const uint32_t *block;  /* its first                                                     */
    const uint32_t *origin; /* what ones of queries are counted from: that, or planes before */
    unsigned n_planes;      /* bits that are compared                                        */
    unsigned n_counters;
    unsigned neighbours;
    uint32_t n_entries;
    uint32_t base;
} blsh_codes_t;

/* Where a word of a query has ones, the first bit being number `first`; returns their end. */
static BLSH_INLINE uint32_t *list_ones(uint32_t word, uint32_t first, uint32_t *ones)
{
    for (; word != 0; word &= word - 1u) {
        *ones++ = first + blsh_trailing_zeros(word);
    }
    return ones;
}

/* The planes of two ones of the query. */
static BLSH_INLINE blsh_pair_t take_pair(const uint32_t *planes, const uint32_t **one)
{
    uint32_t first, second;

    blsh_take_two(one, &first, &second);
    return pair_of(planes[first], planes[second]);
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

/*
 * Count the planes that sixteens leave: at most one, two, four and eight of them. Carries wait for
 * those of the next planes, so that every counter is added to but once.
 */
static BLSH_INLINE void add_rest(blsh_counters_t *count, const uint32_t *planes,
                                 const uint32_t *one, unsigned n_ones)
{
    uint32_t carry = 0;

    if ((n_ones & 1u) != 0) {
        carry = half_adder(&count->ones, planes[*one++]);
    }
    if ((n_ones & 2u) != 0) {
        const uint32_t other = add_pair(&count->ones, take_pair(planes, &one));

        carry = add_pair(&count->twos, pair_of(carry, other));
    } else {
        carry = half_adder(&count->twos, carry);
    }
    if ((n_ones & 4u) != 0) {
        const uint32_t other = add_pair(&count->twos, add_four(&count->ones, planes, &one));

        carry = add_pair(&count->fours, pair_of(carry, other));
    } else {
        carry = half_adder(&count->fours, carry);
    }
    if ((n_ones & 8u) != 0) {
        const uint32_t other = add_pair(&count->fours, add_eight(count, planes, &one));

        carry = add_pair(&count->eights, pair_of(carry, other));
    } else {
        carry = half_adder(&count->eights, carry);
    }
    carry_sixteen(count, carry);
}

/*
 * Add up the planes of a block at all ones of the query.
 *
 *   planes  the block's planes
 *   start   where counting begins: LOW_PLANES planes and the n_high that follow them
 *   one     the query's ones
 *   n_ones  how many there are
 *   high    where to keep the high planes of the sums
 */
static BLSH_INLINE blsh_counters_t count_block(const uint32_t *planes, const uint32_t *start,
                                               unsigned n_high, const uint32_t *one,
                                               unsigned n_ones, uint32_t *high)
{
    const uint32_t *const end = one + n_ones / 16 * 16;
    blsh_counters_t count;
    unsigned n;

    for (n = 0; n < n_high; n++) {
        high[n] = start[LOW_PLANES + n];
    }
    count.ones = start[0];
    count.twos = start[1];
    count.fours = start[2];
    count.eights = start[3];
    count.sixteens = start[4];
    count.thirty_twos = start[5];
    count.high = high;
    count.high_end = high + n_high;
    while (one < end) {
        const blsh_pair_t first = add_eight(&count, planes, &one);
        const blsh_pair_t second = add_eight(&count, planes, &one);
        const blsh_pair_t carries = add_two_pairs(&count.fours, first, second);

        carry_sixteen(&count, add_pair(&count.eights, carries));
    }
    add_rest(&count, planes, one, n_ones);
    return count;
}

/* Those of some lanes that have a one in a plane, whose weight their number gains; or all. */
static BLSH_INLINE uint32_t narrowed(uint32_t lanes, uint32_t plane, uint32_t weight,
                                     uint32_t *number)
{
    const uint32_t with = lanes & plane;

    if (with != 0) {
        lanes = with;
        *number += weight;
    }
    return lanes;
}

/* Those of some lanes that have the largest number, and that number: twice the count, and odd. */
static BLSH_INLINE uint32_t largest(const blsh_counters_t *count, uint32_t odd, uint32_t lanes,
                                    uint32_t *number)
{
    const uint32_t *plane = count->high_end;

    *number = 0;
    while (plane > count->high) {
        *number *= 2;
        lanes = narrowed(lanes, *--plane, 128, number);
    }
    lanes = narrowed(lanes, count->thirty_twos, 64, number);
    lanes = narrowed(lanes, count->sixteens, 32, number);
    lanes = narrowed(lanes, count->eights, 16, number);
    lanes = narrowed(lanes, count->fours, 8, number);
    lanes = narrowed(lanes, count->twos, 4, number);
    lanes = narrowed(lanes, count->ones, 2, number);
    return narrowed(lanes, odd, 1, number);
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

/*
 * K nearest codes.
 *
 *   ones      the query's
 *   n_ones    how many there are
 *   high      n_counters - LOW_PLANES words
 *   index     K entries, nearest first
 *   distance  their distances
 */
static BLSH_INLINE void find_nearest(const blsh_codes_t *codes, const uint32_t *ones,
                                     unsigned n_ones, uint32_t *high, uint32_t *index,
                                     uint16_t *distance)
{
    const uint32_t bound = n_ones + codes->base;
    const unsigned n_high = codes->n_counters - LOW_PLANES;
    const size_t block_words = codes->n_planes + 1u + codes->n_counters;
    const uint32_t *origin = codes->origin, *odd = codes->block + codes->n_planes;
    uint32_t first = 0;
    unsigned found = 0;

    for (;;) {
        uint32_t left = UINT32_MAX; /* lanes of codes that have not come in */
        const blsh_counters_t count = count_block(origin, odd + 1, n_high, ones, n_ones, high);

        if (first + LANES > codes->n_entries) {
            left >>= first + LANES - codes->n_entries;
        }
        while (left != 0) {
            uint32_t number, d, lanes = largest(&count, *odd, left, &number);

            d = bound - number;
            if (found == codes->neighbours && d >= distance[found - 1]) {
                break;
            }
            left ^= lanes;
            for (; lanes != 0; lanes &= lanes - 1u) {
                if (found == codes->neighbours) {
                    if (d >= distance[found - 1]) {
                        break;
                    }
                    found--; /* the farthest makes room */
                }
                insert(index, distance, found, first + blsh_trailing_zeros(lanes), d);
                found++;
            }
        }
        first += LANES;
        if (first >= codes->n_entries) {
            break;
        }
        origin += block_words;
        odd += block_words;
    }
}

#if BLSH_CONDENSED

void blsh_spread_code(const blsh_model_t *model, const uint32_t *code, uint32_t *ones,
                      uint16_t *ones_before)
{
    const uint32_t *const start = ones;
    unsigned n;

    for (n = 0; n < BLSH_MAX_CODE_WORDS; n++) {
        ones_before[n] = (uint16_t)(ones - start);
        ones = list_ones(code[n] ^ model->code_inversions[n], LANES * n, ones);
    }
    ones_before[n] = (uint16_t)(ones - start);
}

void blsh_nearest(const blsh_model_t *model, unsigned dictionary, const uint32_t *ones,
                  const uint16_t *ones_before, uint32_t *counters, uint32_t *index,
                  uint16_t *distance)
{
    const blsh_code_table_t *const table = &model->code_tables[dictionary];
    const unsigned end_word = (unsigned)table->first_word + table->n_words;
    const unsigned first_one = ones_before[table->first_word];
    blsh_codes_t codes;

    codes.block = model->code_planes + table->first_plane;
    /* Ones are numbered from the first word of all. */
    codes.origin = codes.block - LANES * (size_t)table->first_word;
    codes.n_planes = LANES * (unsigned)table->n_words;
    codes.n_counters = table->n_counters;
    codes.neighbours = table->neighbours;
    codes.n_entries = table->n_entries;
    codes.base = table->base;
    find_nearest(&codes, ones + first_one, ones_before[end_word] - first_one, counters, index,
                 distance);
}

#else

void blsh_search(const blsh_model_t *model, unsigned band, const uint32_t *code,
                 uint32_t *scratch, uint32_t *index, uint16_t *distance)
{
    const blsh_dictionary_t *const dictionary = &model->dictionaries[band];
    const uint32_t *const inversions = model->code_inversions + dictionary->first_inversion;
    uint32_t *ones = scratch;
    blsh_codes_t codes;
    unsigned n;

    codes.block = model->codes + dictionary->first_plane;
    codes.origin = codes.block;
    codes.n_planes = dictionary->n_bits;
    codes.n_counters = dictionary->n_counters;
    codes.neighbours = dictionary->neighbours;
    codes.n_entries = dictionary->n_entries;
    codes.base = dictionary->base;
    for (n = 0; LANES * n < codes.n_planes; n++) {
        ones = list_ones(code[n] ^ inversions[n], LANES * n, ones);
    }
    find_nearest(&codes, scratch, (unsigned)(ones - scratch), scratch + codes.n_planes, index,
                 distance);
}

#endif
