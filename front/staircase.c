/* The front of two objectives as a staircase: x rises, y falls.
 *
 * A point can only be dominated by the last point at or left of it, and what it dominates is one
 * run from there on; so an insert is a search and a splice. The points lie in sorted blocks below
 * one index (a B-tree of two levels): O(log n) to search and O(BLOCK + n / BLOCK) words to move in
 * the worst case, which for 10^7 points on the front is still tens of microseconds, and memory that
 * is nearly as compact as an array's. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "front/front_internal.h"

enum { BLOCK = 256 };

struct sky__stair_block {
    sky__stair_block *next; /* in the chain of spare blocks */
    size_t n;
    double x[BLOCK];
    double y[BLOCK];
    uint64_t id[BLOCK];
};

bool sky__ids_reserve(sky__ids *list, size_t more)
{
    if (list->cap - list->n >= more)
        return true;
    size_t cap = list->cap < 16 ? 16 : list->cap;
    while (cap - list->n < more)
        cap *= 2;
    uint64_t *ids = realloc(list->ids, cap * sizeof *ids);
    if (!ids)
        return false;
    list->ids = ids;
    list->cap = cap;
    return true;
}

static void drop_block(sky__stair *s, sky__stair_block *block)
{
    block->next = s->spare;
    s->spare = block;
}

void sky__stair_clear(sky__stair *s)
{
    for (size_t b = 0; b < s->n_blocks; b++)
        drop_block(s, s->blocks[b]);
    s->n_blocks = 0;
    s->size = 0;
}

