/*
 * Counts what the exported runtime executes on an emulated board, hop by hop over a signal.
 *
 * The emulator's clock advances with each instruction. The first line printed gives the ticks of
 * BLSH_COUNT_CALIBRATION instructions. Then follow, with BLSH_COUNT_STAGES, the ticks of each of
 * the runtime's functions, which the linker has wrapped (--wrap) to come by here; without it, the
 * ticks of all hops and the most stack in use.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_count_samples.h"
#include "blsh_stages.h"

#define BLSH_COUNT_CALIBRATION 2000000u
#define BLSH_COUNT_STACK_BYTES 4096u
#define BLSH_COUNT_PAINT 0xA5u

extern void blsh_putchar(char character);

static blsh_state_t state;
static int16_t output[BLSH_HOP];

#if defined(__riscv)
static void start_counter(void)
{
}

static uint32_t read_counter(void)
{
    uint32_t count;

    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

static uint32_t ticks_since(uint32_t start)
{
    return read_counter() - start;
}
#define BLSH_COUNT_LOOP "1: addi %0, %0, -1\n\tbnez %0, 1b"
#define BLSH_COUNT_READ_SP "mv %0, sp"
#else
#define SYSTICK ((volatile uint32_t *)(uintptr_t)0xE000E010u)

static void start_counter(void)
{
    SYSTICK[1] = 0xFFFFFFu; /* reload */
    SYSTICK[2] = 0u;        /* count, downwards */
    SYSTICK[0] = 5u;        /* core clock, no interrupt, go */
}

static uint32_t read_counter(void)
{
    return SYSTICK[2];
}

static uint32_t ticks_since(uint32_t start)
{
    return (start - read_counter()) & 0xFFFFFFu;
}
#define BLSH_COUNT_LOOP "1: subs %0, %0, #1\n\tbne 1b"
#define BLSH_COUNT_READ_SP "mov %0, sp"
#endif

