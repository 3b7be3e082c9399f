/*
 * Neighbours to gains: decode and add up their masks, look up the mean. Gains to spectrum.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_port.h"
#include "blsh_stages.h"

#if !BLSH_CONDENSED

#include "blsh_adders.h"

/*
 * Sums of levels, one byte a bin, four bins a word: the first in the lowest byte, or lane. A lane
 * holds the sum of 255 / max_level masks without overflow; so many at a time are added up.
 */
#define LANES 4
#define LANE_MAX 255u

#define COUNTED 15u /* masks of one bit that counters of four bits can count */

#define LIMITS (BLSH_MASK_CODE_BITS + 1)
#define HALF (1u << (BLSH_MASK_CODE_BITS - 1)) /* codes below begin with a 0 */

/* A canonical Huffman code: codes by length, then in the order of symbols. */
typedef struct {
    const uint16_t *limits; /* for each length: what codes of up to so many bits are below */
    const int16_t *offsets; /* for each length: from its codes to their symbols            */
    const uint8_t *symbols;
    uint32_t repeats;       /* bits below stand for more levels like the last, a 0 for eight */
    unsigned shortest;      /* length of the other codes                                     */
} blsh_huffman_t;

/* Where the masks of a band are. */
typedef struct {
    const blsh_mask_table_t *table;
    blsh_huffman_t after_low;
    blsh_huffman_t after_high;
    const uint8_t *stream;
    const uint32_t *offsets;
    const blsh_mask_length_t *lengths;
} blsh_masks_t;

/* `repeated` is the symbol that goes on as the one before has ended. */
static blsh_huffman_t code_of(const uint16_t *limits, const int16_t *offsets,
                              const uint8_t *symbols, unsigned repeated)
{
    blsh_huffman_t code;

    code.limits = limits;
    code.offsets = offsets;
    code.symbols = symbols;
    code.repeats = limits[1] >= HALF && symbols[offsets[1]] == repeated ? 1u << 31 : 0;
    code.shortest = 1;
    while (limits[code.shortest] <= code.repeats >> (32 - BLSH_MASK_CODE_BITS)) {
        code.shortest++;
    }
    return code;
}

static blsh_masks_t masks_of(const blsh_model_t *model, unsigned band)
{
    const blsh_mask_table_t *const table = &model->mask_tables[band];
    const uint16_t *const limits = model->huffman_limits + (size_t)2 * LIMITS * band;
    const int16_t *const offsets = model->huffman_offsets + (size_t)2 * LIMITS * band;
    const unsigned all = (1u << (table->mask_bits * table->levels_per_symbol)) - 1u;
    blsh_masks_t masks;

    masks.table = table;
    masks.after_low =
        code_of(limits, offsets, model->huffman_symbols + table->symbols_after_low, 0);
    masks.after_high = code_of(limits + LIMITS, offsets + LIMITS,
                               model->huffman_symbols + table->symbols_after_high, all);
    masks.stream = model->mask_stream + table->first_byte;
    masks.offsets = model->mask_offsets + table->first_offset;
    masks.lengths = model->mask_lengths + table->first_length;
    return masks;
}

static const uint8_t *mask_stream(const blsh_masks_t *masks, uint32_t entry)
{
    const uint8_t *stream = masks->stream + masks->offsets[entry / BLSH_MASKS_PER_OFFSET];
    uint32_t before = entry - entry % BLSH_MASKS_PER_OFFSET;

    for (; before < entry; before++) {
        stream += masks->lengths[before];
    }
    return stream;
}

/* At least 17 bits of a mask from `position` on, the first highest. */
static BLSH_INLINE uint32_t bits_ahead(const uint8_t *stream, uint32_t position)
{
    return blsh_peek_24(stream + position / 8) << (position % 8);
}

/*
 * The next symbol of a mask; `position` is in bits.
 *
 * A canonical Huffman code: written from the top of a word, all codes of up to n bits lie below
 * limits[n]. So n is the first length whose limit exceeds the bits to come, and the code's first n
 * bits plus offsets[n] are its place in the list of symbols.
 *
 *   shortest  a length that the code has at least
 */
