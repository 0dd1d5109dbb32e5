/* How an ONNX graph becomes a network. Only for hw/'s onnx_ files and their tests.
 *
 * Tensors of ONNX have any number of axes; layers have channels, rows and columns. So each activation knows what its
 * axes are made of: a list of atoms, each a factor of the batch, of the channels, of the rows or of the columns of its
 * layer. A reshape splits and merges atoms, a transposition moves them, and neither needs a layer: heads of
 * attention come and go this way. */
#ifndef SKY_HW_ONNX_INTERNAL_H
#define SKY_HW_ONNX_INTERNAL_H

#include "hw/names.h"
#include "hw/network.h"
#include "hw/onnx.h"
#include "hw/onnx.pb-c.h"

typedef SkyOnnx__Node sky__onnx_node;

enum {
    SKY__ONNX_RANK_MAX = 8,   /* attention has 5; video 6 */
    SKY__ONNX_ATOMS_MAX = 16, /* reshapes split them; two per axis are plenty */
    SKY__ONNX_INTS_MAX =
        1024, /* of a constant whose numbers are kept: shapes, indices, positions */
};
#define SKY__ONNX_DIM_MAX INT64_C(0x7fffffff)

typedef enum sky__onnx_role { SKY__ROLE_N, SKY__ROLE_C, SKY__ROLE_H, SKY__ROLE_W } sky__onnx_role;

typedef struct sky__onnx_atom {
    sky__onnx_role role;
    int32_t axis;
    int64_t size; /* above 1: a batch of one has no atom, and may be anywhere */
} sky__onnx_atom;

typedef enum sky__onnx_kind {
    SKY__VALUE_NONE,  /* not made yet */
    SKY__VALUE_CONST, /* known without the inputs */
    SKY__VALUE_ACT,   /* of a layer */
    SKY__VALUE_MEAN, /* steps of a layer norm in single operators: over the channels of value `of` */
    SKY__VALUE_CENTERED, /* less its mean */
    SKY__VALUE_SQUARES,
    SKY__VALUE_VARIANCE,
    SKY__VALUE_DEVIATION,
    SKY__VALUE_INVERSE, /* one over the deviation */
} sky__onnx_kind;

typedef struct sky__onnx_value {
    sky__onnx_kind kind;
    int32_t rank; /* -1: a constant whose shape nobody needed */
    int64_t dim[SKY__ONNX_RANK_MAX];

    int32_t layer; /* act */
    int32_t n_atoms;
    sky__onnx_atom atom[SKY__ONNX_ATOMS_MAX]; /* in the order of axes */
    int32_t pad[4]; /* top, left, bottom, right: of a Pad that its reader's window takes over */

    int64_t *ints;      /* const: its numbers, or NULL */
    bool learned;       /* const: floating point, from an initializer */
    int32_t origin;     /* const: the initializer (a value), -1 if made of several */
    int32_t table_rows; /* const: rows of the table that it was taken from, or 0 */
    bool
        used; /* initializer: it is the weights of a layer; the next one to use it has none of its own */

    int32_t of; /* the steps of a norm: whose */
} sky__onnx_value;

typedef struct sky__onnx {
    const char *path;
    const char *sizes;  /* of open dimensions */
    uint32_t sizes_met; /* bit i: an input has the i-th */
    sky_arena scratch;
    sky_network_builder b;
    sky__names names; /* of values; value[i] is names.name[i] */
    sky__names layer_names;
    sky__onnx_value *value;
    int32_t *readers; /* how many nodes read each value */
    const sky__onnx_node *node;
    int32_t node_index;
    int64_t opset;
    sky_err err;
    sky_error *e;
} sky__onnx;

/* --- onnx_slim.c --- */

/* Copies the fields of onnx.proto but for the numbers of large tensors. *out is in the arena. */
sky_err sky__onnx_slim(const uint8_t *bytes, size_t len, sky_arena *arena, uint8_t **out,
                       size_t *out_len, sky_error *e);

/* --- onnx_value.c: for operators. After an error they return NULL, -1 or false. --- */

