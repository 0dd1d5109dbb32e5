#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sweeps/sweeps_fixture.h"

static const char whole[] =
    "# a comment\n"
    "name: flexsa-resnet50\n"
    "description: what it is for\n"
    "tags: [paper, fig-7]\n"
    "job: model\n"
    "job_version: 3\n"
    "space:\n"
    "  network: [resnet50, inception_v4]\n"
    "  array:   {values: [64, 128, 256]}\n"
    "  mode:    [one_large, split, flexsa]\n"
    "  width:   {from: 0.3, to: 1.0, step: 0.05}\n"
    "  depth:   5\n"
    "where: [\"array * array <= 65536\"]\n"
    "derived: {edp: \"energy_j * time_s\", ed2p: \"edp * time_s\"}\n"
    "constraints: [\"time_s < 0.5\", \"edp < array\"]\n"
    "search: grid\n"
    "objectives: [{utilization: max}, {energy_j: min}, {edp: min}, time_s, {array: min}]\n"
    "repeats: 2\n"
    "seed: 18446744073709551615\n"
    "limits: {timeout: 60s, attempts: 4, memory: 2GiB, failures: 10}\n"
    "resources: {cpus: 2, gpus: 1, memory: 1GiB}\n"
    "priority: -3\n";

Test(sweepfile, reads_every_key)
{
    sky_plan *p = plan_of(whole);
    cr_assert(eq(str, STR(sky_plan_name(p)), "flexsa-resnet50"));
    cr_assert(eq(str, STR(sky_plan_job(p)->name), "model"));
    cr_assert(eq(str, STR(sky_plan_job(p)->version), "3"));
    cr_assert(eq(u64, sky_plan_points(p), 2 * 3 * 3 * 15));
    cr_assert(eq(u64, sky_plan_positions(p), 2 * 2 * 3 * 3 * 15));
    cr_assert(eq(u64, sky_plan_seed(p), UINT64_MAX));
    const sky_expression *x;
    cr_assert(eq(sz, sky_plan_where(p, &x), 1));
    cr_assert(eq(str, STR(x[0].sql), "array * array <= 65536"));
    cr_assert(eq(sz, sky_plan_derived(p, &x), 2));
    cr_assert(eq(str, STR(x[1].name), "ed2p"));
    cr_assert(eq(sz, sky_plan_constraints(p, &x), 2));
    const sky_objective *o;
    cr_assert(eq(sz, sky_plan_objectives(p, &o), 5));
    cr_assert(eq(int, o[0].goal, SKY_MAX));
    cr_assert(eq(str, STR(o[3].name), "time_s"));
    cr_assert(eq(int, o[3].goal, SKY_MIN)); /* the job's own */
    cr_assert(eq(i64, sky_plan_limits(p)->timeout_ns, 60000000000));
    cr_assert(eq(u32, sky_plan_limits(p)->attempts, 4));
    cr_assert(eq(u64, sky_plan_limits(p)->memory_bytes, UINT64_C(2) << 30));
    cr_assert(eq(u64, sky_plan_limits(p)->failures, 10));
    cr_assert(eq(u32, sky_plan_resources(p)->cpus, 2));
    cr_assert(eq(u32, sky_plan_resources(p)->gpus, 1));
    cr_assert(eq(i32, sky_plan_priority(p), -3));
    sky_plan_free(reloaded(p));
    sky_plan_free(p);
}

Test(sweepfile, has_defaults)
{
    sky_plan *p = plan_of("name: t\njob: model\nspace: {network: a, depth: 1}\n");
    cr_assert(eq(i64, sky_plan_limits(p)->timeout_ns, 0));
    cr_assert(eq(u32, sky_plan_limits(p)->attempts, 3));
    cr_assert(eq(u64, sky_plan_limits(p)->failures, 1000));
    cr_assert(eq(u32, sky_plan_resources(p)->cpus, 1));
    cr_assert(eq(u32, sky_plan_repeats(p), 1));
    cr_assert(sky_plan_command(p) == NULL);
    cr_assert(sky_plan_plugin(p) == NULL);
    sky_plan_free(p);
}

