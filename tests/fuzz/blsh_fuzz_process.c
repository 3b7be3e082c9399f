/*
 * The process call on arbitrary samples, with the model that is compiled in and with one that
 * differs from it in some bytes. An input is a number of changes n, then n times the place of a byte
 * (16 bits) and what to put there, then samples.
 */
#include "blsh_check.h"
#include "blsh_fuzz.h"

#include "blsh_fuzz_blob.h" /* static const uint8_t valid_blob[], made with the folder */

#define CHANGE_BYTES 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *pcm = data;
    uint8_t *blob;
    blsh_model_t model;
    size_t changes = 0;

    if (size > 0) {
        changes = *data;
        pcm++;
        size--;
    }
    if (changes > size / CHANGE_BYTES) {
        changes = size / CHANGE_BYTES;
    }
    blob = (uint8_t *)malloc(sizeof valid_blob);
    memcpy(blob, valid_blob, sizeof valid_blob);
    for (; changes > 0; changes--, pcm += CHANGE_BYTES, size -= CHANGE_BYTES) {
        blob[((size_t)pcm[0] | (size_t)pcm[1] << 8) % sizeof valid_blob] = pcm[2];
    }
    repair(blob, sizeof valid_blob, BLSH_TABLES);
    if (blsh_model_open(&model, blob, sizeof valid_blob) == BLSH_OK) {
        denoise(&model, pcm, size);
    }
    denoise(NULL, pcm, size);
    free(blob);
    return 0;
}
