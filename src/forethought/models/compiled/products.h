/* Products of bf16 tokens with torch's packed 4-bit weights. */

#pragma once

#include "vectors.h"

typedef struct {
    const uint8_t *packed;  /* [N / BLOCK][K][BLOCK / 2]: rows i and i + BLOCK / 2 in a byte */
    const uint32_t *scales; /* [K / GROUP][N]: scale and zero */
    const uint16_t *bias;   /* [N], or none */
    int64_t inputs, outputs;
} matrix;

typedef struct {
    const team *team;
    const matrix *weight;
    int64_t rows;
    const uint16_t *x; /* [rows, K] */
    uint16_t *y;       /* [rows, N] */
    float *sums;       /* [threads, rows, K / GROUP] */
    float add;         /* 0 to write y, else y += add * product */
} product;

/* Both are called by every thread of the team. */
void multiply(const product *p);

/* silu(gate) * up, where the outputs of `weight` are all gates, then all ups: y [rows, N / 2]. */
void multiply_gated(const product *p);
