#include "array_sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NO_TILE = -1 };

/* What the controller sends from the corner in one cycle: part of a load, part of a stream. */
typedef struct command {
    int load_tile, load_step;     /* the step-th row from the bottom of B enters */
    int stream_tile, stream_step; /* the step-th row of every part's share of A enters */
} command;

typedef struct operand { /* a value on its way, with its origin for checking */
    bool valid;
    int tile, row;
    int64_t value;
} operand;

typedef struct pe {
    operand a;      /* travels right */
    operand sum;    /* travels down */
    operand shadow; /* the next resting operand; row: of B */
    int64_t active;
    operand result; /* output stationary only: waits, then travels down; row: of C in the tile */
    operand b;      /* output stationary only: travels down */
    int64_t acc;
} pe;

typedef struct machine {
    int rows, cols;
    pe *grid;
    const sim_tile *tiles;
    int n_tiles;
    bool wide;    /* a tile loads in one cycle */
    command *log; /* by cycle */
    int64_t log_len, log_cap;
    const char *hazard;
    int64_t last_exit; /* cycles until the last result was out */
} machine;

static pe *at(machine *x, int r, int c)
{
    return &x->grid[r * x->cols + c];
}

static void open_machine(machine *x, int rows, int cols, const sim_tile *tiles, int n_tiles)
{
    *x = (machine){.rows = rows, .cols = cols, .tiles = tiles, .n_tiles = n_tiles};
    x->grid = calloc((size_t)rows * (size_t)cols, sizeof *x->grid);
    assert(x->grid);
}

static sim_result close_machine(machine *x)
{
    sim_result r = {.cycles = x->last_exit, .hazard = x->hazard};
    free(x->grid);
    free(x->log);
    return r;
}

static command said(const machine *x, int64_t cycle)
{
    if (cycle < 0)
        return (command){.load_tile = NO_TILE, .stream_tile = NO_TILE};
    assert(cycle < x->log_len);
    return x->log[cycle];
}

static void say(machine *x, command order)
{
    if (x->log_len == x->log_cap) {
        x->log_cap = x->log_cap ? 2 * x->log_cap : 64;
        x->log = realloc(x->log, (size_t)x->log_cap * sizeof *x->log);
        assert(x->log);
    }
    x->log[x->log_len++] = order;
}

/* --- resting operands --- */

/* Which part of a cut array a PE belongs to, and where that part begins. */
typedef struct part {
    int row0, col0, rows;
    int begin, count; /* its share of A's rows */
} part;

static part part_of(const machine *x, const sim_tile *t, int r, int c)
{
    part p = {.rows = x->rows, .count = t->m};
    int half_rows = x->rows / 2, half_cols = x->cols / 2;
    int parts = (t->cut_rows ? 2 : 1) * (t->cut_cols ? 2 : 1), index = 0;
    if (t->cut_rows) {
        p.rows = half_rows;
        if (r >= half_rows) {
            p.row0 = half_rows;
            index += t->cut_cols ? 2 : 1;
        }
    }
    if (t->cut_cols && c >= half_cols) {
        p.col0 = half_cols;
        index += 1;
    }
    p.count = t->m / parts + (index < t->m % parts);
    p.begin = t->m / parts * index + (index < t->m % parts ? index : t->m % parts);
    return p;
}

static int longest_share(const sim_tile *t)
{
    int parts = (t->cut_rows ? 2 : 1) * (t->cut_cols ? 2 : 1);
    return t->m / parts + (t->m % parts > 0);
}

/* What enters a PE from the left in this cycle: from a port where its part begins, else its
 * neighbour's value of the cycle before, if that value's tile crosses the border. */
