/*
 * K nearest codes by Hamming distance, for many queries, on the machine that trains and measures.
 *
 * Codes are searched exhaustively, as blsh_search() does on the device and with the same results:
 * ascending distances, equal ones in the order of the dictionary. The dictionary is stored in
 * blocks of LANES codes, the first words of all of them, then their second words and so on, so that
 * a vector register takes the same word of several codes and each code's distance grows in a lane
 * of its own.
 *
 * Few codes of a dictionary are nearer than the Kth of those before them. The scan therefore looks
 * for nothing but the next block with such a code, and what happens to that one is not worth
 * vectorising. A tile of the dictionary is scanned for several queries while it is in the cache.
 *
 * The scan is compiled for each kind of processor that it has instructions for. Which of them are
 * there is asked at run time: a library may be cached in a home directory that many machines share.
 *
 * SPDX-License-Identifier: MIT-0
 */
#include <stddef.h>
#include <stdint.h>

#define LANES 16           /* codes of a block: a 512-bit register of words                   */
#define TILE_BLOCKS 32     /* 10 KiB of codes of 160 bits, for which any first level has room */
#define QUERIES 8          /* that share a tile                                               */
#define MAX_BITS 1024      /* of a code                                                       */
#define BYTE_WORDS 31      /* words whose ones can be counted in bytes: up to 8 of each       */
#define MAX_CANDIDATES 512 /* of a query: twice the most neighbours, so that few run out of it */

#if defined(__x86_64__) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 8))
#define HAS_X86 1
#include <cpuid.h>
#include <immintrin.h>
#else
#define HAS_X86 0
#endif

/* Vectors may be read from any words, but are faster where they do not cross a cache line. */
#if defined(__GNUC__)
typedef uint32_t blsh_v128_t __attribute__((vector_size(16), aligned(4), may_alias));
#else
typedef uint32_t blsh_v128_t;
#endif

/* See blsh_batch_scan.h. */
typedef size_t blsh_scan_t(const uint32_t *blocks, size_t n_blocks, const uint32_t *query,
                           size_t n_words, uint32_t limit, uint32_t *distance);

/* What the portable scan needs, in operations that any vector unit has. */
static inline blsh_v128_t ones_in_bytes(blsh_v128_t x)
{
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    return (x + (x >> 4)) & 0x0F0F0F0Fu;
}

#define ADD_FOUR_BYTES(x) \
    ((((x) & 0xFFu) + (((x) >> 8) & 0xFFu)) + ((((x) >> 16) & 0xFFu) + ((x) >> 24)))

static inline int any_of_128(blsh_v128_t x)
{
#if defined(__GNUC__)
    return (x[0] | x[1] | x[2] | x[3]) != 0;
#else
    return x != 0;
#endif
}

#define SCAN scan_portable
#define TARGET
#define VECTOR blsh_v128_t
#define ONES(x) ones_in_bytes(x)
#define ADD_BYTES(x) ADD_FOUR_BYTES(x)
#define ANY(x) any_of_128(x)
#include "blsh_batch_scan.h"

#if HAS_X86

typedef uint32_t blsh_v256_t __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t blsh_v512_t __attribute__((vector_size(64), aligned(4), may_alias));

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512vpopcntdq")))

/* Two table look-ups of 4 bits each (Mula, Kurz and Lemire 2018). */
AVX2 static inline __m256i ones_in_bytes_avx2(__m256i x)
{
    const __m256i ones = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi32(x, 4), low);

    return _mm256_add_epi8(_mm256_shuffle_epi8(ones, _mm256_and_si256(x, low)),
                           _mm256_shuffle_epi8(ones, high));
}

#define SCAN scan_avx2
#define TARGET AVX2
#define VECTOR blsh_v256_t
#define ONES(x) (blsh_v256_t)ones_in_bytes_avx2((__m256i)(x))
#define ADD_BYTES(x) ADD_FOUR_BYTES(x)
#define ANY(x) !_mm256_testz_si256((__m256i)(x), (__m256i)(x))
#include "blsh_batch_scan.h"

