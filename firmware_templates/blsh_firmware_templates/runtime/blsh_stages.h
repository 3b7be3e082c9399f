/*
 * The stages of the denoiser and the tables they read. Internal: include blsh.h instead.
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
#define BLSH_FFT_POINTS (BLSH_FRAME / 2)

/* Tables that ports load whole words from start at a word boundary. */
#if defined(__GNUC__)
#define BLSH_WORD_ALIGNED __attribute__((aligned(4)))
#else
#define BLSH_WORD_ALIGNED
#endif

#if BLSH_CONDENSED

/* Projections that share a range of features. */
typedef struct {
    uint16_t n_rows;        /* a multiple of 32: the bits that they add to the code            */
    uint16_t row_length;    /* a multiple of 4: the last weights may be padding of zeros       */
    uint16_t first_feature; /* feature under the first weight, even: at a word boundary        */
} blsh_hash_group_t;

/* Codes of a dictionary, bit-sliced in blocks of 32 (see blsh_nearest.c). */
typedef struct {
    uint32_t first_plane; /* of the first block; a block has a plane for each bit that is      */
                          /* compared, one that is set where codes have an odd number of ones, */
                          /* and n_counters with which the counting of ones begins             */
    uint16_t n_entries;   /* T; the last block may hold fewer than 32                          */
    uint16_t base;        /* what makes counts distances                                       */
    uint8_t first_word;   /* words of the frame's code that are compared                       */
    uint8_t n_words;
    uint8_t n_counters;
    uint8_t neighbours;   /* K, at most n_entries                                              */
} blsh_code_table_t;

/* Masks of a dictionary, and the weights of its neighbours. */
typedef struct {
    uint32_t first_mask;   /* halfword of the first mask                                       */
    uint32_t first_weight; /* weight of the nearest, which those of farther ones follow        */
    uint16_t n_weights;    /* what is farther has a weight of 0                                */
    uint16_t mask_length;  /* halfwords of a mask                                              */
    uint16_t n_sums;       /* levels of a mask, rounded up to whole words                      */
    uint16_t first_cell;   /* cells that the masks cover                                       */
    uint16_t n_cells;
    uint8_t neighbours;    /* K                                                                */
} blsh_vote_table_t;

#else

/* Projections of a band: hash bit l is (row l) . features + bias[l] * norm >= 0. */
typedef struct {
    const int16_t *rows_q15; /* n_bits rows of weights. Of four whole rows each, four weights
                                alternate; one to three rows at the end follow each other       */
    const int16_t *bias_q15; /* n_bits                                                      */
    uint16_t n_bits;         /* L                                                           */
    uint16_t row_length;     /* a multiple of 4: the last weights may be padding of zeros   */
    uint16_t first_feature;  /* feature under the first weight                              */
} blsh_projection_t;

/*
 * Dictionary of a band, bit-sliced: a block of n_planes words for 32 codes each. Word n of a block
 * stands for bit plane_bits[n] of a code; that of code j is its bit j. Every second word has been
 * XORed with the one before.
 */
typedef struct {
    const uint32_t *planes;
    const uint16_t *plane_bits; /* bit of the code in each plane; padding has one that is 0      */
    uint32_t n_entries;         /* T; the last block may hold fewer than 32                      */
    uint16_t n_bits;            /* L                                                             */
    uint16_t n_planes;          /* L, rounded up to a multiple of 8                              */
    uint16_t neighbours;        /* K, at most n_entries                                          */
} blsh_dictionary_t;

/* A canonical Huffman code: codes by length, then in the order of symbols. */
typedef struct {
    const uint16_t *limits;  /* for each length: what codes of up to so many bits are below     */
    const int16_t *offsets;  /* for each length: from its codes to their symbols                */
    const uint8_t *symbols;
} blsh_huffman_t;

/* Masks of a band. A symbol holds the levels of several consecutive bins, first bin lowest. */
typedef struct {
    blsh_huffman_t after_low;            /* code of symbols that follow a low level or none     */
    blsh_huffman_t after_high;           /* code of symbols that follow a level with top bit    */
    const uint8_t *stream;               /* coded masks, most significant bit first; may be read
                                            three bytes beyond the end                          */
    const uint32_t *offsets;             /* start of every BLSH_MASKS_PER_OFFSET-th mask, bytes */
    const blsh_mask_length_t *lengths;   /* bytes of each mask                                  */
    const int16_t *gain_q15;             /* gain for each sum of K levels                       */
    uint16_t first_bin;                  /* bins that the masks cover                           */
    uint16_t n_bins;
    uint8_t mask_bits;                   /* bits a level                                        */
    uint8_t levels_per_symbol;
    uint8_t neighbours;                  /* K                                                   */
} blsh_mask_table_t;

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
void blsh_project(const int16_t *features, uint32_t *code);

/* The places of a code's ones, and how many come before each word and before its end. */
void blsh_spread_code(const uint32_t *code, uint32_t *ones, uint16_t *ones_before);

/* K nearest codes of a dictionary, by distance and then by index. */
void blsh_nearest(unsigned dictionary, const uint32_t *ones, const uint16_t *ones_before,
                  uint32_t *counters, uint32_t *index, uint16_t *distance);

/* Add the votes of K neighbours, in Q4, to those on BLSH_CELLS cells. */
void blsh_vote(unsigned dictionary, const uint32_t *index, const uint16_t *distance,
               uint32_t *sums, int16_t *votes);

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
void blsh_hash(unsigned band, const int16_t *features, int16_t norm, uint32_t *code);

/* K nearest codes of a band's dictionary, by distance and then by index. */
void blsh_search(unsigned band, const uint32_t *code, uint32_t *scratch, uint32_t *index,
                 uint16_t *distance);

/* Mean of the masks of K neighbours, into the band's part of BLSH_BINS gains. */
void blsh_mask_gains(unsigned band, const uint32_t *index, uint32_t *scratch, int16_t floor_q15,
                     int16_t *gain_q15);

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

/* Sizes of a band or dictionary that taps and tests need. */
#if !BLSH_CONDENSED
size_t blsh_code_words(unsigned band);
#endif
size_t blsh_neighbours(unsigned band);

#ifdef __cplusplus
}
#endif

#endif
