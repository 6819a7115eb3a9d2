/* Attention of one new token a row.

   A row's entries count off in chunks of a fixed size, whatever pieces hold them: neither
   company nor the way a cache is cut into pieces changes a bit. */

#include "vectors.h"

#define CHUNK 128 /* entries of one partial attention */
typedef struct {
    uint16_t *keys, *values;          /* [K, entries, D] */
    int64_t key_stride, value_stride; /* from head to head */
    int64_t entries;
} piece;

typedef struct {
    const team *team;
    int64_t rows, kv_heads, group, size; /* `group` queries share a key head */
    float scale;
    const uint16_t *queries; /* [rows, H, D], rows `stride` apart */
    int64_t stride;
    const piece *pieces;     /* of all rows, one after the other */
    const int64_t *ends;     /* [rows]: where the pieces of each row end */
    const int64_t *lengths;  /* [rows] */
    int64_t chunks;          /* of the longest row */
    float *partial;          /* [rows, H, chunks, 2 + D]: greatest score, sum, mixed values */
    uint16_t *mixed;         /* [rows, H * D] */
} attention;

#define MOST_SIZE 256 /* of a head */

typedef struct {
    const uint16_t *keys, *values;
    int64_t from, count; /* where in the chunk */
} stretch;

/* The parts of a row's pieces that make up one of its chunks, for one key head. */
static int stretches_of(const attention *a, int64_t row, int64_t head, int64_t chunk,
                        stretch *found) {
    const int64_t begin = chunk * CHUNK, end = least(begin + CHUNK, a->lengths[row]);
    int64_t start = 0;
    int count = 0;
    for (int64_t i = row ? a->ends[row - 1] : 0; i < a->ends[row]; i++) {
        const piece *p = a->pieces + i;
        const int64_t from = start > begin ? start : begin, to = least(start + p->entries, end);
        if (from < to)
            found[count++] = (stretch){p->keys + head * p->key_stride + (from - start) * a->size,
                                       p->values + head * p->value_stride + (from - start) * a->size,
                                       from - begin, to - from};
        start += p->entries;
    }
    return count;
}

/* Asks for the cache lines of one entry. */
INLINE void fetch(const uint16_t *entry, int64_t size) {
    for (int64_t d = 0; d < size; d += 32) __builtin_prefetch(entry + d);
}

/* Scores of G queries [G, D]. */
INLINE void score(const int G, const uint16_t *queries, int64_t size, const stretch *s,
                  float scores[][CHUNK], float scale) {
    int64_t e = 0;
    for (; e + LANES <= s->count; e += LANES) {
        for (int i = 0; i < LANES; i++) fetch(s->values + (e + i) * size, size); /* for `mix` */
        for (int g = 0; g < G; g++) {
            floats total[LANES];
            for (int i = 0; i < LANES; i++) total[i] = (floats){0};
            for (int64_t d = 0; d < size; d += 2 * LANES) {
                const pairs query = opened(load(queries + g * size + d));
                for (int i = 0; i < LANES; i++)
                    total[i] = add_products(total[i], opened(load(s->keys + (e + i) * size + d)),
                                            query);
            }
            store_floats(scores[g] + s->from + e, sums_of(total) * scale);
        }
    }
    for (; e < s->count; e++) {
        fetch(s->values + e * size, size);
        floats total[TILE];
        for (int g = 0; g < G; g++) total[g] = (floats){0};
        for (int64_t d = 0; d < size; d += 2 * LANES) {
            const pairs key = opened(load(s->keys + e * size + d));
            for (int g = 0; g < G; g++)
                total[g] = add_products(total[g], key, opened(load(queries + g * size + d)));
        }
        for (int g = 0; g < G; g++) scores[g][s->from + e] = sum_of(total[g]) * scale;
    }
}

/* Adds weights times values to mixed [G, 2, D / 2]; asks for as many entries at `next`. */
INLINE void mix(const int G, const stretch *s, int64_t size, float weights[][CHUNK],
                float *mixed, int64_t stride, const uint16_t *next) {
    for (int64_t d = 0; d < size / 2; d += LANES) {
        floats even[TILE], odd[TILE];
        for (int g = 0; g < G; g++) {
            even[g] = load_floats(mixed + g * stride + d);
            odd[g] = load_floats(mixed + g * stride + size / 2 + d);
        }
        for (int64_t e = 0; e < s->count; e++) {
            if (next && d == 0) fetch(next + e * size, size);
            const words value = load(s->values + e * size + 2 * d);
            for (int g = 0; g < G; g++) {
                even[g] += first(value) * weights[g][s->from + e];
                odd[g] += second(value) * weights[g][s->from + e];
            }
        }
        for (int g = 0; g < G; g++) {
            store_floats(mixed + g * stride + d, even[g]);
            store_floats(mixed + g * stride + size / 2 + d, odd[g]);
        }
    }
}

/* exp(scores - greatest) in place; what lies beyond `count` in its last vector becomes 0. */
INLINE void weigh(float *scores, int64_t count, float *greatest, float *sum) {
    const int64_t end = (count + LANES - 1) / LANES * LANES;
    for (int64_t e = count; e < end; e++) scores[e] = -INFINITY;
    floats total = {0}, high = load_floats(scores);
    for (int64_t e = LANES; e < end; e += LANES) {
        const floats other = load_floats(scores + e);
        const integers more = other > high;
        high = (floats)((more & (integers)other) | (~more & (integers)high));
    }
    float most = high[0];
    for (int i = 1; i < LANES; i++) most = high[i] > most ? high[i] : most;
    for (int64_t e = 0; e < end; e += LANES) {
        const floats x = load_floats(scores + e) - most;
        const floats y = (floats)((integers)exponential(x) & (x != -INFINITY));
        store_floats(scores + e, y);
        total += y;
    }
    *greatest = most;
    *sum = sum_of(total);
}

