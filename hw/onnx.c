/* From a file to a network: decode, then node by node. */
#include "hw/onnx.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "hw/onnx_fold.h"
#include "hw/onnx_internal.h"

/* --- decoding --- */

/* Twenty times what real files of the largest size take; a hostile one is all empty nodes. */
enum { DECODED_BYTES_MAX = 1 << 28 };

static void *take(void *of, size_t size)
{
    sky_arena *arena = of;
    if (size > DECODED_BYTES_MAX || arena->used_bytes > DECODED_BYTES_MAX - size)
        return NULL;
    return sky_arena_alloc(arena, size ? size : 1, 1, _Alignof(max_align_t));
}

static void keep(void *of, void *memory)
{
    (void)of, (void)memory; /* goes with the arena */
}

static sky_err decode(sky__onnx *g, const void *bytes, size_t len, const SkyOnnx__Model **out)
{
    uint8_t *slim = NULL;
    size_t slim_len = 0;
    sky_err err = sky__onnx_slim(bytes, len, &g->scratch, &slim, &slim_len, g->e);
    if (err != SKY_OK) {
        sky_fail_prefix(g->e, "%s", g->path);
        return err;
    }
    ProtobufCAllocator allocator = {.alloc = take, .free = keep, .allocator_data = &g->scratch};
    const SkyOnnx__Model *model = sky_onnx__model__unpack(&allocator, slim_len, slim);
    if (!model && g->scratch.used_bytes > DECODED_BYTES_MAX / 2)
        return sky_fail(g->e, SKY_ELIMIT, "%s: more than %d bytes, decoded", g->path,
                        DECODED_BYTES_MAX);
    if (!model || !model->graph || model->graph->n_node == 0)
        return sky_fail(g->e, SKY_EFORMAT, "%s: not an ONNX model: %s", g->path,
                        model ? "it has no nodes" : "it cannot be decoded");
    if (model->graph->n_node > SKY_ONNX_NODES_MAX)
        return sky_fail(g->e, SKY_ELIMIT, "%s: %zu nodes; at most %d are read", g->path,
                        model->graph->n_node, SKY_ONNX_NODES_MAX);
    *out = model;
    return SKY_OK;
}

/* --- values --- */

static sky_err no_memory(sky__onnx *g)
{
    return sky_fail(g->e, SKY_ENOMEM, "%s: %s", g->path, sky_strerror(SKY_ENOMEM));
}

static int32_t value_of(const sky__onnx *g, const char *name)
{
    return sky__names_find(&g->names, name, strlen(name));
}

static sky_err add_names(sky__onnx *g, const SkyOnnx__Graph *graph)
{
    bool ok = true;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const char *name = graph->initializer[i]->name;
        ok = ok && sky__names_add(&g->names, name, strlen(name)) >= 0;
    }
    for (size_t i = 0; i < graph->n_input; i++) {
        const char *name = graph->input[i]->name;
        ok = ok && sky__names_add(&g->names, name, strlen(name)) >= 0;
    }
    for (size_t i = 0; i < graph->n_node; i++) {
        const sky__onnx_node *node = graph->node[i];
        for (size_t k = 0; k < node->n_output; k++)
            ok = ok && sky__names_add(&g->names, node->output[k], strlen(node->output[k])) >= 0;
    }
    const size_t n = (size_t)g->names.n;
    if (n > 4 * (size_t)SKY_ONNX_NODES_MAX)
        return sky_fail(g->e, SKY_ELIMIT, "%s: %zu tensors; at most %d are read", g->path, n,
                        4 * SKY_ONNX_NODES_MAX);
    if (ok) {
        g->value = sky_new(&g->scratch, sky__onnx_value, n + 1);
        g->readers = sky_new(&g->scratch, int32_t, n + 1);
    }
    return g->value && g->readers ? SKY_OK : no_memory(g);
}

static sky_err count_readers(sky__onnx *g, const SkyOnnx__Graph *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        const sky__onnx_node *node = graph->node[i];
        for (size_t k = 0; k < node->n_input; k++) {
            const int32_t v = value_of(g, node->input[k]);
            if (v >= 0)
                g->readers[v]++;
        }
    }
    for (size_t i = 0; i < graph->n_output; i++) {
        const int32_t v = value_of(g, graph->output[i]->name);
        if (v >= 0)
            g->readers[v]++;
    }
    return SKY_OK;
}

