#ifndef ZEPHYR_LOG_H
#define ZEPHYR_LOG_H

#include <stdio.h>

#define LOG_MODULE_REGISTER(name) extern int name##_log_level
#define LOG_ERR(...) (void)printf(__VA_ARGS__)

#endif
