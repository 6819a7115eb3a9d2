/* Around an integer product: bf16 tokens to 8 bits with a step each, and sums back to bf16. */

#include "norms.h"

#define MOST_LEVEL 127.0f

typedef int8_t bytes __attribute__((vector_size(LANES)));

typedef struct {
    const team *team;
    const norm *norm; /* applied first, or none */
    int64_t rows, inputs;
    const uint16_t *x; /* [rows, K] */
    uint16_t *normed;  /* [threads, K], with a norm */
    int8_t *levels;    /* [rows, K] */
    float *steps;      /* [rows] */
} quantise_job;

typedef struct {
    const team *team;
    int64_t rows, outputs, stride;
    const int32_t *sums;    /* [rows, N] */
    const float *steps;     /* [rows] */
    const uint16_t *scales; /* [N] */
    const uint16_t *bias;   /* [N], or none */
    uint16_t *y;            /* [rows, N], a row every `stride` values */
    int64_t head_size, turned, rotary; /* heads that turn come first */
    const uint16_t *cosine, *sine;     /* [rows, rotary] */
    float add;                         /* y += add * product */
} widen_job;

typedef struct {
    const team *team;
    int64_t rows, outputs, stride;
    const int32_t *gates, *ups;             /* [rows, N] */
    const float *steps;                     /* [rows] */
    const uint16_t *gate_scales, *up_scales; /* [N] */
    uint16_t *y;                            /* [rows, N], a row every `stride` values */
} gate_job;

INLINE float greatest(const uint16_t *x, int64_t count) {
    floats most = {0};
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        const integers value = (integers)load_bf16(x + k) & 0x7fffffff;
        const integers more = value > (integers)most; /* as their values do, their bits order */
        most = (floats)((more & value) | (~more & (integers)most));
    }
    float found = 0;
    for (int i = 0; i < LANES; i++) found = most[i] > found ? most[i] : found;
    for (; k < count; k++) found = fabsf(wide(x[k])) > found ? fabsf(wide(x[k])) : found;
    return found;
}

static void quantise_row(const uint16_t *x, int64_t inputs, int8_t *levels, float *steps) {
    const float most = greatest(x, inputs);
    const float step = (most > 1e-12f ? most : 1e-12f) / MOST_LEVEL, share = 1.0f / step;
    int64_t k = 0;
    for (; k + LANES <= inputs; k += LANES) {
        const floats turns = load_bf16(x + k) * share + 12582912.0f; /* rounded */
        const integers whole = (integers)turns - (integers)every(12582912.0f);
        const bytes some = __builtin_convertvector(whole, bytes);
        memcpy(levels + k, &some, sizeof some);
    }
    for (; k < inputs; k++) levels[k] = (int8_t)rintf(wide(x[k]) * share);
    *steps = step;
}

static void run_quantise(void *data) {
    const quantise_job j = *(quantise_job *)data;
    const range mine = share_of(j.team, j.rows);
    uint16_t *normed = j.norm ? j.normed + j.team->number() * j.inputs : 0;
    for (int64_t row = mine.from; row < mine.to; row++) {
        const uint16_t *x = j.x + row * j.inputs;
        if (j.norm) normalise(j.norm, j.norm->weight, x, normed, j.inputs);
        quantise_row(j.norm ? normed : x, j.inputs, j.levels + row * j.inputs, j.steps + row);
    }
}

INLINE floats load_sums(const int32_t *from) {
    integers some;
    memcpy(&some, from, sizeof some);
    return __builtin_convertvector(some, floats);
}

static void run_widen(void *data) {
    const widen_job j = *(widen_job *)data;
    const range mine = share_of(j.team, j.rows);
    for (int64_t row = mine.from; row < mine.to; row++) {
        const int32_t *sums = j.sums + row * j.outputs;
        uint16_t *y = j.y + row * j.stride;
        const float step = j.steps[row];
        int64_t n = 0;
        for (; n + LANES <= j.outputs; n += LANES) {
            floats found = load_sums(sums + n) * step * load_bf16(j.scales + n);
            if (j.bias) found += load_bf16(j.bias + n);
            store_bf16(y + n, found);
        }
        for (; n < j.outputs; n++) {
            const float found = (float)sums[n] * step * wide(j.scales[n]);
            y[n] = narrow(found + (j.bias ? wide(j.bias[n]) : 0.0f));
        }
    }
}

/* A vector of row's products from column n on. */
INLINE floats widened(const widen_job *j, int64_t row, int64_t n) {
    const floats found =
        load_sums(j->sums + row * j->outputs + n) * j->steps[row] * load_bf16(j->scales + n);
    return j->bias ? found + load_bf16(j->bias + n) : found;
}