static sky_err add_initializers(sky__onnx *g, const SkyOnnx__Graph *graph)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const SkyOnnx__Tensor *t = graph->initializer[i];
        const int32_t v = value_of(g, t->name);
        const sky_err err = sky__onnx_tensor_value(g, t, v, &g->value[v]);
        if (err != SKY_OK)
            return sky_fail(g->e, err, "%s: initializer '%.120s': its shape is out of range",
                            g->path, t->name);
    }
    return SKY_OK;
}

static bool is_integer(int32_t elem_type)
{
    return elem_type >= 2 && elem_type <= 13 && elem_type != 8 && elem_type != 10 &&
           elem_type != 11;
}

/* --- sizes that the user gives --- */

enum { SIZES_MAX = 32 };

/* The i-th of "name=number,..."; false after the last. The name's end is at the sign. */
static bool nth_size(const sky__onnx *g, int i, const char **name, size_t *name_len, int64_t *size)
{
    const char *at = g->sizes;
    for (; i > 0 && *at; i--) {
        at += strcspn(at, ",");
        at += *at == ',';
    }
    const size_t len = strcspn(at, ",");
    const char *sign = memchr(at, '=', len);
    char digits[24] = "";
    *name = at;
    *name_len = sign ? (size_t)(sign - at) : len;
    *size = 0;
    if (sign && len - *name_len - 1 < sizeof digits) {
        memcpy(digits, sign + 1, len - *name_len - 1);
        if (sky_parse_i64(digits, size) != SKY_OK)
            *size = 0;
    }
    return len > 0;
}

static sky_err check_sizes(sky__onnx *g)
{
    const char *name;
    size_t len;
    int64_t size;
    int i = 0;
    for (; nth_size(g, i, &name, &len, &size); i++) {
        if (len == 0 || name[len] != '=' || size < 1 || i == SIZES_MAX)
            return sky_fail(g->e, SKY_EINVAL,
                            "%s: sizes '%.100s': at most %d of the form NAME=NUMBER were expected, "
                            "with commas between",
                            g->path, g->sizes, SIZES_MAX);
    }
    return SKY_OK;
}

static int64_t size_of(sky__onnx *g, const char *dimension)
{
    const char *name;
    size_t len;
    int64_t size;
    for (int i = 0; nth_size(g, i, &name, &len, &size); i++) {
        if (strlen(dimension) == len && memcmp(dimension, name, len) == 0) {
            g->sizes_met |= UINT32_C(1) << i;
            return size;
        }
    }
    return 0;
}

static sky_err check_all_met(sky__onnx *g)
{
    const char *name;
    size_t len;
    int64_t size;
    for (int i = 0; nth_size(g, i, &name, &len, &size); i++) {
        if (!(g->sizes_met & UINT32_C(1) << i))
            return sky_fail(g->e, SKY_EINVAL, "%s: no input has an open dimension '%.*s'", g->path,
                            len < 60 ? (int)len : 60, name);
    }
    return SKY_OK;
}

/* --- inputs --- */

static sky_err read_dims(sky__onnx *g, const SkyOnnx__ValueInfo *input, int64_t *dim, int32_t *rank)
{
    const SkyOnnx__TensorType *type = input->type ? input->type->tensor_type : NULL;
    if (!type || !type->shape)
        return sky_fail(g->e, SKY_EINVAL, "%s: input '%.120s' has no shape", g->path, input->name);
    const size_t n = type->shape->n_dim;
    if (n < 1 || n > SKY__ONNX_RANK_MAX)
        return sky_fail(
            g->e, SKY_EINVAL,
            "%s: input '%.120s' has %zu axes; supported are the batch and up to %d more", g->path,
            input->name, n, SKY__ONNX_RANK_MAX - 1);
    for (size_t i = 0; i < n; i++) {
        const SkyOnnx__Dimension *d = type->shape->dim[i];
        dim[i] = d->dim_value > 0 ? d->dim_value : size_of(g, d->dim_param);
        if (i == 0 && dim[i] <= 0)
            dim[i] = 1; /* any batch */
        if (dim[i] < 1)
            return sky_fail(g->e, SKY_EINVAL,
                            "%s: input '%.120s': dimension %zu is open ('%.60s'); only the batch's "
                            "may be: export the model with a fixed size, or give one",
                            g->path, input->name, i, d->dim_param);
        if (dim[i] > SKY_IMAGE_EDGE_MAX)
            return sky_fail(g->e, SKY_ELIMIT, "%s: input '%.120s': dimension %zu is %lld", g->path,
                            input->name, i, (long long)dim[i]);
    }
    *rank = (int32_t)n;
    return SKY_OK;
}

