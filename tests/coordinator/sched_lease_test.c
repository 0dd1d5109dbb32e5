/* Who gets what, and how much of it. */
#include <criterion/criterion.h>

#include "sched_fixture.h"

#define MS SKY_NS_PER_MS

/* Answers every lease of worker 0 with that cost per position, until the sweep has no more. */
static uint64_t run_to_end(fx *f, uint64_t cost_ns, uint64_t *largest, uint64_t *n_leases)
{
    size_t next = 0;
    uint64_t settled = 0;
    while (next < f->n_leases) {
        fx_lease l = f->leases[next];
        uint64_t n = l.positions.count;
        *largest = n > *largest ? n : *largest;
        settled += n;
        fx_ok(f, &f->leases[next], n * cost_ns);
        next++;
        (*n_leases)++;
    }
    return settled;
}

Test(sched_lease, begin_with_one_and_grow_by_eight)
{
    fx *f = fx_new(NULL);
    fx_hello(f, 0, 1);
    const sky_sched_sweep w = fx_sweep(1, 10000000);
    fx_set(f, &w);
    cr_assert_eq(f->n_leases, 1, "with unknown cost nothing is queued behind the first");
    uint64_t before = 1;
    cr_assert_eq(f->leases[0].positions.count, 1);
    for (size_t i = 0; i < 20; i++) {
        uint64_t n = f->leases[i].positions.count;
        cr_assert_leq(n, 8 * before);
        cr_assert_leq(n, SKY_LEASE_POSITIONS_MAX);
        before = n > before ? n : before;
        fx_ok(f, &f->leases[i], n * 100);
    }
    cr_assert_eq(before, SKY_LEASE_POSITIONS_MAX);
    fx_free(f);
}

Test(sched_lease, last_about_the_target_time)
{
    fx *f = fx_new(&(sky_sched_options){.lease_target_ms = 100});
    fx_hello(f, 0, 2);
    const sky_sched_sweep w = fx_sweep(1, 10000000);
    fx_set(f, &w);
    for (size_t i = 0; i < 40; i++)
        fx_ok(f, &f->leases[i], f->leases[i].positions.count * 50000);
    uint64_t n = f->leases[f->n_leases - 1].positions.count;
    cr_assert_eq(n, 2000, "100 ms of 50 us each, not %lu", (unsigned long)n);
    fx_free(f);
}

Test(sched_lease, follow_a_cost_that_rises)
{
    fx *f = fx_new(NULL);
    fx_hello(f, 0, 1);
    const sky_sched_sweep w = fx_sweep(1, 10000000);
    fx_set(f, &w);
    for (size_t i = 0; i < 20; i++)
        fx_ok(f, &f->leases[i], f->leases[i].positions.count * 1000);
    for (size_t i = 20; i < 30; i++)
        fx_ok(f, &f->leases[i], f->leases[i].positions.count * 1000000);
    cr_assert_leq(f->leases[f->n_leases - 1].positions.count, 150);
    fx_free(f);
}

Test(sched_lease, shrink_towards_the_end)
{
    fx *f = fx_new(NULL);
    fx_hello(f, 0, 4);
    const sky_sched_sweep w = fx_sweep(1, 3000);
    fx_set(f, &w);
    uint64_t largest = 0, n = 0;
    cr_assert_eq(run_to_end(f, 1000000, &largest, &n), 3000);
    cr_assert_leq(f->leases[f->n_leases - 1].positions.count, 4);
    cr_assert_lt(n, 200, "%lu leases", (unsigned long)n);
    fx_free(f);
}

Test(sched_lease, queue_one_per_slot_behind_short_ones)
{
    fx *f = fx_new(NULL);
    fx_hello(f, 0, 4);
    const sky_sched_sweep w = fx_sweep(1, 1000000);
    fx_set(f, &w);
    cr_assert_eq(fx_held(f, 0), 4);
    for (size_t i = 0; i < 4; i++)
        fx_ok(f, &f->leases[i], 1000);
    cr_assert_eq(fx_held(f, 0), 8);
    fx_free(f);
}

Test(sched_lease, queue_nothing_behind_long_ones)
{
    fx *f = fx_new(NULL);
    fx_hello(f, 0, 4);
    const sky_sched_sweep w = fx_sweep(1, 1000000);
    fx_set(f, &w);
    for (size_t i = 0; i < 20; i++)
        fx_ok(f, &f->leases[i], 3 * SKY_NS_PER_S);
    cr_assert_eq(fx_held(f, 0), 4);
    cr_assert_eq(f->leases[f->n_leases - 1].positions.count, 1);
    fx_free(f);
}

