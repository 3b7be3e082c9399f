/*
 * WAV in, denoised WAV out, on a Cortex-M without any peripheral: files are reached through
 * semihosting, which an emulator or a debug probe answers. run.py builds and runs it under QEMU.
 *
 * INPUT_WAV and OUTPUT_WAV are the paths, as strings. The input is mono, 16 bits, at
 * BLSH_SAMPLE_RATE. The output is as long as the input and in time with it: the first
 * BLSH_LATENCY_SAMPLES that the denoiser gives are left out, and zeros are fed at the end.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh.h"

void blsh_putchar(char character); /* of selftest/blsh_board_semihosting.c */

/* Semihosting operations (Arm IHI 0101). */
#define SYS_OPEN 0x01u
#define SYS_CLOSE 0x02u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u

#define MODE_READ_BINARY 1u
#define MODE_WRITE_BINARY 5u

#define HEADER_BYTES 44u

static int32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static int32_t file_open(const char *path, uint32_t mode)
{
    const char *end = path;
    uintptr_t block[3];

    while (*end != '\0') {
        end++;
    }
    block[0] = (uintptr_t)path;
    block[1] = mode;
    block[2] = (uintptr_t)(end - path);
    return semihosting(SYS_OPEN, block);
}

/* Reads or writes; returns how many bytes it did. */
static uint32_t file_transfer(uint32_t operation, int32_t file, void *data, uint32_t bytes)
{
    uintptr_t block[3];

    block[0] = (uintptr_t)file;
    block[1] = (uintptr_t)data;
    block[2] = bytes;
    return bytes - (uint32_t)semihosting(operation, block);
}

static int fail(const char *text)
{
    while (*text != '\0') {
        blsh_putchar(*text++);
    }
    blsh_putchar('\n');
    return 1;
}

static uint32_t little_endian(const uint8_t *bytes, unsigned count)
{
    uint32_t value = 0;

    while (count > 0) {
        count--;
        value = value << 8 | bytes[count];
    }
    return value;
}

static void put_little_endian(uint8_t *bytes, uint32_t value)
{
    unsigned n;

    for (n = 0; n < 4u; n++) {
        bytes[n] = (uint8_t)(value >> 8 * n);
    }
}

static int is_tag(const uint8_t *bytes, const char *tag)
{
    return bytes[0] == (uint8_t)tag[0] && bytes[1] == (uint8_t)tag[1]
        && bytes[2] == (uint8_t)tag[2] && bytes[3] == (uint8_t)tag[3];
}

/* Samples in a file of the plain 44-byte header, left in `header`; -1 where it is another. */
static int32_t read_header(int32_t file, uint8_t *header)
{
    if (file_transfer(SYS_READ, file, header, HEADER_BYTES) != HEADER_BYTES
        || !is_tag(header, "RIFF") || !is_tag(header + 8, "WAVE") || !is_tag(header + 12, "fmt ")
        || !is_tag(header + 36, "data")) {
        return -1;
    }
    if (little_endian(header + 20, 2) != 1u         /* PCM     */
        || little_endian(header + 22, 2) != 1u      /* mono    */
        || little_endian(header + 24, 4) != BLSH_SAMPLE_RATE
        || little_endian(header + 34, 2) != 16u) {  /* 16 bits */
        return -1;
    }
    return (int32_t)(little_endian(header + 40, 4) / 2u);
}

int main(void)
{
    static blsh_state_t state;
    static int16_t hop[BLSH_HOP];
    static uint8_t header[HEADER_BYTES];
    const int32_t in = file_open(INPUT_WAV, MODE_READ_BINARY);
    int32_t out;
    int32_t samples;
    uint32_t to_read, to_skip = BLSH_LATENCY_SAMPLES, to_write;

    if (in < 0) {
        return fail("the input cannot be opened");
    }
    samples = read_header(in, header);
    if (samples < 0) {
        return fail("the input is not a mono 16-bit WAV at the model's rate");
    }
    out = file_open(OUTPUT_WAV, MODE_WRITE_BINARY);
    if (out < 0) {
        return fail("the output cannot be opened");
    }
    to_read = (uint32_t)samples;
    to_write = (uint32_t)samples;
    put_little_endian(header + 4, HEADER_BYTES - 8u + 2u * to_write);
    (void)file_transfer(SYS_WRITE, out, header, HEADER_BYTES);
    (void)blsh_init(&state);
    while (to_write > 0) {
        const uint32_t wanted = to_read < BLSH_HOP ? to_read : BLSH_HOP;
        uint32_t first, count, n;

        if (file_transfer(SYS_READ, in, hop, 2u * wanted) != 2u * wanted) {
            return fail("the input ends before its header says");
        }
        to_read -= wanted;
        for (n = wanted; n < BLSH_HOP; n++) {
            hop[n] = 0;
        }
        if (blsh_process(&state, hop, hop) != BLSH_OK) {
            return fail("the denoiser refuses");
        }
        first = to_skip < BLSH_HOP ? to_skip : BLSH_HOP;
        to_skip -= first;
        count = BLSH_HOP - first < to_write ? BLSH_HOP - first : to_write;
        to_write -= count;
        if (file_transfer(SYS_WRITE, out, hop + first, 2u * count) != 2u * count) {
            return fail("the output cannot be written");
        }
    }
    (void)semihosting(SYS_CLOSE, &out);
    return 0;
}
