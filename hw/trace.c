/* Reading and writing of traces (docs/trace.md). Reading goes over the text twice: only then is the number
 * of cells known before the memory for them is taken. */
#include "hw/trace.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "hw/names.h"
#include "hw/rows.h"

typedef struct reader {
    sky__rows rows;
    sky__names names;
    sky_arena *arena;
    sky_trace t;
    int32_t *listed; /* of each layer: the last stage that lists it; second pass */
    bool filling;    /* the second pass */
    bool ended;
} reader;

static sky_err out_of_memory(reader *r)
{
    return sky__rows_fail(&r->rows, 0, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
}

static sky_err expect_fields(reader *r, size_t least, size_t most, const char *form)
{
    const size_t n = r->rows.n_fields;
    if (least <= n && n <= most)
        return SKY_OK;
    return sky__rows_fail(&r->rows, n < least ? n : most, SKY_EFORMAT, "expected: %s", form);
}

static sky_err read_header(reader *r)
{
    if (!sky__rows_next(&r->rows)) {
        if (r->rows.err != SKY_OK)
            return r->rows.err;
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "an empty file");
    }
    if (!sky__field_is(&r->rows.field[0], "skyline-trace"))
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT,
                              "not a trace: it does not begin with 'skyline-trace %d'",
                              SKY_TRACE_VERSION);
    int64_t version;
    sky_err err = expect_fields(r, 2, 2, "skyline-trace VERSION");
    if (err == SKY_OK)
        err = sky__rows_int(&r->rows, 1, "the version", 1, INT32_MAX, &version);
    if (err == SKY_OK && version != SKY_TRACE_VERSION)
        err = sky__rows_fail(&r->rows, 1, SKY_EVERSION,
                             "a trace of version %" PRId64 "; this program reads version %d",
                             version, SKY_TRACE_VERSION);
    return err;
}

static sky_err read_network(reader *r)
{
    sky_err err = expect_fields(r, 2, 2, "network NAME");
    if (err != SKY_OK)
        return err;
    if (r->t.n_stages > 0 || r->t.network)
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT,
                              "the network is named once, before the first stage");
    const sky__field *f = &r->rows.field[1];
    if (f->len > SKY_TRACE_NAME_MAX)
        return sky__rows_fail(&r->rows, 1, SKY_ELIMIT, "a name of more than %d bytes",
                              SKY_TRACE_NAME_MAX);
    r->t.network = sky_arena_strndup(r->arena, f->s, f->len);
    return r->t.network ? SKY_OK : out_of_memory(r);
}

/* Epoch and step of "at" and "end". */
static sky_err read_time(reader *r, int64_t *epoch, int64_t *step)
{
    sky_err err = expect_fields(r, 3, 3, "at EPOCH STEP, or end EPOCH STEP");
    if (err == SKY_OK)
        err = sky__rows_int(&r->rows, 1, "the epoch", 0, SKY_TRACE_STEP_MAX, epoch);
    if (err == SKY_OK)
        err = sky__rows_int(&r->rows, 2, "the step", 0, SKY_TRACE_STEP_MAX, step);
    if (err != SKY_OK)
        return err;
    if (r->t.n_stages == 0) {
        if (*step != 0)
            return sky__rows_fail(&r->rows, 2, SKY_EFORMAT, "the first stage begins at step 0");
        return SKY_OK;
    }
    if (*step <= r->t.end_step)
        return sky__rows_fail(&r->rows, 2, SKY_EFORMAT,
                              "step %" PRId64 " does not come after step %" PRId64, *step,
                              r->t.end_step);
    if (*epoch < r->t.end_epoch)
        return sky__rows_fail(&r->rows, 1, SKY_EFORMAT,
                              "epoch %" PRId64 " comes before epoch %" PRId64, *epoch,
                              r->t.end_epoch);
    return SKY_OK;
}

static sky_err read_at(reader *r)
{
    int64_t epoch = 0, step = 0;
    sky_err err = read_time(r, &epoch, &step);
    if (err != SKY_OK)
        return err;
    if (r->t.n_stages == SKY_TRACE_STAGES_MAX)
        return sky__rows_fail(&r->rows, 0, SKY_ELIMIT, "more than %d stages", SKY_TRACE_STAGES_MAX);
    if (r->filling) {
        sky_trace_stage *s = &r->t.stages[r->t.n_stages];
        const size_t n = (size_t)r->t.n_layers;
        s->epoch = epoch;
        s->step = step;
        if (r->t.n_stages > 0 && n > 0)
            memcpy(s->kept, s[-1].kept, n * sizeof *s->kept);
    }
    r->t.n_stages++;
    r->t.end_epoch = epoch; /* so far: what the next line is compared with */
    r->t.end_step = step;
    return SKY_OK;
}

static sky_err read_end(reader *r)
{
    int64_t epoch = 0, step = 0;
    if (r->t.n_stages == 0)
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "no stage before the end");
    sky_err err = read_time(r, &epoch, &step);
    r->t.end_epoch = epoch;
    r->t.end_step = step;
    r->ended = true;
    return err;
}