Test(sched_lease, reach_every_worker_before_any_queues)
{
    fx *f = fx_new(NULL);
    for (unsigned i = 0; i < 8; i++)
        fx_hello(f, i, 4);
    const sky_sched_sweep w = fx_sweep(1, 8);
    fx_set(f, &w);
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(fx_count(f, i), 1);
    fx_free(f);
}

Test(sched_lease, need_the_resources)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep w = fx_sweep(1, 100);
    w.cpus = 4;
    w.gpus = 1;
    w.memory_bytes = 1000;
    fx_set(f, &w);
    fx_hello_with(f, 0, &(sky_msg_hello){.cpus = 3, .gpus = 4, .memory_bytes = 10000});
    fx_hello_with(f, 1, &(sky_msg_hello){.cpus = 16, .gpus = 0, .memory_bytes = 10000});
    fx_hello_with(f, 2, &(sky_msg_hello){.cpus = 16, .gpus = 4, .memory_bytes = 999});
    cr_assert_eq(f->n_leases, 0);
    char why[256];
    cr_assert(strstr(sky_sched_waiting(f->s, 1, why, sizeof why), "cpus=4 gpus=1"), "%s", why);
    fx_hello_with(f, 3, &(sky_msg_hello){.cpus = 16, .gpus = 2, .memory_bytes = 3000});
    cr_assert_eq(fx_count(f, 3), 2, "two GPUs are two slots");
    cr_assert_str_eq(sky_sched_waiting(f->s, 1, why, sizeof why), "");
    fx_hello_with(f, 4, &(sky_msg_hello){.cpus = 4, .gpus = 1, .memory_bytes = 0});
    cr_assert_eq(fx_count(f, 4), 1, "a worker that names no memory does not count it");
    fx_free(f);
}

Test(sched_lease, need_the_job_in_its_version)
{
    fx *f = fx_new(NULL);
    const sky_sched_sweep w = fx_sweep(1, 100);
    fx_set(f, &w);
    char why[256];
    cr_assert(strstr(sky_sched_waiting(f->s, 1, why, sizeof why), "no worker"), "%s", why);
    const sky_job_version other[] = {{"job", "2"}, {"jo", "b1"}};
    fx_hello_with(f, 0, &(sky_msg_hello){.cpus = 1, .jobs = other, .n_jobs = 2});
    cr_assert_eq(f->n_leases, 0);
    cr_assert(strstr(sky_sched_waiting(f->s, 1, why, sizeof why), "offers job job 1"), "%s", why);
    fx_hello(f, 1, 1);
    cr_assert_eq(fx_count(f, 1), 1);
    fx_free(f);
}

Test(sched_lease, of_a_plug_in_go_to_workers_that_load_it)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep w = fx_sweep(1, 100);
    w.job = "mine";
    w.plugin = true;
    fx_set(f, &w);
    fx_hello(f, 0, 1);
    cr_assert_eq(f->n_leases, 0);
    fx_hello_with(f, 1, &(sky_msg_hello){.cpus = 1, .open_plugins = true});
    cr_assert_eq(f->n_leases, 1);
    fx_free(f);
}

Test(sched_lease, come_after_the_plan_which_is_sent_once)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep w = fx_sweep(1, 100000);
    fx_hello(f, 0, 2);
    fx_set(f, &w);
    fx_ok(f, &f->leases[0], 1000);
    fx_ok(f, &f->leases[1], 1000);
    cr_assert_eq(f->n_plans, 1);
    w.revision = 2;
    fx_set(f, &w);
    fx_ok(f, &f->leases[2], 1000);
    cr_assert_eq(f->n_plans, 2, "a new revision");
    cr_assert_eq(f->leases[f->n_leases - 1].revision, 2);
    fx_hello(f, 0, 2);
    fx_ok(f, &f->leases[3], 1000);
    cr_assert_eq(f->n_plans, 3, "a worker that says HELLO knows no plan");
    fx_free(f);
}

/* --- Several sweeps --- */

/* Worker 0 works: positions of sweep i take cost[i]. Returns busy time by sweep after so much of
 * it. */
static void share(fx *f, const uint64_t *cost, double *busy, double until)
{
    double total = 0;
    for (size_t next = 0; total < until && next < f->n_leases && f->n_leases < FX_MAX - 16;
         next++) {
        fx_lease l = f->leases[next];
        uint64_t ns = l.positions.count * cost[l.sweep];
        busy[l.sweep] += (double)ns;
        total += (double)ns;
        fx_ok(f, &f->leases[next], ns);
    }
}