static operand incoming(machine *x, int r, int c, int64_t now)
{
    operand in = {0};
    if (c > 0) {
        operand left = at(x, r, c - 1)->a;
        bool border = left.valid && part_of(x, &x->tiles[left.tile], r, c).col0 == c;
        if (left.valid && !border)
            in = left;
    }
    command order = said(x, now - r - c);
    if (order.stream_tile == NO_TILE)
        return in;
    const sim_tile *t = &x->tiles[order.stream_tile];
    part p = part_of(x, t, r, c);
    if (p.col0 != c || order.stream_step >= p.count)
        return in;
    if (in.valid)
        x->hazard = "a port and a neighbour send at once";
    int k = r - p.row0, row = p.begin + order.stream_step;
    return (operand){.valid = true,
                     .tile = order.stream_tile,
                     .row = row,
                     .value = k < t->k ? t->a[row * t->lda + k] : 0};
}

static void multiply(machine *x, int r, int c, int64_t now)
{
    pe *here = at(x, r, c);
    operand in = incoming(x, r, c, now);
    here->sum.valid = false;
    here->a = in;
    if (!in.valid)
        return;

    const sim_tile *t = &x->tiles[in.tile];
    part p = part_of(x, t, r, c);
    bool resting = r - p.row0 < t->k && c - p.col0 < t->n;
    if (in.row == p.begin) { /* the first row of a stream brings its tile into place */
        if (resting && (!here->shadow.valid || here->shadow.tile != in.tile ||
                        here->shadow.row != r - p.row0)) {
            x->hazard = "a stream came before its resting operand";
        }
        here->active = here->shadow.value;
        here->shadow.valid = false;
    }
    int64_t sum = 0;
    if (r > p.row0) {
        operand above = at(x, r - 1, c)->sum;
        if (!above.valid || above.tile != in.tile || above.row != in.row) {
            x->hazard = "a sum and its operand do not meet";
        }
        sum = above.value;
    }
    sum += in.value * here->active;
    here->sum = (operand){.valid = true, .tile = in.tile, .row = in.row, .value = sum};
    if (r == p.row0 + p.rows - 1 && c - p.col0 < t->n) {
        t->c[in.row * t->ldc + c - p.col0] += sum;
        x->last_exit = now + 1;
    }
}

/* A load finds the shadow register taken: is that a mistake? A part without a share of A's rows never takes
 * its operand, which may go. */
static void overwrite(machine *x, const pe *here, int tile, int r, int c)
{
    if (here->shadow.valid && here->shadow.tile != tile &&
        part_of(x, &x->tiles[here->shadow.tile], r, c).count > 0)
        x->hazard = "a load overwrites an operand that waits";
}

/* Wide loads: the command passes with the same lag as the data and drops each PE's operand. */
static void drop(machine *x, int r, int c, int64_t now)
{
    command order = said(x, now - r - c);
    if (order.load_tile == NO_TILE)
        return;
    const sim_tile *t = &x->tiles[order.load_tile];
    part p = part_of(x, t, r, c);
    int k = r - p.row0, n = c - p.col0;
    if (k >= t->k)
        return;
    overwrite(x, at(x, r, c), order.load_tile, r, c);
    at(x, r, c)->shadow = (operand){true, order.load_tile, k, n < t->n ? t->b[k * t->ldb + n] : 0};
}

/* The shadow registers shift by one row wherever a value that belongs there is on its way. */
static void shift(machine *x, int r, int c, int64_t now)
{
    pe *here = at(x, r, c);
    for (int lower = 0; lower < 2;
         lower++) { /* is a command here for the part that begins at row0? */
        int row0 = lower ? x->rows / 2 : 0;
        command order = said(x, now - row0 - c);
        if (order.load_tile == NO_TILE || (lower && row0 == 0))
            continue;
        const sim_tile *t = &x->tiles[order.load_tile];
        part p = part_of(x, t, r, c);
        if (p.row0 != row0 || order.load_step < r - row0)
            continue;
        overwrite(x, here, order.load_tile, r, c);
        if (r == row0) {
            int k = t->k - 1 - order.load_step, n = c - p.col0;
            int64_t value = k < t->k && k >= 0 && n < t->n ? t->b[k * t->ldb + n] : 0;
            here->shadow = (operand){true, order.load_tile, k, value};
        } else {
            here->shadow = at(x, r - 1, c)->shadow;
            here->shadow.valid = true;
        }
    }
}

