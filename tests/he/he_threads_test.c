/* Two threads share a context and keys, each with its own evaluator: they get what one gets. */
#include <pthread.h>

#include "he_world.h"

enum { ROUNDS = 20 };
static const int32_t steps[] = {1, 5};

typedef struct job {
    world *w;
    const sky_he_ct *in;
    sky_he_ct *out;
    sky_he_eval *ev;
} job;

static void *run(void *arg)
{
    job *j = arg;
    MUST(sky_he_copy(j->ev, j->out, j->in, e));
    for (int i = 0; i < ROUNDS; i++)
        MUST(sky_he_rotate(j->ev, j->out, j->out, steps[i % 2], e));
    return NULL;
}

int main(void)
{
    sky_rng rng = test_rng("he_threads_test");
    world w = world_new(he_small, sky_rng_u64(&rng));
    world_keys(&w, 0, steps, 2);
    job jobs[4];
    sky_he_ct *inputs[2];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) { /* two inputs; each once in a thread, once alone */
        if (i < 2) {
            fill(&w, &rng);
            inputs[i] = encrypted(&w, 0);
        }
        jobs[i] = (job){.w = &w, .in = inputs[i % 2], .out = new_ct(&w, (sky_he_shape){0})};
        MUST(sky_he_eval_new(&jobs[i].ev, w.ctx, e));
        sky_he_eval_set_keys(jobs[i].ev, w.keys);
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, run, &jobs[i]) == 0, "no thread");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 2; i < 4; i++)
        run(&jobs[i]);
    size_t bytes = sky_he_pt_bytes(w.ctx, he_small.n_data, false);
    for (int i = 0; i < 2; i++) {
        for (int part = 0; part < 2; part++)
            CHECK(!memcmp(jobs[i].out->part[part], jobs[i + 2].out->part[part], bytes),
                  "input %d, part %d: a thread got other bits", i, part);
        CHECK(sky_he_eval_counts(jobs[i].ev).rotations == ROUNDS,
              "each evaluator counts for itself");
    }
    for (int i = 0; i < 4; i++) {
        sky_he_eval_free(jobs[i].ev);
        sky_he_ct_free(jobs[i].out);
    }
    sky_he_ct_free(inputs[0]);
    sky_he_ct_free(inputs[1]);
    world_free(&w);
    return he_report("he_threads_test");
}
