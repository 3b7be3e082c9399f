/*
 * Neighbours to gains: decode and add up their masks, look up the mean. Gains to spectrum.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_port.h"
#include "blsh_stages.h"

#if !BLSH_CONDENSED

/*
 * Sums of levels, one byte a bin, four bins a word: the first in the lowest byte, or lane. A lane
 * holds the sum of 255 / max_level masks without overflow; so many at a time are added up.
 */
#define LANES 4
#define LANE_MAX 255u

#define LIMITS (BLSH_MASK_CODE_BITS + 1)

/* A canonical Huffman code: codes by length, then in the order of symbols. */
typedef struct {
    const uint16_t *limits; /* for each length: what codes of up to so many bits are below */
    const int16_t *offsets; /* for each length: from its codes to their symbols            */
    const uint8_t *symbols;
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

static blsh_masks_t masks_of(const blsh_model_t *model, unsigned band)
{
    const blsh_mask_table_t *const table = &model->mask_tables[band];
    blsh_masks_t masks;

    masks.table = table;
    masks.after_low.limits = model->huffman_limits + (size_t)2 * LIMITS * band;
    masks.after_low.offsets = model->huffman_offsets + (size_t)2 * LIMITS * band;
    masks.after_low.symbols = model->huffman_symbols + table->symbols_after_low;
    masks.after_high.limits = masks.after_low.limits + LIMITS;
    masks.after_high.offsets = masks.after_low.offsets + LIMITS;
    masks.after_high.symbols = model->huffman_symbols + table->symbols_after_high;
    masks.stream = model->mask_stream + table->first_byte;
    masks.offsets = model->mask_offsets + table->first_offset;
    masks.lengths = model->mask_lengths + table->first_length;
    return masks;
}

/* Nibble to lanes: the four copies of its bits do not meet, and the mask picks one bit of each. */
static uint32_t spread_bits(uint32_t nibble)
{
    return (nibble * 0x00204081u) & 0x01010101u;
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

/*
 * The next symbol of a mask; `position` is in bits.
 *
 * A canonical Huffman code: written from the top of a word, all codes of up to n bits lie below
 * limits[n]. So n is the first length whose limit exceeds the bits to come, and the code's first n
 * bits plus offsets[n] are its place in the list of symbols.
 */
static BLSH_INLINE uint32_t next_symbol(const blsh_huffman_t *code, const uint8_t *stream,
                                        uint32_t *position)
{
    const uint32_t ahead = blsh_peek_24(stream + *position / 8) << (*position % 8);
    const uint32_t bits = ahead >> (32 - BLSH_MASK_CODE_BITS);
    unsigned n = 1;

    while (bits >= code->limits[n]) {
        n++;
    }
    *position += n;
    return code->symbols[(int32_t)(bits >> (BLSH_MASK_CODE_BITS - n)) + code->offsets[n]];
}

/* Decode a mask of one bit a level, eight to a symbol, and add it to the sums. */
static void add_binary_mask(const blsh_masks_t *masks, uint32_t entry, uint32_t *sums)
{
    const uint32_t *const end = sums + (masks->table->n_bins + 7u) / 8u * 2u;
    const uint8_t *const stream = mask_stream(masks, entry);
    uint32_t position = 0, symbol = 0;

    for (; sums < end; sums += 2) {
        symbol = next_symbol(symbol >> 7 ? &masks->after_high : &masks->after_low, stream,
                             &position);
        if (symbol != 0) {
            sums[0] += spread_bits(symbol & 15u);
            sums[1] += spread_bits(symbol >> 4);
        }
    }
}

/* The same for levels of more bits. */
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

        symbol = next_symbol(symbol >> top ? &masks->after_high : &masks->after_low, stream,
                             &position);
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
                     uint32_t *sums, int16_t floor_q15, int16_t *gain_q15)
{
    const blsh_masks_t masks = masks_of(model, band);
    const blsh_mask_table_t *const table = masks.table;
    const unsigned batch = LANE_MAX / ((1u << table->mask_bits) - 1u);
    const size_t n_words = (table->n_bins + 2 * LANES - 1u) / LANES;
    unsigned n = 0;

    gain_q15 += table->first_bin;
    memset(gain_q15, 0, table->n_bins * sizeof *gain_q15);
    while (n < table->neighbours) {
        const unsigned end = table->neighbours - n < batch ? table->neighbours : n + batch;

        memset(sums, 0, n_words * sizeof *sums);
        for (; n < end; n++) {
            if (table->mask_bits == 1) {
                add_binary_mask(&masks, index[n], sums);
            } else {
                add_mask(&masks, index[n], sums);
            }
        }
        add_lanes(sums, table->n_bins, gain_q15);
    }
    look_up(model->gain_q15 + table->first_gain, table->n_bins, gain_q15);
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
