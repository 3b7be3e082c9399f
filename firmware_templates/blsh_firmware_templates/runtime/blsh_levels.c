/*
 * Condensed models: bins to cells, cells to features, and the gains of cells to those of bins.
 *
 * A level is the base-2 logarithm of a cell's power in Q8. The components are first shifted to at
 * most 15 bits and a sign, by one amount for the whole frame: squares are at most 2^30 and the power
 * of a bin 2^31.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if BLSH_CONDENSED

#include "blsh_levels.h"
#include "blsh_port.h"

#define COMPONENT_BITS 15
#define LEVEL_ONE 256
#define MANTISSA_BITS 7
#define FRAMES_COUNTED 255
#define WARM_UP (BLSH_FRAME / BLSH_HOP - 1) /* frames whose windows reach before the signal */

/* All bits of the next complex number's parts, turned where a part is negative. */
static BLSH_INLINE uint32_t size_of_next(const int32_t **next)
{
    const blsh_complex_t x = blsh_take_complex(next);

    return (uint32_t)(x.re ^ (x.re >> 31)) | (uint32_t)(x.im ^ (x.im >> 31));
}

/* Bits of a component beyond COMPONENT_BITS, in the largest of the frame. */
static unsigned surplus_bits(const int32_t *spectrum)
{
    const int32_t *const end = spectrum + BLSH_FRAME;
    uint32_t all = 0;
    unsigned bits = 0;

    while (spectrum < end) {
        all |= size_of_next(&spectrum);
        all |= size_of_next(&spectrum);
        all |= size_of_next(&spectrum);
        all |= size_of_next(&spectrum);
    }
    for (all >>= COMPONENT_BITS; all != 0; all >>= 1) {
        bits++;
    }
    return bits;
}

/* Base-2 logarithm in Q8 of a power below 2^44; of 0 as of 1. */
static BLSH_INLINE int32_t log2_q8(uint64_t power)
{
    int32_t level = 31 * LEVEL_ONE;
    uint32_t word = (uint32_t)power;
    unsigned zeros;

    if (power >> 32 != 0) { /* the bits that matter fit a word */
        word = (uint32_t)(power >> 12);
        level += 12 * LEVEL_ONE;
    }
    word |= word == 0;
    zeros = blsh_leading_zeros(word);
    word <<= zeros;
    return level - (int32_t)zeros * LEVEL_ONE
         + blsh_log2_q8[(word >> (31 - MANTISSA_BITS)) & ((1u << MANTISSA_BITS) - 1u)];
}

/* Power of the bins from `*bin` to `end`, shifted to the right, on top of another. */
static BLSH_INLINE uint64_t add_bins(uint64_t power, const int32_t **bin, const int32_t *end,
                                     unsigned right)
{
    while (*bin < end) {
        const blsh_complex_t x = blsh_take_complex(bin);

        power = blsh_add_power(power, x.re >> right, x.im >> right);
    }
    return power;
}

int16_t blsh_levels(const int32_t *spectrum, int16_t *level)
{
    const unsigned right = surplus_bits(spectrum);
    const int32_t base = 2 * LEVEL_ONE * (int32_t)right;
    const int32_t *bin = spectrum + 2;
    uint64_t power = blsh_add_power(0, spectrum[0] >> right, 0);
    int32_t sum = 0;
    size_t g;

    for (g = 0; g + 1 < BLSH_CELLS; g++) {
        power = add_bins(power, &bin, spectrum + 2 * blsh_cell_end[g], right);
        level[g] = (int16_t)(base + log2_q8(power));
        sum += level[g];
        power = 0;
    }
    power = add_bins(power, &bin, spectrum + BLSH_FRAME, right);
    power = blsh_add_power(power, spectrum[1] >> right, 0);
    level[BLSH_CELLS - 1] = (int16_t)(base + log2_q8(power));
    sum += level[BLSH_CELLS - 1];
    return (int16_t)((uint32_t)sum / BLSH_CELLS); /* levels are not negative */
}

static BLSH_INLINE int16_t clipped(int32_t feature)
{
    return (int16_t)blsh_clip_feature(feature);
}

/* Levels less their mean. */
static void relative_levels(const int16_t *level, int32_t mean, int16_t *feature)
{
    size_t g;

    for (g = 0; g < BLSH_CELLS; g++) {
        feature[BLSH_KINDS * g] = clipped(level[g] - mean);
    }
}

#if BLSH_TRACKERS > 0
/*
 * Levels less a tracker of each, which then takes a step towards them. Trackers are in Q16; levels
 * are below 2^14, so that they and their differences stay below 2^22.
 */
