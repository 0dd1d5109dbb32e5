/* What a seed stands for: how large a cluster, which sweeps, how much goes wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "sweeps/plan.h"

const char *sim_plan_text[SIM_PLANS];

static const sky_param params[] = {
    {.name = "x", .type = SKY_INT, .unit = "", .doc = "a number"},
};
static const sky_metric metrics[] = {
    {.name = "y", .type = SKY_REAL, .unit = "", .doc = "a value"},
};
static const sky_descriptor job = {.name = "model",
                                   .version = "1",
                                   .summary = "a job of the simulation",
                                   .source = "",
                                   .params = params,
                                   .n_params = 1,
                                   .metrics = metrics,
                                   .n_metrics = 1};

static const sky_descriptor *find_job(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, job.name) == 0 ? &job : NULL;
}

static size_t list_jobs(void *arg, const char **list, size_t max)
{
    (void)arg;
    if (max)
        list[0] = job.name;
    return 1;
}

bool sim_make_plans(void)
{
    static const char *const resources[SIM_PLANS] = {"{cpus: 1}", "{cpus: 2}",
                                                     "{cpus: 1, gpus: 1}"};
    const sky_plan_options options = {.jobs = {.find = find_job, .names = list_jobs}};
    for (size_t i = 0; i < SIM_PLANS; i++) {
        char text[512];
        int len = snprintf(text, sizeof text,
                           "name: s%zu\njob: model\nspace: {x: {from: 1, to: 100000}}\n"
                           "limits: {timeout: 2s}\nresources: %s\n",
                           i, resources[i]);
        sky_plan *plan = NULL;
        sky_error e = {0};
        if (sky_plan_parse(&plan, text, (size_t)len, "sim.yaml", &options, &e)) {
            printf("%s\n", e.text);
            return false;
        }
        sim_plan_text[i] = strdup(sky_plan_text(plan)); /* for the life of the program */
        sky_plan_free(plan);
    }
    return true;
}

/* One of the values, each as likely as the others. */
static double one_of(sim *m, const double *values, size_t n)
{
    return values[sim_below(m, n)];
}
#define ONE_OF(m, ...)                                                                             \
    one_of(m, (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

static void choose_faults(sim *m)
{
    sim_setting *s = &m->set;
    s->fifo = sim_chance(m, 0.5);
    s->drop = s->fifo ? 0 : ONE_OF(m, 0, 0.001, 0.02, 0.1);
    s->duplicate = s->fifo ? 0 : ONE_OF(m, 0, 0.01, 0.1);
    s->slow = ONE_OF(m, 0, 0.001, 0.02);
    s->node_crash = ONE_OF(m, 0, 0.05, 0.3);
    s->coord_crash = ONE_OF(m, 0, 0.05, 0.2);
    s->coord_stop = ONE_OF(m, 0, 0, 0.1);
    s->link_cut = ONE_OF(m, 0, 0.1, 0.4);
    s->exec_kill = ONE_OF(m, 0, 0.1, 0.5);
    s->command = ONE_OF(m, 0, 0.1, 0.4);
    s->start_fails = ONE_OF(m, 0, 0, 0.1);
    s->commit_fails = ONE_OF(m, 0, 0, 0.01, 0.2);
    s->commit_unknown = 0.5;
    s->faults_until_ns = (int64_t)(5 + sim_below(m, 40)) * SIM_S;
    s->fault_every_ns = (int64_t)(100 + sim_below(m, 1900)) * SIM_MS;
    if (sim_chance(m, 0.1)) /* and sometimes nothing goes wrong */
        *s = (sim_setting){.faults_until_ns = SIM_S, .fault_every_ns = SIM_S, .fifo = true};
    s->trait[SIM_HOLE] = ONE_OF(m, 0, 0, 0.1, 0.5, 1);
    s->trait[SIM_FAILS] = ONE_OF(m, 0, 0, 0.01, 0.3);
    s->trait[SIM_FLAKY] = ONE_OF(m, 0, 0, 0.05, 0.5);
    s->trait[SIM_CRASHES] = ONE_OF(m, 0, 0, 0, 0.01, 0.1);
    s->trait[SIM_HANGS] = ONE_OF(m, 0, 0, 0, 0.01);
}

static void choose_sweep(sim *m, uint32_t index, bool large)
{
    sim_sweep *w = &m->sweeps[index];
    static const uint64_t sizes[] = {1, 2, 7, 40, 150, 400, 1500};
    w->id = 1 + index;
    w->plan = (uint32_t)sim_below(m, SIM_PLANS);
    if (sim_chance(m, 0.5))
        w->plan = 0;
    w->cpus = w->plan == 1 ? 2 : 1;
    w->gpus = w->plan == 2 ? 1 : 0;
    w->positions = sizes[sim_below(m, 7)] * (large ? 25 : 1);
    w->room = w->positions + sim_below(m, 50);
    w->attempts = 1 + (uint32_t)sim_below(m, 4);
    w->failures = sim_chance(m, 0.3) ? 1 + sim_below(m, 20) : 0;
    w->priority = (int32_t)sim_below(m, 3) - 1;
    /* From 10 us to 1 s, but no more than a few minutes of work in all. */
    w->cost_ns = 1e4 * pow(1e5, sim_real(m));
    double cost_max = 120e9 / (double)w->room;
    w->cost_ns = w->cost_ns < cost_max ? w->cost_ns : cost_max;
}

void sim_choose(sim *m, bool large)
{
    choose_faults(m);
    static const uint32_t nodes[] = {1, 1, 2, 3, 5, 8, 12, 20};
    m->set.n_nodes = nodes[sim_below(m, 8)];
    if (large || sim_chance(m, 0.05))
        m->set.n_nodes = 50;
    m->set.n_sweeps = 1 + (uint32_t)sim_below(m, SIM_SWEEPS_MAX);
    for (uint32_t i = 0; i < m->set.n_sweeps; i++)
        choose_sweep(m, i, large);
    for (uint32_t i = 0; i < m->set.n_nodes; i++) {
        sim_node *n = &m->nodes[i];
        n->number = i;
        n->cpus = i == 0 ? 2 : 1 + (uint32_t)sim_below(m, 4); /* somebody can do everything */
        n->gpus = i == 0 ? 1 : (uint32_t)sim_below(m, 2);
    }
    snprintf(m->uuid, sizeof m->uuid, "%032llx", (unsigned long long)m->seed);
}