static BLSH_INLINE uint32_t next_symbol(const blsh_huffman_t *code, uint32_t ahead,
                                        unsigned shortest, uint32_t *position)
{
    const uint32_t bits = ahead >> (32 - BLSH_MASK_CODE_BITS);
    unsigned n = shortest;

    while (bits >= code->limits[n]) {
        n++;
    }
    *position += n;
    return code->symbols[(int32_t)(bits >> (BLSH_MASK_CODE_BITS - n)) + code->offsets[n]];
}

/*
 * Decode a mask of one bit a level, eight to a symbol and byte. Most symbols go on as the one before
 * has ended, and where such a one is coded as a single 0, a run of zeros is as many of them at once.
 */
static void decode_binary(const blsh_masks_t *masks, uint32_t entry, uint8_t *levels)
{
    const uint8_t *const end = levels + (masks->table->n_bins + 7u) / 8u;
    const uint8_t *const stream = mask_stream(masks, entry);
    const blsh_huffman_t *code = &masks->after_low;
    uint32_t position = 0, symbol = 0;

    while (levels < end) {
        const uint32_t ahead = bits_ahead(stream, position);

        if (ahead < code->repeats) {
            uint32_t left = ahead | 1u << 14;

            symbol = (0u - (symbol >> 7)) & 0xFFu;
            do {
                *levels++ = (uint8_t)symbol;
                position++;
                left <<= 1;
            } while (left >> 31 == 0 && levels < end);
        } else {
            symbol = next_symbol(code, ahead, code->shortest, &position);
            code = symbol >> 7 ? &masks->after_high : &masks->after_low;
            *levels++ = (uint8_t)symbol;
        }
    }
}

/* Nibble to lanes: the four copies of its bits do not meet, and the mask picks one bit of each. */
static uint32_t spread_bits(uint32_t nibble)
{
    return (nibble * 0x00204081u) & 0x01010101u;
}

/* Decode a mask of one bit a level and add it to the sums, behind which is room for it. */
static void add_binary_mask(const blsh_masks_t *masks, uint32_t entry, uint32_t *sums)
{
    const unsigned n_symbols = (masks->table->n_bins + 7u) / 8u;
    uint8_t *const levels = (uint8_t *)(sums + 2 * (size_t)n_symbols);
    unsigned n;

    decode_binary(masks, entry, levels);
    for (n = 0; n < n_symbols; n++, sums += 2) {
        sums[0] += spread_bits(levels[n] & 15u);
        sums[1] += spread_bits((uint32_t)levels[n] >> 4);
    }
}

/* Decode a mask of more bits a level and add it to the sums. */
static void add_mask(const blsh_masks_t *masks, uint32_t entry, uint32_t *sums)
{
    const unsigned n_bins = masks->table->n_bins, mask_bits = masks->table->mask_bits;
    const unsigned n_levels = masks->table->levels_per_symbol;
    const unsigned top = mask_bits * n_levels - 1u;
    const uint32_t level_max = (1u << mask_bits) - 1u;
    const uint8_t *const stream = mask_stream(masks, entry);
    uint32_t position = 0, symbol = 0;
    unsigned first;

    for (first = 0; first < n_bins; first += n_levels) {
        uint32_t levels;
        unsigned bin = first;

        symbol = next_symbol(symbol >> top ? &masks->after_high : &masks->after_low,
                             bits_ahead(stream, position), 1, &position);
        levels = symbol;
        while (levels != 0) {
            sums[bin / LANES] += (levels & level_max) << (8 * (bin % LANES));
            levels >>= mask_bits;
            bin++;
        }
    }
}

/* Add the lanes to one sum a bin. */
static void add_lanes(const uint32_t *sums, unsigned n_bins, int16_t *total)
{
    unsigned bin;

    for (bin = 0; bin < n_bins; bin++) {
        const uint32_t sum = (sums[bin / LANES] >> (8 * (bin % LANES))) & LANE_MAX;

        total[bin] = (int16_t)(total[bin] + (int16_t)sum);
    }
}

/* Each sum of K levels to its gain. */
static void look_up(const int16_t *gain_of_sum, unsigned n_bins, int16_t *bins)
{
    const int16_t *const end = bins + n_bins;

    while (bins < end) {
        *bins = gain_of_sum[*bins];
        bins++;
    }
}

