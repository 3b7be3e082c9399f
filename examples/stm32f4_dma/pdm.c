/*
 * SPDX-License-Identifier: MIT-0
 */
#include "pdm.h"

/* The gain of the CIC is 64^3 = 2^18; full scale of the microphone becomes full scale of 16 bits. */
#define SHIFT 3u

static int16_t saturated(int32_t value)
{
    if (value > INT16_MAX) {
        return INT16_MAX;
    }
    return value < INT16_MIN ? INT16_MIN : (int16_t)value;
}

void pdm_to_pcm(pdm_t *pdm, const uint16_t *bits, int16_t *pcm, size_t n)
{
    for (; n > 0; n--) {
        uint32_t value;
        unsigned word, bit, order;

        for (word = 0; word < PDM_WORDS_A_SAMPLE; word++, bits++) {
            for (bit = 0; bit < 16u; bit++) {
                pdm->sum[0] += (*bits >> (15u - bit) & 1u) != 0u ? 1u : UINT32_MAX;
                pdm->sum[1] += pdm->sum[0];
                pdm->sum[2] += pdm->sum[1];
            }
        }
        value = pdm->sum[2];
        for (order = 0; order < 3u; order++) {
            const uint32_t before = pdm->last[order];

            pdm->last[order] = value;
            value -= before;
        }
        *pcm++ = saturated((int32_t)value / (1 << SHIFT));
    }
}
