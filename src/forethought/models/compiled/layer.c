/* A decoder layer without its attention: norms, products and the gated MLP. */

#include "norms.h"
#include "products.h"

typedef struct {
    matrix qkv, out, gate_up, down;
    norm attention, mlp, head; /* a norm without weight is none */
    int64_t turned_heads;      /* queries' and keys' heads come first */
    int64_t head_size;
    float residual;
} layer;

/* Rotates [head_size]: dimension i with i + size / 2, beyond `size` nothing. */
INLINE void rotate(uint16_t *head, int64_t size, const uint16_t *cosine, const uint16_t *sine) {
    const int64_t half = size / 2;
    for (int64_t i = 0; i < half; i++) {
        const float a = wide(head[i]), b = wide(head[i + half]);
        head[i] = narrow(a * wide(cosine[i]) + b * wide(sine[i]));
        head[i + half] = narrow(b * wide(cosine[i + half]) + a * wide(sine[i + half]));
    }
}

typedef struct {
    const team *team;
    const layer *layer;
    int64_t rows, rotary;
    const uint16_t *x, *cosine, *sine; /* [rows, hidden], [rows, rotary] */
    uint16_t *hidden, *y;              /* [rows, hidden], [rows, N] */
    float *sums;
} inputs_job;

static void run_inputs(void *data) {
    const inputs_job j = *(inputs_job *)data;
    const layer *l = j.layer;
    const int64_t size = l->qkv.inputs, outputs = l->qkv.outputs;
    const range rows = share_of(j.team, j.rows);
    for (int64_t r = rows.from; r < rows.to; r++)
        normalise(&l->attention, l->attention.weight, j.x + r * size, j.hidden + r * size, size);
    j.team->barrier();
    const product p = {j.team, &l->qkv, j.rows, j.hidden, j.y, j.sums, 0};
    multiply(&p);
    j.team->barrier();
    const range heads = share_of(j.team, j.rows * l->turned_heads);
    for (int64_t i = heads.from; i < heads.to; i++) {
        const int64_t row = i / l->turned_heads, at = i % l->turned_heads * l->head_size;
        uint16_t *head = j.y + row * outputs + at;
        if (l->head.weight) normalise(&l->head, l->head.weight + at, head, head, l->head_size);
        rotate(head, j.rotary, j.cosine + row * j.rotary, j.sine + row * j.rotary);
    }
}

/* Queries, keys and values [rows, N] of x: queries and keys rotated. */
void layer_inputs(const team *t, const layer *l, int64_t rows, const uint16_t *x, int64_t rotary,
                  const uint16_t *cosine, const uint16_t *sine, uint16_t *hidden, uint16_t *y,
                  float *sums) {
    inputs_job j = {t, l, rows, rotary, x, cosine, sine, hidden, y, sums};
    t->parallel(run_inputs, &j, t->threads, 0);
}

typedef struct {
    const team *team;
    const layer *layer;
    int64_t rows;
    uint16_t *x;           /* [rows, hidden] */
    const uint16_t *mixed; /* [rows, heads * head size] */
    uint16_t *hidden, *inner; /* [rows, hidden], [rows, width] */
    float *sums;
} finish_job;

static void run_finish(void *data) {
    const finish_job j = *(finish_job *)data;
    const layer *l = j.layer;
    const int64_t size = l->out.outputs;
    const product out = {j.team, &l->out, j.rows, j.mixed, j.x, j.sums, l->residual};
    multiply(&out);
    j.team->barrier();
    const range rows = share_of(j.team, j.rows);
    for (int64_t r = rows.from; r < rows.to; r++)
        normalise(&l->mlp, l->mlp.weight, j.x + r * size, j.hidden + r * size, size);
    j.team->barrier();
    const product gated = {j.team, &l->gate_up, j.rows, j.hidden, j.inner, j.sums, 0};
    multiply_gated(&gated);
    j.team->barrier();
    const product down = {j.team, &l->down, j.rows, j.inner, j.x, j.sums, l->residual};
    multiply(&down);
}

/* Adds to x what attention's output leads to. */
void layer_finish(const team *t, const layer *l, int64_t rows, uint16_t *x, const uint16_t *mixed,
                  uint16_t *hidden, uint16_t *inner, float *sums) {
    finish_job j = {t, l, rows, x, mixed, hidden, inner, sums};
    t->parallel(run_finish, &j, t->threads, 0);
}
