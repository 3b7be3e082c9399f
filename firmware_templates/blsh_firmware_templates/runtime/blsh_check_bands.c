/*
 * Models of bands: checks of the tables. Each says which reader relies on it.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_check.h"

#if !BLSH_CONDENSED

#define LANES 32u
#define ROWS 4u                          /* multiplied together (blsh_hash.c)                */
#define WEIGHTS 4u                       /* of each of them that alternate                   */
#define MAX_POWER (32767u * 32767u)      /* a row's squared norm (blsh_hash.c)               */
#define MIN_COUNTERS 6u                  /* kept in registers (blsh_nearest.c)               */
#define PEEKED_BYTES 4u                  /* read from where a symbol's code begins           */
#define CODE_ONE (1u << BLSH_MASK_CODE_BITS)
#define COUNTED 15u                      /* masks of one bit side by side (blsh_gain.c)      */
#define LIMITS (BLSH_MASK_CODE_BITS + 1u)

/* Whether the L2 norm of a row is one for which sums cannot overflow; `step` is from one run of
 * WEIGHTS weights to the next. */
static int norm_fits(const int16_t *row, unsigned step, unsigned row_length)
{
    uint32_t power = 0;
    unsigned n;

    for (n = 0; n < row_length && power <= MAX_POWER; n++) {
        const int32_t weight = row[n / WEIGHTS * step + n % WEIGHTS];

        power += (uint32_t)(weight * weight);
    }
    return power <= MAX_POWER;
}

static blsh_status_t check_projection(const blsh_model_t *model, const uint32_t *sizes,
                                      const blsh_projection_t *projection)
{
    const unsigned row_length = projection->row_length, n_bits = projection->n_bits;
    const unsigned n_together = n_bits - n_bits % ROWS;
    const int16_t *weights;
    unsigned n;

    if (n_bits > LANES * BLSH_MAX_CODE_WORDS
        || !blsh_fits(projection->first_feature, row_length, BLSH_FEATURE_CAPACITY)) {
        return BLSH_ERROR_CAPACITY;
    }
    /* Ports load weights by words. */
    if (row_length % WEIGHTS != 0 || projection->first_weight % 2 != 0
        || !blsh_fits(projection->first_weight, n_bits * row_length,
                      sizes[BLSH_TABLE_projection_q15])
        || !blsh_fits(projection->first_bias, n_bits, sizes[BLSH_TABLE_bias_q15])) {
        return BLSH_ERROR_TABLES;
    }
    weights = model->projection_q15 + projection->first_weight;
    for (n = 0; n < n_bits; n++) {
        const int fits = n < n_together
                             ? norm_fits(weights + (size_t)(n - n % ROWS) * row_length
                                             + n % ROWS * WEIGHTS,
                                         ROWS * WEIGHTS, row_length)
                             : norm_fits(weights + (size_t)n * row_length, WEIGHTS, row_length);

        if (!fits) {
            return BLSH_ERROR_TABLES;
        }
    }
    return BLSH_OK;
}

/* `n_bits` are those of the projections. */
static blsh_status_t check_dictionary(const blsh_model_t *model, const uint32_t *sizes,
                                      const blsh_dictionary_t *dictionary, uint32_t n_bits)
{
    const uint32_t block = n_bits + 1u + dictionary->n_counters;
    const uint32_t n_blocks = dictionary->n_entries / LANES + (dictionary->n_entries % LANES != 0);
    const uint32_t n_words = (n_bits + LANES - 1u) / LANES;
    const uint32_t unused = n_words * LANES - n_bits; /* bits of the last word */

    if (block > BLSH_SCRATCH_WORDS || dictionary->neighbours > BLSH_MAX_NEIGHBOURS) {
        return BLSH_ERROR_CAPACITY;
    }
    if (n_bits == 0 || dictionary->n_bits != n_bits || dictionary->n_counters < MIN_COUNTERS
        || dictionary->neighbours == 0 || dictionary->neighbours > dictionary->n_entries
        || n_blocks > sizes[BLSH_TABLE_codes] / block
        || !blsh_fits(dictionary->first_plane, n_blocks * block, sizes[BLSH_TABLE_codes])
        || !blsh_fits(dictionary->first_inversion, n_words, sizes[BLSH_TABLE_code_inversions])) {
        return BLSH_ERROR_TABLES;
    }
    /* Ones of what is compared have their planes. */
    if (unused > 0
        && model->code_inversions[dictionary->first_inversion + n_words - 1u] >> (LANES - unused)
               != 0) {
        return BLSH_ERROR_TABLES;
    }
    return BLSH_OK;
}

