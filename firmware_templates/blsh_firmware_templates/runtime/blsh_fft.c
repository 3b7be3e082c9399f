/*
 * Real FFT on 32-bit data with 16-bit twiddles.
 *
 * Even samples are taken as real and odd ones as imaginary parts of a complex FFT of half the
 * length. Every radix-2 stage halves: |a / 2 +- b w / 2| is at most the larger of |a| and |b|, so
 * with complex inputs below 2^30.5 nothing ever leaves 32 bits. Twiddles are stored negated,
 * because Q15 holds -1.0 but not +1.0; blsh_mulw() drops 16 bits and so halves by itself.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_port.h"
#include "blsh_stages.h"
#include "blsh_twiddle.h"

#define POINTS BLSH_FFT_POINTS

typedef struct {
    int32_t re, im;
} blsh_complex_t;

static blsh_complex_t load(const int32_t *z, size_t k)
{
    blsh_complex_t value;

    value.re = z[2 * k];
    value.im = z[2 * k + 1];
    return value;
}

static void store(int32_t *z, size_t k, int32_t re, int32_t im)
{
    z[2 * k] = re;
    z[2 * k + 1] = im;
}

/* Reorder so that the element at k comes from the bit-reversed position. */
static void bit_reverse(int32_t *z)
{
    size_t k, reversed = 0;

    for (k = 1; k < POINTS; k++) {
        size_t bit = POINTS / 2;

        /* Count upwards from the most significant bit. */
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
        if (k < reversed) {
            const blsh_complex_t a = load(z, k), b = load(z, reversed);

            store(z, k, b.re, b.im);
            store(z, reversed, a.re, a.im);
        }
    }
}

/* Stages of span 1 and 2 in one pass: their twiddles 1 and -i need no multiplication. */
static void first_two_stages(int32_t *z)
{
    size_t k;

    for (k = 0; k < POINTS; k += 4) {
        const blsh_complex_t a = load(z, k), b = load(z, k + 1);
        const blsh_complex_t c = load(z, k + 2), d = load(z, k + 3);
        const int32_t ab_re = ((a.re >> 1) + (b.re >> 1)) >> 1;
        const int32_t ab_im = ((a.im >> 1) + (b.im >> 1)) >> 1;
        const int32_t a_b_re = ((a.re >> 1) - (b.re >> 1)) >> 1;
        const int32_t a_b_im = ((a.im >> 1) - (b.im >> 1)) >> 1;
        const int32_t cd_re = ((c.re >> 1) + (d.re >> 1)) >> 1;
        const int32_t cd_im = ((c.im >> 1) + (d.im >> 1)) >> 1;
        const int32_t c_d_re = ((c.re >> 1) - (d.re >> 1)) >> 1;
        const int32_t c_d_im = ((c.im >> 1) - (d.im >> 1)) >> 1;

        store(z, k, ab_re + cd_re, ab_im + cd_im);
        store(z, k + 1, a_b_re + c_d_im, a_b_im - c_d_re);
        store(z, k + 2, ab_re - cd_re, ab_im - cd_im);
        store(z, k + 3, a_b_re - c_d_im, a_b_im + c_d_re);
    }
}

/* One radix-2 stage: butterflies between elements `span` apart. */
static void stage(int32_t *z, size_t span)
{
    const size_t stride = POINTS / span;
    size_t k, low;

    for (k = 0; k < span; k++) {
        const int16_t cos_q15 = blsh_twiddle_q15[2 * k * stride];
        const int16_t sin_q15 = blsh_twiddle_q15[2 * k * stride + 1];

        for (low = k; low < POINTS; low += 2 * span) {
            const blsh_complex_t a = load(z, low), b = load(z, low + span);
            const int32_t u = blsh_mulw(b.re, cos_q15) + blsh_mulw(b.im, sin_q15);
            const int32_t v = blsh_mulw(b.im, cos_q15) - blsh_mulw(b.re, sin_q15);

            store(z, low, (a.re >> 1) - u, (a.im >> 1) - v);
            store(z, low + span, (a.re >> 1) + u, (a.im >> 1) + v);
        }
    }
}

/* DFT of POINTS complex values, divided by POINTS. */
static void complex_fft(int32_t *z)
{
    size_t span;

    bit_reverse(z);
    first_two_stages(z);
    for (span = 4; span < POINTS; span *= 2) {
        stage(z, span);
    }
}

void blsh_fft_forward(int32_t *frame)
{
    blsh_complex_t first;
    size_t k;

    complex_fft(frame);
    first = load(frame, 0);
    store(frame, 0, (first.re >> 1) + (first.im >> 1), (first.re >> 1) - (first.im >> 1));
    /* X[k] = (E + w O) / 2 and X[H - k] = conj(E - w O) / 2, E and O the halves' spectra. */
    for (k = 1; k <= POINTS / 2; k++) {
        const size_t j = POINTS - k;
        const blsh_complex_t a = load(frame, k), b = load(frame, j);
        const int16_t cos_q15 = blsh_twiddle_q15[2 * k];
        const int16_t sin_q15 = blsh_twiddle_q15[2 * k + 1];
        const int32_t even_re = (a.re >> 1) + (b.re >> 1), even_im = (a.im >> 1) - (b.im >> 1);
        const int32_t odd_re = (a.im >> 1) + (b.im >> 1), odd_im = (b.re >> 1) - (a.re >> 1);
        const int32_t u = blsh_mulw(odd_re, cos_q15) + blsh_mulw(odd_im, sin_q15);
        const int32_t v = blsh_mulw(odd_im, cos_q15) - blsh_mulw(odd_re, sin_q15);

        store(frame, k, (even_re >> 1) - u, (even_im >> 1) - v);
        store(frame, j, (even_re >> 1) + u, -((even_im >> 1) + v));
    }
}

void blsh_fft_inverse(int32_t *frame)
{
    const blsh_complex_t first = load(frame, 0);
    size_t k;

    /* The forward FFT of swapped parts is the inverse FFT with its parts swapped. */
    store(frame, 0, first.re - first.im, first.re + first.im);
    for (k = 1; k <= POINTS / 2; k++) {
        const size_t j = POINTS - k;
        const blsh_complex_t a = load(frame, k), b = load(frame, j);
        const int16_t cos_q15 = blsh_twiddle_q15[2 * k];
        const int16_t sin_q15 = blsh_twiddle_q15[2 * k + 1];
        const int32_t even_re = a.re + b.re, even_im = a.im - b.im;
        const int32_t diff_re = a.re - b.re, diff_im = a.im + b.im;
        const int32_t u = blsh_mulw(diff_re, cos_q15) - blsh_mulw(diff_im, sin_q15);
        const int32_t v = blsh_mulw(diff_im, cos_q15) + blsh_mulw(diff_re, sin_q15);

        store(frame, k, even_im - 2 * u, even_re + 2 * v);
        store(frame, j, -even_im - 2 * u, even_re - 2 * v);
    }
    complex_fft(frame);
}
