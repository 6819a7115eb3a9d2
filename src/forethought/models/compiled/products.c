/* Products with 4-bit and with 8-bit weights. */

#include "matrix_unit.h"
#include "products.h"

#define AHEAD 8192          /* bytes: memory is slower than the weights' unpacking */
#define OUTPUTS (LANES / 4) /* of an 8-bit product at once: their sums fill the registers */

#define MIX(i) i, i + LANES, i + 2 * LANES, i + 3 * LANES
#define MIX4(i) MIX(i), MIX((i) + 1), MIX((i) + 2), MIX((i) + 3)

/* The bytes of two columns, so that word i has what rows i, i + LANES and so on have there. */
INLINE words by_row(words columns) {
#if defined(__clang__) && LANES == 16
    return (words)__builtin_shufflevector((octets)columns, (octets)columns, MIX4(0), MIX4(4),
                                          MIX4(8), MIX4(12));
#elif defined(__clang__)
    return (words)__builtin_shufflevector((octets)columns, (octets)columns, MIX4(0), MIX4(4));
#elif LANES == 16
    return (words)__builtin_shuffle((octets)columns, (octets){MIX4(0), MIX4(4), MIX4(8), MIX4(12)});
#else
    return (words)__builtin_shuffle((octets)columns, (octets){MIX4(0), MIX4(4)});
#endif
}

static const int PLACE[4] = {0, 2, 1, 3}; /* which quarter of a block the n-th nibbles are of */

/* The n-th nibbles of both halves of each word, as pairs of bf16: 1 + level / 16. */
INLINE words levels(words rows, int n) {
    const words shifted = n ? rows >> (4 * n - 3) : rows << 3;
    return (shifted & 0x00780078u) | 0x3f803f80u;
}

/* Sixteenths of the sums of each group of x [K]. */
INLINE void group_sums(const uint16_t *x, int64_t inputs, float *sums) {
    for (int64_t g = 0; g < inputs / GROUP; g++) {
        floats total = {0};
        for (int i = 0; i < GROUP; i += LANES) total += load_bf16(x + g * GROUP + i);
        sums[g] = sum_of(total) * 0.0625f;
    }
}

/* One block of outputs for R tokens: with w = (level - 8) * scale + zero, a group adds
   16 * scale * sum((1 + level / 16) * x) + (zero - 24 * scale) * sum(x). */
INLINE void tile(const int R, const matrix *m, int64_t block, const uint16_t *x,
                 const float *sums, floats y[TILE][4]) {
    const int64_t groups = m->inputs / GROUP;
    const uint8_t *packed = m->packed + block * m->inputs * (BLOCK / 2);
    const uint32_t *scales = m->scales + block * BLOCK;
    for (int r = 0; r < R; r++)
        for (int n = 0; n < 4; n++) y[r][n] = (floats){0};
    for (int64_t g = 0; g < groups; g++, scales += m->outputs, x += GROUP) {
        floats part[TILE][4];
        for (int r = 0; r < R; r++)
            for (int n = 0; n < 4; n++) part[r][n] = (floats){0};
        for (int ahead = 0; ahead < BLOCK; ahead += 16)
            __builtin_prefetch(scales + 4 * m->outputs + ahead);
        for (int k = 0; k < GROUP; k += 2, packed += BLOCK) {
            __builtin_prefetch(packed + AHEAD);
            const words rows = by_row(load(packed));
            pairs tokens[TILE];
            for (int r = 0; r < R; r++) tokens[r] = opened(every_pair(x + r * m->inputs + k));
            for (int n = 0; n < 4; n++) {
                const pairs weights = opened(levels(rows, n));
                for (int r = 0; r < R; r++)
                    part[r][n] = add_products(part[r][n], weights, tokens[r]);
            }
        }
        for (int n = 0; n < 4; n++) {
            const words both = load(scales + PLACE[n] * LANES);
            const floats scale = first(both), base = second(both) - scale * 24.0f;
            for (int r = 0; r < R; r++) {
                y[r][n] += base * sums[r * groups + g];
                y[r][n] += scale * part[r][n];
            }
        }
    }
    for (int n = 0; n < 4; n++) {
        const int64_t at = block * BLOCK + PLACE[n] * LANES;
        const floats bias = m->bias ? load_bf16(m->bias + at) : (floats){0};
        for (int r = 0; r < R; r++) y[r][n] = y[r][n] * 16.0f + bias;
    }
}

typedef struct {
    words weights[4][TILE_ROWS]; /* the levels of a group, as pairs */
    floats found[4][TILE_ROWS];  /* the products of its tokens */
} group_state;