/* "path: node 'x' (Op): ..."; returns false for convenience. */
bool sky__onnx_fail(sky__onnx *g, sky_err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const SkyOnnx__Attribute *sky__onnx_attr(const sky__onnx *g, const char *name);
int64_t sky__onnx_int(const sky__onnx *g, const char *name, int64_t otherwise);
/* A list of n integers; false if it is there with another length. Otherwise keeps what out holds. */
bool sky__onnx_ints(sky__onnx *g, const char *name, size_t n, int64_t *out);
/* A list of integers that newer versions of an operator take as an input and older ones as an attribute. *n is 0
 * if neither is there. False with an error if it is not known. */
bool sky__onnx_list(sky__onnx *g, const char *attr, size_t input, const int64_t **list, size_t *n);
/* Input i, NULL if it was left out. */
const sky__onnx_value *sky__onnx_in(const sky__onnx *g, size_t i);
/* Input i as an activation. */
const sky__onnx_value *sky__onnx_act(sky__onnx *g, size_t i);
/* An axis that may count from the end, -1 with an error if there is none such. */
int32_t sky__onnx_axis(sky__onnx *g, int64_t axis, int32_t rank);
/* Output i becomes *v; false if the builder failed. */
bool sky__onnx_set(sky__onnx *g, size_t i, const sky__onnx_value *v);
/* A layer's name: see hw/onnx.h. weights may be NULL. */
const char *sky__onnx_name(sky__onnx *g, const sky__onnx_value *weights);

int64_t sky__onnx_count(const sky__onnx_value *v); /* of numbers, -1 if unknown */
/* The role of all atoms of an axis but the batch's; otherwise if there are none, and -1 if they differ. */
int sky__onnx_role_of(const sky__onnx_value *v, int32_t axis, int otherwise);
bool sky__onnx_has_batch(const sky__onnx_value *v, int32_t axis);
/* A new activation of a layer, with those axes in those roles (C, H or W; N only for the batch's axis). */
sky__onnx_value sky__onnx_fresh(int32_t layer, int32_t rank, const int64_t *dim,
                                const sky__onnx_role *role);
/* What axes usually are, from how many there are. */
void sky__onnx_usual_roles(int32_t rank, bool integers, sky__onnx_role *role);
/* A layer with the value's numbers whose channels, rows and columns are the axes of those roles: the
 * value's own, or a reshape of it. -1 on errors. */
int32_t sky__onnx_canon(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_role *role);
/* The same value with its axes in those roles, after sky__onnx_canon() gave the layer. */
sky__onnx_value sky__onnx_relabel(const sky__onnx_value *v, int32_t layer,
                                  const sky__onnx_role *role);
/* Elementwise with one input. */
bool sky__onnx_activation(sky__onnx *g, const sky__onnx_value *v);
/* Splits and merges axes. False if atoms do not allow it (*v is then spoiled). */
bool sky__onnx_regroup(sky__onnx_value *v, int32_t rank, const int64_t *dim);
/* One axis gets another size (and is then one atom). */
void sky__onnx_resize(sky__onnx_value *v, int32_t axis, sky__onnx_role role, int64_t size);

/* --- operators: onnx_fold.c (of constants), onnx_window.c, onnx_math.c, onnx_shape.c --- */

bool sky__onnx_fold(sky__onnx *g);
bool sky__onnx_op_conv(sky__onnx *g);
bool sky__onnx_op_pool(sky__onnx *g);
bool sky__onnx_op_global_pool(sky__onnx *g);
bool sky__onnx_op_reduce(sky__onnx *g);
bool sky__onnx_op_pad(sky__onnx *g);
bool sky__onnx_op_norm(sky__onnx *g);
bool sky__onnx_op_gemm(sky__onnx *g);
bool sky__onnx_op_matmul(sky__onnx *g);
bool sky__onnx_op_unary(sky__onnx *g);
bool sky__onnx_op_elementwise(sky__onnx *g);
bool sky__onnx_op_where(sky__onnx *g);
bool sky__onnx_op_alias(sky__onnx *g);
bool sky__onnx_op_shape(sky__onnx *g);
bool sky__onnx_op_reshape(sky__onnx *g);
bool sky__onnx_op_flatten(sky__onnx *g);
bool sky__onnx_op_transpose(sky__onnx *g);
bool sky__onnx_op_unsqueeze(sky__onnx *g);
bool sky__onnx_op_squeeze(sky__onnx *g);
bool sky__onnx_op_expand(sky__onnx *g);
bool sky__onnx_op_concat(sky__onnx *g);
bool sky__onnx_op_slice(sky__onnx *g);
bool sky__onnx_op_split(sky__onnx *g);
bool sky__onnx_op_gather(sky__onnx *g);

/* A constant as a layer that joins activation v elementwise, or -1 without an error if it cannot be spread over
 * v's shape: then it is there as a layer, for its parameters, that nobody reads. */
int32_t sky__onnx_tensor(sky__onnx *g, const sky__onnx_value *v, const sky__onnx_value *constant);

#endif
