/*
 * The public functions: a stream's life and the order of the stages.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_stages.h"

blsh_status_t blsh_init(blsh_state_t *state)
{
    if (state == NULL) {
        return BLSH_ERROR_NULL;
    }
    memset(state, 0, sizeof *state);
    state->magic = BLSH_STATE_MAGIC;
    return BLSH_OK;
}

blsh_status_t blsh_process(blsh_state_t *state, const int16_t *input, int16_t *output)
{
    unsigned band;
    int16_t norm;

    if (state == NULL || input == NULL || output == NULL) {
        return BLSH_ERROR_NULL;
    }
    if (state->magic != BLSH_STATE_MAGIC) {
        return BLSH_ERROR_NOT_INITIALISED;
    }
    blsh_window_frame(state, input);
    BLSH_TAP(BLSH_STAGE_WINDOWED, 0, state->frame, sizeof state->frame);
    blsh_fft_forward(state->frame);
    BLSH_TAP(BLSH_STAGE_SPECTRUM, 0, state->frame, sizeof state->frame);
    blsh_magnitudes(state->frame, state->bins);
    norm = blsh_features(state->bins, state->features);
    BLSH_TAP(BLSH_STAGE_FEATURES, 0, state->features, BLSH_FEATURES * sizeof(int16_t));
    BLSH_TAP(BLSH_STAGE_NORM, 0, &norm, sizeof norm);
    for (band = 0; band < BLSH_BANDS; band++) {
        blsh_hash(band, state->features, norm, state->code);
        BLSH_TAP(BLSH_STAGE_CODE, band, state->code, blsh_code_words(band) * sizeof(uint32_t));
        blsh_search(band, state->code, state->scratch, state->neighbour_index,
                    state->neighbour_distance);
        BLSH_TAP(BLSH_STAGE_INDEX, band, state->neighbour_index,
                 blsh_neighbours(band) * sizeof(uint32_t));
        BLSH_TAP(BLSH_STAGE_DISTANCE, band, state->neighbour_distance,
                 blsh_neighbours(band) * sizeof(uint16_t));
        blsh_mask_gains(band, state->neighbour_index, state->scratch, state->bins);
    }
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