#define SCAN scan_avx512
#define TARGET AVX512
#define VECTOR blsh_v512_t
#define ONES(x) (blsh_v512_t)_mm512_popcnt_epi32((__m512i)(x))
#define ADD_BYTES(x) (x)
#define ANY(x) _mm512_test_epi32_mask((__m512i)(x), (__m512i)(x))
#include "blsh_batch_scan.h"

/* Registers whose contents the operating system keeps (XCR0). */
static uint32_t kept_registers(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/*
 * Whether this processor and its operating system have all of some features.
 *
 *   ebx, ecx   bits of CPUID's leaf 7
 *   kept       bits of XCR0
 *
 * __builtin_cpu_supports() would do, were it not always false with ziglang's compiler.
 */
static int has_features(uint32_t ebx, uint32_t ecx, uint32_t kept)
{
    uint32_t a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_OSXSAVE) == 0
        || (kept_registers() & kept) != kept) {
        return 0;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & ebx) == ebx && (c & ecx) == ecx;
}

#endif

/* Whether this processor can run a variant: 0 portable, 1 AVX2, 2 AVX-512 with VPOPCNTDQ. */
int blsh_batch_search_has(unsigned variant)
{
#if HAS_X86
    if (variant == 1) {
        return has_features(bit_AVX2, 0, 0x6);
    }
    if (variant == 2) {
        return has_features(bit_AVX512F, bit_AVX512VPOPCNTDQ, 0xE6);
    }
#endif
    return variant == 0;
}

static blsh_scan_t *scan_of(unsigned variant)
{
#if HAS_X86
    if (variant == 1) {
        return scan_avx2;
    }
    if (variant == 2) {
        return scan_avx512;
    }
#else
    (void)variant;
#endif
    return scan_portable;
}

typedef struct {
    uint32_t index, distance;
} blsh_candidate_t;

/*
 * The candidates for the K nearest of a query. Fewer than K codes have been found nearer than
 * `limit`; once there are K candidates at all, it is the distance of the Kth.
 */
typedef struct {
    uint32_t limit, nearer;
    size_t n_candidates;
    blsh_candidate_t candidate[MAX_CANDIDATES]; /* equal distances in the order of the dictionary */
    uint16_t count[MAX_BITS + 2]; /* candidates at each distance up to the limit */
} blsh_nearest_t;

static void start_nearest(blsh_nearest_t *nearest, size_t n_words)
{
    size_t n;

    nearest->limit = (uint32_t)(32 * n_words + 1); /* which no distance reaches */
    nearest->nearer = 0;
    nearest->n_candidates = 0;
    for (n = 0; n <= nearest->limit; n++) {
        nearest->count[n] = 0;
    }
}

/* The K nearest candidates in their order: a counting sort. */
static void sort_candidates(const blsh_nearest_t *nearest, size_t neighbours, int64_t *index,
                            int64_t *distance)
{
    uint32_t place[MAX_BITS + 1];
    uint32_t d, next = 0;
    size_t n;

    for (d = 0; d <= nearest->limit; d++) {
        place[d] = next;
        next += nearest->count[d];
    }
    for (n = 0; n < nearest->n_candidates; n++) {
        d = nearest->candidate[n].distance;
        if (d <= nearest->limit && place[d] < neighbours) {
            index[place[d]] = nearest->candidate[n].index;
            distance[place[d]] = d;
            place[d]++;
        }
    }
}

/* Keep the K nearest candidates only; `index` and `distance` have room for them. */
static void drop_candidates(blsh_nearest_t *nearest, size_t neighbours, int64_t *index,
                            int64_t *distance)
{
    size_t n;

    sort_candidates(nearest, neighbours, index, distance);
    for (n = 0; n < neighbours; n++) {
        nearest->candidate[n].index = (uint32_t)index[n];
        nearest->candidate[n].distance = (uint32_t)distance[n];
    }
    nearest->n_candidates = neighbours;
    nearest->count[nearest->limit] = (uint16_t)(neighbours - nearest->nearer);
}

/*
 * Add a code if it is nearer than the limit. Whether it is cannot be foreseen, so there is no
 * branch on it: the code is written to the next place, which is taken or not.
 */
