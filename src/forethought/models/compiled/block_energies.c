/* Energies of blocks of keys: sums of exponentials of the scores of a tile's rows against the
   blocks' mean keys, with the tile's largest score as their origin. */

#include "prefill_tiles.h"

typedef struct {
    const team *team;
    prompt p;
    const uint16_t *means; /* [K, count, D]: the means of complete blocks */
    int64_t count;
    int64_t alike, block;     /* rows of the sequence in a choice; keys of a block */
    int64_t choices;
    float *energies; /* [K, choices, count], zero at first */
    int64_t *next;   /* the next choice that no thread has taken */
} energy_job;

/* Scores that do not count become -inf: a row counts where it sees the first key of a block.
   Returns the largest. */
static float hide_scores(tile_state *s, const integers *limit, int64_t from, int64_t count,
                         int64_t block) {
    floats most = every(-INFINITY);
    for (int64_t key = 0; key < count; key++)
        for (int v = 0; v < QUARTERS; v++) {
            const integers sees = limit[v] > (int32_t)((from + key) * block);
            const floats score = s->score[key][v];
            s->score[key][v] =
                (floats)((sees & (integers)score) | (~sees & (integers)every(-INFINITY)));
            most = greater(s->score[key][v], most);
        }
    float found = -INFINITY;
    for (int i = 0; i < LANES; i++) found = most[i] > found ? most[i] : found;
    return found;
}

/* Adds the energies of a tile of means; earlier energies move to a larger origin. */
static void add_energies(const energy_job *j, tile_state *s, const integers *limit, int64_t from,
                         int64_t complete, float *origin, float *energies) {
    const int64_t count = least(KEYS, complete - from);
    const float most = hide_scores(s, limit, from, count, j->block);
    if (most == -INFINITY) return;
    if (most > *origin) {
        const float factor = *origin == -INFINITY ? 0.0f : expf(*origin - most);
        for (int64_t block = 0; block < complete; block++) energies[block] *= factor;
        *origin = most;
    }
    for (int64_t key = 0; key < count; key++) {
        floats sum = {0};
        for (int v = 0; v < QUARTERS; v++) sum += decay(s->score[key][v] - every(*origin));
        energies[from + key] += sum_of(sum);
    }
}

static void score_choice(const energy_job *j, tile_state *s, int64_t head, int64_t choice) {
    const prompt *p = &j->p;
    const int64_t before = p->first * p->group / j->alike;
    const int64_t tile = ((before + choice) * j->alike - origin_of(p)) / BLOCK;
    const int64_t from = tile > 0 ? tile : 0, to = least(tile + j->alike / BLOCK, tiles_of(p));
    const int64_t last = p->first + (rows_of(p, to - 1).to - 1) / p->group;
    const int64_t complete = least(j->count, (last + 1) / j->block);
    float *energies = j->energies + (head * j->choices + choice) * j->count, origin = -INFINITY;
    for (int64_t at = from; at < to; at++) {
        const range rows = rows_of(p, at);
        integers limit[QUARTERS];
        open_tile(p, s, head, rows);
        memcpy(limit, s->limit, sizeof limit);
        for (int64_t r = rows.to - rows.from; r < BLOCK; r++) ((int32_t *)limit)[r] = 0;
        for (int64_t mean = 0; mean < complete; mean += KEYS) {
            const uint16_t *means = j->means + (head * j->count + mean) * p->size;
            score_tile(p->size, s, means, mean, least(KEYS, complete - mean), 0);
            add_energies(j, s, limit, mean, complete, &origin, energies);
        }
    }
}

static void run_energies(void *data) {
    const energy_job j = *(energy_job *)data;
    const tile_shapes before = open_matrix_unit();
    tile_state state;
    for (;;) {
        const int64_t task = __atomic_fetch_add(j.next, 1, __ATOMIC_RELAXED);
        if (task >= j.choices * j.p.kv_heads) break;
        score_choice(&j, &state, task % j.p.kv_heads, j.choices - 1 - task / j.p.kv_heads);
    }
    close_matrix_unit(before);
}

void block_energies(const team *t, int64_t kv_heads, int64_t group, int64_t size, int64_t tokens,
                    int64_t first, const uint16_t *queries, int64_t query_stride, float scale,
                    const uint16_t *means, int64_t count, int64_t alike, int64_t block,
                    int64_t choices, float *energies) {
    int64_t next = 0;
    const prompt p = {kv_heads, group, size, tokens, first, queries, query_stride, scale};
    energy_job j = {t, p, means, count, alike, block, choices, energies, &next};
    t->parallel(run_energies, &j, t->threads, 0);
}
