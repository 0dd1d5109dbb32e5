/* Traces on networks: which layer is meant, what is left of the network, and made-up traces. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"
#include "hw/names.h"
#include "hw/network_internal.h"
#include "hw/trace.h"

/* Layers that have channels of their own. */
static bool is_named(const sky_layer *l)
{
    return l->kind == SKY_LAYER_CONV || l->kind == SKY_LAYER_LINEAR || l->kind == SKY_LAYER_EMBED ||
           (l->kind == SKY_LAYER_INPUT && !l->fixed);
}

/* --- binding --- */

typedef struct name_index {
    sky__names names;
    int32_t *layer; /* of each name: its layer; -1: several have it */
} name_index;

static sky_err index_names(const sky_network *net, sky_arena *arena, name_index *out)
{
    *out = (name_index){.names = {.arena = arena}};
    out->layer = sky_new(arena, int32_t, (size_t)net->n_layers);
    if (!out->layer)
        return SKY_ENOMEM;
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        if (!is_named(l) || !l->name)
            continue;
        const int32_t n = out->names.n;
        const int32_t name = sky__names_add(&out->names, l->name, strlen(l->name));
        if (name < 0)
            return SKY_ENOMEM;
        out->layer[name] = name == n ? i : -1;
    }
    return SKY_OK;
}

