/*
 * The loader on arbitrary bytes: as they come, and once more with everything made right that stands
 * in the way of the tables. What it opens has to be safe to use.
 *
 * Bytes lie in memory of their exact size, so that AddressSanitizer sees any read beyond them.
 */
#include "blsh_check.h"
#include "blsh_fuzz.h"

#define HOPS 2

/* Loud noise with a silent end: features of all kinds. */
static void try_it(const blsh_model_t *model)
{
    uint8_t pcm[2 * HOPS * BLSH_HOP];
    uint32_t random = 1;
    size_t n;

    memset(pcm, 0, sizeof pcm);
    for (n = 0; n < sizeof pcm - BLSH_HOP; n++) {
        random = random * 1664525u + 1013904223u;
        pcm[n] = (uint8_t)(random >> 24);
    }
    denoise(model, pcm, sizeof pcm);
}

static void open_it(const uint8_t *blob, size_t bytes)
{
    blsh_state_t state;
    blsh_model_t model;
    const blsh_status_t status = blsh_model_open(&model, blob, bytes);

    if (status == BLSH_OK) {
        try_it(&model);
    } else {
        REQUIRE(blsh_init_model(&state, &model) == BLSH_ERROR_NOT_INITIALISED);
        REQUIRE(strcmp(blsh_status_text(status), "unknown status") != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *const blob = (uint8_t *)malloc(size);

    memcpy(blob, data, size);
    open_it(blob, size);
    if (size >= HEADER_BYTES + CHECKSUM_BYTES) {
        repair(blob, size, BLSH_TABLES);
        open_it(blob, size);
    }
    free(blob);
    return 0;
}
