#include "flexsa_ref.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

typedef struct tiler {
    const sky_flexsa_unit *u;
    sky_gemm g;
    sky_flexsa_tiling t;
    void (*each)(void *arg, const ref_wave *w);
    void *arg;
} tiler;

static void tile_block(const tiler *x, int64_t m, int64_t n)
{
    for (int64_t k = 0; k < x->g.k; k += x->t.k) {
        ref_wave w = {.m0 = m,
                      .n0 = n,
                      .k0 = k,
                      .m = least(x->t.m, x->g.m - m),
                      .n = least(x->t.n, x->g.n - n),
                      .k = least(x->t.k, x->g.k - k)};
        const int cuts = x->u->cuts & x->t.cuts;
        bool wide = cuts == 0 || cuts == SKY_CUT_ROWS || w.n > x->u->cols / 2;
        bool tall = cuts == 0 || cuts == SKY_CUT_COLS || w.k > x->u->rows / 2;
        w.mode = wide && tall ? SKY_FW : tall ? SKY_VSW : wide ? SKY_HSW : SKY_ISW;
        x->each(x->arg, &w);
    }
}

void ref_tile(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t,
              void (*each)(void *arg, const ref_wave *w), void *arg)
{
    tiler x = {u, g, {u->stream_max, u->cols, u->rows, SKY_CUT_BOTH, false, false}, each, arg};
    if (t)
        x.t = *t;
    if (x.t.m_outer) {
        for (int64_t m = 0; m < g.m; m += x.t.m) {
            for (int64_t n = 0; n < g.n; n += x.t.n)
                tile_block(&x, m, n);
        }
        return;
    }
    for (int64_t n = 0; n < g.n; n += x.t.n) {
        for (int64_t m = 0; m < g.m; m += x.t.m)
            tile_block(&x, m, n);
    }
}

/* --- one unit --- */

/* A part of the array: where it begins, how high it is, how many of the wave's rows it gets. */
typedef struct part {
    int64_t row0, col0, rows, share;
} part;

static int parts_of(const sky_flexsa_unit *u, const ref_wave *w, part *p)
{
    int64_t e = u->rows, low = e / 2, right = u->cols / 2;
    int n = 0;
    switch (w->mode) {
    case SKY_FW:
        p[n++] = (part){0, 0, e, 0};
        break;
    case SKY_VSW:
        p[n++] = (part){0, 0, e, 0};
        p[n++] = (part){0, right, e, 0};
        break;
    case SKY_HSW:
        p[n++] = (part){0, 0, low, 0};
        p[n++] = (part){low, 0, low, 0};
        break;
    default:
        p[n++] = (part){0, 0, low, 0};
        p[n++] = (part){0, right, low, 0};
        p[n++] = (part){low, 0, low, 0};
        p[n++] = (part){low, right, low, 0};
        break;
    }
    for (int i = 0; i < n; i++)
        p[i].share = w->m / n + (i < w->m % n);
    return n;
}

typedef struct walk {
    const sky_flexsa_unit *u;
    sky_flexsa_run run;
    int64_t start, stream; /* S_j and the longest share of the wave before */
    bool begun;
} walk;

static void add_wave(void *arg, const ref_wave *w)
{
    walk *x = arg;
    part p[4];
    int n = parts_of(x->u, w, p);
    int64_t load = x->u->wide_load ? 1 : w->k;
    x->start = x->begun ? x->start + most(x->stream, load) : load;
    x->begun = true;
    x->stream = p[0].share;
    for (int i = 0; i < n; i++) {
        if (p[i].share == 0)
            continue;
        int64_t end = x->start + p[i].row0 + p[i].col0 + p[i].share + p[i].rows + w->n - 2;
        x->run.cycles = most(x->run.cycles, end);
    }
    x->run.waves[w->mode]++;
    x->run.stationary_bytes += 2 * w->k * w->n;
    x->run.copied_bytes += n * 2 * w->k * w->n;
    x->run.moving_bytes += 2 * w->m * w->k;
    x->run.sum_bytes += 2 * 4 * w->m * w->n;
    if (w->k0 == 0)
        x->run.output_bytes += 4 * w->m * w->n;
}

sky_flexsa_run ref_unit_run(const sky_flexsa_unit *u, sky_gemm g, const sky_flexsa_tiling *t)
{
    walk x = {.u = u};
    if (t && t->swapped)
        g = (sky_gemm){.m = g.n, .n = g.m, .k = g.k};
    ref_tile(u, g, t, add_wave, &x);
    return x.run;
}

