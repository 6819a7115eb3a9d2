/* Causal attention of a prompt's tokens, by tiles of queries and keys.

   A query is a lane of its tile, and the tiles of keys begin at fixed entries: the other queries,
   the number of threads and where a prefill resumes change no bit. */

#include "vectors.h"

#define KEYS 64         /* keys of a tile */
#define MOST_SIZE 256   /* the widest head */
#define QUARTERS (BLOCK / LANES)

typedef struct {
    const team *team;
    int64_t kv_heads, group, size;
    int64_t tokens, first;   /* queries, and entries before the first of them */
    const uint16_t *queries; /* [tokens, K * G, D], a token every `query_stride` values */
    int64_t query_stride;
    float scale;
    const uint16_t *keys;    /* [K, entries, D], a head every `key_stride` values */
    int64_t key_stride;
    const uint32_t *values; /* [K, tiles * KEYS / 2, D]: the values of two keys in a word */
    int64_t value_stride;
    uint16_t *mixed; /* [tokens, K * G * D] */
    const uint8_t *seen; /* [K, choices, blocks]: the blocks that a query sees; none: all of them */
    int64_t choices, blocks;
    int64_t alike, block;     /* queries with one choice; keys of a block, a multiple of KEYS */
    const uint16_t *mean_keys;   /* [K, means, D], or none: the keys that stand for unseen blocks */
    const uint32_t *mean_values; /* [K, tiles * KEYS / 2, D] */
    int64_t means, mean_stride, mean_value_stride;
    int64_t *next;   /* the next tile of queries that no thread has taken */
} prefill_job;

typedef struct {
    words query[MOST_SIZE / 2][QUARTERS];
    floats score[KEYS][QUARTERS];
    words weight[KEYS / 2][QUARTERS];
    floats total[MOST_SIZE][QUARTERS];
    floats most[QUARTERS], sum[QUARTERS];
    integers limit[QUARTERS]; /* entries that a query sees */
} tile_state;

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

/* The scores of a tile of keys, of which `count` exist. */
static void score_tile(const prefill_job *j, tile_state *s, const uint16_t *keys, int64_t from,
                       int64_t count, int masked) {
    const int64_t pairs_of = j->size / 2;
    for (int64_t key = 0; key < KEYS; key += TILE) {
        floats sums[TILE][QUARTERS] = {0};
        if (key + TILE <= count)
            multiply_four((const uint32_t *)(keys + key * j->size), pairs_of, 1, pairs_of,
                          (const words(*)[QUARTERS])s->query, sums);
        else if (key < count)
            for (int64_t i = 0; i < count - key; i++)
                for (int64_t k = 0; k < pairs_of; k++)
                    for (int v = 0; v < QUARTERS; v++)
                        sums[i][v] = add_products(
                            sums[i][v], opened(every_pair(keys + (key + i) * j->size + 2 * k)),
                            opened(s->query[k][v]));
        for (int i = 0; i < TILE; i++)
            for (int v = 0; v < QUARTERS; v++) {
                floats score = sums[i][v];
                if (masked) {
                    const integers sees = s->limit[v] > (int32_t)(from + key + i);
                    score = (floats)((sees & (integers)score) | (~sees & (integers)every(-INFINITY)));
                }
                s->score[key + i][v] = score;
            }
    }
}

/* Pairs of bf16, rounded half up: weights are positive. */
INLINE words paired(floats even, floats odd) {
    return ((words)even + 0x8000u) >> 16 | (((words)odd + 0x8000u) & 0xffff0000u);
}

/* The weights of a tile of keys; scales what was summed before to the new maximum. */
static void weigh_tile(const prefill_job *j, tile_state *s) {
    for (int v = 0; v < QUARTERS; v++) {
        floats most = s->most[v];
        for (int key = 0; key < KEYS; key++) most = greater(s->score[key][v], most);
        const floats factor = decay(s->most[v] - most);
        floats sum = s->sum[v] * factor;
        for (int key = 0; key < KEYS; key += 2) {
            const floats even = decay(s->score[key][v] - most);
            const floats odd = decay(s->score[key + 1][v] - most);
            sum += even + odd;
            s->weight[key / 2][v] = paired(even, odd);
        }
        if (memcmp(&s->most[v], &most, sizeof most))
            for (int64_t d = 0; d < j->size; d++) s->total[d][v] *= factor;
        s->most[v] = most;
        s->sum[v] = sum;
    }
}

