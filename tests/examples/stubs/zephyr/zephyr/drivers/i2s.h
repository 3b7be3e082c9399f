#ifndef ZEPHYR_I2S_H
#define ZEPHYR_I2S_H

#include <zephyr/device.h>
#include <zephyr/kernel.h>

enum i2s_dir { I2S_DIR_RX, I2S_DIR_TX, I2S_DIR_BOTH };
enum i2s_trigger_cmd { I2S_TRIGGER_START, I2S_TRIGGER_STOP };

#define I2S_FMT_DATA_FORMAT_I2S 0u
#define I2S_OPT_BIT_CLK_MASTER 0u
#define I2S_OPT_FRAME_CLK_MASTER 0u

struct i2s_config {
    uint8_t word_size, channels, format, options;
    uint32_t frame_clk_freq;
    struct k_mem_slab *mem_slab;
    size_t block_size;
    int32_t timeout;
};

int i2s_configure(const struct device *dev, enum i2s_dir dir, const struct i2s_config *cfg);
int i2s_write(const struct device *dev, void *mem_block, size_t size);
int i2s_trigger(const struct device *dev, enum i2s_dir dir, enum i2s_trigger_cmd cmd);

#endif