static void put_line(const char *name, uint32_t value)
{
    char digits[10];
    unsigned n = 0;

    while (*name != '\0') {
        blsh_putchar(*name++);
    }
    blsh_putchar(' ');
    do {
        digits[n++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0u);
    while (n > 0u) {
        blsh_putchar(digits[--n]);
    }
    blsh_putchar('\n');
}

static uint32_t calibrate(void)
{
    const uint32_t start = read_counter();
    uint32_t rounds = BLSH_COUNT_CALIBRATION / 2u;

    __asm__ volatile(BLSH_COUNT_LOOP : "+r"(rounds) : : "cc");
    return ticks_since(start);
}

#ifdef BLSH_COUNT_STAGES

/* X(returned type, statement that takes the result, function, parameters, arguments) */
#if BLSH_CONDENSED
#if BLSH_NOISE_TRACKERS > 0
#define FOLLOW_NOISE(X) X(void, , blsh_follow_noise, (blsh_state_t *s, const int16_t *votes), (s, votes))
#else
#define FOLLOW_NOISE(X)
#endif
#define GAIN_FUNCTIONS(X)                                                                         \
    X(int16_t, r =, blsh_levels, (const int32_t *spectrum, int16_t *level), (spectrum, level))     \
    X(void, , blsh_cell_features, (blsh_state_t *s, const int16_t *level, int16_t mean),           \
      (s, level, mean))                                                                            \
    X(void, , blsh_project, (const blsh_model_t *m, const int16_t *x, uint32_t *code),             \
      (m, x, code))                                                                                \
    X(void, , blsh_spread_code,                                                                    \
      (const blsh_model_t *m, const uint32_t *code, uint32_t *ones, uint16_t *before),             \
      (m, code, ones, before))                                                                     \
    X(void, , blsh_nearest,                                                                        \
      (const blsh_model_t *m, unsigned n, const uint32_t *ones, const uint16_t *before,            \
       uint32_t *counters, uint32_t *i, uint16_t *d),                                              \
      (m, n, ones, before, counters, i, d))                                                        \
    X(void, , blsh_vote,                                                                           \
      (const blsh_model_t *m, unsigned n, const uint32_t *i, const uint16_t *d, uint32_t *sums,    \
       int16_t *votes),                                                                            \
      (m, n, i, d, sums, votes))                                                                   \
    FOLLOW_NOISE(X)                                                                                \
    X(void, , blsh_cell_gains, (blsh_state_t *s, const int16_t *votes), (s, votes))                \
    X(void, , blsh_bin_gains, (const int16_t *cells, int16_t *gain), (cells, gain))
#else
#define GAIN_FUNCTIONS(X)                                                                         \
    X(void, , blsh_magnitudes, (const int32_t *spectrum, int16_t *bins), (spectrum, bins))         \
    X(int16_t, r =, blsh_features, (const int16_t *bins, int16_t *to), (bins, to))                 \
    X(void, , blsh_hash,                                                                           \
      (const blsh_model_t *m, unsigned b, const int16_t *x, int16_t n, uint32_t *c),               \
      (m, b, x, n, c))                                                                             \
    X(void, , blsh_search,                                                                         \
      (const blsh_model_t *m, unsigned b, const uint32_t *c, uint32_t *s, uint32_t *i,             \
       uint16_t *d),                                                                               \
      (m, b, c, s, i, d))                                                                          \
    X(void, , blsh_mask_gains,                                                                     \
      (const blsh_model_t *m, unsigned b, const uint32_t *i, uint32_t *s, int16_t least,           \
       int16_t *gain),                                                                             \
      (m, b, i, s, least, gain))
#endif

#define FUNCTIONS(X)                                                                              \
    X(void, , blsh_window_frame, (blsh_state_t *s, const int16_t *in), (s, in))                    \
    X(void, , blsh_fft_forward, (int32_t *frame), (frame))                                         \
    GAIN_FUNCTIONS(X)                                                                              \
    X(void, , blsh_apply_gains, (int32_t *spectrum, const int16_t *gain), (spectrum, gain))        \
    X(void, , blsh_fft_inverse, (int32_t *frame), (frame))                                         \
    X(void, , blsh_overlap_add, (blsh_state_t *s, int16_t *out), (s, out))

#define TICKS(type, take, name, parameters, arguments) static uint32_t ticks_##name;
FUNCTIONS(TICKS)

#define RESULT_void
#define RESULT_int16_t int16_t r;
#define RETURN_void
#define RETURN_int16_t return r;
#define WRAP(type, take, name, parameters, arguments) \
    type __real_##name parameters;                    \
    type __wrap_##name parameters;                    \
    type __wrap_##name parameters                     \
    {                                                 \
        const uint32_t start = read_counter();        \
        RESULT_##type                                 \
        take __real_##name arguments;                 \
        ticks_##name += ticks_since(start);           \
        RETURN_##type                                 \
    }
FUNCTIONS(WRAP)

#define PUT(type, take, name, parameters, arguments) put_line(#name, ticks_##name);

#endif

int main(void)
{
    uint32_t total = 0;
    volatile uint8_t *sp, *lowest;
    size_t n;

    start_counter();
    put_line("calibration", calibrate());
    (void)blsh_init(&state);
    __asm__ volatile(BLSH_COUNT_READ_SP : "=r"(sp));
    for (n = 1; n <= BLSH_COUNT_STACK_BYTES; n++) {
        sp[-(ptrdiff_t)n] = BLSH_COUNT_PAINT;
    }
    for (n = 0; n < BLSH_COUNT_HOPS; n++) {
        const uint32_t start = read_counter();

        (void)blsh_process(&state, blsh_count_samples + n * BLSH_HOP, output);
        total += ticks_since(start);
    }
    lowest = sp - BLSH_COUNT_STACK_BYTES;
    while (*lowest == BLSH_COUNT_PAINT) {
        lowest++;
    }
#ifdef BLSH_COUNT_STAGES
    FUNCTIONS(PUT)
#else
    put_line("total", total);
    put_line("stack", (uint32_t)(sp - lowest));
#endif
    return 0;
}
