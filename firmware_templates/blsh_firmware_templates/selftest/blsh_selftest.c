/*
 * Self-test: check every table, then replay the golden vectors of blsh_golden.h and name the first
 * stage that differs. The vectors do not reach every entry of a dictionary; the checksums do.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_selftest.h"

#include "blsh_crc32.h"
#include "blsh_golden.h"
#include "blsh_golden_tables.h"
#include "blsh_stages.h"

#ifndef BLSH_ENABLE_TAP
#error "compile the self-test and the runtime with BLSH_ENABLE_TAP defined"
#endif

static const char *const stage_names[BLSH_STAGES] = {
    "windowed frame",  "spectrum",           "levels", "features", "feature norm", "hash code",
    "neighbour index", "neighbour distance", "votes",  "gain",     "output",
};

/* The tap has no argument for a context, so the one run of the test is kept here. */
static struct {
    unsigned taps;         /* stages seen so far                   */
    unsigned failed_tap;   /* the first that differed              */
    unsigned failed_band;
    blsh_stage_t failed_stage;
    int failed;
} run;

static blsh_state_t state;

void blsh_tap(blsh_stage_t stage, unsigned band, const void *data, size_t bytes)
{
    if (!run.failed && (run.taps >= BLSH_GOLDEN_HOPS * BLSH_GOLDEN_TAPS
                        || blsh_golden_crc32[run.taps] != blsh_crc32(data, bytes))) {
        run.failed = 1;
        run.failed_tap = run.taps;
        run.failed_stage = stage;
        run.failed_band = band;
    }
    run.taps++;
}

static void put_text(void (*put)(char), const char *text)
{
    while (*text != '\0') {
        put(*text++);
    }
}

static void put_number(void (*put)(char), unsigned number)
{
    if (number >= 10) {
        put_number(put, number / 10);
    }
    put((char)('0' + number % 10));
}

/* Reports every table that is not what was exported and returns how many there are. */
static unsigned damaged_tables(void (*put)(char))
{
    unsigned damaged = 0, list;

    for (list = 0; list < BLSH_GOLDEN_TABLE_LISTS; list++) {
        const blsh_table_check_t *check;

        for (check = blsh_golden_tables[list]; check->name != NULL; check++) {
            if (blsh_crc32(check->table, check->bytes) != check->crc32) {
                put_text(put, "FAIL: table ");
                put_text(put, check->name);
                put_text(put, " is not what was exported\n");
                damaged++;
            }
        }
    }
    return damaged;
}

int blsh_selftest(void (*put)(char))
{
    int16_t output[BLSH_HOP];
    unsigned hop;

    /* Damaged tables are reported, not used: a stage might read or write anywhere. */
    if (damaged_tables(put) > 0) {
        return 1;
    }
    run.taps = 0;
    run.failed = 0;
    (void)blsh_init(&state);
    for (hop = 0; hop < BLSH_GOLDEN_HOPS && !run.failed; hop++) {
        (void)blsh_process(&state, blsh_golden_input + (size_t)hop * BLSH_HOP, output);
    }
    if (run.failed || run.taps != BLSH_GOLDEN_HOPS * BLSH_GOLDEN_TAPS) {
        put_text(put, "FAIL: ");
        put_text(put, run.failed ? stage_names[run.failed_stage] : "number of stages");
        put_text(put, " differs first in frame ");
        put_number(put, run.failed_tap / BLSH_GOLDEN_TAPS);
        put_text(put, ", band ");
        put_number(put, run.failed_band);
        put('\n');
        return 1;
    }
    put_text(put, "PASS: ");
    put_number(put, hop);
    put_text(put, " frames, every stage bit-exact\n");
    return 0;
}