/* Writes the levels of a group; returns the packed weights of the next one. */
INLINE const uint8_t *unpack_group(const uint8_t *packed, group_state *s) {
    for (int k = 0; k < GROUP / 2; k++, packed += BLOCK) {
        __builtin_prefetch(packed + AHEAD);
        const words rows = by_row(load(packed));
        for (int n = 0; n < 4; n++) s->weights[n][k] = levels(rows, n);
    }
    return packed;
}

/* Adds a group's products to y [rows][4]. */
INLINE void add_group(const matrix *m, int64_t rows, const uint32_t *scales, const float *sums,
                      const group_state *s, floats (*y)[4]) {
    for (int ahead = 0; ahead < BLOCK; ahead += 16)
        __builtin_prefetch(scales + 4 * m->outputs + ahead);
    for (int n = 0; n < 4; n++) {
        const words both = load(scales + PLACE[n] * LANES);
        const floats scale = first(both), base = second(both) - scale * 24.0f;
        for (int64_t r = 0; r < rows; r++) {
            y[r][n] += base * sums[r * (m->inputs / GROUP)];
            y[r][n] += scale * s->found[n][r];
        }
    }
}

/* The same as `tile` for up to 16 tokens, by the matrix unit. Each step unpacks one group,
   multiplies the one before and adds the one before that, so that none waits for memory. */
static void tile_by_matrix(int64_t rows, const matrix *m, int64_t block, const uint16_t *x,
                           const float *sums, floats (*y)[4]) {
    const int64_t groups = m->inputs / GROUP;
    const uint8_t *packed = m->packed + block * m->inputs * (BLOCK / 2);
    const uint32_t *scales = m->scales + block * BLOCK;
    group_state state[3];
    shape_tiles(rows);
    memset(y, 0, rows * sizeof *y);
    for (int64_t g = 0; g < groups + 2; g++) {
        if (g < groups) packed = unpack_group(packed, &state[g % 3]);
        if (g && g <= groups) {
            group_state *s = &state[(g - 1) % 3];
            multiply_group(x + (g - 1) * GROUP, m->inputs, (const words(*)[TILE_ROWS])s->weights,
                           s->found);
        }
        if (g > 1)
            add_group(m, rows, scales + (g - 2) * m->outputs, sums + g - 2, &state[(g - 2) % 3], y);
    }
    for (int n = 0; n < 4; n++) {
        const int64_t at = block * BLOCK + PLACE[n] * LANES;
        const floats bias = m->bias ? load_bf16(m->bias + at) : (floats){0};
        for (int64_t r = 0; r < rows; r++) y[r][n] = y[r][n] * 16.0f + bias;
    }
}

/* Tokens of a call of `tile_of`. */
INLINE int64_t together(void) { return has_matrix_unit() ? TILE_ROWS : TILE; }

static void tile_of(int64_t rows, const matrix *m, int64_t block, const uint16_t *x,
                    const float *sums, floats (*y)[4]) {
    if (has_matrix_unit()) return tile_by_matrix(rows, m, block, x, sums, y);
    switch (rows) {
    case 1: tile(1, m, block, x, sums, y); break;
    case 2: tile(2, m, block, x, sums, y); break;
    case 3: tile(3, m, block, x, sums, y); break;
    default: tile(4, m, block, x, sums, y);
    }
}

static float *own_sums(const product *p) {
    const matrix *m = p->weight;
    float *sums = p->sums + p->team->number() * p->rows * (m->inputs / GROUP);
    for (int64_t row = 0; row < p->rows; row++)
        group_sums(p->x + row * m->inputs, m->inputs, sums + row * (m->inputs / GROUP));
    return sums;
}

void multiply(const product *p) {
    const product mine = *p; /* a copy that no other thread writes beside */
    const matrix m = *p->weight;
    const float *sums = own_sums(&mine);
    const range blocks = share_of(mine.team, m.outputs / BLOCK);
    const tile_shapes before = open_matrix_unit();
    for (int64_t block = blocks.from; block < blocks.to; block++)
        for (int64_t row = 0; row < mine.rows; row += together()) {
            const int64_t some = least(together(), mine.rows - row);
            floats y[TILE_ROWS][4];
            tile_of(some, &m, block, mine.x + row * m.inputs, sums + row * (m.inputs / GROUP), y);
            for (int64_t r = 0; r < some; r++)
                for (int n = 0; n < 4; n++) {
                    uint16_t *to = mine.y + (row + r) * m.outputs + block * BLOCK + PLACE[n] * LANES;
                    store_bf16(to, mine.add == 0 ? y[r][n] : load_bf16(to) + y[r][n] * mine.add);
                }
        }
    close_matrix_unit(before);
}

