/*
 * Denoises the PDM microphone of a board (Arduino Nano 33 BLE Sense, Nano RP2040 Connect,
 * Portenta) and sends the samples through USB as raw 16-bit numbers at BLSH_SAMPLE_RATE.
 *
 * Install the exported folder as a library: Sketch, Include Library, Add .ZIP Library. On Linux,
 * listen with: stty -F /dev/ttyACM0 raw && aplay -t raw -f S16_LE -r 16000 /dev/ttyACM0
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <PDM.h>
#include <blsh.h>

static const size_t HOPS = 4; /* room between the interrupt and loop() */

static blsh_state_t state;
static int16_t ring[HOPS][BLSH_HOP];
static volatile uint32_t filled;  /* samples that the interrupt has written  */
static volatile uint32_t dropped; /* samples that came while there was no room */
static uint32_t used;             /* samples that loop() has read            */

/* In interrupt context: copy and leave. */
static void on_samples()
{
    int16_t samples[256];
    int bytes = PDM.available();

    while (bytes > 0) {
        const size_t wanted = (size_t)bytes < sizeof samples ? (size_t)bytes : sizeof samples;
        const size_t count = (size_t)PDM.read(samples, wanted) / sizeof samples[0];

        for (size_t n = 0; n < count; n++) {
            if (filled - used < HOPS * BLSH_HOP) {
                ring[filled / BLSH_HOP % HOPS][filled % BLSH_HOP] = samples[n];
                filled = filled + 1;
            } else {
                dropped = dropped + 1;
            }
        }
        bytes -= (int)wanted;
    }
}

void setup()
{
    Serial.begin(1000000);
    blsh_init(&state);
    PDM.onReceive(on_samples);
    if (!PDM.begin(1, BLSH_SAMPLE_RATE)) {
        Serial.println("the PDM microphone does not start");
        for (;;) {
        }
    }
}

void loop()
{
    int16_t samples[BLSH_HOP];

    if (filled - used < BLSH_HOP) {
        return;
    }
    blsh_process(&state, ring[used / BLSH_HOP % HOPS], samples);
    used += BLSH_HOP;
    Serial.write((const uint8_t *)samples, sizeof samples);
}