static void run_add(void *data) {
    const widen_job j = *(widen_job *)data;
    const range mine = share_of(j.team, j.rows);
    for (int64_t row = mine.from; row < mine.to; row++) {
        uint16_t *y = j.y + row * j.stride;
        for (int64_t n = 0; n < j.outputs; n += LANES)
            store_bf16(y + n, load_bf16(y + n) + j.add * widened(&j, row, n));
    }
}

/* Dimension i of a head turns with i + rotary / 2; dimensions beyond stay. */
INLINE void turn_head(const widen_job *j, int64_t row, int64_t n) {
    const uint16_t *cosine = j->cosine + row * j->rotary, *sine = j->sine + row * j->rotary;
    uint16_t *y = j->y + row * j->stride + n;
    const int64_t half = j->rotary / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        const floats a = widened(j, row, n + i), b = widened(j, row, n + half + i);
        store_bf16(y + i, a * load_bf16(cosine + i) + b * load_bf16(sine + i));
        store_bf16(y + half + i, b * load_bf16(cosine + half + i) + a * load_bf16(sine + half + i));
    }
    for (int64_t i = j->rotary; i < j->head_size; i += LANES)
        store_bf16(y + i, widened(j, row, n + i));
}

static void run_turn(void *data) {
    const widen_job j = *(widen_job *)data;
    const range mine = share_of(j.team, j.rows);
    const int64_t turned = least(j.outputs, j.turned * j.head_size);
    for (int64_t row = mine.from; row < mine.to; row++) {
        for (int64_t n = 0; n < turned; n += j.head_size) turn_head(&j, row, n);
        for (int64_t n = turned; n < j.outputs; n += LANES)
            store_bf16(j.y + row * j.stride + n, widened(&j, row, n));
    }
}

static void run_gate(void *data) {
    const gate_job j = *(gate_job *)data;
    const range mine = share_of(j.team, j.rows);
    for (int64_t row = mine.from; row < mine.to; row++) {
        const int32_t *gates = j.gates + row * j.outputs, *ups = j.ups + row * j.outputs;
        uint16_t *y = j.y + row * j.stride;
        const float step = j.steps[row];
        for (int64_t n = 0; n < j.outputs; n += LANES) {
            const floats g = load_sums(gates + n) * step * load_bf16(j.gate_scales + n);
            const floats u = load_sums(ups + n) * step * load_bf16(j.up_scales + n);
            store_bf16(y + n, g / (1.0f + exponential(-g)) * u);
        }
    }
}

/* Rows, after a norm if there is one: its inputs come in multiples of LANES. */
void quantise8(const team *t, const norm *norm, int64_t rows, int64_t inputs, const uint16_t *x,
               uint16_t *normed, int8_t *levels, float *steps) {
    quantise_job j = {t, norm, rows, inputs, x, normed, levels, steps};
    t->parallel(run_quantise, &j, t->threads, 0);
}

void widen8(const team *t, int64_t rows, int64_t outputs, int64_t stride, const int32_t *sums,
            const float *steps, const uint16_t *scales, const uint16_t *bias, uint16_t *y) {
    widen_job j = {t, rows, outputs, stride, sums, steps, scales, bias, y, 0, 0, 0, 0, 0, 0};
    t->parallel(run_widen, &j, t->threads, 0);
}

/* y += add * product; the outputs come in multiples of LANES. */
void add8(const team *t, int64_t rows, int64_t outputs, int64_t stride, const int32_t *sums,
          const float *steps, const uint16_t *scales, const uint16_t *bias, float add,
          uint16_t *y) {
    widen_job j = {t, rows, outputs, stride, sums, steps, scales, bias, y, 0, 0, 0, 0, 0, add};
    t->parallel(run_add, &j, t->threads, 0);
}

/* Heads, of which the first turn; head sizes and halves of `rotary` are multiples of LANES. */
void turn8(const team *t, int64_t rows, int64_t outputs, int64_t stride, const int32_t *sums,
           const float *steps, const uint16_t *scales, const uint16_t *bias, int64_t head_size,
           int64_t turned, int64_t rotary, const uint16_t *cosine, const uint16_t *sine,
           uint16_t *y) {
    widen_job j = {t,         rows,   outputs, stride, sums, steps, scales, bias, y,
                   head_size, turned, rotary,  cosine, sine, 0};
    t->parallel(run_turn, &j, t->threads, 0);
}

/* silu(gate) * up; the outputs come in multiples of LANES. */
void gate8(const team *t, int64_t rows, int64_t outputs, int64_t stride, const int32_t *gates,
           const int32_t *ups, const float *steps, const uint16_t *gate_scales,
           const uint16_t *up_scales, uint16_t *y) {
    gate_job j = {t, rows, outputs, stride, gates, ups, steps, gate_scales, up_scales, y};
    t->parallel(run_gate, &j, t->threads, 0);
}