static void mix_tile(const prefill_job *j, tile_state *s, const uint32_t *values) {
    for (int64_t d = 0; d < j->size; d += TILE) {
        floats sums[TILE][QUARTERS];
        for (int i = 0; i < TILE; i++)
            for (int v = 0; v < QUARTERS; v++) sums[i][v] = s->total[d + i][v];
        multiply_four(values + d, 1, j->size, KEYS / 2, (const words(*)[QUARTERS])s->weight, sums);
        for (int i = 0; i < TILE; i++)
            for (int v = 0; v < QUARTERS; v++) s->total[d + i][v] = sums[i][v];
    }
}

/* Puts the queries from `row` on into the lanes; returns the entries that the last one sees. */
static int64_t open_tile(const prefill_job *j, tile_state *s, int64_t head, int64_t row,
                         int64_t rows) {
    uint32_t *lanes = (uint32_t *)s->query;
    memset(s->query, 0, j->size / 2 * sizeof s->query[0]);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t token = (row + r) / j->group, query = head * j->group + (row + r) % j->group;
        const uint16_t *from = j->queries + token * j->query_stride + query * j->size;
        uint16_t scaled[MOST_SIZE];
        for (int64_t d = 0; d < j->size; d += LANES)
            store_bf16(scaled + d, load_bf16(from + d) * j->scale);
        for (int64_t k = 0; k < j->size / 2; k++)
            memcpy(lanes + k * BLOCK + r, scaled + 2 * k, sizeof *lanes);
    }
    for (int64_t r = 0; r < BLOCK; r++) {
        const int64_t token = (row + least(r, rows - 1)) / j->group;
        ((int32_t *)s->limit)[r] = (int32_t)(j->first + token + 1);
    }
    memset(s->total, 0, j->size * sizeof s->total[0]);
    for (int v = 0; v < QUARTERS; v++) s->most[v] = every(-INFINITY), s->sum[v] = (floats){0};
    return j->first + (row + rows - 1) / j->group + 1;
}

static void close_tile(const prefill_job *j, tile_state *s, int64_t head, int64_t row,
                       int64_t rows) {
    for (int v = 0; v < QUARTERS; v++) {
        const floats share = 1.0f / s->sum[v];
        for (int64_t d = 0; d < j->size; d += 2) {
            const words even = rounded(s->total[d][v] * share);
            s->query[d / 2][v] = even | rounded(s->total[d + 1][v] * share) << 16;
        }
    }
    const uint32_t *lanes = (const uint32_t *)s->query;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t token = (row + r) / j->group, query = head * j->group + (row + r) % j->group;
        uint16_t *to = j->mixed + (token * j->kv_heads * j->group + query) * j->size;
        for (int64_t k = 0; k < j->size / 2; k++)
            memcpy(to + 2 * k, lanes + k * BLOCK + r, sizeof *lanes);
    }
}

/* The blocks that the queries from `row` on see, or none. */
INLINE const uint8_t *choice_of(const prefill_job *j, int64_t head, int64_t row) {
    const int64_t choice = row / j->group / j->alike;
    return j->seen ? j->seen + (head * j->choices + choice) * j->blocks : 0;
}

/* The mean of an unseen block attends as often as the block has keys. */
static void attend_means(const prefill_job *j, tile_state *s, int64_t head, const uint8_t *seen,
                         int64_t complete) {
    const floats often = every(logf((float)j->block));
    for (int64_t from = 0; from < complete; from += KEYS) {
        const int64_t count = least(KEYS, complete - from);
        score_tile(j, s, j->mean_keys + head * j->mean_stride + from * j->size, from, count, 0);
        for (int64_t key = 0; key < KEYS; key++) {
            const int hidden = key >= count || seen[from + key];
            for (int v = 0; v < QUARTERS; v++)
                s->score[key][v] = hidden ? every(-INFINITY) : s->score[key][v] + often;
        }
        weigh_tile(j, s);
        mix_tile(j, s, j->mean_values + head * j->mean_value_stride + from / 2 * j->size);
    }
}