void multiply_gated(const product *p) {
    const product mine = *p;
    const matrix m = *p->weight;
    const float *sums = own_sums(&mine);
    const int64_t width = m.outputs / 2;
    const range blocks = share_of(mine.team, width / BLOCK);
    const tile_shapes before = open_matrix_unit();
    for (int64_t block = blocks.from; block < blocks.to; block++)
        for (int64_t row = 0; row < mine.rows; row += together()) {
            const int64_t some = least(together(), mine.rows - row);
            const float *s = sums + row * (m.inputs / GROUP);
            floats gate[TILE_ROWS][4], up[TILE_ROWS][4];
            tile_of(some, &m, block, mine.x + row * m.inputs, s, gate);
            tile_of(some, &m, block + width / BLOCK, mine.x + row * m.inputs, s, up);
            for (int64_t r = 0; r < some; r++)
                for (int n = 0; n < 4; n++) {
                    const floats g = gate[r][n], silu = g / (1.0f + exponential(-g));
                    store_bf16(mine.y + (row + r) * width + block * BLOCK + PLACE[n] * LANES,
                               silu * up[r][n]);
                }
        }
    close_matrix_unit(before);
}

static void run_multiply(void *p) { multiply(p); }

void product4(const team *t, const matrix *m, int64_t rows, const uint16_t *x, uint16_t *y,
              float *sums) {
    product p = {t, m, rows, x, y, sums, 0};
    t->parallel(run_multiply, &p, t->threads, 0);
}

typedef struct {
    const team *team;
    const int8_t *weight;   /* [N, K] */
    const uint16_t *scales; /* [N] */
    int64_t inputs, outputs, rows;
    uint16_t *spread;  /* [rows, K]; for the matrix unit [rows / 16, K / 2, 16] pairs */
    words *room;       /* [threads, OUTPUTS, K / 2] */
    float *y;          /* [rows, N] */
} product8_job;

/* The bytes 2 i and 2 i + 1 of each word, as a pair of bf16, which holds 8 bits exactly. */
INLINE words widened(words four, int i) {
    const integers low = (integers)(four << (24 - 16 * i)) >> 24;
    const integers high = (integers)(four << (16 - 16 * i)) >> 24;
    const words a = (words)__builtin_convertvector(low, floats);
    const words b = (words)__builtin_convertvector(high, floats);
    return a >> 16 | b;
}

/* Widens the weights of N outputs: each [K / 2] pairs in `room`. */
INLINE void widen(const int N, const product8_job *j, int64_t output, words *room) {
    const int8_t *weight = j->weight + output * j->inputs;
    for (int64_t k = 0; k < N * j->inputs; k += BLOCK) {
        __builtin_prefetch(weight + k + AHEAD);
        for (int i = 0; i < 2; i++) *room++ = widened(load(weight + k), i);
    }
}

/* N outputs of R tokens, whose values `spread` has brought into the order of `widened`; `room`
   has the weights if they are widened already. */
INLINE void dots(const int R, const int N, const product8_job *j, int64_t output, int64_t row,
                 const words *room) {
    const int64_t inputs = j->inputs;
    const int8_t *weight = j->weight + output * inputs;
    const uint16_t *x = j->spread + row * inputs;
    floats total[OUTPUTS * TILE];
    for (int i = 0; i < N * R; i++) total[i] = (floats){0};
    for (int64_t k = 0; k < inputs; k += BLOCK)
        for (int i = 0; i < 2; i++) {
            pairs tokens[TILE];
            for (int r = 0; r < R; r++)
                tokens[r] = opened(load(x + r * inputs + k + i * 2 * LANES));
            for (int n = 0; n < N; n++) {
                const int64_t at = n * inputs + k;
                if (!room) __builtin_prefetch(weight + at + AHEAD);
                const pairs weights =
                    opened(room ? room[at / (2 * LANES) + i] : widened(load(weight + at), i));
                for (int r = 0; r < R; r++)
                    total[n * R + r] = add_products(total[n * R + r], weights, tokens[r]);
            }
        }
    float sums[OUTPUTS * TILE];
    if (N * R == LANES)
        store_floats(sums, sums_of(total));
    else
        for (int i = 0; i < N * R; i++) sums[i] = sum_of(total[i]);
    for (int n = 0; n < N; n++)
        for (int r = 0; r < R; r++)
            j->y[(row + r) * j->outputs + output + n] = sums[n * R + r] * wide(j->scales[output + n]);
}

INLINE void dots_of(int64_t R, const int N, const product8_job *j, int64_t output, int64_t row,
                    const words *room) {
    switch (R) {
    case 1: dots(1, N, j, output, row, room); break;
    case 2: dots(2, N, j, output, row, room); break;
    case 3: dots(3, N, j, output, row, room); break;
    default: dots(4, N, j, output, row, room);
    }
}