/* One cycle. Neighbours are read before they change: the loops run from the far corner. */
static void step_resting(machine *x, int64_t now)
{
    for (int r = x->rows - 1; r >= 0; r--) {
        for (int c = x->cols - 1; c >= 0; c--)
            multiply(x, r, c, now);
    }
    for (int r = x->rows - 1; r >= 0; r--) {
        for (int c = x->cols - 1; c >= 0; c--) {
            if (x->wide)
                drop(x, r, c, now);
            else
                shift(x, r, c, now);
        }
    }
}

static int load_cycles(const machine *x, int tile)
{
    return x->wide ? 1 : x->tiles[tile].k;
}

sim_result sim_resting(int rows, int cols, const sim_tile *tiles, int n_tiles, bool wide)
{
    machine x;
    open_machine(&x, rows, cols, tiles, n_tiles);
    x.wide = wide;
    int loading = 0, loaded = 0; /* tile, and rows of it that entered */
    int streaming = NO_TILE, streamed = 0;
    int64_t now = 0, quiet_from = INT64_MAX;
    for (; now < quiet_from; now++) {
        command order = {.load_tile = NO_TILE, .stream_tile = NO_TILE};
        /* Stream: the next tile when it is loaded and the one before has entered whole. */
        bool idle = streaming == NO_TILE || streamed == longest_share(&tiles[streaming]);
        if (idle && loading < n_tiles && loaded == load_cycles(&x, loading)) {
            streaming = loading++;
            streamed = loaded = 0;
            idle = false;
        }
        if (!idle) {
            order.stream_tile = streaming;
            order.stream_step = streamed++;
        }
        /* Load: the first PE's shadow register is free once its tile has begun to stream. */
        if (loading < n_tiles && loading <= streaming + 1 && loaded < load_cycles(&x, loading)) {
            order.load_tile = loading;
            order.load_step = loaded++;
        }
        say(&x, order);
        step_resting(&x, now);
        if (idle && loading == n_tiles && quiet_from == INT64_MAX)
            quiet_from = now + rows + cols + 1;
    }
    return close_machine(&x);
}

sim_result sim_resting_exposed(int rows, int cols, const sim_tile *tiles, int n_tiles)
{
    sim_result all = {0};
    for (int i = 0; i < n_tiles && !all.hazard; i++) {
        /* Padded to the full array: zeros are loaded and streamed like anything else. */
        sim_tile t = tiles[i];
        int64_t *a = calloc((size_t)t.m * (size_t)rows, sizeof *a);
        int64_t *b = calloc((size_t)rows * (size_t)cols, sizeof *b);
        int64_t *c = calloc((size_t)t.m * (size_t)cols, sizeof *c);
        assert(a && b && c);
        for (int m = 0; m < t.m; m++)
            memcpy(a + m * rows, t.a + m * t.lda, (size_t)t.k * sizeof *a);
        for (int k = 0; k < t.k; k++)
            memcpy(b + k * cols, t.b + k * t.ldb, (size_t)t.n * sizeof *b);
        sim_tile padded = {.m = t.m,
                           .n = cols,
                           .k = rows,
                           .a = a,
                           .b = b,
                           .c = c,
                           .lda = rows,
                           .ldb = cols,
                           .ldc = cols};
        sim_result one = sim_resting(rows, cols, &padded, 1, false);
        all.cycles += one.cycles;
        all.hazard = one.hazard;
        for (int m = 0; m < t.m; m++) {
            for (int n = 0; n < t.n; n++)
                t.c[m * t.ldc + n] += c[m * cols + n];
        }
        free(a);
        free(b);
        free(c);
    }
    return all;
}

/* --- resting outputs --- */

/* Results of a tile wait until their column is complete: that moment travels from column to column.
 */
static bool may_leave(const int64_t *last_entry, const sim_tile *tiles, operand result, int c,
                      int64_t now)
{
    int64_t complete = last_entry[result.tile] + tiles[result.tile].m - 1 + c;
    return now > complete;
}

