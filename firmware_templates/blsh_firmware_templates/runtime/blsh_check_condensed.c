/*
 * Condensed models: checks of the tables. Each says which reader relies on it.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_check.h"

#if BLSH_CONDENSED

#define LANES 32u
/* 128 * 4095 * 2048 < 2^30 (blsh_project.c), 255 * 4095 * 2048 < 2^31 (blsh_port_cortex_m55.h) */
#define MAX_ROW_LENGTH 2048u
#define MAX_BIAS (1 << 30)
#define MIN_COUNTERS 6u        /* kept in registers (blsh_nearest.c) */
#define VOTE_ONE 16u           /* votes of a level: Q4 */

static blsh_status_t check_hashes(const blsh_model_t *model, const uint32_t *sizes)
{
    uint32_t rows = 0, weights = 0, n;

    if (sizes[BLSH_TABLE_hash_groups] != BLSH_HASH_GROUPS) {
        return BLSH_ERROR_TABLES;
    }
    for (n = 0; n < BLSH_HASH_GROUPS; n++) {
        const blsh_hash_group_t *const hash = &model->hash_groups[n];

        if (hash->n_rows % LANES != 0 || hash->row_length % 4 != 0 || hash->first_feature % 2 != 0
            || hash->row_length > MAX_ROW_LENGTH) {
            return BLSH_ERROR_TABLES;
        }
        rows += hash->n_rows;
        if (rows > LANES * BLSH_MAX_CODE_WORDS
            || !blsh_fits(hash->first_feature, hash->row_length, BLSH_FEATURE_CAPACITY)) {
            return BLSH_ERROR_CAPACITY;
        }
        weights += (uint32_t)hash->n_rows * hash->row_length;
    }
    if (rows != LANES * BLSH_MAX_CODE_WORDS || sizes[BLSH_TABLE_hash_bias] < rows
        || sizes[BLSH_TABLE_hash_weights] < weights
        || sizes[BLSH_TABLE_code_inversions] < BLSH_MAX_CODE_WORDS) {
        return BLSH_ERROR_TABLES;
    }
    for (n = 0; n < rows; n++) {
        if (model->hash_bias[n] < -MAX_BIAS || model->hash_bias[n] > MAX_BIAS) {
            return BLSH_ERROR_TABLES;
        }
    }
    return BLSH_OK;
}

/* Codes of a dictionary. */
static blsh_status_t check_codes(const blsh_code_table_t *codes, uint32_t n_planes)
{
    const uint32_t block = LANES * codes->n_words + 1u + codes->n_counters;
    const uint32_t n_blocks = (codes->n_entries + LANES - 1u) / LANES;

    if (codes->neighbours > BLSH_MAX_NEIGHBOURS || codes->n_counters >= BLSH_SCRATCH_WORDS
        || !blsh_fits(codes->first_word, codes->n_words, BLSH_MAX_CODE_WORDS)) {
        return BLSH_ERROR_CAPACITY;
    }
    /* Planes are numbered from the code's first word, so that none may be before the table. */
    if (codes->neighbours == 0 || codes->neighbours > codes->n_entries || codes->n_words == 0
        || codes->n_counters < MIN_COUNTERS || codes->first_plane < LANES * codes->first_word
        || !blsh_fits(codes->first_plane, n_blocks * block, n_planes)) {
        return BLSH_ERROR_TABLES;
    }
    return BLSH_OK;
}

/* Masks and weights of a dictionary. */
static blsh_status_t check_votes(const blsh_model_t *model, const uint32_t *sizes,
                                 const blsh_vote_table_t *votes, const blsh_code_table_t *codes)
{
    const uint32_t length = (votes->n_cells + BLSH_MASK_LEVELS - 1u) / BLSH_MASK_LEVELS;
    const uint32_t even_length = length + length % 2u; /* halfwords are read in pairs */
    /* The last mask's second halfword of a pair may be beyond it. */
    const uint32_t halves = (uint32_t)codes->n_entries * length + even_length - length;

    if (even_length * BLSH_MASK_LEVELS > BLSH_SCRATCH_WORDS
        || !blsh_fits(votes->first_cell, votes->n_cells, BLSH_CELLS)) {
        return BLSH_ERROR_CAPACITY;
    }
    if (votes->neighbours != codes->neighbours || votes->n_cells == 0
        || votes->mask_length != length || votes->n_sums != even_length * BLSH_MASK_LEVELS
        || !blsh_fits(votes->first_mask, halves, sizes[BLSH_TABLE_masks])
        || !blsh_fits(votes->first_weight, votes->n_weights, sizes[BLSH_TABLE_vote_weights])) {
        return BLSH_ERROR_TABLES;
    }
    /* Of the weights' sum a reciprocal is taken: the nearest has one. */
    if (votes->n_weights == 0 || model->vote_weights[votes->first_weight] == 0) {
        return BLSH_ERROR_TABLES;
    }
    return BLSH_OK;
}

/* Most votes that a cell can get; dictionaries may overlap. */
static uint32_t most_votes(const blsh_model_t *model)
{
    uint32_t most = 0, cell, n;

    for (cell = 0; cell < BLSH_CELLS; cell++) {
        uint32_t votes = 0;

        for (n = 0; n < BLSH_DICTIONARIES; n++) {
            const blsh_vote_table_t *const table = &model->vote_tables[n];

            if (cell >= table->first_cell && cell < (uint32_t)table->first_cell + table->n_cells) {
                votes += VOTE_ONE * BLSH_LEVEL_MAX;
            }
        }
        if (votes > most) {
            most = votes;
        }
    }
    return most;
}

static blsh_status_t check_gains(const blsh_model_t *model, const uint32_t *sizes)
{
    const uint32_t n_gains = sizes[BLSH_TABLE_gain_of_votes_q15], most = most_votes(model);
    uint32_t n;

    if (most > INT16_MAX || most >= n_gains) {
        return BLSH_ERROR_TABLES;
    }
    for (n = 0; n <= most; n++) {
        if (model->gain_of_votes_q15[n] < 0) {
            return BLSH_ERROR_TABLES;
        }
    }
    return BLSH_OK;
}

blsh_status_t blsh_check_tables(const blsh_model_t *model, const uint32_t *sizes)
{
    blsh_status_t status = check_hashes(model, sizes);
    unsigned n;

    if (status == BLSH_OK && (sizes[BLSH_TABLE_code_tables] != BLSH_DICTIONARIES
                              || sizes[BLSH_TABLE_vote_tables] != BLSH_DICTIONARIES)) {
        status = BLSH_ERROR_TABLES;
    }
    for (n = 0; n < BLSH_DICTIONARIES && status == BLSH_OK; n++) {
        const blsh_code_table_t *const codes = &model->code_tables[n];

        status = check_codes(codes, sizes[BLSH_TABLE_code_planes]);
        if (status == BLSH_OK) {
            status = check_votes(model, sizes, &model->vote_tables[n], codes);
        }
    }
    return status == BLSH_OK ? check_gains(model, sizes) : status;
}

#endif