/* Add up masks, a byte a bin. */
static void add_masks(const blsh_masks_t *masks, const uint32_t *index, uint32_t *sums,
                      int16_t *total)
{
    const blsh_mask_table_t *const table = masks->table;
    const unsigned batch = LANE_MAX / ((1u << table->mask_bits) - 1u);
    const size_t n_words = (table->n_bins + 2 * LANES - 1u) / LANES;
    unsigned n = 0;

    memset(total, 0, table->n_bins * sizeof *total);
    while (n < table->neighbours) {
        const unsigned end = table->neighbours - n < batch ? table->neighbours : n + batch;

        memset(sums, 0, n_words * sizeof *sums);
        for (; n < end; n++) {
            if (table->mask_bits == 1) {
                add_binary_mask(masks, index[n], sums);
            } else {
                add_mask(masks, index[n], sums);
            }
        }
        add_lanes(sums, table->n_bins, total);
    }
}

/* 32 counters, upright in four words: bit n of each word belongs to counter n. */
typedef struct {
    uint32_t ones, twos, fours, eights;
} blsh_counts_t;

/* A word of levels from its bytes, the first in the lowest bits. */
static BLSH_INLINE uint32_t word_of(const uint32_t *bytes)
{
    const uint32_t one = 1;
    const uint8_t *const byte = (const uint8_t *)bytes;

    if (*(const uint8_t *)&one != 0) {
        return *bytes; /* a little-endian processor: known to the compiler */
    }
    return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}

/* Two masks' levels of 32 bins; a mask is `n_words` long. */
static BLSH_INLINE blsh_pair_t take_masks(const uint32_t **mask, unsigned n_words)
{
    const blsh_pair_t pair = pair_of(word_of(*mask), word_of(*mask + n_words));

    *mask += 2 * (size_t)n_words;
    return pair;
}

/* Count four masks; returns the carries into the twos. */
static BLSH_INLINE blsh_pair_t add_four_masks(uint32_t *ones, const uint32_t **mask,
                                              unsigned n_words)
{
    const blsh_pair_t first = take_masks(mask, n_words);
    const blsh_pair_t second = take_masks(mask, n_words);

    return add_two_pairs(ones, first, second);
}

/* How many of at most 15 masks have a one in each of 32 bins: of one, two, four and eight of them. */
static BLSH_INLINE blsh_counts_t count_ones(const uint32_t *mask, unsigned n_words,
                                            unsigned n_masks)
{
    blsh_counts_t counts = {0, 0, 0, 0};

    if ((n_masks & 1u) != 0) {
        counts.ones = word_of(mask);
        mask += n_words;
    }
    if ((n_masks & 2u) != 0) {
        counts.twos = add_pair(&counts.ones, take_masks(&mask, n_words));
    }
    if ((n_masks & 4u) != 0) {
        counts.fours = add_pair(&counts.twos, add_four_masks(&counts.ones, &mask, n_words));
    }
    if ((n_masks & 8u) != 0) {
        const blsh_pair_t first = add_four_masks(&counts.ones, &mask, n_words);
        const blsh_pair_t second = add_four_masks(&counts.ones, &mask, n_words);
        const blsh_pair_t carries = add_two_pairs(&counts.twos, first, second);

        counts.eights = add_pair(&counts.fours, carries);
    }
    return counts;
}

static uint32_t count_of(const blsh_counts_t *counts, unsigned n)
{
    return ((counts->ones >> n) & 1u) + ((counts->twos >> n) & 1u) * 2
         + ((counts->fours >> n) & 1u) * 4 + ((counts->eights >> n) & 1u) * 8;
}

/* Exchange the bits of a that `bits` has `distance` higher with those of b. */
static BLSH_INLINE void exchange(uint32_t *a, uint32_t *b, unsigned distance, uint32_t bits)
{
    const uint32_t differences = ((*a >> distance) ^ *b) & bits;

    *a ^= differences << distance;
    *b ^= differences;
}

/* Gains of eight sums, a nibble each, to every fourth bin. */
static BLSH_INLINE void look_up_eight(uint32_t sums, const int16_t *gain_of_sum,
                                      int16_t *gain_q15)
{
    gain_q15[0] = gain_of_sum[sums & 15u];
    gain_q15[4] = gain_of_sum[(sums >> 4) & 15u];
    gain_q15[8] = gain_of_sum[(sums >> 8) & 15u];
    gain_q15[12] = gain_of_sum[(sums >> 12) & 15u];
    gain_q15[16] = gain_of_sum[(sums >> 16) & 15u];
    gain_q15[20] = gain_of_sum[(sums >> 20) & 15u];
    gain_q15[24] = gain_of_sum[(sums >> 24) & 15u];
    gain_q15[28] = gain_of_sum[sums >> 28];
}