static void leave(machine *x, const int64_t *last_entry, int c, int64_t now)
{
    for (int r = x->rows - 1; r >= 0; r--) {
        operand *result = &at(x, r, c)->result;
        if (!result->valid || !may_leave(last_entry, x->tiles, *result, c, now))
            continue;
        const sim_tile *t = &x->tiles[result->tile];
        if (r == x->rows - 1) {
            t->c[result->row * t->ldc + c] += result->value;
            x->last_exit = now + 1;
        } else {
            operand *below = &at(x, r + 1, c)->result;
            if (below->valid)
                x->hazard = "two results meet";
            *below = *result;
        }
        result->valid = false;
    }
}

static void accumulate(machine *x, int r, int c, int64_t now)
{
    pe *here = at(x, r, c);
    command order = said(x, now - r - c); /* the streams of row r and column c are skewed alike */
    operand a = {0}, b = {0};
    if (order.stream_tile != NO_TILE) {
        const sim_tile *t = &x->tiles[order.stream_tile];
        int k = order.stream_step;
        operand from_a = {true, order.stream_tile, k, r < t->m ? t->a[r * t->lda + k] : 0};
        operand from_b = {true, order.stream_tile, k, c < t->n ? t->b[k * t->ldb + c] : 0};
        a = c == 0 ? from_a : at(x, r, c - 1)->a;
        b = r == 0 ? from_b : at(x, r - 1, c)->b;
        if (!a.valid || !b.valid || a.tile != b.tile || a.row != b.row) {
            x->hazard = "operands do not meet";
        }
    }
    here->a = a;
    here->b = b;
    if (!a.valid)
        return;
    const sim_tile *t = &x->tiles[a.tile];
    here->acc = (a.row == 0 ? 0 : here->acc) + a.value * b.value;
    if (a.row == t->k - 1 && r < t->m && c < t->n) {
        if (here->result.valid)
            x->hazard = "a result overwrites one that waits";
        here->result = (operand){true, a.tile, r, here->acc};
    }
}

sim_result sim_output(int rows, int cols, const sim_tile *tiles, int n_tiles, bool early)
{
    machine x;
    open_machine(&x, rows, cols, tiles, n_tiles);
    int64_t *last_entry = malloc((size_t)n_tiles * sizeof *last_entry);
    assert(last_entry);
    for (int i = 0; i < n_tiles; i++)
        last_entry[i] = INT64_MAX / 2;
    int tile = 0, step = 0;
    int64_t now = 0, quiet_from = INT64_MAX;
    for (; now < quiet_from; now++) {
        command order = {.load_tile = NO_TILE, .stream_tile = NO_TILE};
        if (tile < n_tiles) {
            /* The first PE's result of the tile before leaves one cycle after its column is
             * complete; a stream starts so that its own result comes no earlier. */
            int64_t free_at = tile == 0 ? 0 : last_entry[tile - 1] + tiles[tile - 1].m - early;
            if (step > 0 || now + tiles[tile].k - 1 >= free_at) {
                order.stream_tile = tile;
                order.stream_step = step++;
            }
            if (step == tiles[tile].k) {
                last_entry[tile++] = now;
                step = 0;
            }
        } else if (quiet_from == INT64_MAX) {
            quiet_from = now + 2 * rows + cols + tiles[n_tiles - 1].m;
        }
        say(&x, order);
        for (int c = 0; c < cols; c++)
            leave(&x, last_entry, c, now);
        for (int r = rows - 1; r >= 0; r--) {
            for (int c = cols - 1; c >= 0; c--)
                accumulate(&x, r, c, now);
        }
    }
    free(last_entry);
    return close_machine(&x);
}

sim_result sim_output_exposed(int rows, int cols, const sim_tile *tiles, int n_tiles)
{
    sim_result all = {0};
    for (int i = 0; i < n_tiles && !all.hazard; i++) {
        sim_result one = sim_output(rows, cols, &tiles[i], 1, false);
        all.hazard = one.hazard;
        /* From the first entry to the last product in the far corner of a full array. */
        all.cycles += tiles[i].k + (rows - 1) + (cols - 1);
    }
    return all;
}