static sky_err read_layer(reader *r)
{
    sky_err err = expect_fields(r, 3, 4, "layer NAME OUT [IN]");
    if (err == SKY_OK && r->t.n_stages == 0)
        err = sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "a layer before the first stage ('at')");
    int64_t out = 0, in = 0;
    if (err == SKY_OK)
        err = sky__rows_int(&r->rows, 2, "the output channels", 1, SKY_CHANNELS_MAX, &out);
    if (err == SKY_OK && r->rows.n_fields > 3)
        err = sky__rows_int(&r->rows, 3, "the input channels", 1, SKY_CHANNELS_MAX, &in);
    if (err != SKY_OK)
        return err;
    const sky__field *f = &r->rows.field[1];
    if (f->len > SKY_TRACE_NAME_MAX)
        return sky__rows_fail(&r->rows, 1, SKY_ELIMIT, "a name of more than %d bytes",
                              SKY_TRACE_NAME_MAX);
    int32_t i = sky__names_add(&r->names, f->s, f->len);
    if (i < 0)
        return out_of_memory(r);
    if (r->names.n > SKY_LAYERS_MAX)
        return sky__rows_fail(&r->rows, 1, SKY_ELIMIT, "more than %d layers", SKY_LAYERS_MAX);
    if (!r->filling)
        return SKY_OK;
    if (r->listed[i] == r->t.n_stages)
        return sky__rows_fail(&r->rows, 1, SKY_EFORMAT, "layer '%.*s' twice in one stage",
                              sky__field_shown(f), f->s);
    r->listed[i] = r->t.n_stages;
    r->t.stages[r->t.n_stages - 1].kept[i] =
        (sky_trace_kept){.out = (int32_t)out, .in = (int32_t)in};
    return SKY_OK;
}

static sky_err read_row(reader *r)
{
    static const struct {
        const char *word;
        sky_err (*read)(reader *r);
    } rows[] = {
        {"network", read_network}, {"at", read_at}, {"layer", read_layer}, {"end", read_end}};
    if (r->ended)
        return sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "a line after the end");
    const sky__field *f = &r->rows.field[0];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (sky__field_is(f, rows[i].word))
            return rows[i].read(r);
    }
    return sky__rows_fail(&r->rows, 0, SKY_EFORMAT, "'%.*s': expected network, at, layer or end",
                          sky__field_shown(f), f->s);
}

static sky_err read_all(reader *r)
{
    sky_err err = read_header(r);
    while (err == SKY_OK && sky__rows_next(&r->rows))
        err = read_row(r);
    if (err == SKY_OK)
        err = r->rows.err;
    if (err == SKY_OK && !r->ended)
        err = sky__rows_fail(&r->rows, 0, SKY_EFORMAT,
                             "no 'end' line: the training or the file was cut short");
    return err;
}

/* Between the passes: memory for what the first one counted. */
static sky_err make_room(reader *r)
{
    const size_t n_layers = (size_t)r->names.n, n_stages = (size_t)r->t.n_stages;
    if (n_layers * n_stages > SKY_TRACE_CELLS_MAX)
        return sky_fail(r->rows.e, SKY_ELIMIT, "%s: %zu stages of %zu layers; together at most %d",
                        r->rows.path, n_stages, n_layers, SKY_TRACE_CELLS_MAX);
    sky_trace_stage *stages = sky_new(r->arena, sky_trace_stage, n_stages);
    sky_trace_kept *kept = sky_new(r->arena, sky_trace_kept, n_layers * n_stages + 1);
    r->listed = sky_new(r->arena, int32_t, n_layers + 1);
    if (!stages || !kept || !r->listed)
        return out_of_memory(r);
    for (size_t i = 0; i < n_stages; i++)
        stages[i].kept = kept + i * n_layers;
    r->t = (sky_trace){.stages = stages, .layers = r->names.name, .n_layers = r->names.n};
    r->filling = true;
    r->ended = false;
    return SKY_OK;
}

sky_err sky_trace_parse(const char *path, const char *text, size_t len, sky_arena *arena,
                        sky_trace *out, sky_error *e)
{
    assert(path && (text || len == 0) && arena && out);
    if (len > SKY_TRACE_BYTES_MAX)
        return sky_fail(e, SKY_ELIMIT, "%s: more than %d bytes", path, SKY_TRACE_BYTES_MAX);
    reader r = {.arena = arena, .names = {.arena = arena}};
    sky__rows_init(&r.rows, path, text, len, ' ', e);
    sky_err err = read_all(&r);
    if (err == SKY_OK)
        err = make_room(&r);
    if (err == SKY_OK) {
        sky__rows_init(&r.rows, path, text, len, ' ', e);
        err = read_all(&r);
    }
    if (err != SKY_OK)
        return err;
    if (!r.t.network)
        r.t.network = "";
    *out = r.t;
    return SKY_OK;
}

void sky_trace_write(const sky_trace *t, sky_buf *out)
{
    sky_buf_printf(out, "skyline-trace %d\n", SKY_TRACE_VERSION);
    if (t->network[0])
        sky_buf_printf(out, "network %s\n", t->network);
    for (int32_t i = 0; i < t->n_stages; i++) {
        const sky_trace_stage *s = &t->stages[i];
        sky_buf_printf(out, "at %" PRId64 " %" PRId64 "\n", s->epoch, s->step);
        for (int32_t l = 0; l < t->n_layers; l++) {
            const sky_trace_kept before = i > 0 ? s[-1].kept[l] : (sky_trace_kept){0};
            const sky_trace_kept kept = s->kept[l];
            if (kept.out == before.out && kept.in == before.in)
                continue;
            assert(kept.out > 0); /* back to "as designed" has no line */
            sky_buf_printf(out, "layer %s %" PRId32, t->layers[l], kept.out);
            if (kept.in > 0)
                sky_buf_printf(out, " %" PRId32, kept.in);
            sky_buf_putc(out, '\n');
        }
    }
    sky_buf_printf(out, "end %" PRId64 " %" PRId64 "\n", t->end_epoch, t->end_step);
}

double sky_trace_weight(const sky_trace *t, int32_t stage)
{
    assert(stage >= 0 && stage < t->n_stages && t->end_step > 0);
    const int64_t end = stage + 1 < t->n_stages ? t->stages[stage + 1].step : t->end_step;
    return (double)(end - t->stages[stage].step) / (double)t->end_step;
}
