/* A complete plug-in: the design of a cantilever beam.
 *
 * A beam of rectangular cross-section is fixed at one end and loaded with a force at the other. A
 * taller beam bends less and weighs more: mass against deflection is the front to look at. mass =
 * density * width * height * length deflection = force * length^3 / (3 * E * I),  I = width *
 * height^3 / 12    (Euler-Bernoulli) stress     = force * length * (height / 2) / I
 *
 * It includes jobs/job.h and links against nothing: whatever it needs of Skyline it calls through
 * ctx. */
#include <stdio.h>
#include <string.h>

#include "jobs/job.h"

/* Parameters and metrics arrive in the order of these lists. */
enum { WIDTH, HEIGHT, LENGTH, FORCE, MATERIAL, N_PARAMS };
enum { MASS, DEFLECTION, STRESS, SAFETY, N_METRICS };

static const char *const materials[] = {"steel", "aluminium", "oak", NULL};
static const struct {
    const char *name;
    double density_kg_m3, youngs_modulus_pa, strength_pa;
} material_table[] = {
    {"steel", 7850, 200e9, 250e6},
    {"aluminium", 2700, 69e9, 95e6},
    {"oak", 720, 11e9, 40e6},
};

static const sky_param params[N_PARAMS] = {
    [WIDTH] = {.name = "width",
               .type = SKY_REAL,
               .unit = "m",
               .doc = "of the cross-section",
               .def = {.type = SKY_REAL, .f = 0.05},
               .min = 0.001,
               .max = 1},
    [HEIGHT] = {.name = "height",
                .type = SKY_REAL,
                .unit = "m",
                .doc = "of the cross-section",
                .def = {.type = SKY_REAL, .f = 0.1},
                .min = 0.001,
                .max = 1},
    [LENGTH] = {.name = "length",
                .type = SKY_REAL,
                .unit = "m",
                .doc = "from the wall to the load",
                .def = {.type = SKY_REAL, .f = 2},
                .min = 0.01,
                .max = 100},
    [FORCE] = {.name = "force",
               .type = SKY_REAL,
               .unit = "N",
               .doc = "at the free end",
               .def = {.type = SKY_REAL, .f = 1000},
               .min = 0,
               .max = 1e9},
    [MATERIAL] = {.name = "material",
                  .type = SKY_TEXT,
                  .unit = "",
                  .doc = "what it is made of",
                  .def = {.type = SKY_TEXT, .s = "steel"},
                  .choices = materials},
};

static const sky_metric metrics[N_METRICS] = {
    [MASS] = {.name = "mass",
              .type = SKY_REAL,
              .unit = "kg",
              .doc = "of the whole beam",
              .goal = SKY_MIN,
              .cls = SKY_EXACT},
    [DEFLECTION] = {.name = "deflection",
                    .type = SKY_REAL,
                    .unit = "m",
                    .doc = "of the free end",
                    .goal = SKY_MIN,
                    .cls = SKY_EXACT},
    [STRESS] = {.name = "stress",
                .type = SKY_REAL,
                .unit = "Pa",
                .doc = "largest, at the wall",
                .goal = SKY_MIN,
                .cls = SKY_EXACT},
    [SAFETY] = {.name = "safety",
                .type = SKY_REAL,
                .unit = "",
                .doc = "strength of the material over stress; below 1 it breaks",
                .goal = SKY_MAX,
                .cls = SKY_EXACT},
};

/* What single ranges cannot say. Called before run(), and by `skyline check`. */
static sky_err validate(const sky_value *p, sky_error *e)
{
    if (p[HEIGHT].f * 5 <= p[LENGTH].f)
        return SKY_OK;
    if (e) {
        e->code = SKY_EINVAL;
        snprintf(e->text, sizeof e->text,
                 "length %g m: the formula needs at least 5 times the height", p[LENGTH].f);
    }
    return SKY_EINVAL;
}

static sky_err run(sky_job_ctx *ctx, const sky_value *p, sky_value *m, sky_error *e)
{
    /* A stochastic job draws from ctx->seed, a long one asks ctx->stopping(ctx) now and then, and a point
     * that cannot be evaluated fills e as above and returns SKY_EFAILED. */
    (void)ctx, (void)e;
    size_t k = 0;
    while (strcmp(material_table[k].name, p[MATERIAL].s) != 0)
        k++; /* one of them: the value was checked against `choices` */

    double width = p[WIDTH].f, height = p[HEIGHT].f, length = p[LENGTH].f, force = p[FORCE].f;
    double inertia = width * height * height * height / 12;
    double stress = force * length * (height / 2) / inertia;
    m[MASS] = sky_real(material_table[k].density_kg_m3 * width * height * length);
    m[DEFLECTION] = sky_real(force * length * length * length /
                             (3 * material_table[k].youngs_modulus_pa * inertia));
    m[STRESS] = sky_real(stress);
    m[SAFETY] = sky_real(material_table[k].strength_pa / stress); /* infinite without a force */
    return SKY_OK;
}

static const sky_job beam = {
    .abi = SKY_JOB_ABI,
    .d = {.name = "beam",
          .version = "1", /* raise it when the meaning of a result changes */
          .summary = "Mass, deflection and safety of a cantilever beam",
          .source = "Euler-Bernoulli beam theory",
          .params = params,
          .n_params = N_PARAMS,
          .metrics = metrics,
          .n_metrics = N_METRICS},
    .validate = validate,
    .run = run,
};

/* The one symbol that Skyline looks up. A plug-in may hold several jobs. */
SKY_PLUGIN_EXPORT const sky_job *const *skyline_plugin(void);
const sky_job *const *skyline_plugin(void)
{
    static const sky_job *const jobs[] = {&beam, NULL};
    return jobs;
}
