/*
 * Zephyr: digital microphone in, denoised, I2S out.
 *
 * The node labels dmic_dev and i2s_tx name the microphone and the output: boards/ has an overlay
 * that gives them on an nRF52840 DK. Blocks are of one hop, so that each that arrives is one call
 * of the denoiser.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <zephyr/audio/dmic.h>
#include <zephyr/device.h>
#include <zephyr/drivers/i2s.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include <blsh.h>

LOG_MODULE_REGISTER(denoise);

#define BLOCK_BYTES (BLSH_HOP * sizeof(int16_t))
#define READ_TIMEOUT_MS 1000

/* One block at the microphone, one in work, one at the output, one to spare. */
K_MEM_SLAB_DEFINE_STATIC(in_blocks, BLOCK_BYTES, 4, 4);
K_MEM_SLAB_DEFINE_STATIC(out_blocks, BLOCK_BYTES, 4, 4);

static blsh_state_t state;

static int start_microphone(const struct device *microphone)
{
    struct pcm_stream_cfg stream = {
        .pcm_rate = BLSH_SAMPLE_RATE,
        .pcm_width = 16,
        .block_size = BLOCK_BYTES,
        .mem_slab = &in_blocks,
    };
    struct dmic_cfg config = {
        .io = {
            .min_pdm_clk_freq = 1000000,
            .max_pdm_clk_freq = 3500000,
            .min_pdm_clk_dc = 40,
            .max_pdm_clk_dc = 60,
        },
        .streams = &stream,
        .channel = {
            .req_num_streams = 1,
            .req_num_chan = 1,
            .req_chan_map_lo = dmic_build_channel_map(0, 0, PDM_CHAN_LEFT),
        },
    };
    int error = dmic_configure(microphone, &config);

    return error < 0 ? error : dmic_trigger(microphone, DMIC_TRIGGER_START);
}

static int configure_output(const struct device *output)
{
    const struct i2s_config config = {
        .word_size = 16,
        .channels = 1,
        .format = I2S_FMT_DATA_FORMAT_I2S,
        .options = I2S_OPT_BIT_CLK_MASTER | I2S_OPT_FRAME_CLK_MASTER,
        .frame_clk_freq = BLSH_SAMPLE_RATE,
        .mem_slab = &out_blocks,
        .block_size = BLOCK_BYTES,
        .timeout = READ_TIMEOUT_MS,
    };

    return i2s_configure(output, I2S_DIR_TX, &config);
}

/* One hop from the microphone to the output. */
static int denoise_block(const struct device *microphone, const struct device *output)
{
    void *in, *out;
    size_t size;
    int error = dmic_read(microphone, 0, &in, &size, READ_TIMEOUT_MS);

    if (error < 0) {
        return error;
    }
    error = k_mem_slab_alloc(&out_blocks, &out, K_NO_WAIT);
    if (error == 0) {
        (void)blsh_process(&state, in, out);
        error = i2s_write(output, out, BLOCK_BYTES);
        if (error < 0) {
            k_mem_slab_free(&out_blocks, out);
        }
    }
    k_mem_slab_free(&in_blocks, in);
    return error;
}

int main(void)
{
    const struct device *const microphone = DEVICE_DT_GET(DT_NODELABEL(dmic_dev));
    const struct device *const output = DEVICE_DT_GET(DT_NODELABEL(i2s_tx));
    unsigned blocks = 0;
    int error;

    if (!device_is_ready(microphone) || !device_is_ready(output)) {
        LOG_ERR("a device is not ready");
        return 0;
    }
    (void)blsh_init(&state);
    error = configure_output(output);
    if (error == 0) {
        error = start_microphone(microphone);
    }
    while (error == 0) {
        error = denoise_block(microphone, output);
        /* Two blocks of head start keep the output from running dry. */
        if (error == 0 && ++blocks == 2) {
            error = i2s_trigger(output, I2S_DIR_TX, I2S_TRIGGER_START);
        }
    }
    LOG_ERR("audio stopped: %d", error);
    return 0;
}
