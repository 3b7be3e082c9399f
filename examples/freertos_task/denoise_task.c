/*
 * The task sleeps until a hop has come in, denoises it and passes it on. Everything is static:
 * the kernel needs configSUPPORT_STATIC_ALLOCATION and no heap.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "denoise_task.h"

#include <string.h>

#include "stream_buffer.h"
#include "task.h"

/*
 * Stack in words: the denoiser's own need (REPORT.md, at most 1 KiB on every target), one hop of
 * samples, and room for the port's interrupt frame.
 */
#define STACK_WORDS (256u + BLSH_HOP * sizeof(int16_t) / sizeof(StackType_t) + 128u)

#define HOP_BYTES (BLSH_HOP * sizeof(int16_t))
#define BUFFER_BYTES (3u * HOP_BYTES) /* a hop arriving, one in work, one to spare */

volatile uint32_t denoise_overruns, denoise_underruns;

static blsh_state_t state;

static StackType_t stack[STACK_WORDS];
static StaticTask_t task;

/* A stream buffer keeps one byte free, hence the + 1. */
static uint8_t in_storage[BUFFER_BYTES + 1u], out_storage[BUFFER_BYTES + 1u];
static StaticStreamBuffer_t in_buffer, out_buffer;
static StreamBufferHandle_t in, out;

static void denoise_task(void *unused)
{
    (void)unused;
    for (;;) {
        int16_t hop[BLSH_HOP];

        /* The trigger level lets it wake for whole hops; after a time-out it simply asks again. */
        size_t have = 0;
        while (have < HOP_BYTES) {
            have += xStreamBufferReceive(in, (uint8_t *)hop + have, HOP_BYTES - have,
                                         portMAX_DELAY);
        }
        (void)blsh_process(&state, hop, hop);
        if (xStreamBufferSend(out, hop, HOP_BYTES, 0u) != HOP_BYTES) {
            denoise_overruns++;
        }
    }
}

void denoise_start(UBaseType_t priority)
{
    (void)blsh_init(&state);
    in = xStreamBufferCreateStatic(BUFFER_BYTES + 1u, HOP_BYTES, in_storage, &in_buffer);
    out = xStreamBufferCreateStatic(BUFFER_BYTES + 1u, 1u, out_storage, &out_buffer);
    (void)xTaskCreateStatic(denoise_task, "denoise", STACK_WORDS, NULL, priority, stack, &task);
}

size_t denoise_put_from_isr(const int16_t *samples, size_t count, BaseType_t *woken)
{
    const size_t bytes = count * sizeof *samples;
    const size_t taken = xStreamBufferSendFromISR(in, samples, bytes, woken);

    if (taken != bytes) {
        denoise_overruns++;
    }
    return taken / sizeof *samples;
}

void denoise_get_from_isr(int16_t *samples, size_t count, BaseType_t *woken)
{
    const size_t bytes = count * sizeof *samples;
    const size_t given = xStreamBufferReceiveFromISR(out, samples, bytes, woken);

    if (given != bytes) {
        memset((uint8_t *)samples + given, 0, bytes - given);
        denoise_underruns++;
    }
}