void sky__stair_free(sky__stair *s)
{
    sky__stair_clear(s);
    for (sky__stair_block *block = s->spare, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(s->blocks);
    free(s->first_x);
    *s = (sky__stair){0};
}

/* How many of the n sorted values are < x; with or_equal: <= x. No branch depends on the data. */
static size_t count_below(const double *values, size_t n, double x, bool or_equal)
{
    const double *at = values;
    while (n > 1) {
        size_t half = n / 2;
        at += (or_equal ? at[half - 1] <= x : at[half - 1] < x) ? half : 0;
        n -= half;
    }
    size_t last = n == 1 && (or_equal ? *at <= x : *at < x);
    return (size_t)(at - values) + last;
}

/* The first point with x' >= x, or with after_equal: x' > x. May be one past the end of a block. */
static sky__stair_at search(const sky__stair *s, double x, bool after_equal)
{
    size_t b = count_below(s->first_x, s->n_blocks, x, after_equal);
    if (b == 0)
        return (sky__stair_at){0, 0};
    const sky__stair_block *block = s->blocks[b - 1];
    return (sky__stair_at){b - 1, count_below(block->x, block->n, x, after_equal)};
}

/* Moves a position at the end of a block to the start of the next. */
static void settle(const sky__stair *s, sky__stair_at *at)
{
    if (at->block < s->n_blocks && at->i == s->blocks[at->block]->n) {
        at->block++;
        at->i = 0;
    }
}

sky__stair_at sky__stair_lower(const sky__stair *s, double x)
{
    sky__stair_at at = search(s, x, false);
    settle(s, &at);
    return at;
}

void sky__stair_next(const sky__stair *s, sky__stair_at *at)
{
    at->i++;
    settle(s, at);
}

bool sky__stair_get(const sky__stair *s, sky__stair_at at, double *x, double *y, uint64_t *id)
{
    if (at.block >= s->n_blocks)
        return false;
    const sky__stair_block *block = s->blocks[at.block];
    *x = block->x[at.i];
    *y = block->y[at.i];
    if (id)
        *id = block->id[at.i];
    return true;
}

bool sky__stair_before(const sky__stair *s, double x, double *y)
{
    sky__stair_at at = search(s, x, true);
    if (at.i == 0)
        return false; /* search() gives 0 in the first block only */
    *y = s->blocks[at.block]->y[at.i - 1];
    return true;
}

sky__relation sky__stair_relation(const sky__stair *s, double x, double y)
{
    sky__stair_at at = search(s, x, true);
    if (at.i == 0)
        return SKY__FREE;
    const sky__stair_block *block = s->blocks[at.block];
    double last_x = block->x[at.i - 1], last_y = block->y[at.i - 1];
    if (last_y > y)
        return SKY__FREE;
    return last_y == y && last_x == x ? SKY__EQUAL : SKY__DOMINATED;
}

/* Room for one block more, so that what follows cannot fail. */
static bool reserve_block(sky__stair *s)
{
    if (s->n_blocks == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        sky__stair_block **blocks = realloc(s->blocks, cap * sizeof *blocks);
        if (!blocks)
            return false;
        s->blocks = blocks;
        double *first_x = realloc(s->first_x, cap * sizeof *first_x);
        if (!first_x)
            return false;
        s->first_x = first_x;
        s->cap = cap;
    }
    if (!s->spare) {
        s->spare = malloc(sizeof *s->spare);
        if (!s->spare)
            return false;
        s->spare->next = NULL;
    }
    return true;
}

static void move_points(sky__stair_block *to, size_t at, const sky__stair_block *from, size_t i,
                        size_t n)
{
    memmove(to->x + at, from->x + i, n * sizeof *to->x);
    memmove(to->y + at, from->y + i, n * sizeof *to->y);
    memmove(to->id + at, from->id + i, n * sizeof *to->id);
}

static void close_blocks(sky__stair *s, size_t first, size_t last)
{
    for (size_t b = first; b < last; b++)
        drop_block(s, s->blocks[b]);
    memmove(s->blocks + first, s->blocks + last, (s->n_blocks - last) * sizeof *s->blocks);
    memmove(s->first_x + first, s->first_x + last, (s->n_blocks - last) * sizeof *s->first_x);
    s->n_blocks -= last - first;
}

/* A new, empty block at index b. Room must have been reserved. */
static sky__stair_block *open_block(sky__stair *s, size_t b)
{
    sky__stair_block *block = s->spare;
    assert(block && s->n_blocks < s->cap);
    s->spare = block->next;
    block->n = 0;
    memmove(s->blocks + b + 1, s->blocks + b, (s->n_blocks - b) * sizeof *s->blocks);
    memmove(s->first_x + b + 1, s->first_x + b, (s->n_blocks - b) * sizeof *s->first_x);
    s->blocks[b] = block;
    s->n_blocks++;
    return block;
}

/* Joins block b with the next if both together are small, so that removals leave no sparse blocks.
 */
static void join_if_small(sky__stair *s, size_t b)
{
    if (b + 1 >= s->n_blocks || s->blocks[b]->n + s->blocks[b + 1]->n > BLOCK / 2)
        return;
    sky__stair_block *left = s->blocks[b], *right = s->blocks[b + 1];
    move_points(left, left->n, right, 0, right->n);
    left->n += right->n;
    close_blocks(s, b + 1, b + 2);
}

/* Where the run of points with y' >= y that begins at `from` ends; counts them. */
static sky__stair_at run_end(const sky__stair *s, sky__stair_at from, double y, size_t *n)
{
    sky__stair_at at = from;
    settle(s, &at);
    for (*n = 0; at.block < s->n_blocks; at.block++, at.i = 0) {
        const sky__stair_block *block = s->blocks[at.block];
        size_t i = at.i;
        if (block->y[block->n - 1] >= y) {
            *n += block->n - i; /* the rest of this block, and perhaps more */
            continue;
        }
        while (block->y[i] >= y)
            i++;
        *n += i - at.i;
        at.i = i;
        return at;
    }
    return at;
}

static void keep_ids(const sky__stair *s, sky__stair_at from, size_t n, sky__ids *removed)
{
    settle(s, &from);
    for (; n; n--, sky__stair_next(s, &from))
        removed->ids[removed->n++] = s->blocks[from.block]->id[from.i];
}

/* Removes the points from `from` up to `to`, and returns where a point can be inserted instead. */
static sky__stair_at remove_run(sky__stair *s, sky__stair_at from, sky__stair_at to)
{
    if (from.block == to.block) {
        sky__stair_block *block = s->blocks[from.block];
        move_points(block, from.i, block, to.i, block->n - to.i);
        block->n -= to.i - from.i; /* not empty: the point at `to` stays */
        s->first_x[from.block] = block->x[0];
        join_if_small(s, from.block);
        return from;
    }
    if (to.i > 0) { /* the front part of the last block goes */
        sky__stair_block *block = s->blocks[to.block];
        move_points(block, 0, block, to.i, block->n - to.i);
        block->n -= to.i;
        s->first_x[to.block] = block->x[0];
    }
    size_t first_whole = from.block;
    assert(from.i > 0 || from.block == 0); /* search() never stops at the start of a later block */
    if (from.i > 0) {
        s->blocks[from.block]->n = from.i;
        first_whole++;
    }
    close_blocks(s, first_whole, to.block);
    join_if_small(s, from.block);
    return from;
}

static void insert_at(sky__stair *s, sky__stair_at at, double x, double y, uint64_t id)
{
    if (s->n_blocks == 0)
        open_block(s, 0);
    sky__stair_block *block = s->blocks[at.block];
    if (block->n == BLOCK) {
        /* Points that come in order fill their blocks; others split them in halves. */
        bool appends = at.i == BLOCK && at.block + 1 == s->n_blocks;
        size_t keep = appends ? BLOCK : BLOCK / 2;
        sky__stair_block *right = open_block(s, at.block + 1);
        move_points(right, 0, block, keep, BLOCK - keep);
        right->n = BLOCK - keep;
        block->n = keep;
        s->first_x[at.block + 1] = appends ? x : right->x[0];
        if (at.i > keep || appends) {
            at.block++;
            at.i -= keep;
            block = right;
        }
    }
    move_points(block, at.i + 1, block, at.i, block->n - at.i);
    block->x[at.i] = x;
    block->y[at.i] = y;
    block->id[at.i] = id;
    block->n++;
    s->first_x[at.block] = block->x[0];
    s->size++;
}

bool sky__stair_insert(sky__stair *s, double x, double y, uint64_t id, sky__ids *removed)
{
    assert(sky__stair_relation(s, x, y) != SKY__DOMINATED);
    if (!reserve_block(s))
        return false;
    sky__stair_at from = search(s, x, true);
    bool equal = from.i > 0 && s->blocks[from.block]->x[from.i - 1] == x &&
                 s->blocks[from.block]->y[from.i - 1] == y;
    if (!equal) { /* where an equal point stands, nothing is left to remove */
        from = search(s, x, false);
        size_t n;
        sky__stair_at to = run_end(s, from, y, &n);
        if (removed && !sky__ids_reserve(removed, n))
            return false;
        if (n > 0) {
            if (removed)
                keep_ids(s, from, n, removed);
            from = remove_run(s, from, to);
            s->size -= n;
        }
    }
    insert_at(s, from, x, y, id);
    return true;
}
