/* The front of k objectives as a k-d tree of boxes.
 *
 * Each node knows the box of the points below it. A new point v meets, at a node: a box whose upper
 * corner is at least as good as v (v is dominated, done), a box whose lower corner is no better
 * than v in something (no point in it dominates v, skip), or a box to descend into; and likewise,
 * upside down, for the points that v dominates. This is the idea of the ND-tree (Jaszkiewicz and
 * Lust, "ND-Tree-Based Update: A Fast Algorithm for the Dynamic Nondominance Problem", IEEE
 * Transactions on Evolutionary Computation 22, 2018); it is cut by medians as a k-d tree (Bentley
 * 1975) instead of by Euclidean distance, because that needs neither comparable units nor finite
 * values.
 *
 * The tree compares points in a cyclic lexicographic order and keeps equal points as one, so that a
 * median always exists. It stays balanced as a scapegoat tree does (Galperin and Rivest 1993): an
 * insert that lands too deep rebuilds the lowest ancestor that is lopsided. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "front/kfront_internal.h"

/* --- memory ----------------------------------------------------------------------------------- */

bool sky__k_reserve_nodes(sky__kfront *f, size_t n)
{
    if (f->cap_nodes - f->n_nodes + f->n_free_nodes >= n)
        return true;
    size_t cap = f->cap_nodes < 16 ? 16 : f->cap_nodes;
    while (cap - f->n_nodes < n)
        cap *= 2;
    if (cap >= NONE)
        return false;
    sky__knode *nodes = realloc(f->nodes, cap * sizeof *nodes);
    if (!nodes)
        return false;
    f->nodes = nodes;
    double *boxes = realloc(f->boxes, cap * 2 * f->k * sizeof *boxes);
    if (!boxes)
        return false;
    f->boxes = boxes;
    double *points = realloc(f->points, cap * LEAF * f->k * sizeof *points);
    if (!points)
        return false;
    f->points = points;
    f->cap_nodes = cap;
    return true;
}

uint32_t sky__k_new_node(sky__kfront *f) /* must have been reserved */
{
    uint32_t n = f->free_node;
    if (n != NONE) {
        f->free_node = f->nodes[n].left;
        f->n_free_nodes--;
    } else {
        assert(f->n_nodes < f->cap_nodes);
        n = (uint32_t)f->n_nodes++;
    }
    f->nodes[n].left = f->nodes[n].right = NONE;
    f->nodes[n].count = 0;
    return n;
}

void sky__k_free_node(sky__kfront *f, uint32_t n)
{
    f->nodes[n].left = f->free_node;
    f->nodes[n].count = 0;
    f->free_node = n;
    f->n_free_nodes++;
}

static bool reserve_slot(sky__kfront *f)
{
    if (f->free_slot != NONE || f->n_slots < f->cap_slots)
        return true;
    size_t cap = f->cap_slots ? f->cap_slots * 2 : 64;
    if (cap >= NONE)
        return false;
    sky__kslot *slots = realloc(f->slots, cap * sizeof *slots);
    if (!slots)
        return false;
    f->slots = slots;
    f->cap_slots = cap;
    return true;
}

static uint32_t new_slot(sky__kfront *f, uint64_t id, uint32_t next) /* must have been reserved */
{
    uint32_t s = f->free_slot;
    if (s != NONE)
        f->free_slot = f->slots[s].next;
    else
        s = (uint32_t)f->n_slots++;
    f->slots[s] = (sky__kslot){id, next};
    return s;
}

sky__kfront *sky__kfront_new(size_t k)
{
    assert(k >= 1 && k <= SKY_OBJECTIVES_MAX);
    sky__kfront *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->k = k;
    if (!sky__k_reserve_nodes(f, 1)) {
        sky__kfront_free(f);
        return NULL;
    }
    sky__kfront_clear(f);
    return f;
}

void sky__kfront_free(sky__kfront *f)
{
    if (!f)
        return;
    free(f->nodes);
    free(f->boxes);
    free(f->points);
    free(f->slots);
    free(f);
}

void sky__kfront_clear(sky__kfront *f)
{
    f->size = 0;
    f->n_nodes = f->n_free_nodes = f->n_slots = 0;
    f->free_node = f->free_slot = NONE;
    f->n_killers = f->killer_at = 0;
    uint32_t root = sky__k_new_node(f);
    assert(root == ROOT);
    (void)root;
}

size_t sky__kfront_size(const sky__kfront *f)
{
    return f->size;
}

/* --- looking ---------------------------------------------------------------------------------- */

static bool equal_points(const double *a, const double *b, size_t k)
{
    bool all = true;
    for (size_t j = 0; j < k; j++)
        all &= a[j] == b[j];
    return all;
}

/* Points that dominated others lately are likely to dominate the next. One that has left the front
 * is as good: what dominates it dominates the same points. */
