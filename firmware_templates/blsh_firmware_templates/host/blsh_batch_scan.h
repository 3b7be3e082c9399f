/*
 * Scan a dictionary for codes near a query: the inner loop of blsh_batch_search.c, which includes
 * this file once for each kind of processor, with
 *
 *   SCAN          the name of the function
 *   TARGET        attributes that let the compiler use the instructions of that processor
 *   VECTOR        uint32_t, or a vector of up to LANES of them
 *   ONES(x)       how many ones a VECTOR has: in each uint32_t, or still apart in each of its bytes
 *   ADD_BYTES(x)  the sum of those counts in each uint32_t
 *   ANY(x)        whether a VECTOR has ones at all
 *
 * SPDX-License-Identifier: MIT-0
 */

/*
 * Find the first block with a code that is nearer to a query than a limit.
 *
 *   blocks    n_blocks of them
 *   query     n_words
 *   distance  LANES distances, those of the last block that was looked at
 *
 *   return    the number of blocks before it: n_blocks when there is none
 */
TARGET static size_t SCAN(const uint32_t *blocks, size_t n_blocks, const uint32_t *query,
                          size_t n_words, uint32_t limit, uint32_t *distance)
{
    const uint32_t *block = blocks;
    size_t n, lane, word;

    for (n = 0; n < n_blocks; n++) {
        VECTOR nearer = {0};

        for (lane = 0; lane < LANES; lane += sizeof(VECTOR) / sizeof(uint32_t)) {
            const uint32_t *codes = block + lane;
            VECTOR sum = {0};

            for (word = 0; word < n_words;) {
                const size_t end = n_words - word < BYTE_WORDS ? n_words : word + BYTE_WORDS;
                VECTOR ones = {0};

                for (; word < end; word++) {
                    ones += ONES(*(const VECTOR *)codes ^ query[word]);
                    codes += LANES;
                }
                sum += ADD_BYTES(ones);
            }
            *(VECTOR *)(distance + lane) = sum;
            nearer |= (VECTOR)(sum < limit);
        }
        if (ANY(nearer)) {
            break;
        }
        block += LANES * n_words;
    }
    return n;
}

#undef SCAN
#undef TARGET
#undef VECTOR
#undef ONES
#undef ADD_BYTES
#undef ANY
