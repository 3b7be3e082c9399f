/*
 * Port for any C99 compiler: leaves every operation to the portable code of blsh_port.h.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_PORT_GENERIC_H
#define BLSH_PORT_GENERIC_H
#endif
