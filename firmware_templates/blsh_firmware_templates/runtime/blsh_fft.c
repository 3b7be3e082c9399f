/*
 * Real FFT on 32-bit data with 16-bit twiddles.
 *
 * Even samples are taken as real and odd ones as imaginary parts of a complex FFT of half the
 * length. Every radix-2 stage halves: |a / 2 +- b w / 2| is at most the larger of |a| and |b|, so
 * with complex inputs below 2^30.5 nothing ever leaves 32 bits. Twiddles are stored negated,
 * because Q15 holds -1.0 but not +1.0; blsh_mulw() drops 16 bits and so halves by itself.
 *
 * Butterflies are written for BLSH_WIDE of them at once: no two of those share an element.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_port.h"
#include "blsh_stages.h"
#include "blsh_twiddle.h"

#define POINTS BLSH_FFT_POINTS

static BLSH_INLINE blsh_complex_t complex_of(int32_t re, int32_t im)
{
    blsh_complex_t value;

    value.re = re;
    value.im = im;
    return value;
}

static BLSH_INLINE blsh_complex_t load(const int32_t *z, size_t k)
{
    return complex_of(z[2 * k], z[2 * k + 1]);
}

static BLSH_INLINE void store(int32_t *z, size_t k, blsh_complex_t value)
{
    z[2 * k] = value.re;
    z[2 * k + 1] = value.im;
}

static BLSH_INLINE void swap_if_ahead(int32_t *z, size_t k, size_t reversed)
{
    if (k < reversed) {
        const blsh_complex_t a = load(z, k), b = load(z, reversed);

        store(z, k, b);
        store(z, reversed, a);
    }
}

/* Reorder so that the element at k comes from the bit-reversed position. */
static void bit_reverse(int32_t *z)
{
    size_t k, reversed = 0;

    for (k = 0; k < POINTS; k += 2) {
        size_t bit = POINTS / 4;

        swap_if_ahead(z, k, reversed);
        swap_if_ahead(z, k + 1, reversed + POINTS / 2);
        /* Count upwards from the second highest bit: the last bit of k is done above. */
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
    }
}

/* A quarter of a sum and of a difference */
static BLSH_INLINE blsh_wide_t sum_quarter(blsh_wide_t a, blsh_wide_t b)
{
    a.re = ((a.re >> 1) + (b.re >> 1)) >> 1;
    a.im = ((a.im >> 1) + (b.im >> 1)) >> 1;
    return a;
}

static BLSH_INLINE blsh_wide_t difference_quarter(blsh_wide_t a, blsh_wide_t b)
{
    a.re = ((a.re >> 1) - (b.re >> 1)) >> 1;
    a.im = ((a.im >> 1) - (b.im >> 1)) >> 1;
    return a;
}

/* Stages of span 1 and 2 in one pass: their twiddles 1 and -i need no multiplication. */
static void first_two_stages(int32_t *z)
{
    size_t k;

    for (k = 0; k < POINTS; k += 4 * BLSH_WIDE) {
        const blsh_wide_t a = blsh_load_spaced(z, k, 4), b = blsh_load_spaced(z, k + 1, 4);
        const blsh_wide_t c = blsh_load_spaced(z, k + 2, 4), d = blsh_load_spaced(z, k + 3, 4);
        const blsh_wide_t ab = sum_quarter(a, b), a_b = difference_quarter(a, b);
        const blsh_wide_t cd = sum_quarter(c, d), c_d = difference_quarter(c, d);
        const blsh_wide_t first = {ab.re + cd.re, ab.im + cd.im};
        const blsh_wide_t second = {a_b.re + c_d.im, a_b.im - c_d.re};
        const blsh_wide_t third = {ab.re - cd.re, ab.im - cd.im};
        const blsh_wide_t fourth = {a_b.re - c_d.im, a_b.im + c_d.re};

        blsh_store_spaced(z, k, 4, first);
        blsh_store_spaced(z, k + 1, 4, second);
        blsh_store_spaced(z, k + 2, 4, third);
        blsh_store_spaced(z, k + 3, 4, fourth);
    }
}

/* The two outputs of a butterfly, of which `t` is -(b w) / 2. */
static BLSH_INLINE blsh_wide_t upper(blsh_wide_t a, blsh_wide_t t)
{
    a.re = (a.re >> 1) - t.re;
    a.im = (a.im >> 1) - t.im;
    return a;
}

static BLSH_INLINE blsh_wide_t lower(blsh_wide_t a, blsh_wide_t t)
{
    a.re = (a.re >> 1) + t.re;
    a.im = (a.im >> 1) + t.im;
    return a;
}

/* One radix-2 stage: butterflies between elements `span` apart, with every `stride`-th twiddle. */
static void one_stage(int32_t *z, size_t span, size_t stride)
{
    const int16_t *twiddle = blsh_twiddle_q15;
    size_t k;

    for (k = 0; k < span; k += BLSH_WIDE, twiddle += 2 * BLSH_WIDE * stride) {
        const blsh_twiddle_t w = blsh_load_twiddle(twiddle, stride);
        size_t first;

        for (first = k; first < POINTS; first += 2 * span) {
            int32_t *const p = z + 2 * first;
            const blsh_wide_t a = blsh_load_wide(p, 0);
            const blsh_wide_t t = blsh_half_product(blsh_load_wide(p, span), w);

            blsh_store_wide(p, 0, upper(a, t));
            blsh_store_wide(p, span, lower(a, t));
        }
    }
}

