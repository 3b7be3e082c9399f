/*
 * Board support where there is a C library: characters go to the standard output.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <stdio.h>

void blsh_putchar(char character);

void blsh_putchar(char character)
{
    (void)putchar(character);
}
