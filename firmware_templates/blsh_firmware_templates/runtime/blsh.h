/*
 * BLSH: speech denoising by boosted locality sensitive hashing, in fixed point.
 *
 * The denoiser takes and gives one hop of BLSH_HOP samples at a time, mono, 16-bit, at
 * BLSH_SAMPLE_RATE Hz. What comes out is the input of BLSH_LATENCY_SAMPLES samples ago, with the
 * noise taken out: a frame of BLSH_FRAME samples has to be seen before its first sample is ready.
 * Silence in gives silence out, and full-scale input saturates, it never wraps.
 *
 * All memory is the caller's: one blsh_state_t of BLSH_STATE_BYTES for each stream. Nothing is
 * allocated, nothing global is written, so several streams may run at once, on several cores or
 * from several interrupt levels, each with its own state. The tables of the model are constants
 * and stay in flash; a model may also be apart from the code (see blsh_model_open()). The C equals the Python reference bit for bit on every target.
 *
 *     static blsh_state_t state;
 *
 *     blsh_init(&state);
 *     for (;;) {
 *         read_hop(samples);
 *         blsh_process(&state, samples, samples);
 *         write_hop(samples);
 *     }
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_H
#define BLSH_H

#include <stddef.h>
#include <stdint.h>

#include "blsh_config.h"
#include "blsh_model.h"

#if !defined(BLSH_SCHEMA_VERSION) || BLSH_SCHEMA_VERSION != 4
#error "blsh_config.h was exported for another version of the BLSH runtime: export the folder again, whole"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Status codes: zero is success, errors are negative. X(name, value, text) */
#define BLSH_STATUS_LIST(X)                                                               \
    X(BLSH_OK, 0, "ok")                                                                   \
    X(BLSH_ERROR_NULL, -1, "a pointer is null")                                           \
    X(BLSH_ERROR_NOT_INITIALISED, -2, "the state was not initialised or no model opened") \
    X(BLSH_ERROR_RANGE, -3, "a number is out of its range")                               \
    X(BLSH_ERROR_ALIGNMENT, -4, "the model does not start at a multiple of 4 bytes")      \
    X(BLSH_ERROR_MODEL, -5, "there is no model, or only a part of one")                   \
    X(BLSH_ERROR_SCHEMA, -6, "the model was exported for another version of BLSH")        \
    X(BLSH_ERROR_CHECKSUM, -7, "the model is damaged: its checksum is wrong")             \
    X(BLSH_ERROR_GEOMETRY, -8, "the model was exported for a firmware of other geometry") \
    X(BLSH_ERROR_CAPACITY, -9, "the model needs more memory than the firmware has")       \
    X(BLSH_ERROR_TABLES, -10, "the model's tables contradict each other")

typedef enum {
#define BLSH_STATUS_ENUM(name, value, text) name = value,
    BLSH_STATUS_LIST(BLSH_STATUS_ENUM)
#undef BLSH_STATUS_ENUM
    BLSH_STATUS_SMALLEST = -32768 /* keeps the enum's size the same as the list grows */
} blsh_status_t;

/*
 * One stream. Its fields are the runtime's own; they are here so that the compiler knows the
 * size. BLSH_STATE_BYTES of zeros are a valid "not initialised" state.
 */
typedef struct {
    const blsh_model_t *model;                        /* whose tables the stream uses          */
    int32_t overlap[BLSH_FRAME - BLSH_HOP];           /* output under construction             */
    int32_t frame[BLSH_FRAME];                        /* windowed frame, then its spectrum     */
    uint32_t magic;                                   /* BLSH_STATE_MAGIC once initialised     */
    uint32_t code[BLSH_MAX_CODE_WORDS];               /* hash code                             */
    uint32_t scratch[BLSH_SCRATCH_WORDS];             /* used within one stage at a time       */
    uint32_t neighbour_index[BLSH_MAX_NEIGHBOURS];    /* nearest entries of one dictionary     */
#if BLSH_CONDENSED
    uint32_t code_ones[32 * BLSH_MAX_CODE_WORDS];     /* which bits of the code are 1          */
#if BLSH_TRACKERS + BLSH_NOISE_TRACKERS > 0
    /* tracked levels in Q16, noise trackers last */
    int32_t trackers[(BLSH_TRACKERS + BLSH_NOISE_TRACKERS) * BLSH_CELLS];
#endif
#endif
    int16_t history[BLSH_FRAME - BLSH_HOP];           /* input samples of earlier hops         */
    int16_t features[BLSH_FEATURE_CAPACITY];          /* what is hashed, at a word boundary    */
    uint16_t neighbour_distance[BLSH_MAX_NEIGHBOURS]; /* and their Hamming distances in bits   */
    int16_t bins[BLSH_BINS];                          /* what bins or cells have, then gains   */
    int16_t gain_floor_q15;                           /* see blsh_set_gain_floor()             */
#if BLSH_CONDENSED
    int16_t gain_release_q15;                         /* see blsh_set_gain_release()           */
    int16_t cell_gain_q15[BLSH_CELLS];                /* gains of the last frame               */
    uint16_t ones_before[BLSH_MAX_CODE_WORDS + 1];    /* ones of the code before each word     */
    uint16_t frames_seen;                             /* saturates                             */
#endif
} blsh_state_t;

