/*
 * The stages of the denoiser. Internal: include blsh.h instead.
 *
 * Each stage equals one function of the project's integer reference, bit for bit. Right shifts of
 * negative numbers are arithmetic on every supported compiler; blsh_stages.h checks it below.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_STAGES_H
#define BLSH_STAGES_H

#include "blsh.h"

/* What C99 leaves to the implementation and BLSH relies on; other compilers must stop here. */
typedef char blsh_assert_arithmetic_shift[((int32_t)-1 >> 1) == -1 ? 1 : -1];
typedef char blsh_assert_int_of_32_bits[sizeof(int) >= 4 ? 1 : -1];

#define BLSH_STATE_MAGIC 0x48534C42u /* "BLSH" in little-endian memory */
#define BLSH_MODEL_MAGIC 0x4D534C42u /* "BLSM", likewise */
#define BLSH_FFT_POINTS (BLSH_FRAME / 2)

/* Tables that ports load whole words from start at a word boundary. */
#if defined(__GNUC__)
#define BLSH_WORD_ALIGNED __attribute__((aligned(4)))
#else
#define BLSH_WORD_ALIGNED
#endif

#if BLSH_CONDENSED
#define BLSH_MASK_LEVELS (16 / BLSH_MASK_BITS)           /* levels in a halfword */
#define BLSH_LEVEL_MAX ((1u << BLSH_MASK_BITS) - 1u)
#define BLSH_KINDS (1 + BLSH_TRACKERS + BLSH_NOISE_TRACKERS) /* features of a cell */
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Input samples times the analysis window: `state->frame`, Q15. Takes the hop into the history. */
void blsh_window_frame(blsh_state_t *state, const int16_t *input);

/* FFT of BLSH_FRAME real samples, divided by BLSH_FRAME; packed, DC and Nyquist first. */
void blsh_fft_forward(int32_t *frame);

/* Inverse, divided by BLSH_FFT_POINTS. Sample n is left at frame[n ^ 1]. */
void blsh_fft_inverse(int32_t *frame);

#if BLSH_CONDENSED

/* Levels of BLSH_CELLS cells in Q8; returns their mean, rounded down. */
int16_t blsh_levels(const int32_t *spectrum, int16_t *level);

/* BLSH_FEATURES features in Q8 of the levels and of what trackers know: `state->features`. */
void blsh_cell_features(blsh_state_t *state, const int16_t *level, int16_t mean);

/* Code of the frame. */
void blsh_project(const blsh_model_t *model, const int16_t *features, uint32_t *code);

/* The places of a code's ones, and how many come before each word and before its end. */
void blsh_spread_code(const blsh_model_t *model, const uint32_t *code, uint32_t *ones,
                      uint16_t *ones_before);

/* K nearest codes of a dictionary, by distance and then by index. */
void blsh_nearest(const blsh_model_t *model, unsigned dictionary, const uint32_t *ones,
                  const uint16_t *ones_before, uint32_t *counters, uint32_t *index,
                  uint16_t *distance);

/* Add the votes of K neighbours, in Q4, to those on BLSH_CELLS cells. */
void blsh_vote(const blsh_model_t *model, unsigned dictionary, const uint32_t *index,
               const uint16_t *distance, uint32_t *sums, int16_t *votes);

#if BLSH_NOISE_TRACKERS > 0
/* Let noise trackers follow the levels of this frame as far as its votes take them for noise. */
void blsh_follow_noise(blsh_state_t *state, const int16_t *votes);
#endif

/* Votes to gains, given those of the last frame: `state->cell_gain_q15`. */
void blsh_cell_gains(blsh_state_t *state, const int16_t *votes);

/* Gains of cells to those of BLSH_BINS bins. */
void blsh_bin_gains(const int16_t *cell_gain_q15, int16_t *gain_q15);

#else

/* Magnitudes of BLSH_BINS bins with a common block exponent, below 2^15. */
void blsh_magnitudes(const int32_t *spectrum, int16_t *magnitude);

/* BLSH_FEATURES features of an L2 norm below 2^15; returns the norm. */
int16_t blsh_features(const int16_t *magnitude, int16_t *features);

/* Hash code of a band. */
void blsh_hash(const blsh_model_t *model, unsigned band, const int16_t *features, int16_t norm,
               uint32_t *code);

/* K nearest codes of a band's dictionary, by distance and then by index. */
void blsh_search(const blsh_model_t *model, unsigned band, const uint32_t *code,
                 uint32_t *scratch, uint32_t *index, uint16_t *distance);

/* Mean of the masks of K neighbours, into the band's part of BLSH_BINS gains. */
void blsh_mask_gains(const blsh_model_t *model, unsigned band, const uint32_t *index,
                     uint32_t *scratch, int16_t floor_q15, int16_t *gain_q15);

#endif

/* Packed spectrum times gains. */
void blsh_apply_gains(int32_t *spectrum, const int16_t *gain_q15);

/* Inverse FFT output times the synthesis window, overlap-added; gives one hop. */
void blsh_overlap_add(blsh_state_t *state, int16_t *output);

/*
 * Conformance tests watch the stages from within by compiling the runtime with BLSH_ENABLE_TAP
 * and supplying this function; otherwise the taps are nothing.
 */
typedef enum {
    BLSH_STAGE_WINDOWED,  /* int32_t[BLSH_FRAME]                                  */
    BLSH_STAGE_SPECTRUM,  /* int32_t[BLSH_FRAME]                                  */
    BLSH_STAGE_LEVELS,    /* int16_t[BLSH_CELLS], condensed models only           */
    BLSH_STAGE_FEATURES,  /* int16_t[BLSH_FEATURES]                               */
    BLSH_STAGE_NORM,      /* int16_t, all but condensed models                    */
    BLSH_STAGE_CODE,      /* uint32_t[n_words], each band, or one in condensed models */
    BLSH_STAGE_INDEX,     /* uint32_t[K], each band or dictionary                 */
    BLSH_STAGE_DISTANCE,  /* uint16_t[K], each band or dictionary                 */
    BLSH_STAGE_VOTES,     /* int16_t[BLSH_CELLS], condensed models only           */
    BLSH_STAGE_GAIN,      /* int16_t[BLSH_BINS]                                   */
    BLSH_STAGE_OUTPUT,    /* int16_t[BLSH_HOP]                                    */
    BLSH_STAGES
} blsh_stage_t;

#ifdef BLSH_ENABLE_TAP
void blsh_tap(blsh_stage_t stage, unsigned band, const void *data, size_t bytes);
#define BLSH_TAP(stage, band, data, bytes) blsh_tap(stage, band, data, bytes)
#else
#define BLSH_TAP(stage, band, data, bytes) ((void)0)
#endif

/* Sizes of a band or dictionary that taps need. */
#if BLSH_CONDENSED
#define BLSH_NEIGHBOURS(model, dictionary) ((size_t)(model)->code_tables[dictionary].neighbours)
#else
#define BLSH_CODE_WORDS(model, band) (((size_t)(model)->dictionaries[band].n_bits + 31) / 32)
#define BLSH_NEIGHBOURS(model, band) ((size_t)(model)->dictionaries[band].neighbours)
#endif

#ifdef __cplusplus
}
#endif

#endif