static void remember_killer(sky__kfront *f, const double *killer)
{
    memcpy(f->killers + f->killer_at * f->k, killer, f->k * sizeof *killer);
    f->killer_at = (f->killer_at + 1) % KILLERS;
    f->n_killers += f->n_killers < KILLERS;
}

static sky__relation leaf_relation(sky__kfront *f, uint32_t n, const double *v)
{
    for (uint32_t i = 0; i < f->nodes[n].count; i++) {
        const double *point = point_of(f, n, i);
        if (!sky__weakly_dominates(point, v, f->k))
            continue;
        if (!equal_points(point, v, f->k)) {
            remember_killer(f, point);
            return SKY__DOMINATED;
        }
        f->equal_node = n;
        f->equal_i = i;
        return SKY__EQUAL; /* then no point dominates v: it would dominate this one */
    }
    return SKY__FREE;
}

static sky__relation node_relation(sky__kfront *f, uint32_t n, const double *v)
{
    if (!sky__weakly_dominates(low_of(f, n), v, f->k))
        return SKY__FREE;
    if (is_leaf(f, n))
        return leaf_relation(f, n, v);
    /* An inner node holds several distinct points, so that one of them differs from v. */
    if (sky__weakly_dominates(high_of(f, n), v, f->k)) {
        remember_killer(f, high_of(f, n));
        return SKY__DOMINATED;
    }
    sky__relation relation = node_relation(f, f->nodes[n].left, v);
    return relation != SKY__FREE ? relation : node_relation(f, f->nodes[n].right, v);
}

sky__relation sky__kfront_relation(sky__kfront *f, const double *v)
{
    for (size_t i = 0; i < f->n_killers; i++) {
        const double *killer = f->killers + i * f->k;
        if (sky__weakly_dominates(killer, v, f->k) && !equal_points(killer, v, f->k))
            return SKY__DOMINATED;
    }
    return f->size ? node_relation(f, ROOT, v) : SKY__FREE;
}

/* --- boxes ------------------------------------------------------------------------------------ */

void sky__k_set_box(sky__kfront *f, uint32_t n, const double *low, const double *high)
{
    memcpy(low_of(f, n), low, f->k * sizeof *low);
    memcpy(high_of(f, n), high, f->k * sizeof *high);
}

void sky__k_widen_box(sky__kfront *f, uint32_t n, const double *low, const double *high)
{
    double *to_low = low_of(f, n), *to_high = high_of(f, n);
    for (size_t j = 0; j < f->k; j++) {
        to_low[j] = low[j] < to_low[j] ? low[j] : to_low[j];
        to_high[j] = high[j] > to_high[j] ? high[j] : to_high[j];
    }
}

void sky__k_refresh_leaf_box(sky__kfront *f, uint32_t n)
{
    for (uint32_t i = 0; i < f->nodes[n].count; i++) {
        const double *point = point_of(f, n, i);
        if (i == 0)
            sky__k_set_box(f, n, point, point);
        else
            sky__k_widen_box(f, n, point, point);
    }
}

void sky__k_refresh_inner_box(sky__kfront *f, uint32_t n)
{
    uint32_t left = f->nodes[n].left, right = f->nodes[n].right;
    sky__k_set_box(f, n, low_of(f, left), high_of(f, left));
    sky__k_widen_box(f, n, low_of(f, right), high_of(f, right));
}

/* --- removing --------------------------------------------------------------------------------- */

/* Frees a chain of slots; says which ids they held. */
static size_t drop_slots(sky__kfront *f, uint32_t s, sky__ids *removed)
{
    size_t n = 0;
    for (uint32_t next; s != NONE; s = next, n++) {
        next = f->slots[s].next;
        if (removed)
            removed->ids[removed->n++] = f->slots[s].id;
        f->slots[s].next = f->free_slot;
        f->free_slot = s;
    }
    return n;
}

/* Moves the points below n to the end of leaf `to`, and frees the nodes below n. */
static void gather(sky__kfront *f, uint32_t n, uint32_t to)
{
    if (!is_leaf(f, n)) {
        uint32_t children[2] = {f->nodes[n].left, f->nodes[n].right};
        for (int i = 0; i < 2; i++) {
            gather(f, children[i], to);
            sky__k_free_node(f, children[i]);
        }
        return;
    }
    uint32_t at = f->nodes[to].count, count = f->nodes[n].count;
    assert(at + count <= LEAF);
    memcpy(f->nodes[to].slots + at, f->nodes[n].slots, count * sizeof(uint32_t));
    memcpy(point_of(f, to, at), point_of(f, n, 0), count * f->k * sizeof(double));
    f->nodes[to].count += count;
}