/* N outputs of all tokens; each weight is widened once. */
INLINE void outputs_of(const int N, const product8_job *j, int64_t output, words *room) {
    if (j->rows <= TILE) return dots_of(j->rows, N, j, output, 0, NULL);
    widen(N, j, output, room);
    for (int64_t row = 0; row < j->rows; row += TILE)
        dots_of(least(TILE, j->rows - row), N, j, output, row, room);
}

static void spread(const uint16_t *x, uint16_t *to, int64_t count) {
    for (int64_t k = 0; k < count; k += BLOCK)
        for (int at = 0; at < BLOCK; at++)
            to[k + at / 2 % 2 * 2 * LANES + at / 4 * 2 + at % 2] = x[k + at];
}

/* The same pairs as columns, 16 tokens together; tokens that are missing are zeros. */
static void spread_columns(const uint16_t *x, uint32_t *to, int64_t rows, int64_t inputs) {
    for (int64_t row = 0; row < rows; row += TILE_ROWS)
        for (int64_t q = 0; q < inputs / 2; q++)
            for (int64_t r = row; r < row + TILE_ROWS; r++) {
                const int64_t pair = q / 32 * 32 + q % 16 * 2 + q / 16 % 2;
                *to = 0;
                if (r < rows) memcpy(to, x + r * inputs + 2 * pair, sizeof *to);
                to++;
            }
}

/* Up to 16 outputs of the tokens of one column of pairs, or of two, by the matrix unit. */
INLINE void outputs_by_matrix(const int TWO, int64_t count, const product8_job *j, int64_t output,
                              int64_t row) {
    const int64_t inputs = j->inputs;
    const words *columns = (const words *)j->spread + row / TILE_ROWS * (inputs / 2);
    words room[2][TILE_ROWS][2]; /* one is widened while the other is multiplied */
    floats parts[4][TILE_ROWS];
    clear_rows();
    for (int64_t k = 0; k < inputs + BLOCK; k += BLOCK) {
        for (int64_t n = 0; k < inputs && n < count; n++) {
            const int8_t *weight = j->weight + (output + n) * inputs + k;
            __builtin_prefetch(weight + TILE_ROWS * inputs); /* of the next outputs */
            for (int i = 0; i < 2; i++) room[k / BLOCK % 2][n][i] = widened(load(weight), i);
        }
        if (k) {
            const words *b = columns + (k - BLOCK) / 2;
            add_rows((const uint16_t *)room[(k / BLOCK - 1) % 2], BLOCK, b, TWO ? b + inputs / 2 : 0);
        }
    }
    store_rows(parts);
    for (int c = 0; c < 1 + TWO; c++, row += TILE_ROWS)
        for (int64_t n = 0; n < count; n++) {
            const floats found = (parts[2 * c][n] + parts[2 * c + 1][n]) * wide(j->scales[output + n]);
            for (int64_t r = row; r < least(row + TILE_ROWS, j->rows); r++)
                j->y[r * j->outputs + output + n] = found[r - row];
        }
}

static void run_by_matrix(const product8_job *j, range mine) {
    const tile_shapes before = open_matrix_unit();
    for (int64_t output = mine.from; output < mine.to; output += TILE_ROWS) {
        const int64_t count = least(TILE_ROWS, mine.to - output);
        if (count < TILE_ROWS) shape_tiles(count);
        int64_t row = 0;
        for (; row + TILE_ROWS < j->rows; row += 2 * TILE_ROWS)
            outputs_by_matrix(1, count, j, output, row);
        if (row < j->rows) outputs_by_matrix(0, count, j, output, row);
    }
    close_matrix_unit(before);
}

static void run_product8(void *data) {
    const product8_job j = *(product8_job *)data;
    const range mine = share_of(j.team, j.outputs);
    if (has_matrix_unit()) return run_by_matrix(&j, mine);
    words *room = j.room + j.team->number() * OUTPUTS * (j.inputs / (2 * LANES));
    int64_t output = mine.from;
    for (; output + OUTPUTS <= mine.to; output += OUTPUTS) outputs_of(OUTPUTS, &j, output, room);
    for (; output < mine.to; output++) outputs_of(1, &j, output, room);
}

void product8(const team *t, const int8_t *weight, const uint16_t *scales, int64_t inputs,
              int64_t outputs, int64_t rows, const uint16_t *x, uint16_t *spread_x, void *room,
              float *y) {
    if (has_matrix_unit()) spread_columns(x, (uint32_t *)spread_x, rows, inputs);
    else spread(x, spread_x, rows * inputs);
    product8_job j = {t, weight, scales, inputs, outputs, rows, spread_x, room, y};
    t->parallel(run_product8, &j, t->threads, 0);
}
