#ifndef TASK_H
#define TASK_H

#include "FreeRTOS.h"

typedef struct {
    void *unused;
} StaticTask_t;

typedef void *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *name, uint32_t stack_words,
                               void *parameters, UBaseType_t priority, StackType_t *stack,
                               StaticTask_t *task);

#endif