/* Gives node n the content of its child; the child's number is free then. */
static void become_child(sky__kfront *f, uint32_t n, uint32_t child)
{
    f->nodes[n] = f->nodes[child];
    sky__k_set_box(f, n, low_of(f, child), high_of(f, child));
    size_t n_points = is_leaf(f, n) ? f->nodes[n].count : 1; /* an inner node has its cut there */
    memcpy(point_of(f, n, 0), point_of(f, child, 0), n_points * f->k * sizeof(double));
    sky__k_free_node(f, child);
}

static void leaf_remove(sky__kfront *f, uint32_t n, const double *v, sky__ids *removed)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->nodes[n].count; i++) {
        double *point = point_of(f, n, i);
        if (sky__weakly_dominates(v, point, f->k)) {
            f->size -= drop_slots(f, f->nodes[n].slots[i], removed);
            continue;
        }
        if (kept != i) {
            memcpy(point_of(f, n, kept), point, f->k * sizeof *point);
            f->nodes[n].slots[kept] = f->nodes[n].slots[i];
        }
        kept++;
    }
    if (kept != f->nodes[n].count) {
        f->nodes[n].count = kept;
        sky__k_refresh_leaf_box(f, n);
    }
}

/* Puts an inner node right after its children lost points. */
static void mend(sky__kfront *f, uint32_t n)
{
    uint32_t left = f->nodes[n].left, right = f->nodes[n].right;
    uint32_t count = f->nodes[left].count + f->nodes[right].count;
    if (count == f->nodes[n].count)
        return;
    if (f->nodes[left].count == 0 || f->nodes[right].count == 0) {
        bool keep_left = f->nodes[right].count == 0; /* both empty: an empty leaf, either will do */
        sky__k_free_node(f, keep_left ? right : left);
        become_child(f, n, keep_left ? left : right);
    } else if (count <= LEAF / 2) {
        f->nodes[n].left = f->nodes[n].right = NONE;
        f->nodes[n].count = 0;
        gather(f, left, n);
        gather(f, right, n);
        sky__k_free_node(f, left);
        sky__k_free_node(f, right);
        sky__k_refresh_leaf_box(f, n);
    } else {
        f->nodes[n].count = count;
        sky__k_refresh_inner_box(f, n);
    }
}

/* Removes what v dominates below n; no point there equals v. */
static void node_remove(sky__kfront *f, uint32_t n, const double *v, sky__ids *removed)
{
    if (!sky__weakly_dominates(v, high_of(f, n), f->k))
        return;
    if (is_leaf(f, n)) {
        leaf_remove(f, n, v, removed);
        return;
    }
    node_remove(f, f->nodes[n].left, v, removed);
    node_remove(f, f->nodes[n].right, v, removed);
    mend(f, n);
}

static size_t count_removed(const sky__kfront *f, uint32_t n, const double *v)
{
    if (!sky__weakly_dominates(v, high_of(f, n), f->k))
        return 0;
    if (!is_leaf(f, n))
        return count_removed(f, f->nodes[n].left, v) + count_removed(f, f->nodes[n].right, v);
    size_t count = 0;
    for (uint32_t i = 0; i < f->nodes[n].count; i++)
        if (sky__weakly_dominates(v, point_of(f, n, i), f->k))
            for (uint32_t s = f->nodes[n].slots[i]; s != NONE; s = f->slots[s].next)
                count++;
    return count;
}

bool sky__kfront_insert(sky__kfront *f, const double *v, uint64_t id, sky__relation relation,
                        sky__ids *removed)
{
    assert(relation != SKY__DOMINATED);
    if (!reserve_slot(f) || !sky__k_reserve_nodes(f, 3))
        return false;
    if (relation == SKY__EQUAL) {
        uint32_t *chain = &f->nodes[f->equal_node].slots[f->equal_i];
        assert(equal_points(point_of(f, f->equal_node, f->equal_i), v, f->k));
        *chain = new_slot(f, id, *chain);
        f->size++;
        return true;
    }
    if (f->size) {
        if (removed && !sky__ids_reserve(removed, count_removed(f, ROOT, v)))
            return false;
        node_remove(f, ROOT, v, removed);
    }
    sky__k_add_point(f, v, new_slot(f, id, NONE));
    f->size++;
    return true;
}

void sky__kfront_dump(const sky__kfront *f, uint64_t *ids, double *values)
{
    /* Every node in use is walked in the order of its number; free ones have count 0. */
    size_t at = 0;
    for (uint32_t n = 0; n < f->n_nodes; n++) {
        if (!is_leaf(f, n))
            continue;
        for (uint32_t i = 0; i < f->nodes[n].count; i++) {
            for (uint32_t s = f->nodes[n].slots[i]; s != NONE; s = f->slots[s].next, at++) {
                ids[at] = f->slots[s].id;
                memcpy(values + at * f->k, point_of(f, n, i), f->k * sizeof *values);
            }
        }
    }
    assert(at == f->size);
}
