/*
 * Neighbours to gains: decode and add up their masks, look up the mean.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_masks.h"
#include "blsh_port.h"
#include "blsh_stages.h"

/* Bits of a mask, most significant first. */
typedef struct {
    const uint8_t *next;
    uint32_t window; /* bits not yet read, then a sentinel one, from bit 8 downwards */
} blsh_bits_t;

static uint32_t read_bit(blsh_bits_t *bits)
{
    bits->window <<= 1;
    if ((bits->window & 0xFFu) == 0) {
        bits->window = ((uint32_t)*bits->next++ << 1) | 1u;
    }
    return (bits->window >> 8) & 1u;
}

/* Next symbol of a canonical Huffman code. */
static uint32_t read_symbol(blsh_bits_t *bits, const blsh_huffman_t *huffman)
{
    const uint16_t *count = huffman->counts + 1;
    const uint8_t *symbols = huffman->symbols;
    uint32_t offset = read_bit(bits); /* beyond the first code of the present length */

    while (offset >= *count) {
        offset -= *count;
        symbols += *count++;
        offset = 2 * offset + read_bit(bits);
    }
    return symbols[offset];
}

static const uint8_t *mask_stream(const blsh_mask_table_t *table, uint32_t entry)
{
    const uint8_t *stream = table->stream + table->offsets[entry / BLSH_MASKS_PER_OFFSET];
    uint32_t before = entry - entry % BLSH_MASKS_PER_OFFSET;

    for (; before < entry; before++) {
        stream += table->lengths[before];
    }
    return stream;
}

/* Add the levels of one mask to the sums of its bins. */
static void add_mask(const blsh_mask_table_t *table, uint32_t entry, int16_t *sums)
{
    const unsigned width = table->mask_bits;
    const unsigned top = width * table->levels_per_symbol - 1u;
    const uint32_t max_level = (1u << width) - 1u;
    const int16_t *end = sums + table->n_bins;
    blsh_bits_t bits;
    uint32_t symbol = 0;

    bits.next = mask_stream(table, entry);
    bits.window = 0;
    while (sums < end) {
        unsigned level;

        symbol = read_symbol(&bits, symbol >> top ? &table->after_high : &table->after_low);
        for (level = 0; level < table->levels_per_symbol && sums < end; level++, sums++) {
            *sums = (int16_t)(*sums + (int16_t)((symbol >> (width * level)) & max_level));
        }
    }
}

void blsh_mask_gains(unsigned band, const uint32_t *index, int16_t *gain_q15)
{
    const blsh_mask_table_t *table = &blsh_mask_tables[band];
    unsigned n;

    gain_q15 += table->first_bin;
    for (n = 0; n < table->n_bins; n++) {
        gain_q15[n] = 0;
    }
    for (n = 0; n < table->neighbours; n++) {
        add_mask(table, index[n], gain_q15);
    }
    for (n = 0; n < table->n_bins; n++) {
        gain_q15[n] = table->gain_q15[gain_q15[n]];
    }
}

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