/*
 * The stages of `span` and of 2 `span` in one pass, with the butterflies of one_stage(): four
 * elements take part in two butterflies of either stage, but are loaded and stored only once.
 */
static void two_stages(int32_t *z, size_t span, size_t stride)
{
    const int16_t *twiddle = blsh_twiddle_q15;
    const int16_t *next_twiddle = blsh_twiddle_q15;
    size_t k;

    for (k = 0; k < span; k += BLSH_WIDE) {
        const blsh_twiddle_t w = blsh_load_twiddle(twiddle, stride);
        const blsh_twiddle_t even = blsh_load_twiddle(next_twiddle, stride / 2);
        const blsh_twiddle_t odd = /* that of k + span */
            blsh_load_twiddle(next_twiddle + POINTS, stride / 2);
        size_t first;

        for (first = k; first < POINTS; first += 4 * span) {
            int32_t *const p = z + 2 * first;
            blsh_wide_t a = blsh_load_wide(p, 0), b = blsh_load_wide(p, span);
            blsh_wide_t c = blsh_load_wide(p, 2 * span), d = blsh_load_wide(p, 3 * span);
            blsh_wide_t t = blsh_half_product(b, w);

            b = lower(a, t);
            a = upper(a, t);
            t = blsh_half_product(d, w);
            d = lower(c, t);
            c = upper(c, t);
            t = blsh_half_product(c, even);
            blsh_store_wide(p, 0, upper(a, t));
            blsh_store_wide(p, 2 * span, lower(a, t));
            t = blsh_half_product(d, odd);
            blsh_store_wide(p, span, upper(b, t));
            blsh_store_wide(p, 3 * span, lower(b, t));
        }
        twiddle += 2 * BLSH_WIDE * stride;
        next_twiddle += BLSH_WIDE * stride;
    }
}

/* DFT of POINTS complex values, divided by POINTS. */
static void complex_fft(int32_t *z)
{
    size_t span = 4, stride = POINTS / 4;

    bit_reverse(z);
    first_two_stages(z);
    if ((POINTS & 0x55555555u) == 0) { /* not a power of four: an odd number of stages is left */
        one_stage(z, span, stride);
        span *= 2;
        stride /= 2;
    }
    for (; span < POINTS; span *= 4, stride /= 4) {
        two_stages(z, span, stride);
    }
}

void blsh_fft_forward(int32_t *frame)
{
    blsh_complex_t first;
    size_t k;

    complex_fft(frame);
    first = load(frame, 0);
    store(frame, 0,
          complex_of((first.re >> 1) + (first.im >> 1), (first.re >> 1) - (first.im >> 1)));
    /* X[k] = (E + w O) / 2 and X[H - k] = conj(E - w O) / 2, E and O the halves' spectra. */
    for (k = 1; k <= POINTS / 2; k += BLSH_WIDE) {
        const size_t j = POINTS - k;
        const blsh_wide_t a = blsh_load_wide(frame, k), b = blsh_load_spaced(frame, j, -1);
        const blsh_twiddle_t w = blsh_load_twiddle(blsh_twiddle_q15 + 2 * k, 1);
        const blsh_wide_t even = {(a.re >> 1) + (b.re >> 1), (a.im >> 1) - (b.im >> 1)};
        const blsh_wide_t odd = {(a.im >> 1) + (b.im >> 1), (b.re >> 1) - (a.re >> 1)};
        const blsh_wide_t t = blsh_half_product(odd, w);
        const blsh_wide_t low = lower(even, t), conjugate = {low.re, -low.im};

        blsh_store_wide(frame, k, upper(even, t));
        blsh_store_spaced(frame, j, -1, conjugate);
    }
}

void blsh_fft_inverse(int32_t *frame)
{
    const blsh_complex_t first = load(frame, 0);
    size_t k;

    /* The forward FFT of swapped parts is the inverse FFT with its parts swapped. */
    store(frame, 0, complex_of(first.re - first.im, first.re + first.im));
    for (k = 1; k <= POINTS / 2; k += BLSH_WIDE) {
        const size_t j = POINTS - k;
        const blsh_wide_t a = blsh_load_wide(frame, k), b = blsh_load_spaced(frame, j, -1);
        const blsh_twiddle_t w = blsh_load_twiddle(blsh_twiddle_q15 + 2 * k, 1);
        const blsh_wide_t even = {a.re + b.re, a.im - b.im};
        const blsh_wide_t difference = {a.im + b.im, a.re - b.re}; /* swapped */
        const blsh_wide_t t = blsh_half_product(difference, w);
        const blsh_wide_t first_half = {even.im - 2 * t.im, even.re + 2 * t.re};
        const blsh_wide_t second_half = {-even.im - 2 * t.im, even.re - 2 * t.re};

        blsh_store_wide(frame, k, first_half);
        blsh_store_spaced(frame, j, -1, second_half);
    }
    complex_fft(frame);
}