static void attend_tile(const prefill_job *j, tile_state *s, int64_t head, int64_t row) {
    const int64_t rows = least(BLOCK, j->tokens * j->group - row);
    const int64_t seen = open_tile(j, s, head, row, rows);
    const int64_t all_see = j->first + row / j->group + 1; /* entries that every query sees */
    const uint8_t *chosen = choice_of(j, head, row);
    for (int64_t from = 0; from < seen; from += KEYS) {
        if (chosen && !chosen[from / j->block]) continue;
        const int64_t count = least(KEYS, seen - from);
        const uint16_t *keys = j->keys + head * j->key_stride + from * j->size;
        score_tile(j, s, keys, from, count, from + KEYS > all_see);
        weigh_tile(j, s);
        mix_tile(j, s, j->values + head * j->value_stride + from / 2 * j->size);
    }
    if (j->mean_keys) attend_means(j, s, head, chosen, least(j->means, seen / j->block));
    close_tile(j, s, head, row, rows);
}

static void run_prefill(void *data) {
    const prefill_job j = *(prefill_job *)data;
    const int64_t tiles = (j.tokens * j.group + BLOCK - 1) / BLOCK;
    tile_state state;
    for (;;) {
        const int64_t task = __atomic_fetch_add(j.next, 1, __ATOMIC_RELAXED);
        if (task >= tiles * j.kv_heads) return;
        /* The last queries see most, so they come first. */
        attend_tile(&j, &state, task % j.kv_heads, (tiles - 1 - task / j.kv_heads) * BLOCK);
    }
}

typedef struct {
    const team *team;
    int64_t kv_heads, entries, size, stride, paired_stride;
    const uint16_t *values;
    uint32_t *paired;
} pair_job;

static void run_pair(void *data) {
    const pair_job j = *(pair_job *)data;
    const int64_t rows = j.paired_stride / j.size;
    const range mine = share_of(j.team, j.kv_heads * rows);
    for (int64_t i = mine.from; i < mine.to; i++) {
        const int64_t head = i / rows, entry = i % rows * 2;
        const uint16_t *from = j.values + head * j.stride + entry * j.size;
        uint32_t *to = j.paired + head * j.paired_stride + entry / 2 * j.size;
        for (int64_t d = 0; d < j.size; d++) {
            const uint32_t even = entry < j.entries ? from[d] : 0;
            const uint32_t odd = entry + 1 < j.entries ? from[j.size + d] : 0;
            to[d] = even | odd << 16;
        }
    }
}

/* values [K, entries, D] as pairs [K, rows, D], with zeros up to whole tiles of keys. */
void pair_values(const team *t, int64_t kv_heads, int64_t entries, int64_t size, int64_t stride,
                 const uint16_t *values, int64_t paired_stride, uint32_t *paired_values) {
    pair_job j = {t, kv_heads, entries, size, stride, paired_stride, values, paired_values};
    t->parallel(run_pair, &j, t->threads, 0);
}

void attend_prefill(const team *t, int64_t kv_heads, int64_t group, int64_t size, int64_t tokens,
                    int64_t first, const uint16_t *queries, int64_t query_stride, float scale,
                    const uint16_t *keys, int64_t key_stride, const uint32_t *values,
                    int64_t value_stride, uint16_t *mixed, const uint8_t *seen, int64_t choices,
                    int64_t blocks, int64_t alike, int64_t block, const uint16_t *mean_keys,
                    const uint32_t *mean_values, int64_t means, int64_t mean_stride,
                    int64_t mean_value_stride) {
    int64_t next = 0;
    prefill_job j = {t,     kv_heads,     group,     size,        tokens,      first,
                     queries, query_stride, scale,   keys,        key_stride,  values,
                     value_stride, mixed, seen,      choices,     blocks,      alike,
                     block, mean_keys,    mean_values, means,     mean_stride, mean_value_stride,
                     &next};
    t->parallel(run_prefill, &j, t->threads, 0);
}
