/* Around an integer product: bf16 tokens to 8 bits with a step each, and sums back to bf16. */

#include "vectors.h"

#define MOST_LEVEL 127.0f

typedef int8_t bytes __attribute__((vector_size(LANES)));

typedef struct {
    const team *team;
    int64_t rows, inputs;
    const uint16_t *x; /* [rows, K] */
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

static void run_quantise(void *data) {
    const quantise_job j = *(quantise_job *)data;
    const range mine = share_of(j.team, j.rows);
    for (int64_t row = mine.from; row < mine.to; row++) {
        const uint16_t *x = j.x + row * j.inputs;
        int8_t *levels = j.levels + row * j.inputs;
        const float most = greatest(x, j.inputs);
        const float step = (most > 1e-12f ? most : 1e-12f) / MOST_LEVEL;
        int64_t k = 0;
        for (; k + LANES <= j.inputs; k += LANES) {
            const floats turns = load_bf16(x + k) / step + 12582912.0f; /* rounded */
            const integers whole = (integers)turns - (integers)every(12582912.0f);
            const bytes some = __builtin_convertvector(whole, bytes);
            memcpy(levels + k, &some, sizeof some);
        }
        for (; k < j.inputs; k++) levels[k] = (int8_t)rintf(wide(x[k]) / step);
        j.steps[row] = step;
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

void quantise8(const team *t, int64_t rows, int64_t inputs, const uint16_t *x, int8_t *levels,
               float *steps) {
    quantise_job j = {t, rows, inputs, x, levels, steps};
    t->parallel(run_quantise, &j, t->threads, 0);
}

void widen8(const team *t, int64_t rows, int64_t outputs, int64_t stride, const int32_t *sums,
            const float *steps, const uint16_t *scales, const uint16_t *bias, uint16_t *y) {
    widen_job j = {t, rows, outputs, stride, sums, steps, scales, bias, y};
    t->parallel(run_widen, &j, t->threads, 0);
}

/* silu(gate) * up; the outputs come in multiples of LANES. */
void gate8(const team *t, int64_t rows, int64_t outputs, int64_t stride, const int32_t *gates,
           const int32_t *ups, const float *steps, const uint16_t *gate_scales,
           const uint16_t *up_scales, uint16_t *y) {
    gate_job j = {t, rows, outputs, stride, gates, ups, steps, gate_scales, up_scales, y};
    t->parallel(run_gate, &j, t->threads, 0);
}
