/* Counts executed code for the emulator: a block hook of unicorn, compiled for the host.
 *
 * Every executed block adds 1 where it starts and takes 1 where it ends, so that the running sum
 * over the array is how often each halfword of code was executed.
 */
#include <stdint.h>

typedef struct {
    uint64_t code_start;      /* first byte of the counted range */
    uint64_t code_bytes;      /* its size */
    int64_t *edges;           /* code_bytes / 2 + 1 entries, one for each halfword boundary */
    uint64_t halfwords;       /* executed so far in this call, in and out of the range */
    uint64_t limit_halfwords; /* stop the emulation beyond this many */
    int (*stop)(void *engine);
} blsh_block_counter_t;

void blsh_count_block(void *engine, uint64_t address, uint32_t size, void *user_data);

void blsh_count_block(void *engine, uint64_t address, uint32_t size, void *user_data)
{
    blsh_block_counter_t *counter = (blsh_block_counter_t *)user_data;
    const uint64_t offset = address - counter->code_start; /* wraps, hence fails the test, below */

    if (offset < counter->code_bytes && size <= counter->code_bytes - offset) {
        counter->edges[offset / 2u] += 1;
        counter->edges[(offset + size) / 2u] -= 1;
    }
    counter->halfwords += size / 2u;
    if (counter->halfwords > counter->limit_halfwords) {
        (void)counter->stop(engine);
    }
}
