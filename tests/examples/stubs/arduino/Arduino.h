/* Stub of the Arduino core, which every sketch includes before its first line. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

class StubSerial {
public:
    void begin(unsigned long baud);
    size_t print(const char *text);
    size_t print(unsigned long number);
    size_t print(unsigned number);
    size_t println(const char *text);
    size_t write(const uint8_t *data, size_t bytes);
};

extern StubSerial Serial;

unsigned long micros();
void delay(unsigned long ms);
void setup();
void loop();

#endif
