/*
 * Real-time denoising on a bare STM32F407: I2S in and out by double-buffered DMA.
 *
 *     I2S2ext_SD (PC2) -> DMA1 stream 3 -> received[2 halves]   half full: interrupt
 *                                          denoise one half      PendSV, below all interrupts
 *     I2S2_SD (PC3)    <- DMA1 stream 4 <- sent[2 halves]
 *
 * Both streams run in circles over two halves of one hop each. While the DMA fills and empties one
 * half, the denoiser works on the other: it has one hop's time (32 ms for 512 samples at 16 kHz).
 * From microphone to loudspeaker the sound takes two hops of buffers and BLSH_LATENCY_SAMPLES.
 *
 * A skeleton: pins and clocks are those of an STM32F407 with an 8 MHz crystal and an I2S codec or
 * microphone and amplifier on I2S2 (WS PB12, CK PB13); a codec's own set-up is left out. For a
 * PDM microphone see pdm.h. Compile it with an exported folder, ST's "stm32f4xx.h" and start-up
 * code, and -DSTM32F407xx.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "stm32f4xx.h"

#include "blsh.h"

#define HALVES 2u
#define CHANNELS 2u /* I2S always carries two; the left one is denoised and sent on both */
#define HALF_SAMPLES (CHANNELS * BLSH_HOP)

/* The DMA reads and writes these: on parts with a data cache they must be uncached. */
static int16_t received[HALVES * HALF_SAMPLES];
static int16_t sent[HALVES * HALF_SAMPLES];

static blsh_state_t state;
static volatile uint32_t ready_half;
static volatile uint32_t hops_arrived;
static uint32_t hops_done;

/* Hops that came too late for the loudspeaker: must stay 0. Watch it with the debugger. */
volatile uint32_t underruns;

static void start_clocks(void)
{
    RCC->AHB1ENR |= RCC_AHB1ENR_GPIOBEN | RCC_AHB1ENR_GPIOCEN | RCC_AHB1ENR_DMA1EN;
    RCC->APB1ENR |= RCC_APB1ENR_SPI2EN;

    /* 1 MHz * 192 / 3 = 64 MHz for I2S, where the main PLL's M makes 1 MHz of the crystal. */
    RCC->PLLI2SCFGR = (192u << RCC_PLLI2SCFGR_PLLI2SN_Pos) | (3u << RCC_PLLI2SCFGR_PLLI2SR_Pos);
    RCC->CR |= RCC_CR_PLLI2SON;
    while ((RCC->CR & RCC_CR_PLLI2SRDY) == 0u) {
    }
}

/* Alternate function of a pin: 5 is I2S2, 6 is I2S2ext. */
static void use_pin(GPIO_TypeDef *port, uint32_t pin, uint32_t function)
{
    port->MODER = (port->MODER & ~(3u << (2u * pin))) | (2u << (2u * pin));
    port->AFR[pin / 8u] =
        (port->AFR[pin / 8u] & ~(0xFu << (4u * (pin % 8u)))) | (function << (4u * (pin % 8u)));
}

/* Circular, 16 bits, memory incremented; `direction` is 0 for in, DMA_SxCR_DIR_0 for out. */
static void start_stream(DMA_Stream_TypeDef *stream, uint32_t channel, volatile uint32_t *data,
                         int16_t *memory, uint32_t options)
{
    stream->CR = 0u;
    while ((stream->CR & DMA_SxCR_EN) != 0u) {
    }
    stream->PAR = (uint32_t)(uintptr_t)data;
    stream->M0AR = (uint32_t)(uintptr_t)memory;
    stream->NDTR = HALVES * HALF_SAMPLES;
    stream->CR = (channel << DMA_SxCR_CHSEL_Pos) | DMA_SxCR_PL_1 | DMA_SxCR_MSIZE_0
               | DMA_SxCR_PSIZE_0 | DMA_SxCR_MINC | DMA_SxCR_CIRC | options;
    stream->CR |= DMA_SxCR_EN;
}

static void start_i2s(void)
{
    use_pin(GPIOB, 12u, 5u);
    use_pin(GPIOB, 13u, 5u);
    use_pin(GPIOC, 2u, 6u);
    use_pin(GPIOC, 3u, 5u);

    /* 64 MHz / (32 bits * (2 * 62 + 1)) = 16000 Hz exactly. */
    SPI2->I2SPR = (62u << SPI_I2SPR_I2SDIV_Pos) | SPI_I2SPR_ODD;
    SPI2->I2SCFGR = SPI_I2SCFGR_I2SMOD | SPI_I2SCFGR_I2SCFG_1; /* Philips, 16 bits, master out */
    I2S2ext->I2SCFGR = SPI_I2SCFGR_I2SMOD | SPI_I2SCFGR_I2SCFG_0; /* slave in */
    SPI2->CR2 = SPI_CR2_TXDMAEN;
    I2S2ext->CR2 = SPI_CR2_RXDMAEN;

    start_stream(DMA1_Stream3, 3u, &I2S2ext->DR, received, DMA_SxCR_HTIE | DMA_SxCR_TCIE);
    start_stream(DMA1_Stream4, 0u, &SPI2->DR, sent, DMA_SxCR_DIR_0);

    NVIC_SetPriority(PendSV_IRQn, 15u);
    NVIC_SetPriority(DMA1_Stream3_IRQn, 1u);
    NVIC_EnableIRQ(DMA1_Stream3_IRQn);

    I2S2ext->I2SCFGR |= SPI_I2SCFGR_I2SE;
    SPI2->I2SCFGR |= SPI_I2SCFGR_I2SE;
}

/* A half is full: note which and leave the work to PendSV. */
void DMA1_Stream3_IRQHandler(void)
{
    const uint32_t flags = DMA1->LISR;

    DMA1->LIFCR = DMA_LIFCR_CHTIF3 | DMA_LIFCR_CTCIF3;
    ready_half = (flags & DMA_LISR_TCIF3) != 0u ? 1u : 0u;
    hops_arrived++;
    SCB->ICSR = SCB_ICSR_PENDSVSET_Msk;
}

/* The lowest priority: everything else in the firmware may interrupt the denoiser. */
void PendSV_Handler(void)
{
    const uint32_t arrived = hops_arrived;
    const uint32_t half = ready_half;
    const int16_t *from = received + half * HALF_SAMPLES;
    int16_t *to = sent + half * HALF_SAMPLES;
    int16_t hop[BLSH_HOP];
    uint32_t n;

    for (n = 0; n < BLSH_HOP; n++) {
        hop[n] = from[CHANNELS * n];
    }
    (void)blsh_process(&state, hop, hop);
    for (n = 0; n < BLSH_HOP; n++) {
        to[CHANNELS * n] = hop[n];
        to[CHANNELS * n + 1u] = hop[n];
    }
    hops_done++;
    if (hops_arrived != arrived || hops_done != arrived) {
        underruns++;
        hops_done = hops_arrived;
    }
}

int main(void)
{
    (void)blsh_init(&state);
    start_clocks();
    start_i2s();
    for (;;) {
        __WFI();
    }
}