/* --- several units --- */

static sky_gemm nth_part(sky_gemm g, char axis, int parts, int i)
{
    int64_t *edge = axis == 'm' ? &g.m : axis == 'n' ? &g.n : &g.k;
    *edge = *edge / parts + (i < *edge % parts);
    return g;
}

static void add_part(sky_flexsa_run *sum, const sky_flexsa_run *r)
{
    sum->cycles = most(sum->cycles, r->cycles);
    for (int i = 0; i < SKY_FLEXSA_MODES; i++)
        sum->waves[i] += r->waves[i];
    sum->stationary_bytes += r->stationary_bytes;
    sum->copied_bytes += r->copied_bytes;
    sum->moving_bytes += r->moving_bytes;
    sum->output_bytes += r->output_bytes;
    sum->sum_bytes += r->sum_bytes;
}

static bool is_empty(sky_gemm g)
{
    return g.m == 0 || g.n == 0 || g.k == 0;
}

static sky_flexsa_run units_along(const sky_flexsa_machine *m, sky_gemm g, char axis)
{
    sky_flexsa_run sum = {0};
    int64_t used = 0;
    for (int i = 0; i < m->units; i++) {
        sky_gemm piece = nth_part(g, axis, m->units, i);
        if (is_empty(piece))
            continue;
        sky_flexsa_run r = ref_unit_run(&m->unit, piece, NULL);
        add_part(&sum, &r);
        used++;
    }
    if (axis == 'k' && used > 1)
        sum.output_bytes += (used + 1) * 4 * g.m * g.n;
    return sum;
}

static sky_flexsa_run group_run(const sky_flexsa_machine *m, sky_gemm g)
{
    if (m->units == 1)
        return ref_unit_run(&m->unit, g, NULL);
    sky_flexsa_run best = units_along(m, g, 'm');
    for (const char *axis = "nk"; *axis; axis++) {
        sky_flexsa_run r = units_along(m, g, *axis);
        if (r.cycles < best.cycles)
            best = r;
    }
    return best;
}

sky_flexsa_run ref_machine_run(const sky_flexsa_machine *m, sky_gemm g, sky_phase phase)
{
    if (m->groups == 1)
        return group_run(m, g);
    char axis = phase == SKY_WGRAD ? 'k' : 'm';
    sky_flexsa_run sum = {0};
    int64_t used = 0;
    for (int i = 0; i < m->groups; i++) {
        sky_gemm piece = nth_part(g, axis, m->groups, i);
        if (is_empty(piece))
            continue;
        sky_flexsa_run r = group_run(m, piece);
        add_part(&sum, &r);
        used++;
    }
    if (axis == 'k' && used > 1)
        sum.output_bytes += (used + 1) * 4 * g.m * g.n;
    return sum;
}

/* --- DRAM --- */

/* Keeps an operand of `kept` bytes in pieces that fit: every piece is loaded once, and while it is there
 * the whole of the other operand passes. Returns the bytes that all groups read. */
static int64_t keep(int64_t kept, int64_t room, int64_t all_kept, int64_t all_other)
{
    int64_t bytes = all_kept;
    for (int64_t done = 0; done < kept; done += room)
        bytes += all_other;
    return bytes;
}

int64_t ref_dram_bytes(const sky_flexsa_machine *m, const sky_flexsa_tensors *t)
{
    int64_t groups = m->groups, room = m->gbuf_bytes / groups / 2;
    int64_t share_a = (t->a_bytes + groups - 1) / groups;
    int64_t share_b = t->split_depth ? (t->b_bytes + groups - 1) / groups : t->b_bytes;
    int64_t share_c = t->split_depth ? t->c_wide_bytes : (t->c_wide_bytes + groups - 1) / groups;
    int64_t all_b = 0;
    for (int64_t i = 0; i < groups; i++)
        all_b += t->split_depth ? 0 : t->b_bytes;
    if (t->split_depth)
        all_b = t->b_bytes;

    int64_t best = keep(share_a, room, t->a_bytes, all_b);
    best = least(best, keep(share_b, room, all_b, t->a_bytes));
    best = least(best, keep(share_c, room, all_b, t->a_bytes)); /* pieces of rows: b passes once */
    best =
        least(best, keep(share_c, room, t->a_bytes, all_b)); /* pieces of columns: a passes once */
    return best + t->c_bytes;
}
