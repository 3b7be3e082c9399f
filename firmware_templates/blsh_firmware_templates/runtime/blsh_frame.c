/*
 * Samples to windowed frames, and frames back to samples.
 *
 * Windows are symmetric, w[n] = w[N - n], so only their first half and middle are stored.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_port.h"
#include "blsh_stages.h"
#include "blsh_window.h"

#define HISTORY (BLSH_FRAME - BLSH_HOP)

static size_t mirrored(size_t n)
{
    return n <= BLSH_FRAME / 2 ? n : BLSH_FRAME - n;
}

void blsh_window_frame(blsh_state_t *state, const int16_t *input)
{
    size_t n;

    /* |sample| <= 2^15 and window < 2^15: products stay below 2^30. */
    for (n = 0; n < HISTORY; n++) {
        state->frame[n] = (int32_t)state->history[n] * blsh_window_q15[mirrored(n)];
    }
    for (n = 0; n < BLSH_HOP; n++) {
        state->frame[HISTORY + n] = (int32_t)input[n] * blsh_window_q15[mirrored(HISTORY + n)];
    }
    memmove(state->history, state->history + BLSH_HOP,
            (HISTORY - BLSH_HOP) * sizeof state->history[0]);
    memcpy(state->history + HISTORY - BLSH_HOP, input, BLSH_HOP * sizeof input[0]);
}

static int16_t saturated(int32_t value)
{
    if (value > INT16_MAX) {
        return INT16_MAX;
    }
    if (value < INT16_MIN) {
        return INT16_MIN;
    }
    return (int16_t)value;
}

/* Sample n of the inverse FFT times the synthesis window, BLSH_OUTPUT_SHIFT fractional bits. */
static int32_t synthesised(const blsh_state_t *state, size_t n)
{
    return blsh_mulw(state->frame[n ^ 1u], blsh_synthesis_q14[mirrored(n)]);
}

void blsh_overlap_add(blsh_state_t *state, int16_t *output)
{
    const int32_t half = 1 << (BLSH_OUTPUT_SHIFT - 1);
    size_t n;

    for (n = 0; n < BLSH_HOP; n++) {
        const int32_t sum = state->overlap[n] + synthesised(state, n);

        output[n] = saturated((sum + half) >> BLSH_OUTPUT_SHIFT);
    }
    for (; n < HISTORY; n++) {
        state->overlap[n - BLSH_HOP] = state->overlap[n] + synthesised(state, n);
    }
    for (; n < BLSH_FRAME; n++) {
        state->overlap[n - BLSH_HOP] = synthesised(state, n);
    }
}
