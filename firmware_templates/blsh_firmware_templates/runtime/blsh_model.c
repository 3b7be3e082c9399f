/*
 * Opening a model that lies in memory as the bytes of a blsh_model.bin:
 *
 *     header     blsh_blob_t, then a blsh_section_t for each table of BLSH_TABLE_LIST
 *     tables     each from a word boundary on
 *     checksum   CRC-32 of all before it
 *
 * All numbers are little-endian. A big-endian processor finds no magic number and refuses the blob.
 * Nothing beyond the first three words is read before the length is known to be there, nothing
 * beyond the header before the checksum is known to be right. Since anyone can compute a checksum,
 * what the tables say is not believed either: blsh_check_tables() bounds it all.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <string.h>

#include "blsh_check.h"
#include "blsh_crc32.h"

#define WORD 4u

/* Where a table is. */
typedef struct {
    uint32_t offset; /* from the blob's first byte */
    uint32_t bytes;
} blsh_section_t;

typedef struct {
    uint32_t magic;
    uint32_t schema_version;
    uint32_t bytes;          /* of the blob, its checksum included                     */
    uint32_t geometry_crc32; /* BLSH_GEOMETRY_CRC32 of the firmware that it is made for */
    uint8_t sha256[32];      /* of the model file                                      */
    int16_t gain_floor_q15;
    int16_t gain_release_q15;
    uint32_t n_sections;
    blsh_section_t sections[BLSH_TABLES];
} blsh_blob_t;

#define KNOWN_BYTES (3 * WORD) /* up to the length; all schemas have these */

typedef char blsh_assert_blob_bytes[sizeof(blsh_blob_t) == 56 + 8 * BLSH_TABLES ? 1 : -1];

static blsh_status_t check_blob(const blsh_blob_t *blob, size_t bytes)
{
    uint32_t crc32;

    if (bytes < KNOWN_BYTES || blob->magic != BLSH_MODEL_MAGIC) {
        return BLSH_ERROR_MODEL;
    }
    if (blob->schema_version != BLSH_SCHEMA_VERSION) {
        return BLSH_ERROR_SCHEMA;
    }
    if (blob->bytes > bytes || blob->bytes < sizeof *blob + WORD || blob->bytes % WORD != 0) {
        return BLSH_ERROR_MODEL;
    }
    memcpy(&crc32, (const uint8_t *)blob + blob->bytes - WORD, sizeof crc32);
    if (blsh_crc32(blob, blob->bytes - WORD) != crc32) {
        return BLSH_ERROR_CHECKSUM;
    }
    if (blob->geometry_crc32 != BLSH_GEOMETRY_CRC32 || blob->n_sections != BLSH_TABLES) {
        return BLSH_ERROR_GEOMETRY;
    }
    if (blob->gain_floor_q15 < 0 || blob->gain_release_q15 < 0) {
        return BLSH_ERROR_TABLES;
    }
    return BLSH_OK;
}

/* A table's first byte and its number of elements, or NULL where it cannot be. */
static const void *find_table(const blsh_blob_t *blob, blsh_table_t table, size_t element_bytes,
                              uint32_t *size)
{
    const blsh_section_t *const section = &blob->sections[table];
    const uint32_t end = blob->bytes - WORD;

    if (section->offset % WORD != 0 || section->offset < sizeof *blob
        || !blsh_fits(section->offset, section->bytes, end)
        || section->bytes % element_bytes != 0) {
        return NULL;
    }
    *size = section->bytes / (uint32_t)element_bytes;
    return (const uint8_t *)blob + section->offset;
}

blsh_status_t blsh_model_open(blsh_model_t *model, const void *blob, size_t bytes)
{
    const blsh_blob_t *const header = (const blsh_blob_t *)blob;
    uint32_t sizes[BLSH_TABLES];
    blsh_status_t status;

    if (model == NULL || blob == NULL) {
        return BLSH_ERROR_NULL;
    }
    memset(model, 0, sizeof *model);
    if ((uintptr_t)blob % WORD != 0) {
        return BLSH_ERROR_ALIGNMENT;
    }
    status = check_blob(header, bytes);
    if (status != BLSH_OK) {
        return status;
    }
#define BLSH_TABLE_FIND(type, name)                                                              \
    model->name = (const type *)find_table(header, BLSH_TABLE_##name, sizeof(type),              \
                                           &sizes[BLSH_TABLE_##name]);                           \
    if (model->name == NULL) {                                                                   \
        return BLSH_ERROR_TABLES;                                                                \
    }
    BLSH_TABLE_LIST(BLSH_TABLE_FIND)
#undef BLSH_TABLE_FIND
    model->gain_floor_q15 = header->gain_floor_q15;
    model->gain_release_q15 = header->gain_release_q15;
    status = blsh_check_tables(model, sizes);
    if (status == BLSH_OK) {
        model->magic = BLSH_MODEL_MAGIC; /* which blsh_init_model() asks for */
    }
    return status;
}
