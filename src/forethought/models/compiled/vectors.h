/* Vectors and threads of the decode kernels.

   One thread sums each output, in an order that depends on the output's own row alone: the
   number of rows and the number of threads change no bit.

   The build sets LANES, the floats of a vector: 16 where torch packs 64 rows together
   (AVX-512), 8 where it packs 32 (AVX2). bf16 values travel in pairs, each pair a 32-bit word
   with the first value in the low half. */

#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#define GROUP 32          /* values that share a scale */
#define BLOCK (4 * LANES) /* rows that torch packs together */
#define TILE 4            /* tokens, or queries, that share one load */
#define INLINE static inline __attribute__((always_inline))

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef float quad __attribute__((vector_size(16)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint8_t octets __attribute__((vector_size(4 * LANES)));

/* ---- threads: the OpenMP runtime that torch runs on ---- */

typedef struct {
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
    void (*barrier)(void);
    int (*number)(void);
    int (*count)(void);
    unsigned threads; /* at most so many are given */
} team;

typedef struct {
    int64_t from, to;
} range;

INLINE range share_of(const team *t, int64_t parts) {
    const int64_t who = t->number(), count = t->count();
    return (range){parts * who / count, parts * (who + 1) / count};
}

/* ---- vectors ---- */

INLINE words load(const void *from) {
    words found;
    memcpy(&found, from, sizeof found);
    return found;
}

INLINE floats load_floats(const float *from) { return (floats)load(from); }
INLINE void store_floats(float *to, floats values) { memcpy(to, &values, sizeof values); }
INLINE floats first(words pairs) { return (floats)(pairs << 16); }
INLINE floats second(words pairs) { return (floats)(pairs & 0xffff0000u); }
INLINE floats every(float value) { return (floats){0} + value; }

/* Pairs of bf16 values, opened for products: as they are where the processor multiplies bf16. */
#if defined(__AVX512BF16__) && LANES == 16
typedef words pairs;

INLINE pairs opened(words values) { return values; }

INLINE floats add_products(floats sum, pairs a, pairs b) {
    return (floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#else
typedef struct {
    floats first, second;
} pairs;

INLINE pairs opened(words values) { return (pairs){first(values), second(values)}; }

INLINE floats add_products(floats sum, pairs a, pairs b) {
    sum += a.first * b.first;
    return sum + a.second * b.second;
}
#endif

INLINE words every_pair(const uint16_t *pair) {
    uint32_t word;
    memcpy(&word, pair, sizeof word);
    return (words){0} + word;
}

INLINE float wide(uint16_t value) {
    uint32_t word = (uint32_t)value << 16;
    float found;
    memcpy(&found, &word, sizeof found);
    return found;
}

/* To the nearest bf16, ties to even; what is no number stays so. */
INLINE words rounded(floats values) {
    const words bits = (words)values, nan = (words)(values != values);
    const words near = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (nan & 0x7fc0u) | (~nan & near);
}

INLINE uint16_t narrow(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? 0x7fc0u : (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

INLINE floats load_bf16(const uint16_t *from) {
    halves found;
    memcpy(&found, from, sizeof found);
    return (floats)(__builtin_convertvector(found, words) << 16);
}

INLINE void store_bf16(uint16_t *to, floats values) {
    const halves near = __builtin_convertvector(rounded(values), halves);
    memcpy(to, &near, sizeof near);
}

INLINE quad quarter(floats values, int i) {
    quad found;
    memcpy(&found, (const char *)&values + i * sizeof found, sizeof found);
    return found;
}

INLINE float sum_of(floats values) {
    quad sum = quarter(values, 0) + quarter(values, 1);
    if (LANES == 16) sum += quarter(values, LANES / 4 - 2) + quarter(values, LANES / 4 - 1);
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

#if defined(__clang__)
#define LANES_OF(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LANES_OF(a, b, ...) __builtin_shuffle(a, b, (integers){__VA_ARGS__})
#endif

/* `sum_of` of LANES vectors, bit for bit. */
INLINE floats sums_of(const floats *given) {
#if LANES == 16
    floats sums[4]; /* vector j: four partial sums of the vectors j, j + 4, j + 8 and j + 12 */
    for (int j = 0; j < 4; j++) {
        const floats a = given[j], b = given[j + 4], c = given[j + 8], d = given[j + 12];
        const floats ab = LANES_OF(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const floats cd = LANES_OF(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const floats ef = LANES_OF(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        const floats gh = LANES_OF(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        const floats low = LANES_OF(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        const floats high = LANES_OF(ef, gh, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
        const floats low2 = LANES_OF(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
        const floats high2 = LANES_OF(ef, gh, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
        sums[j] = (low + low2) + (high + high2);
    }
    floats two[2]; /* of vectors 2 j and 2 j + 1: the sums of even and of odd lanes */
    for (int j = 0; j < 2; j++) {
        const floats a = sums[2 * j], b = sums[2 * j + 1];
        two[j] = LANES_OF(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29) +
                 LANES_OF(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    }
    return LANES_OF(two[0], two[1], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           LANES_OF(two[0], two[1], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
#else
    floats sums;
    for (int i = 0; i < LANES; i++) sums[i] = sum_of(given[i]);
    return sums;
#endif
}

/* exp; arguments beyond -87 and 88 count as these, and NaN stays NaN. */
INLINE floats exponential(floats x) {
    const integers low = x < -87.0f, high = x > 88.0f;
    x = (floats)((low & (integers)every(-87.0f)) | (high & (integers)every(88.0f)) |
                 (~(low | high) & (integers)x));
    const floats turns = x * 1.44269504f + 12582912.0f; /* rounded into the low bits */
    const integers whole = (integers)turns - (integers)every(12582912.0f);
    const floats n = turns - 12582912.0f;
    const floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    floats p = r * 1.3888889e-3f + 8.3333333e-3f;
    p = p * r + 4.1666667e-2f;
    p = p * r + 1.6666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const integers found = (integers)p + (whole << 23), nan = x != x;
    return (floats)((nan & (integers)x) | (~nan & found));
}

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