/*
 * Whether any run of bits is the beginning of a code, and every code has its symbol below
 * 2^symbol_bits in the list.
 */
static int huffman_fits(const uint16_t *limits, const int16_t *offsets, const uint8_t *symbols,
                        uint32_t n_symbols, unsigned symbol_bits)
{
    uint32_t below = 0; /* codes that are shorter */
    unsigned n;

    for (n = 1; n <= BLSH_MASK_CODE_BITS; n++) {
        if (limits[n] < below || limits[n] > CODE_ONE) {
            return 0;
        }
        if (limits[n] > below) {
            const unsigned shift = BLSH_MASK_CODE_BITS - n;
            int32_t place = (int32_t)(below >> shift) + offsets[n];
            const int32_t last = (int32_t)((limits[n] - 1u) >> shift) + offsets[n];

            if (place < 0 || (uint32_t)last >= n_symbols) {
                return 0;
            }
            for (; place <= last; place++) {
                if (symbols[place] >> symbol_bits != 0) {
                    return 0;
                }
            }
        }
        below = limits[n];
    }
    return below == CODE_ONE;
}

/* Levels that are coded together; 0 for a number of bits that no mask has. */
static unsigned levels_per_symbol(unsigned mask_bits)
{
    static const uint8_t levels[] = {0, 8, 4, 2, 2};

    return mask_bits < sizeof levels ? levels[mask_bits] : 0;
}

/*
 * Whether decoding stays in the stream wherever a mask begins: not what the bits say is checked but
 * the most that a mask could take.
 */
static int stream_fits(const blsh_model_t *model, const uint32_t *sizes,
                       const blsh_mask_table_t *masks, uint32_t n_entries)
{
    const uint32_t n_symbols =
        ((uint32_t)masks->n_bins + masks->levels_per_symbol - 1u) / masks->levels_per_symbol;
    const uint32_t longest = (n_symbols - 1u) * BLSH_MASK_CODE_BITS / 8u + PEEKED_BYTES;
    const uint32_t n_offsets =
        n_entries / BLSH_MASKS_PER_OFFSET + (n_entries % BLSH_MASKS_PER_OFFSET != 0);
    uint32_t n_bytes, place = 0, n;

    if (masks->first_byte > sizes[BLSH_TABLE_mask_stream]
        || !blsh_fits(masks->first_offset, n_offsets, sizes[BLSH_TABLE_mask_offsets])
        || !blsh_fits(masks->first_length, n_entries, sizes[BLSH_TABLE_mask_lengths])) {
        return 0;
    }
    n_bytes = sizes[BLSH_TABLE_mask_stream] - masks->first_byte;
    for (n = 0; n < n_entries; n++) {
        const uint32_t length = model->mask_lengths[masks->first_length + n];

        if (n % BLSH_MASKS_PER_OFFSET == 0) {
            place = model->mask_offsets[masks->first_offset + n / BLSH_MASKS_PER_OFFSET];
        }
        if (!blsh_fits(place, longest, n_bytes) || length > n_bytes - place) {
            return 0;
        }
        place += length;
    }
    return 1;
}

