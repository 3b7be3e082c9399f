/*
 * Self-test of an exported denoiser, to be run on the board.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_SELFTEST_H
#define BLSH_SELFTEST_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Check that every table is what was exported, then denoise a recorded signal and compare every
 * stage of every hop with what the project's reference made of it. Compile this and the runtime
 * with BLSH_ENABLE_TAP defined.
 *
 *   put     writes one character of the report: lines that start with PASS or FAIL
 *
 *   return  0 where all is equal, else 1
 */
int blsh_selftest(void (*put)(char character));

#ifdef __cplusplus
}
#endif

#endif
