/* Stub of the PDM library of Arduino's boards. */
#ifndef PDM_H
#define PDM_H

#include <stddef.h>

class StubPdm {
public:
    int begin(int channels, int rate);
    int available();
    int read(void *buffer, size_t bytes);
    void onReceive(void (*handler)(void));
};

extern StubPdm PDM;

#endif
