/*
 * Stub of ST's device header for the STM32F407: the registers and bits that the example uses, so
 * that it compiles without ST's package. Names and bit positions are those of RM0090; registers
 * lie in ordinary memory, so nothing works.
 */
#ifndef STM32F4XX_H
#define STM32F4XX_H

#include <stdint.h>

#define __IO volatile

typedef struct {
    __IO uint32_t CR, PLLI2SCFGR, AHB1ENR, APB1ENR;
} RCC_TypeDef;

typedef struct {
    __IO uint32_t MODER, AFR[2];
} GPIO_TypeDef;

typedef struct {
    __IO uint32_t CR1, CR2, SR, DR, I2SCFGR, I2SPR;
} SPI_TypeDef;

typedef struct {
    __IO uint32_t CR, NDTR, PAR, M0AR, M1AR, FCR;
} DMA_Stream_TypeDef;

typedef struct {
    __IO uint32_t LISR, HISR, LIFCR, HIFCR;
} DMA_TypeDef;

typedef struct {
    __IO uint32_t ICSR;
} SCB_Type;

typedef enum { PendSV_IRQn = -2, DMA1_Stream3_IRQn = 14 } IRQn_Type;

extern RCC_TypeDef stub_rcc;
extern GPIO_TypeDef stub_gpiob, stub_gpioc;
extern SPI_TypeDef stub_spi2, stub_i2s2ext;
extern DMA_Stream_TypeDef stub_stream3, stub_stream4;
extern DMA_TypeDef stub_dma1;
extern SCB_Type stub_scb;

#define RCC (&stub_rcc)
#define GPIOB (&stub_gpiob)
#define GPIOC (&stub_gpioc)
#define SPI2 (&stub_spi2)
#define I2S2ext (&stub_i2s2ext)
#define DMA1_Stream3 (&stub_stream3)
#define DMA1_Stream4 (&stub_stream4)
#define DMA1 (&stub_dma1)
#define SCB (&stub_scb)

#define RCC_CR_PLLI2SON (1u << 26)
#define RCC_CR_PLLI2SRDY (1u << 27)
#define RCC_PLLI2SCFGR_PLLI2SN_Pos 6u
#define RCC_PLLI2SCFGR_PLLI2SR_Pos 28u
#define RCC_AHB1ENR_GPIOBEN (1u << 1)
#define RCC_AHB1ENR_GPIOCEN (1u << 2)
#define RCC_AHB1ENR_DMA1EN (1u << 21)
#define RCC_APB1ENR_SPI2EN (1u << 14)

#define SPI_CR2_RXDMAEN (1u << 0)
#define SPI_CR2_TXDMAEN (1u << 1)
#define SPI_I2SCFGR_I2SCFG_0 (1u << 8)
#define SPI_I2SCFGR_I2SCFG_1 (1u << 9)
#define SPI_I2SCFGR_I2SE (1u << 10)
#define SPI_I2SCFGR_I2SMOD (1u << 11)
#define SPI_I2SPR_I2SDIV_Pos 0u
#define SPI_I2SPR_ODD (1u << 8)

#define DMA_SxCR_EN (1u << 0)
#define DMA_SxCR_HTIE (1u << 3)
#define DMA_SxCR_TCIE (1u << 4)
#define DMA_SxCR_DIR_0 (1u << 6)
#define DMA_SxCR_CIRC (1u << 8)
#define DMA_SxCR_MINC (1u << 10)
#define DMA_SxCR_PSIZE_0 (1u << 11)
#define DMA_SxCR_MSIZE_0 (1u << 13)
#define DMA_SxCR_PL_1 (1u << 17)
#define DMA_SxCR_CHSEL_Pos 25u
#define DMA_LISR_TCIF3 (1u << 27)
#define DMA_LIFCR_CHTIF3 (1u << 26)
#define DMA_LIFCR_CTCIF3 (1u << 27)

#define SCB_ICSR_PENDSVSET_Msk (1u << 28)

void NVIC_SetPriority(IRQn_Type interrupt, uint32_t priority);
void NVIC_EnableIRQ(IRQn_Type interrupt);
void __WFI(void);
void DMA1_Stream3_IRQHandler(void);
void PendSV_Handler(void);

#endif