static void add_if_nearer(blsh_nearest_t *nearest, size_t neighbours, size_t index, uint32_t d)
{
    blsh_candidate_t *const next = &nearest->candidate[nearest->n_candidates];
    const unsigned is_nearer = d < nearest->limit;

    next->index = (uint32_t)index;
    next->distance = d;
    nearest->n_candidates += is_nearer;
    nearest->count[d] = (uint16_t)(nearest->count[d] + is_nearer);
    nearest->nearer += is_nearer;
    while (nearest->nearer >= neighbours) {
        nearest->limit--;
        nearest->nearer -= nearest->count[nearest->limit];
    }
}

/* The dictionary and what is asked of it; see blsh_batch_search(). */
typedef struct {
    blsh_scan_t *scan;
    const uint32_t *blocks;
    size_t n_codes, n_words, neighbours;
} blsh_search_t;

/* Look for candidates among some blocks; `index` and `distance` are for drop_candidates(). */
static void search_blocks(const blsh_search_t *search, size_t first, size_t end,
                          const uint32_t *query, blsh_nearest_t *nearest, int64_t *index,
                          int64_t *distance)
{
    const size_t block_words = LANES * search->n_words;
    uint32_t found[LANES];
    size_t block, code;

    for (block = first; block < end; block++) {
        block += search->scan(search->blocks + block * block_words, end - block, query,
                              search->n_words, nearest->limit, found);
        if (block == end) {
            return;
        }
        if (nearest->n_candidates > MAX_CANDIDATES - LANES) {
            drop_candidates(nearest, search->neighbours, index, distance);
        }
        for (code = block * LANES; code < (block + 1) * LANES && code < search->n_codes; code++) {
            add_if_nearer(nearest, search->neighbours, code, found[code % LANES]);
        }
    }
}

/* Search for up to QUERIES queries at once. */
static void search_together(const blsh_search_t *search, const uint32_t *queries, size_t n_queries,
                            int64_t *index, int64_t *distance)
{
    const size_t n_blocks = (search->n_codes + LANES - 1) / LANES;
    const size_t neighbours = search->neighbours;
    blsh_nearest_t nearest[QUERIES];
    size_t first, n;

    for (n = 0; n < n_queries; n++) {
        start_nearest(&nearest[n], search->n_words);
    }
    for (first = 0; first < n_blocks; first += TILE_BLOCKS) {
        const size_t end = n_blocks - first < TILE_BLOCKS ? n_blocks : first + TILE_BLOCKS;

        for (n = 0; n < n_queries; n++) {
            search_blocks(search, first, end, queries + n * search->n_words, &nearest[n],
                          index + n * neighbours, distance + n * neighbours);
        }
    }
    for (n = 0; n < n_queries; n++) {
        sort_candidates(&nearest[n], neighbours, index + n * neighbours,
                        distance + n * neighbours);
    }
}

/*
 * Find the K nearest codes of each query.
 *
 *   variant     one that blsh_batch_search_has(), which takes longer to ask than a short search
 *   blocks      LANES codes each: their first words, their second words and so on; the last block
 *               is filled up with any codes
 *   n_codes     without those, less than 2^32
 *   n_words     of a code, 1 to 32
 *   queries     n_words each
 *   neighbours  K, 1 to 255 and at most n_codes
 *   index       K for each query, the nearest first and of equal distance the one of lowest index
 *   distance    the same
 *
 * It takes some 55 KiB of stack and no other memory.
 */
void blsh_batch_search(unsigned variant, const uint32_t *blocks, size_t n_codes, size_t n_words,
                       const uint32_t *queries, size_t n_queries, size_t neighbours,
                       int64_t *index, int64_t *distance)
{
    const blsh_search_t search = {scan_of(variant), blocks, n_codes, n_words, neighbours};
    size_t first;

    for (first = 0; first < n_queries; first += QUERIES) {
        const size_t together = n_queries - first < QUERIES ? n_queries - first : QUERIES;

        search_together(&search, queries + first * n_words, together, index + first * neighbours,
                        distance + first * neighbours);
    }
}
