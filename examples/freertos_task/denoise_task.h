/*
 * A FreeRTOS task that denoises what the microphone's interrupt sends it.
 *
 * SPDX-License-Identifier: MIT-0
 */
#ifndef DENOISE_TASK_H
#define DENOISE_TASK_H

#include "FreeRTOS.h"

#include "blsh.h"

/* Create the buffers and the task; call it before the scheduler and the microphone start. */
void denoise_start(UBaseType_t priority);

/* From the microphone's interrupt: `count` new samples. Returns how many there was room for. */
size_t denoise_put_from_isr(const int16_t *samples, size_t count, BaseType_t *woken);

/* From the loudspeaker's interrupt: the next `count` samples; silence where there are none. */
void denoise_get_from_isr(int16_t *samples, size_t count, BaseType_t *woken);

/* Samples that found no room or were missing; both must stay 0 once running. */
extern volatile uint32_t denoise_overruns, denoise_underruns;

#endif