static sky_err find_layer(const name_index *index, const sky_network *net, const char *name,
                          int32_t *out, sky_error *e)
{
    const int32_t i = sky__names_find(&index->names, name, strlen(name));
    if (i < 0) {
        const char *near = sky_nearest(name, index->names.name, (size_t)index->names.n);
        return sky_fail(e, SKY_EINVAL, "network '%s' has no layer '%s'%s%s%s", net->name, name,
                        near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    }
    if (index->layer[i] < 0)
        return sky_fail(e, SKY_EINVAL, "network '%s' has more than one layer '%s'", net->name,
                        name);
    *out = index->layer[i];
    return SKY_OK;
}

/* One layer of one stage against the network. channels: what the stage leaves of all layers. */
static sky_err check_kept(const sky_trace *t, const sky_trace_map *map, int32_t stage,
                          const sky_network *net, const int32_t *channels, int32_t i, sky_error *e)
{
    const sky_trace_kept kept = t->stages[stage].kept[i];
    const int32_t index = map->layer[i];
    const sky_layer *l = &net->layers[index];
    const char *what = NULL;
    int32_t is = kept.in, most = 0;
    if (kept.out > l->out.c) {
        what = "output";
        is = kept.out;
        most = l->out.c;
    } else if (kept.in > 0 && l->kind == SKY_LAYER_INPUT) {
        return sky_fail(e, SKY_EINVAL, "step %" PRId64 ": '%s' is an input, and reads no channels",
                        t->stages[stage].step, t->layers[i]);
    } else if (kept.in > 0 && kept.in > net->layers[l->input[0]].out.c) {
        what = "input";
        most = net->layers[l->input[0]].out.c;
    }
    if (what)
        return sky_fail(e, SKY_EINVAL,
                        "step %" PRId64 ": layer '%s' keeps %" PRId32
                        " %s channels; network '%s' was designed with %" PRId32,
                        t->stages[stage].step, t->layers[i], is, what, net->name, most);
    if (!sky__is_depthwise(net, l))
        return SKY_OK;
    const int32_t out = channels[index], in = channels[l->input[0]];
    if ((kept.out > 0 && kept.out != out) || (kept.in > 0 && kept.in != in))
        return sky_fail(e, SKY_EINVAL,
                        "step %" PRId64 ": layer '%s' is depthwise: %" PRId32 " channels of its "
                        "input are left, so it has %" PRId32,
                        t->stages[stage].step, t->layers[i], in, out);
    return SKY_OK;
}

sky_err sky_trace_bind(const sky_trace *t, const sky_network *net, sky_arena *arena,
                       sky_trace_map *out, sky_error *e)
{
    assert(t && net && arena && out);
    const size_t n = (size_t)net->n_layers;
    name_index index;
    sky_trace_map map = {.layer = sky_new(arena, int32_t, (size_t)t->n_layers + 1),
                         .row = sky_new(arena, int32_t, n)};
    int32_t *channels = sky_new(arena, int32_t, n);
    if (!map.layer || !map.row || !channels || index_names(net, arena, &index) != SKY_OK)
        return sky_fail(e, SKY_ENOMEM, "trace: %s", sky_strerror(SKY_ENOMEM));
    memset(map.row, -1, n * sizeof *map.row);
    for (int32_t i = 0; i < t->n_layers; i++) {
        sky_err err = find_layer(&index, net, t->layers[i], &map.layer[i], e);
        if (err != SKY_OK)
            return err;
        map.row[map.layer[i]] = i;
    }
    for (int32_t stage = 0; stage < t->n_stages; stage++) {
        sky_trace_channels(t, &map, stage, net, channels);
        for (int32_t i = 0; i < t->n_layers; i++) {
            sky_err err = check_kept(t, &map, stage, net, channels, i, e);
            if (err != SKY_OK)
                return err;
        }
    }
    *out = map;
    return SKY_OK;
}

/* --- a stage --- */

void sky_trace_channels(const sky_trace *t, const sky_trace_map *map, int32_t stage,
                        const sky_network *net, int32_t *channels)
{
    assert(stage >= 0 && stage < t->n_stages);
    for (int32_t i = 0; i < net->n_layers; i++)
        channels[i] = net->layers[i].out.c;
    for (int32_t i = 0; i < t->n_layers; i++) {
        const int32_t kept = t->stages[stage].kept[i].out;
        if (kept > 0)
            channels[map->layer[i]] = kept;
    }
    sky_network_follow(net, channels);
}

int32_t sky_trace_convs(const sky_trace *t, const sky_trace_map *map, int32_t stage,
                        const sky_network *net, const int32_t *channels, bool merge,
                        sky_conv_shape *out)
{
    assert(stage >= 0 && stage < t->n_stages);
    const int32_t n = sky_network_convs(net, channels, false, out);
    for (int32_t i = 0; i < n; i++) {
        const int32_t row = map->row[out[i].layer];
        const int32_t in = row >= 0 ? t->stages[stage].kept[row].in : 0;
        const sky_layer *l = &net->layers[out[i].layer];
        if (in == 0 || sky__is_depthwise(net, l))
            continue;
        const sky_shape from = net->layers[l->input[0]].out;
        out[i].c = l->kind == SKY_LAYER_LINEAR ? in * from.h * from.w
                                               : (in + out[i].groups - 1) / out[i].groups;
    }
    return merge ? sky_convs_merge(out, n) : n;
}

/* --- synthetic traces --- */

enum { EPOCHS_MAX = 1 << 20 };
static const double part_most = 0.99, pace_least = 0.6;

typedef struct plan { /* of one layer */
    int32_t layer;
    double part, pace;
} plan;

static bool is_pruned(const sky_network *net, const sky_layer *l)
{
    return is_named(l) && !l->fixed && !sky__is_depthwise(net, l);
}

static int32_t kept_at(const sky_network *net, const plan *p, double t)
{
    const sky_layer *l = &net->layers[p->layer];
    const int32_t groups = l->kind == SKY_LAYER_CONV ? l->groups : 1;
    const double progress = t < p->pace ? t / p->pace : 1;
    const double gone = p->part * (1 - (1 - progress) * (1 - progress));
    return groups * sky_kept_channels(l->out.c / groups, 1 - gone);
}

/* Names go into a text file and must find their layers again there. */
static sky_err check_names(const sky_network *net, const plan *plans, int32_t n, sky_arena *arena,
                           sky_error *e)
{
    name_index index;
    if (index_names(net, arena, &index) != SKY_OK)
        return sky_fail(e, SKY_ENOMEM, "trace: %s", sky_strerror(SKY_ENOMEM));
    for (int32_t i = 0; i < n; i++) {
        const char *name = net->layers[plans[i].layer].name;
        if (!name || !name[0] || strlen(name) > SKY_TRACE_NAME_MAX || strpbrk(name, " \t\r\n"))
            return sky_fail(e, SKY_EINVAL,
                            "network '%s': layer %" PRId32 " needs a name without blanks, of at "
                            "most %d bytes, for a trace",
                            net->name, plans[i].layer, SKY_TRACE_NAME_MAX);
        int32_t layer;
        sky_err err = find_layer(&index, net, name, &layer, e);
        if (err != SKY_OK)
            return err;
    }
    return SKY_OK;
}

static sky_err make_plans(const sky_network *net, const sky_trace_options *o, sky_arena *arena,
                          plan **out, int32_t *n_out, sky_error *e)
{
    plan *plans = sky_new(arena, plan, (size_t)net->n_layers);
    if (!plans)
        return sky_fail(e, SKY_ENOMEM, "trace: %s", sky_strerror(SKY_ENOMEM));
    int32_t n = 0;
    for (int32_t i = 0; i < net->n_layers; i++) {
        if (!is_pruned(net, &net->layers[i]))
            continue;
        sky_rng rng; /* a stream per layer: what one draws does not move the others */
        sky_rng_init(&rng, o->seed, (uint64_t)n);
        const double part = o->pruned * (1 + o->spread * (2 * sky_rng_f64(&rng) - 1));
        plans[n++] = (plan){.layer = i,
                            .part = part < part_most ? part : part_most,
                            .pace = pace_least + (1 - pace_least) * sky_rng_f64(&rng)};
    }
    *out = plans;
    *n_out = n;
    return check_names(net, plans, n, arena, e);
}

static sky_err check_options(sky_trace_options *o, sky_error *e)
{
    if (o->spread == 0)
        o->spread = 0.5;
    if (o->epochs == 0)
        o->epochs = 90;
    if (o->epochs_a_stage == 0)
        o->epochs_a_stage = 10;
    if (o->steps_an_epoch == 0)
        o->steps_an_epoch = 5005;
    if (!(o->pruned >= 0 && o->pruned < 1))
        return sky_fail(e, SKY_EINVAL, "trace: pruned is %g, and must be in [0, 1)", o->pruned);
    if (!(o->spread > 0 && o->spread <= 1))
        return sky_fail(e, SKY_EINVAL, "trace: spread is %g, and must be in (0, 1]", o->spread);
    if (o->epochs < 1 || o->epochs > EPOCHS_MAX || o->epochs_a_stage < 1)
        return sky_fail(e, SKY_EINVAL,
                        "trace: %" PRId32 " epochs, %" PRId32 " a stage: from 1 to %d were "
                        "expected, and at least 1",
                        o->epochs, o->epochs_a_stage, EPOCHS_MAX);
    if (o->steps_an_epoch < 1 || o->steps_an_epoch > SKY_TRACE_STEP_MAX / EPOCHS_MAX)
        return sky_fail(e, SKY_EINVAL, "trace: %" PRId64 " steps an epoch: from 1 to %" PRId64,
                        o->steps_an_epoch, SKY_TRACE_STEP_MAX / EPOCHS_MAX);
    return SKY_OK;
}

static sky_err fill(const sky_network *net, const sky_trace_options *o, const plan *plans,
                    int32_t n_layers, sky_arena *arena, sky_trace *out, sky_error *e)
{
    const int32_t n_stages = (o->epochs - 1) / o->epochs_a_stage + 1;
    if (n_stages > SKY_TRACE_STAGES_MAX || (int64_t)n_stages * n_layers > SKY_TRACE_CELLS_MAX)
        return sky_fail(e, SKY_ELIMIT, "trace: %" PRId32 " stages of %" PRId32 " layers", n_stages,
                        n_layers);
    const char **names = sky_new(arena, const char *, (size_t)n_layers + 1);
    sky_trace_stage *stages = sky_new(arena, sky_trace_stage, (size_t)n_stages);
    sky_trace_kept *kept = sky_new(arena, sky_trace_kept, (size_t)n_stages * (size_t)n_layers + 1);
    if (!names || !stages || !kept)
        return sky_fail(e, SKY_ENOMEM, "trace: %s", sky_strerror(SKY_ENOMEM));
    for (int32_t i = 0; i < n_layers; i++)
        names[i] = net->layers[plans[i].layer].name;
    for (int32_t s = 0; s < n_stages; s++) {
        const int64_t epoch = (int64_t)s * o->epochs_a_stage;
        const double t = n_stages > 1 ? (double)s / (n_stages - 1) : 0;
        stages[s] = (sky_trace_stage){.epoch = epoch,
                                      .step = epoch * o->steps_an_epoch,
                                      .kept = kept + (size_t)s * (size_t)n_layers};
        for (int32_t i = 0; i < n_layers; i++)
            stages[s].kept[i].out = kept_at(net, &plans[i], t);
    }
    const bool is_field = !strpbrk(net->name, " \t\r\n") && strlen(net->name) <= SKY_TRACE_NAME_MAX;
    *out = (sky_trace){.network = is_field ? net->name : "", /* a file may be called anything */
                       .layers = names,
                       .n_layers = n_layers,
                       .n_stages = n_stages,
                       .stages = stages,
                       .end_epoch = o->epochs,
                       .end_step = o->epochs * o->steps_an_epoch};
    return SKY_OK;
}

sky_err sky_trace_generate(const sky_network *net, const sky_trace_options *options,
                           sky_arena *arena, sky_trace *out, sky_error *e)
{
    assert(net && options && arena && out);
    sky_trace_options o = *options;
    plan *plans = NULL;
    int32_t n = 0;
    sky_err err = check_options(&o, e);
    if (err == SKY_OK)
        err = make_plans(net, &o, arena, &plans, &n, e);
    if (err == SKY_OK)
        err = fill(net, &o, plans, n, arena, out, e);
    return err;
}