/* BLSH_STATE_BYTES is what to reserve; a compiler that pads differently must stop here. */
typedef char blsh_assert_state_bytes[sizeof(blsh_state_t) == BLSH_STATE_BYTES ? 1 : -1];

/*
 * Start a stream, or start it over, with the model that is compiled in. Firmware that defines
 * BLSH_NO_BUILTIN_MODEL has neither this function nor the model.
 *
 *   state   the stream's memory
 *
 *   return  BLSH_OK, or BLSH_ERROR_NULL
 */
blsh_status_t blsh_init(blsh_state_t *state);

/*
 * Open a model that is apart from the code: the bytes of a blsh_model.bin, exported for the geometry
 * of this firmware. Everything in it is checked before it is used, and nothing outside of it is read,
 * whatever it holds; but who made it is not known (see docs/security.md). Takes the time to read it
 * all once or twice.
 *
 *   model   where to note what was found; nothing of the blob is copied, which has to stay
 *   blob    its first byte, at a multiple of 4: memory or memory-mapped flash
 *   bytes   how many may be read there; the blob may be shorter
 *
 *   return  BLSH_OK, BLSH_ERROR_NULL, BLSH_ERROR_ALIGNMENT, BLSH_ERROR_MODEL, BLSH_ERROR_SCHEMA,
 *           BLSH_ERROR_CHECKSUM, BLSH_ERROR_GEOMETRY, BLSH_ERROR_CAPACITY or BLSH_ERROR_TABLES; on
 *           error blsh_init_model() refuses the model
 */
blsh_status_t blsh_model_open(blsh_model_t *model, const void *blob, size_t bytes);

/*
 * Start a stream, or start it over, with a model.
 *
 *   state   the stream's memory
 *   model   one that blsh_model_open() has opened, and that stays unchanged while the stream runs;
 *           any number of streams may share it
 *
 *   return  BLSH_OK, BLSH_ERROR_NULL, or BLSH_ERROR_NOT_INITIALISED where no model was opened
 */
blsh_status_t blsh_init_model(blsh_state_t *state, const blsh_model_t *model);

/*
 * Denoise one hop.
 *
 *   state   a stream that blsh_init() or blsh_init_model() has started
 *   input   BLSH_HOP samples
 *   output  BLSH_HOP samples, late by BLSH_LATENCY_SAMPLES; may be the same as `input`
 *
 *   return  BLSH_OK, BLSH_ERROR_NULL or BLSH_ERROR_NOT_INITIALISED; on error no sample is written
 */
blsh_status_t blsh_process(blsh_state_t *state, const int16_t *input, int16_t *output);

/*
 * Set the least gain of a stream: how much of the noise stays. It starts as the model's, for the
 * one compiled in BLSH_GAIN_FLOOR_Q15, and takes effect with the next hop.
 *
 *   state      a stream that blsh_init() or blsh_init_model() has started
 *   floor_q15  0 to 32767, 32768 standing for a gain of 1
 *
 *   return     BLSH_OK, BLSH_ERROR_NULL, BLSH_ERROR_NOT_INITIALISED, or BLSH_ERROR_RANGE where the
 *              number is negative, which changes nothing
 */
blsh_status_t blsh_set_gain_floor(blsh_state_t *state, int16_t floor_q15);

#if BLSH_CONDENSED
/*
 * Set how fast gains fall: the least part of its own of a hop ago that a gain keeps. It starts as
 * the model's, for the one compiled in BLSH_GAIN_RELEASE_Q15; 0 lets gains fall at once. Gains always rise at once.
 *
 *   state        a stream that blsh_init() or blsh_init_model() has started
 *   release_q15  0 to 32767, 32768 standing for all of it
 *
 *   return       as blsh_set_gain_floor()
 */
blsh_status_t blsh_set_gain_release(blsh_state_t *state, int16_t release_q15);
#endif

/* Delay from input to output in samples, apart from the hop that the caller collects. */
uint32_t blsh_latency_samples(void);

/* A status code in words; never null. */
const char *blsh_status_text(blsh_status_t status);

#ifdef __cplusplus
}
#endif

#endif
