/* Causal attention of a prompt's tokens, by tiles of queries and keys.

   A query is a lane of its tile, and the tiles of keys begin at fixed entries: the other queries,
   the number of threads and where a prefill resumes change no bit. */

#include "prefill_tiles.h"

typedef struct {
    const team *team;
    prompt p;
    const uint16_t *keys; /* [K, entries, D], a head every `key_stride` values */
    int64_t key_stride;
    const uint32_t *values; /* [K, tiles, KEYS / 2 * D]: the values of two keys in a word */
    int64_t value_stride;
    uint16_t *mixed; /* [tokens, K * G * D] */
    const uint8_t *seen; /* [K, choices, blocks]: the blocks that a row sees; none: all of them */
    int64_t choices, blocks;
    int64_t alike, block; /* rows of the sequence with one choice; keys of a block */
    const uint16_t *mean_keys;   /* [K, means, D], or none: the keys that stand for unseen blocks */
    const uint32_t *mean_values; /* [K, tiles, KEYS / 2 * D] */
    int64_t means, mean_stride, mean_value_stride;
    int64_t *next; /* the next tile of queries that no thread has taken */
} prefill_job;

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
            for (int64_t d = 0; d < j->p.size; d++) s->total[d][v] *= factor;
        s->most[v] = most;
        s->sum[v] = sum;
    }
}

static void mix_tile(const prefill_job *j, tile_state *s, const uint32_t *values) {
    if (has_matrix_unit()) {
        multiply_matrix((const uint16_t *)values, KEYS, j->p.size, KEYS,
                        (const words(*)[QUARTERS])s->weight, s->total, 1);
        return;
    }
    for (int64_t d = 0; d < j->p.size; d += TILE) {
        floats sums[TILE][QUARTERS];
        for (int i = 0; i < TILE; i++)
            for (int v = 0; v < QUARTERS; v++) sums[i][v] = s->total[d + i][v];
        multiply_four(values + d, 1, j->p.size, KEYS / 2, (const words(*)[QUARTERS])s->weight, sums);
        for (int i = 0; i < TILE; i++)
            for (int v = 0; v < QUARTERS; v++) s->total[d + i][v] = sums[i][v];
    }
}

static void close_tile(const prefill_job *j, tile_state *s, int64_t head, range rows) {
    const prompt *p = &j->p;
    for (int v = 0; v < QUARTERS; v++) {
        const floats share = 1.0f / s->sum[v];
        for (int64_t d = 0; d < p->size; d += 2) {
            const words even = rounded(s->total[d][v] * share);
            s->query[d / 2][v] = even | rounded(s->total[d + 1][v] * share) << 16;
        }
    }
    const uint32_t *lanes = (const uint32_t *)s->query;
    for (int64_t row = rows.from; row < rows.to; row++) {
        const int64_t token = row / p->group, query = head * p->group + row % p->group;
        uint16_t *to = j->mixed + (token * p->kv_heads * p->group + query) * p->size;
        for (int64_t k = 0; k < p->size / 2; k++)
            memcpy(to + 2 * k, lanes + k * BLOCK + row - rows.from, sizeof *lanes);
    }
}

/* The blocks that the queries of a tile see, or none. */
INLINE const uint8_t *choice_of(const prefill_job *j, int64_t head, int64_t tile) {
    if (!j->seen) return 0;
    const int64_t before = j->p.first * j->p.group / j->alike; /* choices that have no query here */
    const int64_t choice = (origin_of(&j->p) + tile * BLOCK) / j->alike - before;
    return j->seen + (head * j->choices + choice) * j->blocks;
}

/* The mean of an unseen block attends as often as the block has keys. */
static void attend_means(const prefill_job *j, tile_state *s, int64_t head, const uint8_t *seen,
                         int64_t complete) {
    const floats often = every(logf((float)j->block));
    for (int64_t from = 0; from < complete; from += KEYS) {
        const int64_t count = least(KEYS, complete - from);
        const uint16_t *keys = j->mean_keys + head * j->mean_stride + from * j->p.size;
        score_tile(j->p.size, s, keys, from, count, 0);
        for (int64_t key = 0; key < KEYS; key++) {
            const int hidden = key >= count || seen[from + key];
            for (int v = 0; v < QUARTERS; v++)
                s->score[key][v] = hidden ? every(-INFINITY) : s->score[key][v] + often;
        }
        weigh_tile(j, s);
        mix_tile(j, s, j->mean_values + head * j->mean_value_stride + from / 2 * j->p.size);
    }
}

static void attend_tile(const prefill_job *j, tile_state *s, int64_t head, int64_t tile) {
    const range rows = rows_of(&j->p, tile);
    const int64_t seen = open_tile(&j->p, s, head, rows);
    const int64_t all_see = j->p.first + rows.from / j->p.group + 1; /* entries every query sees */
    const uint8_t *chosen = choice_of(j, head, tile);
    for (int64_t from = 0; from < seen; from += KEYS) {
        if (chosen && !chosen[from / j->block]) continue;
        const int64_t count = least(KEYS, seen - from);
        const uint16_t *keys = j->keys + head * j->key_stride + from * j->p.size;
        score_tile(j->p.size, s, keys, from, count, from + KEYS > all_see);
        weigh_tile(j, s);
        mix_tile(j, s, j->values + head * j->value_stride + from / 2 * j->p.size);
    }
    if (j->mean_keys) attend_means(j, s, head, chosen, least(j->means, seen / j->block));
    close_tile(j, s, head, rows);
}

static void run_prefill(void *data) {
    const prefill_job j = *(prefill_job *)data;
    const int64_t tasks = tiles_of(&j.p) * j.p.kv_heads;
    const tile_shapes before = open_matrix_unit();
    tile_state state;
    for (;;) {
        const int64_t task = __atomic_fetch_add(j.next, 1, __ATOMIC_RELAXED);
        if (task >= tasks) break;
        /* The last queries see most, so they come first. */
        attend_tile(&j, &state, task % j.p.kv_heads, (tasks - 1 - task) / j.p.kv_heads);
    }
    close_matrix_unit(before);
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
        uint32_t *tile = j.paired + head * j.paired_stride + entry / KEYS * (KEYS / 2 * j.size);
        const int64_t pair = entry % KEYS / 2;
        for (int64_t d = 0; d < j.size; d++) {
            const uint32_t even = entry < j.entries ? from[d] : 0;
            const uint32_t odd = entry + 1 < j.entries ? from[j.size + d] : 0;
            tile[has_matrix_unit() ? d * (KEYS / 2) + pair : pair * j.size + d] = even | odd << 16;
        }
    }
}

/* values [K, entries, D] as pairs, with zeros up to whole tiles of keys: [K, tiles, KEYS / 2, D],
   or [K, tiles, D, KEYS / 2] for the matrix unit, whose left factor they are. */
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
    const prompt p = {kv_heads, group, size, tokens, first, queries, query_stride, scale};
    prefill_job j = {t,     p,       keys,  key_stride, values,    value_stride, mixed, seen,
                     choices, blocks, alike, block,     mean_keys, mean_values,  means, mean_stride,
                     mean_value_stride, &next};
    t->parallel(run_prefill, &j, t->threads, 0);
}