/*
 * Counters to gains of 32 bins. Four by four bits of the four words are transposed, first two by two
 * of them: each word then has every fourth bin's counter in a nibble.
 */
static BLSH_INLINE void look_up_counts(blsh_counts_t counts, const int16_t *gain_of_sum,
                                       int16_t *gain_q15)
{
    exchange(&counts.ones, &counts.twos, 1, 0x55555555u);
    exchange(&counts.fours, &counts.eights, 1, 0x55555555u);
    exchange(&counts.ones, &counts.fours, 2, 0x33333333u);
    exchange(&counts.twos, &counts.eights, 2, 0x33333333u);
    look_up_eight(counts.ones, gain_of_sum, gain_q15);
    look_up_eight(counts.twos, gain_of_sum, gain_q15 + 1);
    look_up_eight(counts.fours, gain_of_sum, gain_q15 + 2);
    look_up_eight(counts.eights, gain_of_sum, gain_q15 + 3);
}

/* At most 15 masks of one bit a level to gains, 32 bins at a time. */
static void average_binary(const blsh_masks_t *masks, const uint32_t *index, uint32_t *levels,
                           const int16_t *gain_of_sum, int16_t *gain_q15)
{
    const unsigned n_masks = masks->table->neighbours;
    const unsigned n_words = (masks->table->n_bins + 31u) / 32u;
    unsigned left = masks->table->n_bins, n;

    for (n = 0; n < n_masks; n++) {
        decode_binary(masks, index[n], (uint8_t *)(levels + (size_t)n * n_words));
    }
    for (; left >= 32; left -= 32) {
        look_up_counts(count_ones(levels++, n_words, n_masks), gain_of_sum, gain_q15);
        gain_q15 += 32;
    }
    if (left > 0) {
        const blsh_counts_t counts = count_ones(levels, n_words, n_masks);

        for (n = 0; n < left; n++) {
            gain_q15[n] = gain_of_sum[count_of(&counts, n)];
        }
    }
}

/* Gains to no less than the least allowed. */
static void raise_gains(int16_t *gain_q15, unsigned n_bins, int16_t floor_q15)
{
    const int16_t *const end = gain_q15 + n_bins;

    while (gain_q15 < end) {
        if (*gain_q15 < floor_q15) {
            *gain_q15 = floor_q15;
        }
        gain_q15++;
    }
}

void blsh_mask_gains(const blsh_model_t *model, unsigned band, const uint32_t *index,
                     uint32_t *scratch, int16_t floor_q15, int16_t *gain_q15)
{
    const blsh_masks_t masks = masks_of(model, band);
    const blsh_mask_table_t *const table = masks.table;
    const int16_t *const gain_of_sum = model->gain_q15 + table->first_gain;

    gain_q15 += table->first_bin;
    if (table->mask_bits == 1 && table->neighbours <= COUNTED) {
        average_binary(&masks, index, scratch, gain_of_sum, gain_q15);
    } else {
        add_masks(&masks, index, scratch, gain_q15);
        look_up(gain_of_sum, table->n_bins, gain_q15);
    }
    if (floor_q15 > 0) {
        raise_gains(gain_q15, table->n_bins, floor_q15);
    }
}

#endif

void blsh_apply_gains(int32_t *spectrum, const int16_t *gain_q15)
{
    size_t k;

    /* blsh_mulw() halves what a Q15 gain should leave whole. */
    spectrum[0] = 2 * blsh_mulw(spectrum[0], gain_q15[0]);
    spectrum[1] = 2 * blsh_mulw(spectrum[1], gain_q15[BLSH_FFT_POINTS]);
    for (k = 1; k < BLSH_FFT_POINTS; k++) {
        spectrum[2 * k] = 2 * blsh_mulw(spectrum[2 * k], gain_q15[k]);
        spectrum[2 * k + 1] = 2 * blsh_mulw(spectrum[2 * k + 1], gain_q15[k]);
    }
}
