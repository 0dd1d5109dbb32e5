/* `skyline networks` and `skyline trace`: what the hardware models run on. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/term.h"
#include "hw/trace.h"
#include "jobs/netfile.h"

/* --- rows and columns, in three forms --- */

enum { COLUMNS_MAX = 16 };

/* One row at a time, as a table, CSV or JSON; fields that are numbers come unquoted. */
typedef struct rows {
    enum { AS_TABLE, AS_CSV, AS_JSON } form;
    const char *const *names;
    size_t n_columns, n_text; /* the first n_text columns are text */
    size_t at;                /* the next field's column */
    bool any;
    cli_table table;
    sky_buf *out;
} rows;

static void begin(rows *r, const cli_args *a, const char *const *names, size_t n, size_t n_text,
                  sky_buf *out)
{
    *r = (rows){.names = names, .n_columns = n, .n_text = n_text, .out = out};
    r->form = cli_flag(a, "json") ? AS_JSON : cli_flag(a, "csv") ? AS_CSV : AS_TABLE;
    if (r->form == AS_TABLE)
        cli_table_init(&r->table, n);
    for (size_t i = 0; r->form == AS_TABLE && i < n; i++) {
        cli_table_add(&r->table, names[i]);
        if (i >= n_text)
            cli_table_right(&r->table, i);
    }
    for (size_t i = 0; r->form == AS_CSV && i < n; i++)
        sky_buf_printf(out, "%s%s", names[i], i + 1 < n ? "," : "\n");
}

static void text(rows *r, const char *s)
{
    const size_t i = r->at++ % r->n_columns;
    if (r->form == AS_TABLE) {
        cli_table_add(&r->table, s);
    } else if (r->form == AS_CSV) {
        sky_buf_puts(r->out, i ? "," : "");
        sky_buf_csv(r->out, s);
        sky_buf_puts(r->out, i + 1 == r->n_columns ? "\n" : "");
    } else {
        sky_buf_puts(r->out, i ? ",\"" : r->at > 1 ? ",\n {\"" : "[{\"");
        sky_buf_printf(r->out, "%s\":", r->names[i]);
        if (i < r->n_text)
            sky_buf_json_string(r->out, s);
        else
            sky_buf_puts(r->out, s);
        sky_buf_puts(r->out, i + 1 == r->n_columns ? "}" : "");
    }
}

static void number(rows *r, int64_t x)
{
    char s[24];
    snprintf(s, sizeof s, "%" PRId64, x);
    text(r, s);
}

static void end(rows *r)
{
    if (r->form == AS_JSON)
        sky_buf_puts(r->out, "]\n");
    if (r->form != AS_TABLE)
        return;
    const int width = cli_is_terminal(STDOUT_FILENO) ? cli_width(STDOUT_FILENO) : 0;
    cli_table_print(&r->table, r->out, cli_colour(STDOUT_FILENO), width);
    cli_table_free(&r->table);
}

/* --- networks --- */

static void list(const cli_args *a, sky_buf *out)
{
    static const char *const names[] = {"network", "source", "products", "parameters", "macs"};
    rows r;
    begin(&r, a, names, 5, 2, out);
    for (const char *const *name = sky_network_names(); *name; name++) {
        const sky_network *net = sky_network_find(*name);
        if (!net)
            continue; /* out of memory: what follows says so */
        const sky_network_counts counts = sky_network_count(net, NULL);
        int64_t products = 0;
        for (int32_t i = 0; i < net->n_layers; i++)
            products += sky_layer_count(net, NULL, i).macs > 0;
        text(&r, *name);
        text(&r, net->source);
        number(&r, products);
        number(&r, counts.parameters);
        number(&r, counts.macs);
    }
    end(&r);
}

static void shape_text(sky_shape s, char *buf, size_t len)
{
    snprintf(buf, len, "%" PRId32 "x%" PRId32 "x%" PRId32, s.c, s.h, s.w);
}