Test(sched_lease, share_fairly_between_equal_sweeps)
{
    fx *f = fx_new(NULL);
    const sky_sched_sweep a = fx_sweep(1, 100000000), b = fx_sweep(2, 100000000);
    fx_set(f, &a);
    fx_set(f, &b);
    fx_hello(f, 0, 1);
    const uint64_t cost[] = {0, 1000, 2000000}; /* 2,000 times as dear */
    double busy[3] = {0};
    share(f, cost, busy, 60e9);
    cr_assert_float_eq(busy[1] / (busy[1] + busy[2]), 0.5, 0.03, "%g and %g", busy[1], busy[2]);
    fx_free(f);
}

Test(sched_lease, give_a_late_sweep_no_credit_for_the_past)
{
    fx *f = fx_new(NULL);
    const sky_sched_sweep a = fx_sweep(1, 100000000), b = fx_sweep(2, 100000000);
    fx_set(f, &a);
    fx_hello(f, 0, 1);
    const uint64_t cost[] = {0, 10000, 10000};
    double busy[3] = {0};
    share(f, cost, busy, 20e9);
    fx_set(f, &b);
    size_t before = f->n_leases;
    busy[1] = busy[2] = 0;
    double total = 0;
    for (size_t i = before - 2; total < 20e9; i++) {
        fx_lease l = f->leases[i];
        busy[l.sweep] += (double)l.positions.count * 10000;
        total += (double)l.positions.count * 10000;
        fx_ok(f, &f->leases[i], l.positions.count * 10000);
    }
    cr_assert_float_eq(busy[1] / total, 0.5, 0.05, "%g of %g", busy[1], total);
    fx_free(f);
}

Test(sched_lease, go_to_the_higher_priority_first)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep a = fx_sweep(1, 1000), b = fx_sweep(2, 5);
    b.priority = 1;
    fx_set(f, &a);
    fx_set(f, &b);
    fx_hello(f, 0, 1);
    for (size_t i = 0; fx_info(f, 2).uncommitted < 5; i++) {
        cr_assert_eq(f->leases[i].sweep, 2);
        fx_ok(f, &f->leases[i], 1000);
    }
    cr_assert_eq(f->leases[f->n_leases - 1].sweep, 1);
    cr_assert_eq(sky_sched_sweep_priority(f->s, 3, 1), SKY_ENOTFOUND);
    fx_free(f);
}

Test(sched_lease, let_a_sweep_that_needs_all_of_a_worker_have_its_turn)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep a = fx_sweep(1, 100000), b = fx_sweep(2, 100000);
    b.cpus = 4;
    fx_set(f, &a);
    fx_set(f, &b);
    fx_hello(f, 0, 4);
    const uint64_t cost[] = {0, 1000000, 1000000};
    double busy[3] = {0};
    share(f, cost, busy, 30e9);
    cr_assert_gt(fx_count_sweep(f, 2), 10);
    /* Fair shares are of cpu time: one with four cpus gets a quarter of the others' leases. */
    cr_assert_float_eq(4 * busy[2] / (4 * busy[2] + busy[1]), 0.5, 0.1, "%g and %g", busy[1],
                       busy[2]);
    fx_free(f);
}

Test(sched_lease, keep_a_worker_for_a_sweep_that_starves)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep a = fx_sweep(1, 100000), b = fx_sweep(2, 10);
    b.cpus = 2;
    fx_set(f, &a);
    fx_hello(f, 0, 2);
    fx_ok(f, &f->leases[0], 20 * SKY_NS_PER_S);
    fx_set(f, &b);
    /* Two long trials that never end together leave one cpu free at a time, at most. */
    size_t oldest = 1;
    for (int i = 0; i < 12 && !fx_count_sweep(f, 2); i++) {
        fx_beat(f, 10000, 1);
        if (oldest < f->n_leases)
            fx_ok(f, &f->leases[oldest++], 20 * SKY_NS_PER_S);
    }
    cr_assert_gt(fx_count_sweep(f, 2), 0);
    fx_free(f);
}

Test(sched_lease, cost_what_holes_and_leases_cost_not_positions)
{
    fx *f = fx_new(NULL);
    for (unsigned i = 0; i < 16; i++)
        fx_hello(f, i, 2);
    const sky_sched_sweep w = fx_sweep(1, UINT64_C(1000000000000000));
    fx_set(f, &w);
    for (size_t i = 0; i < 3000; i++)
        fx_ok(f, &f->leases[i], f->leases[i].positions.count * 100);
    fx_commit(f);
    cr_assert_lt(sky_sched_bytes(f->s), 1 << 20);
    cr_assert_eq(fx_info(f, 1).positions, UINT64_C(1000000000000000));
    fx_free(f);
}
