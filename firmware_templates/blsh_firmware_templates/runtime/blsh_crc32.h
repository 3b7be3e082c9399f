/*
 * The checksum of models and of the self-test. Internal.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef BLSH_CRC32_H
#define BLSH_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32 of some bytes, as in zlib. */
uint32_t blsh_crc32(const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