/* One chunk of one row for G of the queries of a key head. */
INLINE void attend_some(const int G, const attention *a, int64_t row, int64_t query,
                        int64_t chunk, const stretch *parts, int count) {
    const int64_t size = a->size, stride = a->chunks * (2 + size);
    const uint16_t *queries = a->queries + row * a->stride + query * size;
    float scores[TILE][CHUNK];
    for (int i = 0; i < count; i++) score(G, queries, size, parts + i, scores, a->scale);
    float *to = a->partial + (row * a->kv_heads * a->group + query) * stride + chunk * (2 + size);
    const int64_t entries = parts[count - 1].from + parts[count - 1].count;
    for (int g = 0; g < G; g++) {
        weigh(scores[g], entries, to + g * stride, to + g * stride + 1);
        memset(to + g * stride + 2, 0, size * sizeof(float));
    }
    const piece *after = row + 1 < a->rows ? a->pieces + a->ends[row] : NULL;
    const uint16_t *next = NULL; /* the keys that the next row reads first */
    if (after) next = after->keys + query / a->group * after->key_stride + chunk * CHUNK * size;
    for (int i = 0; i < count; i++)
        mix(G, parts + i, size, scores, to + 2, stride, i ? NULL : next);
}

static void attend_chunk(const attention *a, int64_t row, int64_t head, int64_t chunk) {
    stretch parts[CHUNK];
    const int count = stretches_of(a, row, head, chunk, parts);
    for (int64_t g = 0; g < a->group; g += TILE) {
        const int64_t query = head * a->group + g;
        switch (least(TILE, a->group - g)) {
        case 1: attend_some(1, a, row, query, chunk, parts, count); break;
        case 2: attend_some(2, a, row, query, chunk, parts, count); break;
        case 3: attend_some(3, a, row, query, chunk, parts, count); break;
        default: attend_some(4, a, row, query, chunk, parts, count);
        }
    }
}

/* The chunks of one query as one. */
static void merge(const attention *a, int64_t row, int64_t query) {
    const int64_t size = a->size, chunks = (a->lengths[row] + CHUNK - 1) / CHUNK;
    const int64_t place = row * a->kv_heads * a->group + query;
    const float *from = a->partial + place * a->chunks * (2 + size);
    float most = from[0], sum = 0, total[MOST_SIZE] = {0};
    for (int64_t c = 1; c < chunks; c++)
        most = from[c * (2 + size)] > most ? from[c * (2 + size)] : most;
    for (int64_t c = 0; c < chunks; c++) {
        const float *part = from + c * (2 + size);
        const float factor = expf(part[0] - most);
        sum += factor * part[1];
        for (int64_t d = 0; d < size; d++) total[d] += factor * part[2 + d];
    }
    for (int64_t d = 0; d < size; d++)
        a->mixed[place * size + d] = narrow(total[d % 2 * (size / 2) + d / 2] / sum);
}

static void run_attention(void *data) {
    const attention a = *(attention *)data;
    const range tasks = share_of(a.team, a.kv_heads * a.chunks);
    /* All rows of a chunk in turn: entries that they share come from memory once. */
    for (int64_t i = tasks.from; i < tasks.to; i++)
        for (int64_t row = 0; row < a.rows; row++)
            if (i % a.chunks * CHUNK < a.lengths[row])
                attend_chunk(&a, row, i / a.chunks, i % a.chunks);
    a.team->barrier();
    const int64_t heads = a.kv_heads * a.group;
    const range queries = share_of(a.team, a.rows * heads);
    for (int64_t i = queries.from; i < queries.to; i++) merge(&a, i / heads, i % heads);
}

/* The newest entry of each row, in the place that its last piece has for it. */
static void append(const attention *a, const uint16_t *keys, const uint16_t *values) {
    for (int64_t row = 0; row < a->rows; row++) {
        const piece *p = a->pieces + a->ends[row] - 1;
        const int64_t newest = (p->entries - 1) * a->size;
        for (int64_t head = 0; head < a->kv_heads; head++) {
            const int64_t from = row * a->stride + head * a->size;
            memcpy(p->keys + head * p->key_stride + newest, keys + from, 2 * a->size);
            memcpy(p->values + head * p->value_stride + newest, values + from, 2 * a->size);
        }
    }
}

/* Caches keys and values [rows, K, D] of new tokens, then attends; rows `stride` apart. */
void attend(const team *t, int64_t rows, int64_t kv_heads, int64_t group, int64_t size,
            float scale, const uint16_t *queries, const uint16_t *keys, const uint16_t *values,
            int64_t stride, const piece *pieces, const int64_t *ends, const int64_t *lengths,
            int64_t chunks, float *partial, uint16_t *mixed) {
    attention a = {t,      rows,   kv_heads, group,  size,    scale, queries,
                   stride, pieces, ends,     lengths, chunks, partial, mixed};
    append(&a, keys, values);
    t->parallel(run_attention, &a, t->threads, 0);
}
