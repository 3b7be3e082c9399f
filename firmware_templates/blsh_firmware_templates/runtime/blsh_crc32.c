/*
 * CRC-32 as in zlib, PNG and Ethernet; four bits a step.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_crc32.h"

uint32_t blsh_crc32(const void *data, size_t bytes)
{
    static const uint32_t step[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
        0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
        0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    const uint8_t *byte = (const uint8_t *)data;
    uint32_t crc = 0xFFFFFFFFu;

    for (; bytes > 0; bytes--) {
        crc ^= *byte++;
        crc = (crc >> 4) ^ step[crc & 15u];
        crc = (crc >> 4) ^ step[crc & 15u];
    }
    return ~crc;
}
