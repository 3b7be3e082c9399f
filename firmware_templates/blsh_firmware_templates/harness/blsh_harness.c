/*
 * Conformance harness: runs the exported runtime one hop at a time and records every stage.
 *
 * Compiled with BLSH_ENABLE_TAP and BLSH_HARNESS_TRACE_BYTES, for the host as a shared library
 * and for emulated targets as a bare image; the test reads and writes the arrays below.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_stages.h"

#ifdef _WIN32
#define BLSH_EXPORT __declspec(dllexport)
#else
#define BLSH_EXPORT __attribute__((visibility("default"), used))
#endif

static blsh_state_t state;
static blsh_model_t model; /* opened, or zeros for the one that is compiled in */

BLSH_EXPORT int16_t blsh_harness_samples[BLSH_HOP];                     /* in, then out        */
BLSH_EXPORT uint8_t blsh_harness_trace[BLSH_HARNESS_TRACE_BYTES];       /* stages in order     */
BLSH_EXPORT uint32_t blsh_harness_used;                                 /* bytes of the trace  */

BLSH_EXPORT int blsh_harness_open(const void *blob, uint32_t bytes);
BLSH_EXPORT int blsh_harness_reset(void);
BLSH_EXPORT int blsh_harness_step(void);

void blsh_tap(blsh_stage_t stage, unsigned band, const void *data, size_t bytes)
{
    (void)stage;
    (void)band;
    if (blsh_harness_used <= BLSH_HARNESS_TRACE_BYTES
        && bytes <= BLSH_HARNESS_TRACE_BYTES - blsh_harness_used) {
        memcpy(blsh_harness_trace + blsh_harness_used, data, bytes);
    }
    blsh_harness_used += (uint32_t)bytes;
}

int blsh_harness_open(const void *blob, uint32_t bytes)
{
    return blsh_model_open(&model, blob, bytes);
}

int blsh_harness_reset(void)
{
    return model.magic == 0 ? blsh_init(&state) : blsh_init_model(&state, &model);
}

int blsh_harness_step(void)
{
    blsh_harness_used = 0;
    return blsh_process(&state, blsh_harness_samples, blsh_harness_samples);
}
