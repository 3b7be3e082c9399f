/*
 * K nearest codes by Hamming distance: XOR, popcount and a short sorted list.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_codes.h"
#include "blsh_port.h"
#include "blsh_stages.h"

static uint32_t hamming_distance(const uint32_t *a, const uint32_t *b, unsigned n_words)
{
    uint32_t distance = 0;
    unsigned n;

    for (n = 0; n < n_words; n++) {
        distance += blsh_popcount(a[n] ^ b[n]);
    }
    return distance;
}

void blsh_search(unsigned band, const uint32_t *code, uint32_t *index, uint16_t *distance)
{
    const blsh_dictionary_t *dictionary = &blsh_dictionaries[band];
    const unsigned last = dictionary->neighbours - 1u;
    const uint32_t *entry_code = dictionary->codes;
    uint32_t entry;
    unsigned place;

    for (place = 0; place <= last; place++) {
        distance[place] = UINT16_MAX;
        index[place] = 0;
    }
    for (entry = 0; entry < dictionary->n_entries; entry++, entry_code += dictionary->n_words) {
        const uint32_t d = hamming_distance(code, entry_code, dictionary->n_words);

        /* Entries come in order of index: an equal distance never overtakes an earlier one. */
        if (d < distance[last]) {
            for (place = last; place > 0 && d < distance[place - 1]; place--) {
                distance[place] = distance[place - 1];
                index[place] = index[place - 1];
            }
            distance[place] = (uint16_t)d;
            index[place] = entry;
        }
    }
}

size_t blsh_code_words(unsigned band)
{
    return blsh_dictionaries[band].n_words;
}

size_t blsh_neighbours(unsigned band)
{
    return blsh_dictionaries[band].neighbours;
}