Test(sweepfile, commands_and_metrics_of_open_jobs)
{
    sky_plan *p =
        plan_of("name: t\njob: command\ncommand: python3  train.py --lr {lr}\n"
                "space: {lr: [0.1, 0.2]}\n"
                "metrics:\n  loss: {unit: nat, goal: min, type: real, class: exact, doc: a loss}\n"
                "  speed: max\n  note: {type: text}\n");
    const char *const *argv = sky_plan_command(p);
    cr_assert(eq(str, STR(argv[0]), "python3"));
    cr_assert(eq(str, STR(argv[3]), "{lr}"));
    cr_assert(argv[4] == NULL);
    const sky_descriptor *d = sky_plan_job(p);
    cr_assert(eq(sz, d->n_metrics, 3));
    cr_assert(eq(str, STR(d->metrics[0].unit), "nat"));
    cr_assert(eq(int, d->metrics[0].cls, SKY_EXACT));
    cr_assert(eq(int, d->metrics[1].goal, SKY_MAX));
    cr_assert(eq(int, d->metrics[1].cls, SKY_TOLERANCE));
    cr_assert(eq(int, d->metrics[2].type, SKY_TEXT));
    sky_plan_free(reloaded(p));
    sky_plan_free(p);
    p = plan_of("name: t\njob: command\ncommand: [sh, -c, \"echo '{x}' \\\\\"]\nmetrics: [a, b: "
                "{goal: max}]\n");
    cr_assert(eq(str, STR(sky_plan_command(p)[2]), "echo '{x}' \\"));
    cr_assert(eq(sz, sky_plan_job(p)->n_metrics, 2));
    sky_plan_free(reloaded(p));
    sky_plan_free(p);
}

static sky_err load_plugin(void *arg, const char *plugin, sky_error *e)
{
    *(char **)arg = strdup(plugin);
    return strstr(plugin, "bad") ? sky_fail(e, SKY_EFORMAT, "no plug-in") : SKY_OK;
}

Test(sweepfile, plugins_are_loaded_before_the_job_is_looked_up)
{
    char *loaded = NULL;
    sky_plan_options options = {.jobs = fixture_jobs};
    options.jobs.load = load_plugin;
    options.jobs.arg = &loaded;
    const char good[] = "name: t\njob: model\nplugin: lib/mine.so\nspace: {network: a, depth: 1}\n";
    sky_plan *p = NULL;
    sky_error e = {0};
    cr_assert(eq(int, sky_plan_parse(&p, good, strlen(good), "/tmp/t.yaml", &options, &e), SKY_OK),
              "%s", e.text);
    cr_assert(eq(str, STR(loaded), "/tmp/lib/mine.so"));
    cr_assert(eq(str, STR(sky_plan_plugin(p)), "/tmp/lib/mine.so"));
    cr_assert(eq(str, STR(sky_plan_workdir(p)), "/tmp"));
    sky_plan_free(reloaded(p));
    sky_plan_free(p);
    free(loaded);
    const char bad[] = "name: t\njob: model\nplugin: bad.so\n";
    cr_assert(eq(int, sky_plan_parse(&p, bad, strlen(bad), "t.yaml", &options, &e), SKY_EFORMAT));
    cr_assert(strstr(e.text, "t.yaml:3:9: plugin: no plug-in") != NULL, "%s", e.text);
    free(loaded);
}

