/* The tree of kfront.c, shared with kfront_insert.c only. */
#ifndef SKY_FRONT_KFRONT_INTERNAL_H
#define SKY_FRONT_KFRONT_INTERNAL_H

#include "front/front_internal.h"

enum {
    LEAF = 16,       /* points in a leaf */
    KILLERS = 8,     /* recent dominators, tried before the tree */
    DEPTH_MAX = 128, /* above twice the bits of a node number, the most that balancing allows */
    ROOT = 0,
    NONE = UINT32_MAX,
};

typedef struct sky__knode {
    uint32_t left, right; /* children, NONE in a leaf; a free node's left is the next free one */
    uint32_t count;       /* distinct points below */
    uint32_t dim;         /* the cut compares this objective first */
    uint32_t slots[LEAF]; /* of a leaf's points: their ids */
} sky__knode;

typedef struct sky__kslot {
    uint64_t id;
    uint32_t next; /* another id with the same point; in a free slot the next free one */
} sky__kslot;

struct sky__kfront {
    size_t k;
    size_t size; /* equal points counted each */
    sky__knode *nodes;
    double *boxes;  /* per node: k lower bounds, k upper bounds */
    double *points; /* per node: a leaf's LEAF points of k; an inner node's first k are its cut */
    size_t n_nodes, cap_nodes, n_free_nodes;
    uint32_t free_node;
    sky__kslot *slots;
    size_t n_slots, cap_slots;
    uint32_t free_slot;
    size_t n_killers, killer_at;
    double killers[KILLERS * SKY_OBJECTIVES_MAX];
    uint32_t equal_node, equal_i; /* where relation() last found an equal point */
};

static inline double *low_of(const sky__kfront *f, uint32_t n)
{
    return f->boxes + (size_t)n * 2 * f->k;
}

static inline double *high_of(const sky__kfront *f, uint32_t n)
{
    return low_of(f, n) + f->k;
}

static inline double *point_of(const sky__kfront *f, uint32_t n, size_t i)
{
    return f->points + ((size_t)n * LEAF + i) * f->k;
}

static inline bool is_leaf(const sky__kfront *f, uint32_t n)
{
    return f->nodes[n].left == NONE;
}

/* kfront.c */
bool sky__k_reserve_nodes(sky__kfront *f, size_t n);
uint32_t sky__k_new_node(sky__kfront *f); /* a leaf; must have been reserved */
void sky__k_free_node(sky__kfront *f, uint32_t n);
void sky__k_set_box(sky__kfront *f, uint32_t n, const double *low, const double *high);
void sky__k_widen_box(sky__kfront *f, uint32_t n, const double *low, const double *high);
void sky__k_refresh_leaf_box(sky__kfront *f, uint32_t n);
void sky__k_refresh_inner_box(sky__kfront *f, uint32_t n);

/* kfront_insert.c: adds a point that no point of the tree equals. Three nodes must be reserved. */
void sky__k_add_point(sky__kfront *f, const double *v, uint32_t slot);

#endif