static sky_err add_input(sky__onnx *g, const SkyOnnx__ValueInfo *input)
{
    const int32_t index = value_of(g, input->name);
    if (g->value[index].kind != SKY__VALUE_NONE)
        return SKY_OK; /* older files list initializers among the inputs */
    int64_t dim[SKY__ONNX_RANK_MAX], extent[4] = {1, 1, 1, 1};
    sky__onnx_role role[SKY__ONNX_RANK_MAX];
    int32_t rank = 0;
    const sky_err err = read_dims(g, input, dim, &rank);
    if (err != SKY_OK)
        return err;
    sky__onnx_usual_roles(rank, is_integer(input->type->tensor_type->elem_type), role);
    for (int32_t i = 1; i < rank; i++) {
        if (dim[i] > SKY__ONNX_DIM_MAX / extent[role[i]])
            return sky_fail(g->e, SKY_ELIMIT, "%s: input '%.120s' is too large", g->path,
                            input->name);
        extent[role[i]] *= dim[i];
    }
    const int32_t layer = sky_net_layer(
        &g->b, &(sky_layer){.name = sky_arena_strdup(g->b.arena, input->name),
                            .kind = SKY_LAYER_INPUT,
                            .fixed = true,
                            .out = {(int32_t)extent[SKY__ROLE_C], (int32_t)extent[SKY__ROLE_H],
                                    (int32_t)extent[SKY__ROLE_W]}});
    if (g->b.err != SKY_OK)
        return sky_fail(g->e, g->b.err, "%s: input '%.120s': %s", g->path, input->name,
                        g->b.error.text);
    g->value[index] = sky__onnx_fresh(layer, rank, dim, role);
    return SKY_OK;
}

/* --- nodes --- */

typedef struct operation {
    const char *name;
    bool (*add)(sky__onnx *g);
} operation;

