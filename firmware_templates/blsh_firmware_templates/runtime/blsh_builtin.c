/*
 * The model that is compiled in. Firmware whose only model is a blob defines BLSH_NO_BUILTIN_MODEL,
 * which leaves these tables, and blsh_init() with them, out of its image.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include "blsh_stages.h"

#ifndef BLSH_NO_BUILTIN_MODEL

#include "blsh_codes.h"
#include "blsh_masks.h"
#include "blsh_projection.h"

static const blsh_model_t builtin_model = {
    BLSH_MODEL_MAGIC,
    BLSH_GAIN_FLOOR_Q15,
    BLSH_GAIN_RELEASE_Q15,
#define BLSH_TABLE_BUILTIN(type, name) blsh_##name,
    BLSH_TABLE_LIST(BLSH_TABLE_BUILTIN)
#undef BLSH_TABLE_BUILTIN
};

blsh_status_t blsh_init(blsh_state_t *state)
{
    return blsh_init_model(state, &builtin_model);
}

#endif