static void layers(const cli_args *a, const sky_network *net, sky_buf *out)
{
    static const char *const names[] = {"layer",  "kind",   "input",      "output", "window",
                                        "stride", "groups", "parameters", "macs"};
    rows r;
    begin(&r, a, names, 9, 6, out);
    for (int32_t i = 0; i < net->n_layers; i++) {
        const sky_layer *l = &net->layers[i];
        const sky_network_counts counts = sky_layer_count(net, NULL, i);
        const bool slides = l->kind == SKY_LAYER_CONV || l->kind == SKY_LAYER_POOL;
        char in[48] = "", shape[48], window[32] = "", stride[32] = "";
        if (l->n_inputs > 0)
            shape_text(net->layers[l->input[0]].out, in, sizeof in);
        shape_text(l->out, shape, sizeof shape);
        if (slides) {
            snprintf(window, sizeof window, "%dx%d", l->window.kernel_h, l->window.kernel_w);
            snprintf(stride, sizeof stride, "%dx%d", l->window.stride_h, l->window.stride_w);
        }
        text(&r, l->name ? l->name : "");
        text(&r, sky_layer_kind_name(l->kind));
        text(&r, in);
        text(&r, shape);
        text(&r, window);
        text(&r, stride);
        number(&r, l->groups > 0 ? l->groups : 1);
        number(&r, counts.parameters);
        number(&r, counts.macs);
    }
    end(&r);
    if (r.form == AS_TABLE) {
        const sky_network_counts counts = sky_network_count(net, NULL);
        sky_buf_printf(out,
                       "%s (%s): %" PRId32 " layers, %" PRId64 " parameters, %" PRId64
                       " multiply-adds a sample\n",
                       net->name, net->source, net->n_layers, counts.parameters, counts.macs);
    }
}

static int run_networks(const cli_args *a)
{
    sky_buf out = {0};
    sky_error e = {0};
    const sky_network *net = NULL;
    if (cli_flag(a, "json") && cli_flag(a, "csv"))
        return cli_usage(a, "--json or --csv, not both");
    if (cli_flag(a, "names")) {
        for (const char *const *name = sky_network_names(); *name; name++)
            sky_buf_printf(&out, "%s\n", *name);
        return cli_print(&out);
    }
    if (a->n_operands == 0) {
        list(a, &out);
        return cli_print(&out);
    }
    const sky_err err = sky_job_network(a->operands[0], "", &net, &e);
    if (err == SKY_EINVAL && sky_job_network_check(a->operands[0], NULL, NULL) != SKY_OK)
        return cli_usage(a, "%s", e.text);
    if (err != SKY_OK)
        return cli_fail(a, &e);
    layers(a, net, &out);
    return cli_print(&out);
}

static const cli_opt networks_opts[] = {
    CLI_OPT_JSON,
    {.name = "csv", .doc = "Print CSV."},
    {.name = "names", .doc = "Print only the names of the built-in ones, one a line."},
    {0},
};

const cli_command cli_networks_command = {
    .name = "networks",
    .summary = "list built-in networks, or the layers of one or of a file",
    .operands = "[NETWORK]",
    .n_max = 1,
    .operand = CLI_ANY_FILE,
    .about =
        "A network is a built-in name, an ONNX file (.onnx) or a SCALE-Sim topology (.csv): what "
        "the parameter network of the hardware jobs takes. Shapes are channels x rows x columns "
        "of one sample; macs are the multiply-adds of its convolutions and matrix products, "
        "forward, which products counts.",
    .opts = networks_opts,
    .examples = "skyline networks # the built-in ones\n"
                "skyline networks resnet50 # its layers\n"
                "skyline networks model.onnx --csv # those of a file\n",
    .run = run_networks,
    .group = CLI_GROUP_RUN,
};

/* --- traces --- */

static bool real_option(const cli_args *a, const char *name, double *out)
{
    if (sky_parse_f64(cli_text(a, name), out) == SKY_OK)
        return true;
    cli_usage(a, "--%s: '%s' is not a number", name, cli_text(a, name));
    return false;
}

static sky_err write_file(const char *path, const sky_buf *b, sky_error *e)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return sky_fail_errno(e, errno, "cannot write '%s'", path);
    const bool whole = fwrite(b->data, 1, b->len, f) == b->len;
    const int saved = errno;
    if (fclose(f) != 0)
        return sky_fail_errno(e, errno, "cannot write '%s'", path);
    return whole ? SKY_OK : sky_fail_errno(e, saved, "cannot write '%s'", path);
}

