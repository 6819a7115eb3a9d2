/* RMS norms of bf16 rows. */

#pragma once

#include "vectors.h"

typedef struct {
    const float *weight; /* [size] */
    int64_t late;        /* whether the weight is applied before rounding */
    float epsilon;
} norm;

/* x / rms(x) * weight: [size] to y, which may be x. */
INLINE void normalise(const norm *n, const float *weight, const uint16_t *x, uint16_t *y,
                      int64_t size) {
    floats squares = {0};
    for (int64_t i = 0; i < size; i += LANES) {
        const floats value = load_bf16(x + i);
        squares += value * value;
    }
    const float factor = 1.0f / sqrtf(sum_of(squares) / (float)size + n->epsilon);
    for (int64_t i = 0; i < size; i += LANES) {
        const floats scaled = load_bf16(x + i) * factor;
        const floats inner = n->late ? scaled : (floats)(rounded(scaled) << 16);
        store_bf16(y + i, inner * load_floats(weight + i));
    }
}
