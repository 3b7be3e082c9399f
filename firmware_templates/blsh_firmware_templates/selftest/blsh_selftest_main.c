/*
 * Entry point of the self-test image. The board supplies blsh_putchar(): through semihosting
 * (blsh_board_semihosting.c), the standard output of a host (blsh_board_stdio.c) or your UART.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_selftest.h"

extern void blsh_putchar(char character);

int main(void)
{
    return blsh_selftest(blsh_putchar);
}