static int make_trace(const cli_args *a, const sky_network *net, const sky_trace_options *o)
{
    sky_arena arena = {0};
    sky_error e = {0};
    sky_trace t;
    sky_buf out = {0};
    const char *path = cli_text(a, "output");
    sky_err err = sky_trace_generate(net, o, &arena, &t, &e);
    if (err == SKY_OK) {
        sky_trace_write(&t, &out);
        if (!sky_buf_ok(&out))
            err = sky_fail(&e, SKY_ENOMEM, "%s", sky_strerror(SKY_ENOMEM));
    }
    sky_arena_free(&arena);
    if (err == SKY_OK && !path)
        return cli_print(&out);
    if (err == SKY_OK)
        err = write_file(path, &out, &e);
    sky_buf_free(&out);
    return err == SKY_OK ? CLI_OK : cli_fail(a, &e);
}

static int run_trace(const cli_args *a)
{
    sky_trace_options o = {.seed = (uint64_t)cli_int(a, "seed"),
                           .epochs = (int32_t)cli_int(a, "epochs"),
                           .steps_an_epoch = cli_int(a, "steps")};
    const int32_t stages = (int32_t)cli_int(a, "stages");
    sky_error e = {0};
    const sky_network *net = NULL;
    if (!real_option(a, "pruned", &o.pruned) || !real_option(a, "spread", &o.spread))
        return CLI_USAGE;
    if (!(o.pruned >= 0 && o.pruned < 1))
        return cli_usage(a, "--pruned must be at least 0 and below 1");
    if (!(o.spread > 0 && o.spread <= 1))
        return cli_usage(a, "--spread must be above 0 and at most 1");
    if (stages > o.epochs || o.epochs % stages != 0)
        return cli_usage(a, "%d epochs cannot be divided into %d stages", o.epochs, stages);
    o.epochs_a_stage = o.epochs / stages;
    const sky_err err = sky_job_network(a->operands[0], "", &net, &e);
    if (err == SKY_EINVAL && sky_job_network_check(a->operands[0], NULL, NULL) != SKY_OK)
        return cli_usage(a, "%s", e.text);
    return err == SKY_OK ? make_trace(a, net, &o) : cli_fail(a, &e);
}

static const cli_opt trace_opts[] = {
    {.name = "pruned",
     .letter = 'p',
     .type = CLI_TEXT,
     .arg = "PART",
     .def = "0.5",
     .doc = "The part of a layer's channels that is gone at the end, on average: 0 to below 1."},
    {.name = "spread",
     .type = CLI_TEXT,
     .arg = "PART",
     .def = "0.5",
     .doc = "How far layers are from that average: each loses (1 - PART) to (1 + PART) times as "
            "much."},
    {.name = "seed",
     .type = CLI_INT,
     .arg = "N",
     .def = "1",
     .min = 0,
     .max = INT64_MAX,
     .doc = "The same seed gives the same trace on every machine."},
    {.name = "stages",
     .type = CLI_INT,
     .arg = "N",
     .def = "9",
     .min = 1,
     .max = SKY_TRACE_STAGES_MAX,
     .doc = "How often channels are pruned: evenly over the epochs."},
    {.name = "epochs",
     .type = CLI_INT,
     .arg = "N",
     .def = "90",
     .min = 1,
     .max = 1 << 20,
     .doc = "How long the training is."},
    {.name = "steps",
     .type = CLI_INT,
     .arg = "N",
     .def = "5005",
     .min = 1,
     .max = INT64_C(1) << 32,
     .doc = "Training steps of an epoch; 5005 is ImageNet at a batch of 256."},
    {.name = "output",
     .letter = 'o',
     .type = CLI_FILE,
     .arg = "FILE",
     .doc = "Where to write. Default: standard output."},
    {0},
};

const cli_command cli_trace_command = {
    .name = "trace",
    .summary = "make up how a network shrinks while it is pruned in training",
    .operands = "NETWORK",
    .n_min = 1,
    .n_max = 1,
    .operand = CLI_ANY_FILE,
    .about =
        "A trace (docs/trace.md) says how many channels each layer has left over a training run. "
        "This one is made up: nobody trained anything. Every layer loses channels at a pace of "
        "its own, most of them early. Hardware jobs average over it; it stands in for the "
        "trace that a training job writes.",
    .opts = trace_opts,
    .examples = "skyline trace resnet50 --pruned 0.5 -o half.trace # nine stages of ten epochs\n"
                "skyline trace model.onnx --stages 18 --seed 7 # of a network of one's own\n",
    .run = run_trace,
    .group = CLI_GROUP_RUN,
};
