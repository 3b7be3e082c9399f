/*
 * The public functions: a stream's life and the order of the stages.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_stages.h"

blsh_status_t blsh_init_model(blsh_state_t *state, const blsh_model_t *model)
{
    if (state == NULL || model == NULL) {
        return BLSH_ERROR_NULL;
    }
    memset(state, 0, sizeof *state);
    if (model->magic != BLSH_MODEL_MAGIC) {
        return BLSH_ERROR_NOT_INITIALISED;
    }
    state->model = model;
    state->gain_floor_q15 = model->gain_floor_q15;
#if BLSH_CONDENSED
    state->gain_release_q15 = model->gain_release_q15;
#endif
    state->magic = BLSH_STATE_MAGIC;
    return BLSH_OK;
}

static blsh_status_t checked(const blsh_state_t *state)
{
    if (state == NULL) {
        return BLSH_ERROR_NULL;
    }
    return state->magic == BLSH_STATE_MAGIC ? BLSH_OK : BLSH_ERROR_NOT_INITIALISED;
}

/* A part of 1 in Q15, where it is one. */
static blsh_status_t set_part(const blsh_state_t *state, int16_t *part, int16_t value)
{
    const blsh_status_t status = checked(state);

    if (status == BLSH_OK && value < 0) {
        return BLSH_ERROR_RANGE;
    }
    if (status == BLSH_OK) {
        *part = value;
    }
    return status;
}

blsh_status_t blsh_set_gain_floor(blsh_state_t *state, int16_t floor_q15)
{
    return set_part(state, state == NULL ? NULL : &state->gain_floor_q15, floor_q15);
}

#if BLSH_CONDENSED
blsh_status_t blsh_set_gain_release(blsh_state_t *state, int16_t release_q15)
{
    return set_part(state, state == NULL ? NULL : &state->gain_release_q15, release_q15);
}

/* Spectrum to gains. */
static void find_gains(blsh_state_t *state)
{
    const blsh_model_t *const model = state->model;
    unsigned dictionary;
    int16_t mean;

    mean = blsh_levels(state->frame, state->bins);
    BLSH_TAP(BLSH_STAGE_LEVELS, 0, state->bins, BLSH_CELLS * sizeof(int16_t));
    blsh_cell_features(state, state->bins, mean);
    BLSH_TAP(BLSH_STAGE_FEATURES, 0, state->features, BLSH_FEATURES * sizeof(int16_t));
    blsh_project(model, state->features, state->code);
    BLSH_TAP(BLSH_STAGE_CODE, 0, state->code, sizeof state->code);
    blsh_spread_code(model, state->code, state->code_ones, state->ones_before);
    memset(state->bins, 0, BLSH_CELLS * sizeof state->bins[0]);
    for (dictionary = 0; dictionary < BLSH_DICTIONARIES; dictionary++) {
        blsh_nearest(model, dictionary, state->code_ones, state->ones_before, state->scratch,
                     state->neighbour_index, state->neighbour_distance);
        BLSH_TAP(BLSH_STAGE_INDEX, dictionary, state->neighbour_index,
                 BLSH_NEIGHBOURS(model, dictionary) * sizeof(uint32_t));
        BLSH_TAP(BLSH_STAGE_DISTANCE, dictionary, state->neighbour_distance,
                 BLSH_NEIGHBOURS(model, dictionary) * sizeof(uint16_t));
        blsh_vote(model, dictionary, state->neighbour_index, state->neighbour_distance, state->scratch,
                  state->bins);
    }
    BLSH_TAP(BLSH_STAGE_VOTES, 0, state->bins, BLSH_CELLS * sizeof(int16_t));
#if BLSH_NOISE_TRACKERS > 0
    blsh_follow_noise(state, state->bins);
#endif
    blsh_cell_gains(state, state->bins);
    blsh_bin_gains(state->cell_gain_q15, state->bins);
}
#else
/* Spectrum to gains. */
static void find_gains(blsh_state_t *state)
{
    const blsh_model_t *const model = state->model;
    unsigned band;
    int16_t norm;

    blsh_magnitudes(state->frame, state->bins);
    norm = blsh_features(state->bins, state->features);
    BLSH_TAP(BLSH_STAGE_FEATURES, 0, state->features, BLSH_FEATURES * sizeof(int16_t));
    BLSH_TAP(BLSH_STAGE_NORM, 0, &norm, sizeof norm);
    for (band = 0; band < BLSH_BANDS; band++) {
        blsh_hash(model, band, state->features, norm, state->code);
        BLSH_TAP(BLSH_STAGE_CODE, band, state->code, BLSH_CODE_WORDS(model, band) * sizeof(uint32_t));
        blsh_search(model, band, state->code, state->scratch, state->neighbour_index,
                    state->neighbour_distance);
        BLSH_TAP(BLSH_STAGE_INDEX, band, state->neighbour_index,
                 BLSH_NEIGHBOURS(model, band) * sizeof(uint32_t));
        BLSH_TAP(BLSH_STAGE_DISTANCE, band, state->neighbour_distance,
                 BLSH_NEIGHBOURS(model, band) * sizeof(uint16_t));
        blsh_mask_gains(model, band, state->neighbour_index, state->scratch, state->gain_floor_q15,
                        state->bins);
    }
}
#endif

blsh_status_t blsh_process(blsh_state_t *state, const int16_t *input, int16_t *output)
{
    const blsh_status_t status = checked(state);

    if (input == NULL || output == NULL) {
        return BLSH_ERROR_NULL;
    }
    if (status != BLSH_OK) {
        return status;
    }
    blsh_window_frame(state, input);
    BLSH_TAP(BLSH_STAGE_WINDOWED, 0, state->frame, sizeof state->frame);
    blsh_fft_forward(state->frame);
    BLSH_TAP(BLSH_STAGE_SPECTRUM, 0, state->frame, sizeof state->frame);
    find_gains(state);
    BLSH_TAP(BLSH_STAGE_GAIN, 0, state->bins, sizeof state->bins);
    blsh_apply_gains(state->frame, state->bins);
    blsh_fft_inverse(state->frame);
    blsh_overlap_add(state, output);
    BLSH_TAP(BLSH_STAGE_OUTPUT, 0, output, BLSH_HOP * sizeof(int16_t));
    return BLSH_OK;
}

uint32_t blsh_latency_samples(void)
{
    return BLSH_LATENCY_SAMPLES;
}

const char *blsh_status_text(blsh_status_t status)
{
    switch (status) {
#define BLSH_STATUS_CASE(name, value, text) \
    case name:                              \
        return text;
        BLSH_STATUS_LIST(BLSH_STATUS_CASE)
#undef BLSH_STATUS_CASE
    case BLSH_STATUS_SMALLEST:
    default:
        return "unknown status";
    }
}