static const struct {
    const char *yaml, *text;
} refused[] = {
    {"", "t.yaml:1:1: found an empty file"},
    {"# only a comment\n", "found an empty file"},
    {"[1, 2]", "t.yaml:1:1: found a list; allowed is a map"},
    {"just text", "found 'just text'"},
    {"name: t\njbo: model\n", "t.yaml:2:1: the sweep: unknown key 'jbo', did you mean 'job'?"},
    {"name: t\n", "t.yaml:1:1: found no 'job'"},
    {"job: command\n", "found no 'name'"},
    {"name: t\njob: modle\n",
     "t.yaml:2:6: job: unknown job 'modle', did you mean 'model'?; allowed are model, "
     "command"},
    {"name: t\njob: [model]\n", "t.yaml:2:6: job: found a list"},
    {"name: t\nname: u\njob: command\n",
     "t.yaml:2:1: the key 'name' is given twice, first in line 1"},
    {"name: sky_x\njob: command\n", "t.yaml:1:7: name: found 'sky_x'; allowed are letters"},
    {"name: a/b\njob: command\n", "t.yaml:1:7:"},
    {"name: t\njob: model\njob_version: 2\n",
     "t.yaml:3:14: job_version: found '2', but job 'model' here has "
     "version '3'"},
    {"name: t\njob: model\ncommand: x\n", "t.yaml:3:1: found a command; job 'model' runs none"},
    {"name: t\njob: model\nmetrics: [x]\n", "t.yaml:3:1: found 'metrics'"},
    {"name: t\njob: command\ncommand: \"echo 'a b'\"\n", "t.yaml:3:10: command: found a quote"},
    {"name: t\njob: command\ncommand: []\n", "t.yaml:3:10: command: found nothing to run"},
    {"name: t\njob: command\ncommand: {a: b}\n", "t.yaml:3:10: command: found a map"},
    {"name: t\njob: command\ncommand: [a, [b]]\n", "t.yaml:3:14: command: found a list"},
    {"name: t\njob: command\nmetrics: x\n", "t.yaml:3:10: metrics: found 'x'"},
    {"name: t\njob: command\nmetrics: {x: {gaol: min}}\n",
     "t.yaml:3:15: metrics: unknown key 'gaol', did you "
     "mean 'goal'?"},
    {"name: t\njob: command\nmetrics: {x: {goal: low}}\n",
     "t.yaml:3:21: goal: found 'low'; allowed are min, "
     "max"},
    {"name: t\njob: command\nmetrics: {x: {class: excat}}\n", "did you mean 'exact'?"},
    {"name: t\njob: command\nmetrics: [[x]]\n", "t.yaml:3:11: metrics: found a list"},
    {"name: t\njob: command\nmetrics: [a-b]\n", "metrics: found the name 'a-b'"},
    {"name: t\njob: command\nrepeats: 0\n",
     "t.yaml:3:10: repeats: found '0'; allowed is a whole number from 1"},
    {"name: t\njob: command\nrepeats: -1\n", "repeats: found '-1'"},
    {"name: t\njob: command\nseed: x\n", "t.yaml:3:7: seed: found 'x'"},
    {"name: t\njob: command\npriority: 1.5\n", "t.yaml:3:11: priority: found '1.5'"},
    {"name: t\njob: command\nlimits: 5\n", "t.yaml:3:9: limits: found '5'; allowed is a map"},
    {"name: t\njob: command\nlimits: {timeout: soon}\n",
     "t.yaml:3:19: timeout: found 'soon'; allowed are times"},
    {"name: t\njob: command\nlimits: {timeout: -5s}\n", "timeout: found '-5s'"},
    {"name: t\njob: command\nlimits: {attempts: 0}\n", "t.yaml:3:20: attempts: found '0'"},
    {"name: t\njob: command\nlimits: {memory: lots}\n",
     "t.yaml:3:18: memory: found 'lots'; allowed are sizes"},
    {"name: t\njob: command\nlimits: {memroy: 1}\n", "did you mean 'memory'?"},
    {"name: t\njob: command\nresources: {cpus: 0}\n", "t.yaml:3:19: cpus: found '0'"},
    {"name: t\njob: command\nresources: {gpu: 1}\n", "did you mean 'gpus'?"},
    {"name: t\njob: command\ntags: x\n", "t.yaml:3:7: tags: found 'x'; allowed is a list"},
    {"name: t\njob: command\ntags: [[x]]\n", "t.yaml:3:8: tags: found a list"},
    {"name: t\njob: command\ndescription: [x]\n", "t.yaml:3:14: description: found a list"},
    {"name: t\njob: command\nwhere: {a: b}\n", "t.yaml:3:8: where: found a map; allowed is a list"},
    {"name: t\njob: command\nderived: [a]\n",
     "t.yaml:3:10: derived: found a list; allowed is a map"},
    {"name: t\njob: command\nderived: {a: [1]}\n", "t.yaml:3:14: derived: found a list"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nderived: {x: enrgy_j}\n",
     "t.yaml:4:14: derived: \"enrgy_j\": no such column: enrgy_j, did you mean 'energy_j'?"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nderived: {x: y, y: depth}\n",
     "'y' is a derived metric; allowed are parameters, metrics and derived metrics above it"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nderived: {x: x + 1}\n",
     "'x' is a derived metric"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nconstraints: [time_s <]\n",
     "t.yaml:4:15: constraints: \"time_s <\": "},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: [{enrgy_j: min}]\n",
     "t.yaml:4:15: objectives: unknown metric 'enrgy_j', did you mean 'energy_j'?"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: [{energy_j: low}]\n",
     "t.yaml:4:25: objectives: found 'low'; allowed are min and max"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: [utilization]\n",
     "the job names no goal for 'utilization'"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: [{label: min}]\n",
     "'label' is a text"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: [{network: min}]\n",
     "'network' is a text"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: [time_s, {time_s: max}]\n",
     "given twice"},
    {"name: t\njob: model\nspace: {network: a, depth: 1}\nobjectives: time_s\n",
     "t.yaml:4:13: objectives: found"},
    {"name: t\njob: model\nspace: {network: a, depth: {from: 1, to: 999999999999999999}, array: "
     "{from: 1, to: "
     "1024}}\n",
     "more points than can be counted"},
    {"name: t\njob: model\nspace: {network: a, depth: {from: 1, to: 999999999999999999}}\nrepeats: "
     "5\n",
     "more trials than can be counted"},
    /* YAML itself */
    {"name: t\njob: [command\n", "not valid YAML"},
    {"name: &x t\njob: command\n", "t.yaml:1:7: found an anchor or alias"},
    {"name: t\njob: *x\n", "t.yaml:2:6: found an anchor or alias"},
    {"name: !!str t\n", "t.yaml:1:7: found a tag"},
    {"name: t\njob: command\n---\nname: u\n", "t.yaml:3:1: found a second document"},
    {"{[a]: b}", "t.yaml:1:2: found a list or map as a key"},
    {"\"\": b", "found an empty key"},
    {"name: \"\\0\"\n", "found a NUL character"},
    {"name: \xff\n", "t.yaml:1:7: found the byte 0xff; allowed is UTF-8 text"},
    {"name: \xc3\xa4\xed\xa0\x80\n", "t.yaml:1:8: found the byte 0xed"},
    {"name: a\x01\n", "t.yaml:1:8: found the control character 0x01"},
    {"\t- x", "not valid YAML"},
};

