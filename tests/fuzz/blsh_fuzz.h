/*
 * What the fuzz targets share. Each is built with an exported folder, once for a condensed model and
 * once for one of bands.
 */
#ifndef BLSH_FUZZ_H
#define BLSH_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "blsh.h"
#include "blsh_crc32.h"
#include "blsh_stages.h"

#define HEADER_BYTES 56u
#define SECTIONS_AT 52u
#define CHECKSUM_BYTES 4u

/* A property that has to hold for any input. */
#define REQUIRE(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void put_word(uint8_t *bytes, uint32_t value)
{
    memcpy(bytes, &value, sizeof value);
}

/* Make what everyone can compute right: magic number, version, length, geometry and checksum. */
static inline void repair(uint8_t *blob, size_t bytes, uint32_t n_sections)
{
    const uint32_t length = (uint32_t)(bytes / 4 * 4);

    put_word(blob, BLSH_MODEL_MAGIC);
    put_word(blob + 4, BLSH_SCHEMA_VERSION);
    put_word(blob + 8, length);
    put_word(blob + 12, BLSH_GEOMETRY_CRC32);
    put_word(blob + SECTIONS_AT, n_sections);
    put_word(blob + length - CHECKSUM_BYTES, blsh_crc32(blob, length - CHECKSUM_BYTES));
}

/* Denoise as many whole hops as there are, from `model` or from the one compiled in. */
static inline void denoise(const blsh_model_t *model, const uint8_t *pcm, size_t bytes)
{
    blsh_state_t *const state = (blsh_state_t *)malloc(sizeof *state);
    int16_t samples[BLSH_HOP];

    REQUIRE((model == NULL ? blsh_init(state) : blsh_init_model(state, model)) == BLSH_OK);
    for (; bytes >= sizeof samples; pcm += sizeof samples, bytes -= sizeof samples) {
        memcpy(samples, pcm, sizeof samples);
        REQUIRE(blsh_process(state, samples, samples) == BLSH_OK);
        REQUIRE(state->model == model || model == NULL);
    }
    free(state);
}

#endif
