/* Products of bf16 by the processor's matrix unit (AMX), where it has one and the system grants it.

   Such a processor multiplies bf16 vectors at a fortieth of its matrix unit's rate. A tile holds
   16 rows of 16 words. */

#pragma once

#include "vectors.h"

#define TILE_ROWS 16

#if defined(__AMX_BF16__) && defined(__linux__) && LANES == 16
#include <sys/syscall.h>
#include <unistd.h>

#define PERMIT 0x1023 /* ARCH_REQ_XCOMP_PERM of arch_prctl */
#define TILE_DATA 18  /* the state that holds the tiles */

typedef struct {
    uint8_t palette, start, none[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} __attribute__((aligned(64))) tile_shapes;

/* Whether this process may use the matrix unit; the system is asked once. */
static int has_matrix_unit(void) {
    static int answer; /* 0: not asked, 1: no, 2: yes */
    int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
    if (!known) {
        known = syscall(SYS_arch_prctl, PERMIT, TILE_DATA) == 0 ? 2 : 1;
        __atomic_store_n(&answer, known, __ATOMIC_RELAXED);
    }
    return known == 2;
}

/* Gives this thread eight tiles; the first five have so many rows, the others all. */
INLINE void shape_tiles(int64_t rows) {
    tile_shapes own = {.palette = 1};
    for (int i = 0; i < 8; i++) own.bytes[i] = 64, own.rows[i] = i < 5 ? rows : TILE_ROWS;
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig(&own);
}

/* Gives this thread eight whole tiles; returns what it had before. */
INLINE tile_shapes open_matrix_unit(void) {
    tile_shapes before = {0};
    if (!has_matrix_unit()) return before;
    _tile_storeconfig(&before);
    shape_tiles(TILE_ROWS);
    return before;
}

INLINE void close_matrix_unit(tile_shapes before) {
    if (!has_matrix_unit()) return;
    __asm__ volatile("" ::: "memory");
    if (before.palette) _tile_loadconfig(&before);
    else _tile_release();
}

/* sums[i] = the products of row i of a with b, after the sums so far where `adds`.

   `a` has `rows` rows of `depth` values, a row every `step`; b [depth / 2] has the pairs of
   4 * LANES columns. Rows and depth are multiples of 32. */
INLINE void multiply_matrix(const uint16_t *a, int64_t step, int64_t rows, int64_t depth,
                            const words (*b)[4], floats (*sums)[4], int adds) {
    __asm__ volatile("" ::: "memory"); /* tiles are loaded behind the compiler's back */
    for (int64_t i = 0; i < rows; i += 2 * TILE_ROWS)
        for (int v = 0; v < 4; v += 2) {
            floats *low = &sums[i][v], *high = &sums[i + TILE_ROWS][v];
            if (adds) {
                _tile_loadd(0, low, sizeof *sums);
                _tile_loadd(1, low + 1, sizeof *sums);
                _tile_loadd(2, high, sizeof *sums);
                _tile_loadd(3, high + 1, sizeof *sums);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            for (int64_t k = 0; k < depth; k += 32) {
                _tile_loadd(4, a + i * step + k, 2 * step);
                _tile_loadd(5, a + (i + TILE_ROWS) * step + k, 2 * step);
                _tile_loadd(6, &b[k / 2][v], sizeof *b);
                _tile_loadd(7, &b[k / 2][v + 1], sizeof *b);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, low, sizeof *sums);
            _tile_stored(1, low + 1, sizeof *sums);
            _tile_stored(2, high, sizeof *sums);
            _tile_stored(3, high + 1, sizeof *sums);
        }
    __asm__ volatile("" ::: "memory");
}

/* The products of up to 16 rows of 32 values, a row every `step`, with the pairs of 4 * 16 columns:
   b [4][16], found [4][rows]. The tiles have as many rows. */
INLINE void multiply_group(const uint16_t *a, int64_t step, const words (*b)[TILE_ROWS],
                           floats (*found)[TILE_ROWS]) {
    __asm__ volatile("" ::: "memory");
    _tile_loadd(4, a, 2 * step);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(5, b[0], sizeof(words));
    _tile_loadd(6, b[1], sizeof(words));
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(5, b[2], sizeof(words));
    _tile_loadd(6, b[3], sizeof(words));
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 6);
    _tile_stored(0, found[0], sizeof(floats));
    _tile_stored(1, found[1], sizeof(floats));
    _tile_stored(2, found[2], sizeof(floats));
    _tile_stored(3, found[3], sizeof(floats));
    __asm__ volatile("" ::: "memory");
}

/* Adds the products of up to 16 rows of 64 values, a row every `step`, with the pairs of 16 columns,
   b [32], to tiles 0 and 1; those with `more`, where it is given, to tiles 2 and 3. */
INLINE void add_rows(const uint16_t *a, int64_t step, const words *b, const words *more) {
    __asm__ volatile("" ::: "memory");
    _tile_loadd(4, a, 2 * step);
    _tile_loadd(5, b, sizeof *b);
    _tile_dpbf16ps(0, 4, 5);
    if (more) {
        _tile_loadd(6, more, sizeof *b);
        _tile_dpbf16ps(2, 4, 6);
    }
    _tile_loadd(4, a + 32, 2 * step);
    _tile_loadd(5, b + TILE_ROWS, sizeof *b);
    _tile_dpbf16ps(1, 4, 5);
    if (more) {
        _tile_loadd(6, more + TILE_ROWS, sizeof *b);
        _tile_dpbf16ps(3, 4, 6);
    }
}

INLINE void clear_rows(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* Stores tiles 0 to 3. */
INLINE void store_rows(floats (*parts)[TILE_ROWS]) {
    _tile_stored(0, parts[0], sizeof(floats));
    _tile_stored(1, parts[1], sizeof(floats));
    _tile_stored(2, parts[2], sizeof(floats));
    _tile_stored(3, parts[3], sizeof(floats));
    __asm__ volatile("" ::: "memory");
}
#else
typedef int tile_shapes;

INLINE void shape_tiles(int64_t rows) { (void)rows; }
INLINE void multiply_group(const uint16_t *a, int64_t step, const words (*b)[TILE_ROWS],
                           floats (*found)[TILE_ROWS]) {
    (void)a, (void)step, (void)b, (void)found;
}
INLINE void add_rows(const uint16_t *a, int64_t step, const words *b, const words *more) {
    (void)a, (void)step, (void)b, (void)more;
}
INLINE void clear_rows(void) {}
INLINE void store_rows(floats (*parts)[TILE_ROWS]) { (void)parts; }

INLINE int has_matrix_unit(void) { return 0; }
INLINE tile_shapes open_matrix_unit(void) { return 0; }
INLINE void close_matrix_unit(tile_shapes before) { (void)before; }
INLINE void multiply_matrix(const uint16_t *a, int64_t step, int64_t rows, int64_t depth,
                            const words (*b)[4], floats (*sums)[4], int adds) {
    (void)a, (void)step, (void)rows, (void)depth, (void)b, (void)sums, (void)adds;
}
#endif
