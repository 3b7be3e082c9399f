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

/* Entry of a half window for sample n of the whole. */
static size_t mirrored(size_t n)
{
    return n <= BLSH_FRAME / 2 ? n : BLSH_FRAME - n;
}

/*
 * Samples `from` to `to` of the frame, which lie in the same half of the window.
 * |sample| <= 2^15 and window < 2^15: products stay below 2^30.
 */
static void window_part(int32_t *frame, const int16_t *samples, size_t from, size_t to)
{
    const int16_t *window = blsh_window_q15 + mirrored(from);
    const int32_t *const end = frame + to;
    const ptrdiff_t step = from < BLSH_FRAME / 2 ? 1 : -1;

    for (frame += from; frame < end; window += step) {
        *frame++ = (int32_t)*samples++ * *window;
    }
}

/* The same for parts that may reach from the first half to the second. */
static void window_samples(int32_t *frame, const int16_t *samples, size_t from, size_t to)
{
    const size_t middle = BLSH_FRAME / 2;

    if (from < middle && middle < to) {
        window_part(frame, samples, from, middle);
        window_part(frame, samples + middle - from, middle, to);
    } else {
        window_part(frame, samples, from, to);
    }
}

void blsh_window_frame(blsh_state_t *state, const int16_t *input)
{
    window_samples(state->frame, state->history, 0, HISTORY);
    window_samples(state->frame, input, HISTORY, BLSH_FRAME);
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

/*
 * Inverse FFT output times the synthesis window, BLSH_OUTPUT_SHIFT fractional bits. The inverse
 * FFT leaves every two samples the wrong way round.
 */
static void synthesise_part(int32_t *frame, const int16_t *window, ptrdiff_t step)
{
    const int32_t *const end = frame + BLSH_FRAME / 2;

    for (; frame < end; frame += 2, window += 2 * step) {
        const int32_t first = frame[1], second = frame[0];

        frame[0] = blsh_mulw(first, window[0]);
        frame[1] = blsh_mulw(second, window[step]);
    }
}

void blsh_overlap_add(blsh_state_t *state, int16_t *output)
{
    const int32_t half = 1 << (BLSH_OUTPUT_SHIFT - 1);
    const int32_t *frame = state->frame;
    int32_t *overlap = state->overlap;
    size_t n;

    synthesise_part(state->frame, blsh_synthesis_q14, 1);
    synthesise_part(state->frame + BLSH_FRAME / 2, blsh_synthesis_q14 + BLSH_FRAME / 2, -1);
    for (n = 0; n < BLSH_HOP; n++) {
        output[n] = saturated((overlap[n] + *frame++ + half) >> BLSH_OUTPUT_SHIFT);
    }
    for (; n < HISTORY; n++) {
        overlap[n - BLSH_HOP] = overlap[n] + *frame++;
    }
    memcpy(overlap + HISTORY - BLSH_HOP, frame, BLSH_HOP * sizeof *frame);
}