Test(sweepfile, says_where_and_what_is_wrong)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        REFUSES(refused[i].yaml, refused[i].text);
}

Test(sweepfile, bombs_are_refused)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        sky_buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            sky_buf_printf(&b, "%s*a%d", k ? ", " : "", i - 1);
        sky_buf_puts(&b, "]\n");
    }
    REFUSES(sky_buf_str(&b), "t.yaml:1:5: found an anchor or alias");
    sky_buf_reset(&b);
    sky_buf_puts(&b, "space: ");
    for (int i = 0; i < 100000; i++)
        sky_buf_putc(&b, '[');
    REFUSES(sky_buf_str(&b), "nested deeper than allowed");
    sky_buf_free(&b);
}

Test(sweepfile, limits_are_checked)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "name: t\njob: command\nspace: {");
    for (int i = 0; i <= SKY_AXES_MAX; i++)
        sky_buf_printf(&b, "%sx%d: 1", i ? ", " : "", i);
    sky_buf_puts(&b, "}\n");
    REFUSES(sky_buf_str(&b), "than allowed (256)");
    sky_buf_reset(&b);
    sky_buf_puts(&b, "name: t\njob: command\nspace: {a: 1}\nobjectives: [");
    for (int i = 0; i <= SKY_OBJECTIVES_MAX; i++)
        sky_buf_printf(&b, "{d%d: min},", i);
    sky_buf_puts(&b, "]\nderived: {");
    for (int i = 0; i <= SKY_OBJECTIVES_MAX; i++)
        sky_buf_printf(&b, "d%d: a,", i);
    sky_buf_puts(&b, "}\n");
    REFUSES(sky_buf_str(&b), "objectives: more than allowed (16)");
    sky_buf_reset(&b);
    sky_buf_puts(&b, "name: t\njob: command\nspace: {a: 1}\nwhere: [");
    for (int i = 0; i <= SKY_EXPRESSIONS_MAX; i++)
        sky_buf_puts(&b, "a,");
    sky_buf_puts(&b, "]\n");
    REFUSES(sky_buf_str(&b), "t.yaml:4:8: where: found 257; allowed are 256");
    sky_buf_free(&b);
    size_t len = SKY_SWEEP_FILE_BYTES_MAX + 1;
    char *big = calloc(len, 1);
    const sky_plan_options options = {.jobs = fixture_jobs};
    sky_plan *p = NULL;
    cr_assert(eq(int, sky_plan_parse(&p, big, len, "t.yaml", &options, NULL), SKY_ELIMIT));
    free(big);
}

/* Ten to the seventeenth points cost what ten do. */
Test(sweepfile, huge_grids_are_accepted_at_once)
{
    sky_buf b = {0};
    sky_buf_puts(&b, "{m: [p, q]");
    for (int i = 0; i < 17; i++)
        sky_buf_printf(&b, ", x%d: {from: 0, to: 9}", i);
    sky_buf_puts(&b, "}");
    int64_t begin = sky_clock_ns();
    sky_plan *p =
        plan_of_space(sky_buf_str(&b), "where: [x1 < x2]\nsearch: {grid: {order: random}}");
    cr_assert(eq(u64, sky_plan_points(p), 200000000000000000u));
    cr_assert(lt(i64, sky_clock_ns() - begin, 100 * SKY_NS_PER_MS));
    sky_plan_free(p);
    sky_buf_free(&b);
}

Test(sweepfile, missing_files_say_so)
{
    const sky_plan_options options = {.jobs = fixture_jobs};
    sky_plan *p = NULL;
    sky_error e = {0};
    cr_assert(eq(int, sky_plan_read(&p, "/nowhere/t.yaml", &options, &e), SKY_ENOTFOUND));
    cr_assert(strstr(e.text, "/nowhere/t.yaml") != NULL);
}
