/* Sweeps: states, pauses, commands, changes. */
#include <criterion/criterion.h>
#include <string.h>

#include "sched_fixture.h"

static fx *with(const sky_sched_sweep *w, uint32_t cpus)
{
    fx *f = fx_new(NULL);
    fx_set(f, w);
    fx_hello(f, 0, cpus);
    return f;
}

Test(sched_sweep, is_done_when_all_is_durable)
{
    const sky_sched_sweep w = fx_sweep(1, 3);
    fx *f = with(&w, 1);
    for (size_t i = 0; i < 3; i++)
        fx_ok(f, &f->leases[i], 1000);
    cr_assert_eq(f->n_states, 0);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    cr_assert_eq(fx_info(f, 1).recorded, 3);
    fx_free(f);
}

Test(sched_sweep, that_was_complete_in_the_store_is_done_at_once)
{
    fx *f = fx_new(NULL);
    sky_ranges done = {0}, bad = {0};
    sky_ranges_add(&done, 0, 9);
    sky_ranges_add(&bad, 9, 10);
    sky_sched_sweep w = fx_sweep(1, 10);
    w.done = &done;
    w.quarantined = &bad;
    w.recorded = 5;
    fx_set(f, &w);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    sky_sched_sweep_info info = fx_info(f, 1);
    cr_assert_eq(info.recorded, 5);
    cr_assert_eq(info.holes, 4);
    cr_assert_eq(info.failed, 1);
    sky_ranges_free(&done);
    sky_ranges_free(&bad);
    fx_free(f);
}

Test(sched_sweep, goes_on_where_the_store_ends)
{
    fx *f = fx_new(NULL);
    sky_ranges done = {0};
    sky_ranges_add(&done, 0, 4);
    sky_ranges_add(&done, 6, 100);
    sky_sched_sweep w = fx_sweep(1, 100);
    w.done = &done;
    w.recorded = 98;
    fx_set(f, &w);
    fx_hello(f, 0, 4);
    cr_assert_eq(f->n_leases, 2);
    cr_assert_eq(f->leases[0].positions.r[0].begin, 4);
    cr_assert_eq(f->leases[1].positions.r[0].begin, 5);
    sky_ranges_free(&done);
    fx_free(f);
}

Test(sched_sweep, pauses_when_its_first_hundred_all_fail)
{
    const sky_sched_sweep w = fx_sweep(1, 10000);
    fx *f = with(&w, 1);
    size_t i = 0;
    for (; i < 500 && f->state != SKY_SWEEP_PAUSED; i++)
        fx_failed(f, &f->leases[i], f->leases[i].positions.r[0].begin, true);
    cr_assert_eq(i, 100);
    cr_assert(strstr(f->reason, "first 100 trials all failed"), "%s", f->reason);
    cr_assert(strstr(f->reason, "it fails"), "the reason of one: %s", f->reason);
    size_t n = f->n_leases;
    fx_failed(f, &f->leases[i], f->leases[i].positions.r[0].begin, true);
    cr_assert_eq(fx_held(f, 0), 0);
    cr_assert_eq(f->n_leases, n);
    /* Whoever resumes it wants to see more. */
    sky_sched_sweep_state(f->s, f->now_ns, 1, SKY_SWEEP_RUNNING, "");
    fx_heartbeat(f, 0, 0, 0);
    cr_assert_gt(fx_held(f, 0), 0);
    fx_free(f);
}

Test(sched_sweep, does_not_pause_when_one_of_the_first_works)
{
    const sky_sched_sweep w = fx_sweep(1, 300);
    fx *f = with(&w, 1);
    fx_ok(f, &f->leases[0], 1000000000);
    for (size_t i = 1; i < 250; i++)
        fx_failed(f, &f->leases[i], f->leases[i].positions.r[0].begin, true);
    cr_assert_eq(f->n_states, 0);
    fx_free(f);
}

Test(sched_sweep, pauses_past_its_limit_of_failures)
{
    sky_sched_sweep w = fx_sweep(1, 1000);
    w.attempts = 1;
    w.failures = 5;
    fx *f = with(&w, 1);
    fx_ok(f, &f->leases[0], 1000000000);
    for (size_t i = 1; i <= 5; i++)
        fx_failed(f, &f->leases[i], i, true);
    cr_assert_eq(f->n_states, 0);
    fx_failed(f, &f->leases[6], 6, true);
    cr_assert_eq(f->state, SKY_SWEEP_PAUSED);
    cr_assert(strstr(f->reason, "limits.failures"), "%s", f->reason);
    sky_sched_sweep_state(f->s, f->now_ns, 1, SKY_SWEEP_RUNNING, "");
    fx_heartbeat(f, 0, 0, 0);
    fx_failed(f, &f->leases[f->n_leases - 1], 7, true);
    cr_assert_eq(f->state, SKY_SWEEP_RUNNING, "resumed: the count begins anew");
    fx_free(f);
}