/* What decoding and adding up masks needs (blsh_gain.c). */
static uint32_t scratch_words(const blsh_mask_table_t *masks)
{
    const uint32_t mask_words = (masks->n_bins + 31u) / 32u;

    if (masks->mask_bits != 1) {
        return (masks->n_bins + 7u) / 4u;
    }
    return masks->neighbours <= COUNTED ? masks->neighbours * mask_words
                                        : (masks->n_bins + 7u) / 4u + mask_words + 1u;
}

static blsh_status_t check_masks(const blsh_model_t *model, const uint32_t *sizes, unsigned band)
{
    const blsh_mask_table_t *const masks = &model->mask_tables[band];
    const blsh_dictionary_t *const dictionary = &model->dictionaries[band];
    const unsigned levels = levels_per_symbol(masks->mask_bits);
    const unsigned symbol_bits = levels * masks->mask_bits;
    const uint16_t *const limits = model->huffman_limits + (size_t)2 * LIMITS * band;
    const int16_t *const offsets = model->huffman_offsets + (size_t)2 * LIMITS * band;
    const uint32_t low = masks->symbols_after_low, high = masks->symbols_after_high;
    const uint32_t n_symbols = sizes[BLSH_TABLE_huffman_symbols];
    uint32_t n_gains, n;

    if (levels == 0 || masks->levels_per_symbol != levels || masks->n_bins == 0
        || masks->neighbours != dictionary->neighbours || low > n_symbols || high > n_symbols) {
        return BLSH_ERROR_TABLES;
    }
    if (scratch_words(masks) > BLSH_SCRATCH_WORDS) {
        return BLSH_ERROR_CAPACITY;
    }
    n_gains = (uint32_t)masks->neighbours * ((1u << masks->mask_bits) - 1u) + 1u;
    if (!huffman_fits(limits, offsets, model->huffman_symbols + low, n_symbols - low, symbol_bits)
        || !huffman_fits(limits + LIMITS, offsets + LIMITS, model->huffman_symbols + high,
                         n_symbols - high, symbol_bits)
        || !stream_fits(model, sizes, masks, dictionary->n_entries)
        || !blsh_fits(masks->first_gain, n_gains, sizes[BLSH_TABLE_gain_q15])) {
        return BLSH_ERROR_TABLES;
    }
    for (n = 0; n < n_gains; n++) {
        if (model->gain_q15[masks->first_gain + n] < 0) {
            return BLSH_ERROR_TABLES;
        }
    }
    return BLSH_OK;
}

blsh_status_t blsh_check_tables(const blsh_model_t *model, const uint32_t *sizes)
{
    blsh_status_t status = BLSH_OK;
    uint32_t next_bin = 0;
    unsigned band;

    if (sizes[BLSH_TABLE_projections] != BLSH_BANDS || sizes[BLSH_TABLE_dictionaries] != BLSH_BANDS
        || sizes[BLSH_TABLE_mask_tables] != BLSH_BANDS
        || sizes[BLSH_TABLE_huffman_limits] != 2 * LIMITS * BLSH_BANDS
        || sizes[BLSH_TABLE_huffman_offsets] != 2 * LIMITS * BLSH_BANDS) {
        return BLSH_ERROR_TABLES;
    }
    for (band = 0; band < BLSH_BANDS && status == BLSH_OK; band++) {
        status = check_projection(model, sizes, &model->projections[band]);
        if (status == BLSH_OK) {
            status = check_dictionary(model, sizes, &model->dictionaries[band],
                                      model->projections[band].n_bits);
        }
        if (status == BLSH_OK) {
            status = check_masks(model, sizes, band);
        }
        if (status == BLSH_OK && model->mask_tables[band].first_bin != next_bin) {
            status = BLSH_ERROR_TABLES; /* each bin is to have its gain */
        }
        next_bin += model->mask_tables[band].n_bins;
    }
    return status == BLSH_OK && next_bin != BLSH_BINS ? BLSH_ERROR_TABLES : status;
}

#endif
