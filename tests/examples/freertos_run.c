/*
 * A kernel of sorts: stream buffers, and a task that is left with longjmp() when it would wait.
 * Feeds a ramp through the example a few samples at a time and compares with blsh_process().
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "denoise_task.h"
#include "stream_buffer.h"
#include "task.h"

#define HOPS 8
#define CHUNK (BLSH_HOP / 4)

static TaskFunction_t task_code;
static jmp_buf waiting;

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t stack_words,
                               void *parameters, UBaseType_t priority, StackType_t *stack,
                               StaticTask_t *task)
{
    (void)name, (void)stack_words, (void)parameters, (void)priority, (void)stack;
    task_code = code;
    return task;
}

StreamBufferHandle_t xStreamBufferCreateStatic(size_t bytes, size_t trigger, uint8_t *storage,
                                               StaticStreamBuffer_t *buffer)
{
    (void)trigger;
    buffer->storage = storage;
    buffer->capacity = bytes - 1;
    buffer->used = 0;
    return buffer;
}

size_t xStreamBufferSend(StreamBufferHandle_t buffer, const void *data, size_t bytes,
                         TickType_t ticks)
{
    const size_t room = buffer->capacity - buffer->used;
    const size_t taken = bytes < room ? bytes : room;

    (void)ticks;
    memcpy(buffer->storage + buffer->used, data, taken);
    buffer->used += taken;
    return taken;
}

size_t xStreamBufferSendFromISR(StreamBufferHandle_t buffer, const void *data, size_t bytes,
                                BaseType_t *woken)
{
    (void)woken;
    return xStreamBufferSend(buffer, data, bytes, 0);
}

size_t xStreamBufferReceiveFromISR(StreamBufferHandle_t buffer, void *data, size_t bytes,
                                   BaseType_t *woken)
{
    const size_t given = bytes < buffer->used ? bytes : buffer->used;

    (void)woken;
    memcpy(data, buffer->storage, given);
    memmove(buffer->storage, buffer->storage + given, buffer->used - given);
    buffer->used -= given;
    return given;
}

size_t xStreamBufferReceive(StreamBufferHandle_t buffer, void *data, size_t bytes,
                            TickType_t ticks)
{
    (void)ticks;
    if (buffer->used < bytes) {
        longjmp(waiting, 1);
    }
    return xStreamBufferReceiveFromISR(buffer, data, bytes, NULL);
}

int main(void)
{
    static blsh_state_t state;
    static int16_t input[HOPS * BLSH_HOP], expected[HOPS * BLSH_HOP], output[HOPS * BLSH_HOP];
    BaseType_t woken = 0;
    size_t n, hop;

    (void)blsh_init(&state);
    for (n = 0; n < HOPS * BLSH_HOP; n++) {
        input[n] = (int16_t)(n * 977u % 20011u);
    }
    for (hop = 0; hop < HOPS; hop++) {
        (void)blsh_process(&state, input + hop * BLSH_HOP, expected + hop * BLSH_HOP);
    }
    denoise_start(1);
    for (n = 0; n < HOPS * BLSH_HOP; n += CHUNK) {
        (void)denoise_put_from_isr(input + n, CHUNK, &woken);
        if (setjmp(waiting) == 0) {
            task_code(NULL);
        }
        if ((n + CHUNK) % BLSH_HOP == 0) {
            denoise_get_from_isr(output + n + CHUNK - BLSH_HOP, BLSH_HOP, &woken);
        }
    }
    if (denoise_overruns != 0 || denoise_underruns != 0) {
        puts("samples were lost");
        return 1;
    }
    if (memcmp(expected, output, sizeof output) != 0) {
        puts("the output differs");
        return 1;
    }
    denoise_get_from_isr(output, CHUNK, &woken);
    puts(denoise_underruns == 1 && output[0] == 0 ? "ok" : "an underrun is not counted");
    return 0;
}