Test(sched_sweep, paused_by_hand_lets_leases_end)
{
    const sky_sched_sweep w = fx_sweep(1, 100);
    fx *f = with(&w, 2);
    sky_sched_sweep_state(f->s, f->now_ns, 1, SKY_SWEEP_PAUSED, "by hand");
    fx_ok(f, &f->leases[0], 1000);
    cr_assert_eq(f->n_leases, 2);
    cr_assert_eq(f->recorded, 1);
    cr_assert_eq(f->n_revoked, 0);
    cr_assert_eq(sky_sched_sweep_state(f->s, f->now_ns, 1, SKY_SWEEP_RUNNING, ""), SKY_OK);
    fx_heartbeat(f, 0, 1, 0);
    cr_assert_gt(f->n_leases, 2);
    cr_assert_eq(sky_sched_sweep_state(f->s, f->now_ns, 5, SKY_SWEEP_RUNNING, ""), SKY_ENOTFOUND);
    fx_free(f);
}

Test(sched_sweep, cancelled_revokes_and_drops_what_still_comes)
{
    const sky_sched_sweep w = fx_sweep(1, 100);
    fx *f = with(&w, 2);
    fx_lease l = f->leases[0];
    const sky_range r0 = l.positions.r[0];
    sky_sched_sweep_state(f->s, f->now_ns, 1, SKY_SWEEP_CANCELLED, "");
    const sky_msg_result r = {.lease = l.id, .sweep = 1, .ok = {&r0, 1}, .last = true};
    fx_result(f, 0, &r);
    cr_assert_eq(f->n_revoked, 2);
    cr_assert_eq(f->n_records, 0);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 1);
    cr_assert_eq(fx_held(f, 0), 0);
    fx_free(f);
}

Test(sched_sweep, retried_opens_what_was_quarantined)
{
    sky_sched_sweep w = fx_sweep(1, 2);
    w.attempts = 1;
    fx *f = with(&w, 1);
    fx_failed(f, &f->leases[0], 0, true);
    fx_ok(f, &f->leases[1], 1000);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    sky_ranges all = {0};
    sky_ranges_add(&all, 0, 2);
    cr_assert_eq(sky_sched_sweep_retry(f->s, f->now_ns, 1, &all), SKY_OK);
    fx_heartbeat(f, 0, 0, 0);
    cr_assert_eq(f->state, SKY_SWEEP_RUNNING);
    cr_assert_eq(f->leases[2].positions.r[0].begin, 0);
    fx_ok(f, &f->leases[2], 1000);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    cr_assert_eq(fx_info(f, 1).recorded, 2);
    sky_ranges_free(&all);
    fx_free(f);
}

Test(sched_sweep, that_grows_runs_again)
{
    sky_sched_sweep w = fx_sweep(1, 2);
    fx *f = with(&w, 1);
    fx_ok(f, &f->leases[0], 1000);
    fx_ok(f, &f->leases[1], 1000);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    w.positions = 4;
    w.revision = 2;
    fx_set(f, &w);
    cr_assert_eq(f->state, SKY_SWEEP_RUNNING);
    cr_assert_eq(f->leases[2].positions.r[0].begin, 2);
    cr_assert_eq(f->n_plans, 2);
    fx_free(f);
}

Test(sched_sweep, that_shrinks_forgets_its_end)
{
    sky_sched_sweep w = fx_sweep(1, 100);
    fx *f = with(&w, 2);
    fx_lease l = f->leases[1];
    cr_assert_eq(l.positions.r[0].begin, 1);
    w.positions = 1;
    w.revision = 2;
    fx_set(f, &w);
    fx_ok(f, &f->leases[1], 1000); /* of a position that is no more */
    cr_assert_eq(f->recorded, 0);
    cr_assert_eq(f->skipped, 1);
    fx_ok(f, &f->leases[0], 1000);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    cr_assert_eq(f->n_acks, 2);
    fx_free(f);
}

Test(sched_sweep, that_is_removed_is_forgotten)
{
    const sky_sched_sweep w = fx_sweep(1, 100);
    fx *f = with(&w, 2);
    fx_lease l = f->leases[0];
    const sky_range r0 = l.positions.r[0];
    sky_sched_sweep_remove(f->s, f->now_ns, 1);
    sky_sched_sweep_remove(f->s, f->now_ns, 1);
    const sky_msg_result r = {.lease = l.id, .sweep = 1, .ok = {&r0, 1}, .last = true};
    fx_result(f, 0, &r);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 1);
    cr_assert_eq(f->n_revoked, 2);
    sky_sched_sweep_info info;
    cr_assert_eq(sky_sched_get_sweep(f->s, 1, &info), SKY_ENOTFOUND);
    fx_free(f);
}

Test(sched_sweep, limit_of_sweeps)
{
    fx *f = fx_new(NULL);
    sky_sched_sweep w = fx_sweep(1, 1);
    for (int64_t i = 1; i <= SKY_SCHED_SWEEPS_MAX; i++) {
        w.id = i;
        cr_assert_eq(sky_sched_sweep_set(f->s, f->now_ns, &w), SKY_OK);
    }
    w.id++;
    cr_assert_eq(sky_sched_sweep_set(f->s, f->now_ns, &w), SKY_ELIMIT);
    fx_free(f);
}
