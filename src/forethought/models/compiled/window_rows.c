/* Attention rows of a window of queries, reduced over the queries of each head.

   A lane is a query. The keys are read twice, for the softmax and for its weights, so that no row
   is stored. */

#include "prefill_tiles.h"

typedef struct {
    const team *team;
    prompt p;                /* every query head is a head of its own */
    int64_t group;           /* query heads that share keys */
    const uint16_t *keys;    /* [K, entries, D], a head every `key_stride` values */
    int64_t key_stride, entries;
    const float *weights;    /* [tokens] */
    int64_t sums;            /* whether rows are added, or the largest counts */
    float *reduced;          /* [heads, entries], zero at first */
} window_job;

INLINE float greatest_of(floats values) {
    float found = values[0];
    for (int i = 1; i < LANES; i++) found = values[i] > found ? values[i] : found;
    return found;
}

/* The largest score of each query so far, and the sum of exponentials with it as their origin. */
static void sum_tile(tile_state *s) {
    for (int v = 0; v < QUARTERS; v++) {
        floats most = s->most[v];
        for (int key = 0; key < KEYS; key++) most = greater(s->score[key][v], most);
        floats sum = s->sum[v] * decay(s->most[v] - most);
        for (int key = 0; key < KEYS; key++) sum += decay(s->score[key][v] - most);
        s->most[v] = most;
        s->sum[v] = sum;
    }
}

static void reduce_tile(const window_job *j, const tile_state *s, const floats *share,
                        int64_t count, float *reduced) {
    for (int64_t key = 0; key < count; key++) {
        floats found = {0};
        for (int v = 0; v < QUARTERS; v++) {
            const integers seen = s->score[key][v] > -1e38f;
            const floats row = share[v] * decay(s->score[key][v] - s->most[v]);
            const floats own = (floats)(seen & (integers)row);
            found = j->sums ? found + own : greater(own, found);
        }
        const float one = j->sums ? sum_of(found) : greatest_of(found);
        reduced[key] = j->sums ? reduced[key] + one : one > reduced[key] ? one : reduced[key];
    }
}

/* The scores of a tile of keys; keys beyond the last are hidden from every query. */
static int64_t open_keys(const window_job *j, tile_state *s, int64_t head, int64_t from,
                         int64_t all_see, int64_t seen) {
    const uint16_t *keys = j->keys + head / j->group * j->key_stride + from * j->p.size;
    const int64_t count = least(KEYS, seen - from);
    score_tile(j->p.size, s, keys, from, count, from + KEYS > all_see);
    return count;
}

static void reduce_head(const window_job *j, tile_state *s, int64_t head, range rows) {
    const int64_t seen = open_tile(&j->p, s, head, rows), all_see = j->p.first + rows.from + 1;
    floats share[QUARTERS] = {0};
    for (int64_t row = rows.from; row < rows.to; row++)
        ((float *)share)[row - rows.from] = j->weights[row];
    for (int64_t from = 0; from < seen; from += KEYS) {
        open_keys(j, s, head, from, all_see, seen);
        sum_tile(s);
    }
    for (int v = 0; v < QUARTERS; v++) share[v] /= s->sum[v];
    for (int64_t from = 0; from < seen; from += KEYS) {
        const int64_t count = open_keys(j, s, head, from, all_see, seen);
        reduce_tile(j, s, share, count, j->reduced + head * j->entries + from);
    }
}

static void run_window(void *data) {
    const window_job j = *(window_job *)data;
    const range heads = share_of(j.team, j.p.kv_heads);
    const tile_shapes before = open_matrix_unit();
    tile_state state;
    for (int64_t head = heads.from; head < heads.to; head++)
        for (int64_t from = 0; from < j.p.tokens; from += BLOCK)
            reduce_head(&j, &state, head, (range){from, least(from + BLOCK, j.p.tokens)});
    close_matrix_unit(before);
}

void window_rows(const team *t, int64_t heads, int64_t group, int64_t size, int64_t tokens,
                 int64_t first, const uint16_t *queries, int64_t query_stride, float scale,
                 const uint16_t *keys, int64_t key_stride, int64_t entries, const float *weights,
                 int64_t sums, float *reduced) {
    const prompt p = {heads, 1, size, tokens, first, queries, query_stride, scale};
    window_job j = {t, p, group, keys, key_stride, entries, weights, sums, reduced};
    t->parallel(run_window, &j, t->threads, 0);
}
