/* Tiles of a prompt's queries against tiles of keys: a query is a lane of its tile.

   Tiles of queries begin at multiples of BLOCK rows of the sequence, where a row is one query of
   the heads that share keys: row r is head r % group of token r / group. */

#pragma once

#include "matrix_unit.h"

#define KEYS 64         /* keys of a tile */
#define MOST_SIZE 256   /* the widest head */
#define QUARTERS (BLOCK / LANES)

typedef struct {
    int64_t kv_heads, group, size;
    int64_t tokens, first;   /* queries, and entries before the first of them */
    const uint16_t *queries; /* [tokens, K * G, D], a token every `stride` values */
    int64_t stride;
    float scale;
} prompt;

typedef struct {
    words query[MOST_SIZE / 2][QUARTERS];
    floats score[KEYS][QUARTERS];
    words weight[KEYS / 2][QUARTERS];
    floats total[MOST_SIZE][QUARTERS];
    floats most[QUARTERS], sum[QUARTERS];
    integers limit[QUARTERS]; /* entries that a query sees */
    uint16_t some[KEYS * MOST_SIZE]; /* a tile of keys that has too few, with zeros */
} tile_state;

/* The row of the sequence that the first tile begins with. */
INLINE int64_t origin_of(const prompt *p) { return p->first * p->group / BLOCK * BLOCK; }

INLINE int64_t tiles_of(const prompt *p) {
    return ((p->first + p->tokens) * p->group - origin_of(p) + BLOCK - 1) / BLOCK;
}

/* The rows of a tile, counted from the first query. */
INLINE range rows_of(const prompt *p, int64_t tile) {
    const int64_t start = origin_of(p) + tile * BLOCK - p->first * p->group;
    return (range){start > 0 ? start : 0, least(start + BLOCK, p->tokens * p->group)};
}

/* sums[i] += the products of row i of a with b, over `depth` pairs of values. */
INLINE void multiply_four(const uint32_t *a, int64_t row, int64_t step, int64_t depth,
                          const words (*b)[QUARTERS], floats sums[TILE][QUARTERS]) {
    for (int64_t k = 0; k < depth; k++) {
        pairs right[QUARTERS];
        for (int v = 0; v < QUARTERS; v++) right[v] = opened(b[k][v]);
        for (int i = 0; i < TILE; i++) {
            const pairs left = opened(every_pair((const uint16_t *)(a + i * row + k * step)));
            for (int v = 0; v < QUARTERS; v++)
                sums[i][v] = add_products(sums[i][v], left, right[v]);
        }
    }
}

INLINE floats greater(floats a, floats b) {
#if defined(__AVX512F__) && LANES == 16
    return (floats)_mm512_max_ps((__m512)a, (__m512)b);
#else
    const integers more = a > b;
    return (floats)((more & (integers)a) | (~more & (integers)b));
#endif
}

/* exp(x) for x up to 0, to a few units of 1e-5; below -87 as at -87. */
INLINE floats decay(floats x) {
    x = greater(x, every(-87.0f));
    const floats turns = x * 1.44269504f + 12582912.0f; /* rounded into the low bits */
    const integers whole = (integers)turns;
    const floats r = x - (turns - 12582912.0f) * 0.693147181f;
    floats p = r * 4.1666667e-2f + 1.6666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (floats)((integers)p + (whole << 23));
}

/* The scores of a tile of keys, of which `count` exist; the others score 0. */
INLINE void score_by_vectors(int64_t size, tile_state *s, const uint16_t *keys, int64_t count) {
    const int64_t pairs_of = size / 2;
    for (int64_t key = 0; key < KEYS; key += TILE) {
        floats sums[TILE][QUARTERS] = {0};
        if (key + TILE <= count)
            multiply_four((const uint32_t *)(keys + key * size), pairs_of, 1, pairs_of,
                          (const words(*)[QUARTERS])s->query, sums);
        else if (key < count)
            for (int64_t i = 0; i < count - key; i++)
                for (int64_t k = 0; k < pairs_of; k++)
                    for (int v = 0; v < QUARTERS; v++)
                        sums[i][v] = add_products(
                            sums[i][v], opened(every_pair(keys + (key + i) * size + 2 * k)),
                            opened(s->query[k][v]));
        for (int i = 0; i < TILE; i++)
            for (int v = 0; v < QUARTERS; v++) s->score[key + i][v] = sums[i][v];
    }
}

INLINE void score_by_matrix(int64_t size, tile_state *s, const uint16_t *keys, int64_t count) {
    if (count < KEYS) {
        memcpy(s->some, keys, count * size * sizeof *keys);
        memset(s->some + count * size, 0, (KEYS - count) * size * sizeof *keys);
        keys = s->some;
    }
    multiply_matrix(keys, size, KEYS, size, (const words(*)[QUARTERS])s->query, s->score, 0);
}

/* The same; where `masked`, keys that a query does not see score -inf. */
static void score_tile(int64_t size, tile_state *s, const uint16_t *keys, int64_t from,
                       int64_t count, int masked) {
    if (has_matrix_unit()) score_by_matrix(size, s, keys, count);
    else score_by_vectors(size, s, keys, count);
    for (int key = 0; masked && key < KEYS; key++)
        for (int v = 0; v < QUARTERS; v++) {
            const integers sees = s->limit[v] > (int32_t)(from + key);
            s->score[key][v] = (floats)((sees & (integers)s->score[key][v]) |
                                        (~sees & (integers)every(-INFINITY)));
        }
}

/* Puts the queries of a tile into the lanes; returns the entries that the last one sees. */
static int64_t open_tile(const prompt *p, tile_state *s, int64_t head, range rows) {
    uint32_t *lanes = (uint32_t *)s->query;
    memset(s->query, 0, p->size / 2 * sizeof s->query[0]);
    for (int64_t row = rows.from; row < rows.to; row++) {
        const int64_t token = row / p->group, query = head * p->group + row % p->group;
        const uint16_t *from = p->queries + token * p->stride + query * p->size;
        uint16_t scaled[MOST_SIZE];
        for (int64_t d = 0; d < p->size; d += LANES)
            store_bf16(scaled + d, load_bf16(from + d) * p->scale);
        for (int64_t k = 0; k < p->size / 2; k++)
            memcpy(lanes + k * BLOCK + row - rows.from, scaled + 2 * k, sizeof *lanes);
    }
    for (int64_t r = 0; r < BLOCK; r++) {
        const int64_t token = least(rows.from + r, rows.to - 1) / p->group;
        ((int32_t *)s->limit)[r] = (int32_t)(p->first + token + 1);
    }
    memset(s->total, 0, p->size * sizeof s->total[0]);
    for (int v = 0; v < QUARTERS; v++) s->most[v] = every(-INFINITY), s->sum[v] = (floats){0};
    return p->first + (rows.to - 1) / p->group + 1;
}