static void tracked_levels(const int16_t *level, int32_t *tracker, unsigned rise, unsigned fall,
                           int16_t *feature)
{
    const int16_t *const end = level + BLSH_CELLS;
    size_t n;

    for (n = 0; level < end; n += BLSH_KINDS) {
        const int32_t tracked = *tracker;
        const int32_t ahead = *level * 256 - tracked;

        feature[n] = clipped(*level++ - (tracked >> 8));
        *tracker++ = tracked + (ahead < 0 ? ahead >> fall : ahead >> rise);
    }
}
#endif

#if BLSH_NOISE_TRACKERS > 0
/* Levels less a noise tracker of each. */
static void levels_above_noise(const int16_t *level, const int32_t *tracker, int16_t *feature)
{
    size_t g;

    for (g = 0; g < BLSH_CELLS; g++) {
        feature[BLSH_KINDS * g] = clipped(level[g] - (tracker[g] >> 8));
    }
}
#endif

#if BLSH_TRACKERS + BLSH_NOISE_TRACKERS > 0
/* While windows reach before the signal, trackers just follow. */
static void follow(const int16_t *level, int32_t *tracker)
{
    const int16_t *const end = level + BLSH_CELLS;

    while (level < end) {
        *tracker++ = *level++ * 256;
    }
}
#endif

void blsh_cell_features(blsh_state_t *state, const int16_t *level, int16_t mean)
{
#if BLSH_TRACKERS + BLSH_NOISE_TRACKERS > 0
    const unsigned seen = state->frames_seen;
    int32_t *tracker = state->trackers;
    int16_t *feature = state->features + 1;
    size_t n;

    if (seen < WARM_UP) {
        for (n = 0; n < BLSH_TRACKERS + BLSH_NOISE_TRACKERS; n++) {
            follow(level, tracker + n * BLSH_CELLS); /* where levels are: they will not be moved */
        }
    }
#if BLSH_TRACKERS > 0
    for (n = 0; n < BLSH_TRACKERS; n++) {
        const unsigned since = seen > WARM_UP ? seen - WARM_UP : 0;
        const unsigned rise = blsh_tracker_shifts[2 * n], fall = blsh_tracker_shifts[2 * n + 1];

        tracked_levels(level, tracker, rise < since ? rise : since, fall, feature++);
        tracker += BLSH_CELLS;
    }
#endif
#if BLSH_NOISE_TRACKERS > 0
    for (n = 0; n < BLSH_NOISE_TRACKERS; n++) {
        levels_above_noise(level, tracker, feature++);
        tracker += BLSH_CELLS;
    }
#endif
    if (seen < FRAMES_COUNTED) {
        state->frames_seen = (uint16_t)(seen + 1);
    }
#endif
    relative_levels(level, mean, state->features);
}

#if BLSH_NOISE_TRACKERS > 0
/*
 * (1 - gain) in Q15, at most 2^15, times a feature in Q8, at most 4095 in size, is below 2^27. A
 * tracker moves at most all the way to the level, to within a unit of Q8, so it stays about those that
 * it has seen.
 */
void blsh_follow_noise(blsh_state_t *state, const int16_t *votes)
{
    const int16_t *const gain_of_votes_q15 = state->model->gain_of_votes_q15;
    int32_t *tracker = state->trackers + BLSH_TRACKERS * BLSH_CELLS;
    size_t n, g;

    for (n = 0; n < BLSH_NOISE_TRACKERS; n++) {
        const int16_t *feature = state->features + 1 + BLSH_TRACKERS + n;
        const unsigned right = 7u + blsh_noise_shifts[n]; /* from Q23 to Q16 */

        for (g = 0; g < BLSH_CELLS; g++) {
            const int32_t noise_q15 = 32768 - gain_of_votes_q15[votes[g]];

            tracker[g] += (noise_q15 * feature[BLSH_KINDS * g]) >> right;
        }
        tracker += BLSH_CELLS;
    }
}
#endif

void blsh_bin_gains(const int16_t *cell_gain_q15, int16_t *gain_q15)
{
    int16_t *bin = gain_q15;
    size_t g;

    for (g = 0; g < BLSH_CELLS; g++) {
        const int16_t *const end = gain_q15 + blsh_cell_end[g];

        while (bin < end) {
            *bin++ = cell_gain_q15[g];
        }
    }
    gain_q15[BLSH_FFT_POINTS] = cell_gain_q15[BLSH_CELLS - 1];
}

#endif
