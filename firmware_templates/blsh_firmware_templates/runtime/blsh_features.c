/*
 * Spectrum to magnitudes to features.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#if !BLSH_CONDENSED

#include "blsh_filterbank.h"
#include "blsh_port.h"

/* Bits of the largest component of a block-normalised spectrum, and of the features' norm. */
#define COMPONENT_BITS 14
#define NORM_BITS 15

/* Absolute value, less one for negative values: all bits turned where the sign is set. */
static BLSH_INLINE uint32_t size_of(int32_t value)
{
    return (uint32_t)(value < 0 ? ~value : value);
}

/* Projection of a vector on one of the directions. */
static BLSH_INLINE uint32_t along(uint32_t high, uint32_t low, unsigned direction)
{
    return high * blsh_magnitude_q15[2 * direction] + low * blsh_magnitude_q15[2 * direction + 1];
}

static BLSH_INLINE uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/*
 * |re + i im| to 0.24 %: the largest of four projections. The components have 14 bits and each
 * pair of weights an L2 norm just above 1.0 in Q15, so sums stay below 2^30.
 */
static BLSH_INLINE int16_t magnitude_of(uint32_t re, uint32_t im)
{
    const uint32_t high = larger(re, im), low = re + im - high;
    const uint32_t steep = larger(along(high, low, 0), along(high, low, 1));
    const uint32_t flat = larger(along(high, low, 2), along(high, low, 3));

    return (int16_t)(larger(steep, flat) >> 15);
}

void blsh_magnitudes(const int32_t *spectrum, int16_t *magnitude)
{
    const int32_t *const end = spectrum + BLSH_FRAME;
    const int32_t *p;
    uint32_t all = 0;
    unsigned right = 0, left = 0;

    for (p = spectrum; p < end; p += 2) {
        all |= size_of(p[0]) | size_of(p[1]);
    }
    while ((all >> right) >= 1u << COMPONENT_BITS) {
        right++;
    }
    while (all != 0 && (all << left) < 1u << (COMPONENT_BITS - 1)) {
        left++;
    }
    magnitude[0] = magnitude_of((size_of(spectrum[0]) >> right) << left, 0);
    magnitude[BLSH_FFT_POINTS] = magnitude_of((size_of(spectrum[1]) >> right) << left, 0);
    for (p = spectrum + 2; p < end; p += 2) {
        *++magnitude = magnitude_of((size_of(p[0]) >> right) << left,
                                    (size_of(p[1]) >> right) << left);
    }
}

#if BLSH_MEL
/* Weighted means of magnitudes: the weights of a filter sum to at most 1.0 in Q15. */
static void raw_features(const int16_t *magnitude, int16_t *features)
{
    const int16_t *weight = blsh_filter_weights_q15;
    size_t m, n;

    for (m = 0; m < BLSH_FEATURES; m++) {
        const int16_t *bin = magnitude + blsh_filter_first_bin[m];
        int32_t sum = 0;

        for (n = 0; n < blsh_filter_n_weights[m]; n++) {
            sum += (int32_t)*weight++ * bin[n];
        }
        features[m] = (int16_t)(sum >> 15);
    }
}
#else
static void raw_features(const int16_t *magnitude, int16_t *features)
{
    const int16_t *const end = magnitude + BLSH_FEATURES;

    while (magnitude < end) {
        *features++ = *magnitude++;
    }
}
#endif

/* Square root rounded down, one bit a turn, of a value below 2^30. */
static uint32_t square_root(uint32_t value)
{
    uint32_t root = 0, bit = 1u << 28;

    for (; bit != 0; bit >>= 2) {
        if (value >= root + bit) {
            value -= root + bit;
            root += 2 * bit;
        }
        root >>= 1;
    }
    return root;
}

int16_t blsh_features(const int16_t *magnitude, int16_t *features)
{
    uint64_t power = 0;
    uint32_t shifted_power = 0;
    unsigned shift = 0;
    size_t k;

    raw_features(magnitude, features);
    for (k = 0; k < BLSH_FEATURES; k++) {
        power += (uint32_t)((int32_t)features[k] * features[k]);
    }
    while (power >> (2 * NORM_BITS) != 0) {
        power >>= 2;
        shift++;
    }
    for (k = 0; k < BLSH_FEATURES; k++) {
        const int32_t feature = features[k] >> shift;

        features[k] = (int16_t)feature;
        shifted_power += (uint32_t)(feature * feature);
    }
    return (int16_t)square_root(shifted_power);
}

#endif
