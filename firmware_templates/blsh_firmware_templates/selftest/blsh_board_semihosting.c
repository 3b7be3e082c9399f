/* Start-up code and text output for a Cortex-M or RISC-V core without any peripheral: an emulator,
 * or a board held by a debug probe. Output and exit code leave through semihosting.
 *
 * Link it with a program that has main() and writes through blsh_putchar(); the linker script
 * (link/blsh_mps2_an386.ld is one) defines the blsh_... symbols declared below.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <stdint.h>

void blsh_putchar(char c);
void blsh_reset_handler(void);
int main(void);

/* Semihosting operations (Arm IHI 0101). */
#define BLSH_SYS_WRITE0 0x04u
#define BLSH_SYS_EXIT_EXTENDED 0x20u
#define BLSH_APPLICATION_EXIT 0x20026u

/* From the linker script: their addresses are what counts. */
extern uint32_t blsh_stack_top[];
extern uint32_t blsh_data_start[];
extern uint32_t blsh_data_end[];
extern const uint32_t blsh_data_image[];
extern uint32_t blsh_bss_start[];
extern uint32_t blsh_bss_end[];

#define BLSH_LINE_BYTES 128u

static char blsh_line[BLSH_LINE_BYTES + 1u];
static uint32_t blsh_line_length;

/* A breakpoint that the emulator or debug probe knows: operation and argument in two registers. */
static void blsh_semihosting(uint32_t operation, const void *argument)
{
#if defined(__riscv)
    register uint32_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;

    /* The three instructions must be of 32 bits and on one page. */
    __asm__ volatile(".option push\n\t"
                     ".option norvc\n\t"
                     ".balign 16\n\t"
                     "slli x0, x0, 0x1f\n\t"
                     "ebreak\n\t"
                     "srai x0, x0, 7\n\t"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
#else
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
#endif
}

static void blsh_flush(void)
{
    blsh_line[blsh_line_length] = '\0';
    blsh_semihosting(BLSH_SYS_WRITE0, blsh_line);
    blsh_line_length = 0u;
}

/* Every semihosting call stops the core, so characters leave a line at a time. */
void blsh_putchar(char c)
{
    blsh_line[blsh_line_length++] = c;
    if (c == '\n' || blsh_line_length == BLSH_LINE_BYTES) {
        blsh_flush();
    }
}

static void blsh_exit(uint32_t code)
{
    uint32_t block[2];

    block[0] = BLSH_APPLICATION_EXIT;
    block[1] = code;
    blsh_flush();
    blsh_semihosting(BLSH_SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

static void blsh_run(void)
{
    const uint32_t *from = blsh_data_image;
    uint32_t *to;

#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    /* Built for floating point or Helium: grant access to it (CPACR, coprocessors 10 and 11). */
    *(volatile uint32_t *)(uintptr_t)0xE000ED88u |= UINT32_C(0xF) << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    for (to = blsh_data_start; to != blsh_data_end; ++to) {
        *to = *from++;
    }
    for (to = blsh_bss_start; to != blsh_bss_end; ++to) {
        *to = 0u;
    }
    blsh_exit((uint32_t)main());
}

#if defined(__riscv)

/* Any trap ends the program with exit code 128 + cause. */
static void __attribute__((aligned(4), used)) blsh_fault_handler(void)
{
    uint32_t cause;

    __asm__ volatile("csrr %0, mcause" : "=r"(cause));
    blsh_exit(128u + (cause & 0x7Fu));
}

static void __attribute__((used)) blsh_start(void)
{
    __asm__ volatile("csrw mtvec, %0" : : "r"(blsh_fault_handler));
    blsh_run();
}

/* The core starts at the lowest address, without a stack. */
__attribute__((naked, used, section(".blsh_vectors"))) void blsh_reset_handler(void)
{
    __asm__ volatile("la sp, blsh_stack_top\n\t"
                     "j blsh_start");
}

#else

void blsh_reset_handler(void)
{
    blsh_run();
}

/* Any fault or unexpected interrupt ends the program with exit code 128 + exception number. */
static void blsh_fault_handler(void)
{
    uint32_t exception;

    __asm__ volatile("mrs %0, ipsr" : "=r"(exception));
    blsh_exit(128u + (exception & 0x7Fu));
}

typedef struct {
    uint32_t *initial_stack;
    void (*handlers[15])(void);
} blsh_vectors_t;

static const blsh_vectors_t blsh_vectors __attribute__((section(".blsh_vectors"), used)) = {
    blsh_stack_top,
    {
        blsh_reset_handler, /*  1 reset */
        blsh_fault_handler, /*  2 non-maskable interrupt */
        blsh_fault_handler, /*  3 hard fault */
        blsh_fault_handler, /*  4 memory management fault */
        blsh_fault_handler, /*  5 bus fault */
        blsh_fault_handler, /*  6 usage fault */
        0, 0, 0, 0,         /*  7 to 10 reserved */
        blsh_fault_handler, /* 11 supervisor call */
        blsh_fault_handler, /* 12 debug monitor */
        0,                  /* 13 reserved */
        blsh_fault_handler, /* 14 pending supervisor call */
        blsh_fault_handler  /* 15 system tick */
    }
};

#endif
