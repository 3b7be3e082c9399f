/*
 * The trained tables of a model: what a blob of blsh_model.bin holds, and what blsh_model_t points
 * to. Include blsh.h instead.
 *
 * A table's bytes are the same in the data headers and in a blob: little-endian, without padding,
 * from a word boundary on. Places in other tables are given as offsets, never as pointers.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_MODEL_H
#define BLSH_MODEL_H

#include <stdint.h>

#include "blsh_config.h"

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
    uint8_t unused;        /* 0                                                                */
} blsh_vote_table_t;

/* X(type of an element, name) in the order of a blob */
#define BLSH_TABLE_LIST(X)               \
    X(blsh_hash_group_t, hash_groups)    \
    X(int8_t, hash_weights)              \
    X(int32_t, hash_bias)                \
    X(uint32_t, code_inversions)         \
    X(uint32_t, code_planes)             \
    X(blsh_code_table_t, code_tables)    \
    X(uint16_t, masks)                   \
    X(uint8_t, vote_weights)             \
    X(blsh_vote_table_t, vote_tables)    \
    X(int16_t, gain_of_votes_q15)

typedef char blsh_assert_table_bytes[sizeof(blsh_hash_group_t) == 6
                                     && sizeof(blsh_code_table_t) == 12
                                     && sizeof(blsh_vote_table_t) == 20 ? 1 : -1];

#else

/* Projections of a band: hash bit l is (row l) . features + bias[l] * norm >= 0. */
typedef struct {
    uint32_t first_weight;  /* of n_bits rows. Of four whole rows each, four weights alternate;  */
                            /* one to three rows at the end follow each other                    */
    uint32_t first_bias;    /* of n_bits                                                         */
    uint16_t n_bits;        /* L                                                                 */
    uint16_t row_length;    /* a multiple of 4: the last weights may be padding of zeros         */
    uint16_t first_feature; /* feature under the first weight                                    */
    uint16_t unused;        /* 0                                                                 */
} blsh_projection_t;

/* Dictionary of a band: codes, bit-sliced in blocks of 32 (see blsh_nearest.c). */
typedef struct {
    uint32_t first_plane;     /* of the first block; a block has a plane for each bit, one that  */
                              /* is set where codes have an odd number of ones, and n_counters   */
                              /* with which the counting of ones begins                          */
    uint32_t first_inversion; /* of the words of bits that codes are stored with inverted        */
    uint32_t n_entries;       /* T; the last block may hold fewer than 32                        */
    uint16_t n_bits;          /* L                                                               */
    uint16_t base;            /* what makes counts distances                                     */
    uint16_t neighbours;      /* K, at most n_entries                                            */
    uint16_t n_counters;
} blsh_dictionary_t;

/*
 * Masks of a band. A symbol holds the levels of several consecutive bins, first bin lowest. It is
 * coded with one of two canonical Huffman codes: that of symbols that follow a low level or none,
 * and that of symbols that follow a level whose top bit is set. huffman_limits and huffman_offsets
 * have BLSH_MASK_CODE_BITS + 1 numbers for each, band by band.
 */
typedef struct {
    uint32_t first_byte;        /* of the coded masks, most significant bit first              */
    uint32_t first_offset;      /* start of every BLSH_MASKS_PER_OFFSET-th mask, from there    */
    uint32_t first_length;      /* bytes of each mask                                          */
    uint32_t symbols_after_low; /* where the codes' lists of symbols begin                     */
    uint32_t symbols_after_high;
    uint32_t first_gain;        /* gain for each sum of K levels                               */
    uint16_t first_bin;         /* bins that the masks cover                                   */
    uint16_t n_bins;
    uint8_t mask_bits;          /* bits a level                                                */
    uint8_t levels_per_symbol;
    uint8_t neighbours;         /* K                                                           */
    uint8_t unused;             /* 0                                                           */
} blsh_mask_table_t;

/* X(type of an element, name) in the order of a blob */
#define BLSH_TABLE_LIST(X)               \
    X(blsh_projection_t, projections)    \
    X(int16_t, projection_q15)           \
    X(int16_t, bias_q15)                 \
    X(blsh_dictionary_t, dictionaries)   \
    X(uint32_t, codes)                   \
    X(uint32_t, code_inversions)         \
    X(blsh_mask_table_t, mask_tables)    \
    X(uint16_t, huffman_limits)          \
    X(int16_t, huffman_offsets)          \
    X(uint8_t, huffman_symbols)          \
    X(uint8_t, mask_stream)              \
    X(uint32_t, mask_offsets)            \
    X(blsh_mask_length_t, mask_lengths)  \
    X(int16_t, gain_q15)

typedef char blsh_assert_table_bytes[sizeof(blsh_projection_t) == 16
                                     && sizeof(blsh_dictionary_t) == 20
                                     && sizeof(blsh_mask_table_t) == 32 ? 1 : -1];

#endif

/*
 * A model: where its tables are. What it points to is not copied and has to stay where it is for as
 * long as a stream uses it; so has the blsh_model_t itself.
 */
typedef struct {
    uint32_t magic; /* BLSH_MODEL_MAGIC once opened */
    int16_t gain_floor_q15;
    int16_t gain_release_q15;
#define BLSH_TABLE_FIELD(type, name) const type *name;
    BLSH_TABLE_LIST(BLSH_TABLE_FIELD)
#undef BLSH_TABLE_FIELD
} blsh_model_t;

#endif
