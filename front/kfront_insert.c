/* Adding points to the tree of kfront.c, and keeping it balanced. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "front/kfront_internal.h"

/* Compares from objective dim on, then around: a total order of distinct points for every dim. */
static int compare(const double *a, const double *b, size_t k, uint32_t dim)
{
    for (size_t j = 0, at = dim; j < k; j++, at = at + 1 == k ? 0 : at + 1) {
        if (a[at] < b[at])
            return -1;
        if (a[at] > b[at])
            return 1;
    }
    return 0;
}

static void leaf_append(sky__kfront *f, uint32_t n, const double *v, uint32_t slot)
{
    uint32_t at = f->nodes[n].count++;
    assert(at < LEAF);
    memcpy(point_of(f, n, at), v, f->k * sizeof *v);
    f->nodes[n].slots[at] = slot;
    if (at == 0)
        sky__k_set_box(f, n, v, v);
    else
        sky__k_widen_box(f, n, v, v);
}

/* --- building a balanced subtree ------------------------------------------------------------- */

typedef struct entry {
    const double *point;
    uint32_t slot;
} entry;

/* Quickselect: afterwards no entry before `middle` is above those from `middle` on. */
static void select_middle(entry *a, size_t n, size_t middle, size_t k, uint32_t dim)
{
    size_t low = 0, high = n - 1;
    while (low < high) {
        const double *pivot = a[low + (high - low) / 2].point;
        size_t i = low, j = high;
        for (;;) {
            while (compare(a[i].point, pivot, k, dim) < 0)
                i++;
            while (compare(a[j].point, pivot, k, dim) > 0)
                j--;
            if (i >= j)
                break;
            entry swap = a[i];
            a[i++] = a[j];
            a[j--] = swap;
        }
        /* Hoare's partition: [low, j] is not above [j + 1, high]; if i == j, a[i] is the pivot. */
        if (i == j && i == middle)
            return;
        if (middle <= j)
            high = j;
        else
            low = i == j ? i + 1 : i;
    }
}

/* Fills node n, an empty leaf, with the entries; takes reserved nodes. */
static void build(sky__kfront *f, uint32_t n, entry *a, size_t n_entries, uint32_t dim)
{
    if (n_entries <= LEAF) {
        for (size_t i = 0; i < n_entries; i++)
            leaf_append(f, n, a[i].point, a[i].slot);
        return;
    }
    size_t middle = n_entries / 2;
    select_middle(a, n_entries, middle, f->k, dim);
    memcpy(point_of(f, n, 0), a[middle].point, f->k * sizeof(double));
    uint32_t left = sky__k_new_node(f), right = sky__k_new_node(f);
    uint32_t next_dim = dim + 1 == f->k ? 0 : dim + 1;
    f->nodes[n].dim = dim;
    f->nodes[n].count = (uint32_t)n_entries;
    build(f, left, a, middle, next_dim);
    build(f, right, a + middle, n_entries - middle, next_dim);
    f->nodes[n].left = left; /* only now: while it is a leaf, its points are the cut alone */
    f->nodes[n].right = right;
    sky__k_refresh_inner_box(f, n);
}

/* Copies the points below n out, and frees the nodes below. Returns how many. */
static size_t take_out(sky__kfront *f, uint32_t n, double *points, entry *a, size_t at)
{
    if (is_leaf(f, n)) {
        for (uint32_t i = 0; i < f->nodes[n].count; i++, at++) {
            memcpy(points + at * f->k, point_of(f, n, i), f->k * sizeof *points);
            a[at] = (entry){points + at * f->k, f->nodes[n].slots[i]};
        }
        return at;
    }
    uint32_t children[2] = {f->nodes[n].left, f->nodes[n].right};
    for (int i = 0; i < 2; i++) {
        at = take_out(f, children[i], points, a, at);
        sky__k_free_node(f, children[i]);
    }
    return at;
}

/* Rebuilds the subtree of n. Without memory it stays as it is: slower, but right. */
static void rebuild(sky__kfront *f, uint32_t n)
{
    size_t count = f->nodes[n].count;
    double *points = malloc(count * f->k * sizeof *points);
    entry *a = malloc(count * sizeof *a);
    /* Halving leaves at least LEAF / 2 points in each leaf. */
    if (points && a && sky__k_reserve_nodes(f, 4 * (count / LEAF + 1))) {
        size_t n_entries = take_out(f, n, points, a, 0);
        assert(n_entries == count);
        f->nodes[n].left = f->nodes[n].right = NONE;
        f->nodes[n].count = 0;
        build(f, n, a, n_entries, f->nodes[n].dim);
    }
    free(points);
    free(a);
}

/* --- adding ------------------------------------------------------------------------------------
 */

/* Splits a full leaf and adds a point to it. */
static void split_leaf(sky__kfront *f, uint32_t n, const double *v, uint32_t slot, uint32_t dim)
{
    double points[(LEAF + 1) * SKY_OBJECTIVES_MAX];
    entry a[LEAF + 1];
    memcpy(points, point_of(f, n, 0), LEAF * f->k * sizeof *points);
    memcpy(points + LEAF * f->k, v, f->k * sizeof *points);
    for (size_t i = 0; i <= LEAF; i++)
        a[i] = (entry){points + i * f->k, i < LEAF ? f->nodes[n].slots[i] : slot};
    f->nodes[n].count = 0;
    build(f, n, a, LEAF + 1, dim);
}

/* Twice the logarithm of the count: deeper paths have an ancestor with a child of more than 0.7 of
 * its points, since log(1 / 0.7) is above half of log 2. */
static size_t depth_limit(size_t count)
{
    size_t log2 = 0;
    while (count >>= 1)
        log2++;
    return 2 * log2 + 2;
}

void sky__k_add_point(sky__kfront *f, const double *v, uint32_t slot)
{
    uint32_t path[DEPTH_MAX];
    size_t depth = 0;
    uint32_t n = ROOT, dim = 0;
    for (; !is_leaf(f, n); depth++) {
        assert(depth < DEPTH_MAX);
        path[depth] = n;
        f->nodes[n].count++;
        sky__k_widen_box(f, n, v, v);
        dim = f->nodes[n].dim + 1 == f->k ? 0 : f->nodes[n].dim + 1;
        bool left = compare(v, point_of(f, n, 0), f->k, f->nodes[n].dim) < 0;
        n = left ? f->nodes[n].left : f->nodes[n].right;
    }
    if (f->nodes[n].count < LEAF) {
        leaf_append(f, n, v, slot);
        return;
    }
    split_leaf(f, n, v, slot, dim);
    if (depth + 1 <= depth_limit(f->nodes[ROOT].count))
        return;
    while (depth-- > 0) {
        const sky__knode *at = &f->nodes[path[depth]];
        uint32_t left = f->nodes[at->left].count, right = f->nodes[at->right].count;
        if ((left > right ? left : right) > 0.7 * at->count) {
            rebuild(f, path[depth]);
            return;
        }
    }
}