/* In alphabetical order. docs/networks.md lists them for users. */
static const operation operators[] = {
    {"Abs", sky__onnx_op_unary},
    {"Add", sky__onnx_op_elementwise},
    {"And", sky__onnx_op_elementwise},
    {"AveragePool", sky__onnx_op_pool},
    {"BatchNormalization", sky__onnx_op_norm},
    {"Cast", sky__onnx_op_alias},
    {"CastLike", sky__onnx_op_alias},
    {"Ceil", sky__onnx_op_unary},
    {"Celu", sky__onnx_op_unary},
    {"Clip", sky__onnx_op_unary},
    {"Concat", sky__onnx_op_concat},
    {"Conv", sky__onnx_op_conv},
    {"Cos", sky__onnx_op_unary},
    {"DequantizeLinear", sky__onnx_op_alias},
    {"Div", sky__onnx_op_elementwise},
    {"Dropout", sky__onnx_op_alias},
    {"Elu", sky__onnx_op_unary},
    {"Equal", sky__onnx_op_elementwise},
    {"Erf", sky__onnx_op_unary},
    {"Exp", sky__onnx_op_unary},
    {"Expand", sky__onnx_op_expand},
    {"Flatten", sky__onnx_op_flatten},
    {"Floor", sky__onnx_op_unary},
    {"Gather", sky__onnx_op_gather},
    {"Gelu", sky__onnx_op_unary},
    {"Gemm", sky__onnx_op_gemm},
    {"GlobalAveragePool", sky__onnx_op_global_pool},
    {"GlobalMaxPool", sky__onnx_op_global_pool},
    {"Greater", sky__onnx_op_elementwise},
    {"GreaterOrEqual", sky__onnx_op_elementwise},
    {"GroupNormalization", sky__onnx_op_norm},
    {"HardSigmoid", sky__onnx_op_unary},
    {"HardSwish", sky__onnx_op_unary},
    {"Identity", sky__onnx_op_alias},
    {"InstanceNormalization", sky__onnx_op_norm},
    {"LRN", sky__onnx_op_unary},
    {"LayerNormalization", sky__onnx_op_norm},
    {"LeakyRelu", sky__onnx_op_unary},
    {"Less", sky__onnx_op_elementwise},
    {"LessOrEqual", sky__onnx_op_elementwise},
    {"Log", sky__onnx_op_unary},
    {"LogSoftmax", sky__onnx_op_unary},
    {"MatMul", sky__onnx_op_matmul},
    {"Max", sky__onnx_op_elementwise},
    {"MaxPool", sky__onnx_op_pool},
    {"Mean", sky__onnx_op_elementwise},
    {"Min", sky__onnx_op_elementwise},
    {"Mish", sky__onnx_op_unary},
    {"Mul", sky__onnx_op_elementwise},
    {"Neg", sky__onnx_op_unary},
    {"Not", sky__onnx_op_unary},
    {"Or", sky__onnx_op_elementwise},
    {"PRelu", sky__onnx_op_elementwise},
    {"Pad", sky__onnx_op_pad},
    {"Pow", sky__onnx_op_elementwise},
    {"QuantizeLinear", sky__onnx_op_alias},
    {"RMSNormalization", sky__onnx_op_norm},
    {"Reciprocal", sky__onnx_op_unary},
    {"ReduceMax", sky__onnx_op_reduce},
    {"ReduceMean", sky__onnx_op_reduce},
    {"ReduceSum", sky__onnx_op_reduce},
    {"Relu", sky__onnx_op_unary},
    {"Reshape", sky__onnx_op_reshape},
    {"Round", sky__onnx_op_unary},
    {"Selu", sky__onnx_op_unary},
    {"Shape", sky__onnx_op_shape},
    {"Sigmoid", sky__onnx_op_unary},
    {"Sign", sky__onnx_op_unary},
    {"SimplifiedLayerNormalization", sky__onnx_op_norm},
    {"Sin", sky__onnx_op_unary},
    {"Slice", sky__onnx_op_slice},
    {"Softmax", sky__onnx_op_unary},
    {"Softplus", sky__onnx_op_unary},
    {"Softsign", sky__onnx_op_unary},
    {"Split", sky__onnx_op_split},
    {"Sqrt", sky__onnx_op_unary},
    {"Squeeze", sky__onnx_op_squeeze},
    {"Sub", sky__onnx_op_elementwise},
    {"Sum", sky__onnx_op_elementwise},
    {"Swish", sky__onnx_op_unary},
    {"Tanh", sky__onnx_op_unary},
    {"ThresholdedRelu", sky__onnx_op_unary},
    {"Transpose", sky__onnx_op_transpose},
    {"Trilu", sky__onnx_op_unary},
    {"Unsqueeze", sky__onnx_op_unsqueeze},
    {"Where", sky__onnx_op_where},
};

static const operation *find_operator(const char *name)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(operators[i].name, name) == 0)
            return &operators[i];
    }
    return NULL;
}

/* Whether all inputs are there and, in *constant, known without the network's. */
static bool check_inputs(sky__onnx *g, bool *constant)
{
    *constant = true;
    for (size_t i = 0; i < g->node->n_input; i++) {
        const char *name = g->node->input[i];
        if (!name[0])
            continue;
        const int32_t v = value_of(g, name);
        if (v < 0 || g->value[v].kind == SKY__VALUE_NONE)
            return sky__onnx_fail(
                g, SKY_EFORMAT, "no node before it, input or initializer makes its input '%.120s'",
                name);
        *constant = *constant && g->value[v].kind == SKY__VALUE_CONST;
    }
    return true;
}

static bool add_node(sky__onnx *g)
{
    const sky__onnx_node *node = g->node;
    bool constant = false;
    if (node->domain[0] && strcmp(node->domain, "ai.onnx") != 0)
        return sky__onnx_fail(g, SKY_EINVAL, "operators of '%.60s' are not supported",
                              node->domain);
    if (node->n_output == 0)
        return sky__onnx_fail(g, SKY_EFORMAT, "it has no output");
    if (!check_inputs(g, &constant))
        return false;
    if (constant)
        return sky__onnx_fold(g);
    const operation *op = find_operator(node->op_type);
    if (!op)
        return sky__onnx_fail(g, SKY_EINVAL,
                              "this operator is not supported (docs/networks.md lists those that "
                              "are)");
    if (!op->add(g)) {
        if (g->err == SKY_OK)
            sky__onnx_fail(g, SKY_EINVAL, "this use of the operator is not supported");
        return false;
    }
    return true;
}

/* Classes stay: what makes an output does not shrink. */
static bool fix_outputs(sky__onnx *g, const SkyOnnx__Graph *graph)
{
    bool any = false;
    for (size_t i = 0; i < graph->n_output; i++) {
        const int32_t v = value_of(g, graph->output[i]->name);
        if (v < 0 || g->value[v].kind != SKY__VALUE_ACT)
            continue;
        any = true;
        sky_layer *l = &g->b.layers[g->value[v].layer];
        while (l->kind == SKY_LAYER_ACTIVATION || l->kind == SKY_LAYER_POOL ||
               l->kind == SKY_LAYER_RESHAPE)
            l = &g->b.layers[l->input[0]];
        l->fixed |= l->kind == SKY_LAYER_CONV || l->kind == SKY_LAYER_LINEAR;
    }
    return any;
}

static const char *name_of(const char *path, sky_arena *arena)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t len = strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".onnx") == 0)
        len -= 5;
    return sky_arena_strndup(arena, name, len);
}

static sky_err build(sky__onnx *g, const SkyOnnx__Graph *graph, sky_network *out)
{
    sky_err err = add_names(g, graph);
    if (err == SKY_OK)
        err = count_readers(g, graph);
    if (err == SKY_OK)
        err = add_initializers(g, graph);
    if (err == SKY_OK)
        err = check_sizes(g);
    for (size_t i = 0; err == SKY_OK && i < graph->n_input; i++)
        err = add_input(g, graph->input[i]);
    if (err == SKY_OK)
        err = check_all_met(g);
    for (size_t i = 0; err == SKY_OK && i < graph->n_node; i++) {
        g->node = graph->node[i];
        if (!add_node(g))
            err = g->err;
    }
    if (err == SKY_OK && !fix_outputs(g, graph))
        err = sky_fail(g->e, SKY_EFORMAT, "%s: no output depends on its inputs", g->path);
    if (err != SKY_OK)
        return err;
    const char *name = name_of(g->path, g->b.arena);
    if (!name)
        return no_memory(g);
    err = sky_net_finish(&g->b, name, "an ONNX file", out, g->e);
    if (err != SKY_OK)
        sky_fail_prefix(g->e, "%s", g->path);
    return err;
}

sky_err sky_onnx_parse(const char *path, const void *bytes, size_t len, const char *sizes,
                       sky_arena *arena, sky_network *out, sky_error *e)
{
    assert(path && (bytes || len == 0) && arena && out);
    sky__onnx g = {.path = path, .sizes = sizes ? sizes : "", .b = {.arena = arena}, .e = e};
    g.names.arena = g.layer_names.arena = &g.scratch;
    const SkyOnnx__Model *model = NULL;
    sky_err err = decode(&g, bytes, len, &model);
    if (err == SKY_OK)
        err = build(&g, model->graph, out);
    sky_arena_free(&g.scratch);
    return err;
}

sky_err sky_onnx_load(const char *path, const char *sizes, sky_arena *arena, sky_network *out,
                      sky_error *e)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sky_fail_errno(e, errno, "cannot open '%s'", path);
    struct stat st;
    sky_err err = SKY_OK;
    void *bytes = MAP_FAILED;
    if (fstat(fd, &st) != 0)
        err = sky_fail_errno(e, errno, "cannot read '%s'", path);
    else if (!S_ISREG(st.st_mode) || st.st_size == 0)
        err = sky_fail(e, SKY_EFORMAT, "%s: not an ONNX model: %s", path,
                       S_ISREG(st.st_mode) ? "an empty file" : "not a file");
    else if (st.st_size > SKY_ONNX_BYTES_MAX)
        err = sky_fail(e, SKY_ELIMIT, "%s: more than 2 GiB", path);
    else if ((bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        err = sky_fail_errno(e, errno, "cannot read '%s'", path);
    close(fd);
    if (err != SKY_OK)
        return err;
    err = sky_onnx_parse(path, bytes, (size_t)st.st_size, sizes, arena, out, e);
    munmap(bytes, (size_t)st.st_size);
    return err;
}
