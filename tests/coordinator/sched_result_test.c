/* What becomes of leases: who is charged, what is tried again, what is acknowledged when. */
#include <criterion/criterion.h>
#include <string.h>

#include "sched_fixture.h"

#define DEAR_NS (100 * SKY_NS_PER_MS) /* of one position: leases stay at one */

/* A scheduler with a sweep of n positions and workers of one cpu each. */
static fx *with(uint64_t n, unsigned workers)
{
    fx *f = fx_new(NULL);
    const sky_sched_sweep w = fx_sweep(1, n);
    fx_set(f, &w);
    for (unsigned i = 0; i < workers; i++)
        fx_hello(f, i, 1);
    return f;
}

Test(sched_result, is_acknowledged_after_the_commit_only)
{
    fx *f = with(10, 1);
    fx_ok(f, &f->leases[0], 1000);
    cr_assert_eq(f->recorded, 1);
    cr_assert_eq(f->n_acks, 0);
    cr_assert_eq(sky_sched_get_stats(f->s).uncommitted, 1);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 1);
    cr_assert_eq(f->acked[0], 1);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 1, "once");
    fx_free(f);
}

Test(sched_result, that_comes_twice_counts_once)
{
    fx *f = with(10, 1);
    fx_lease l = f->leases[0];
    sky_msg_result r = {.seq = 1, .lease = l.id, .sweep = 1, .last = true, .busy_ns = 1000};
    r.ok = (sky_range_list){.r = l.positions.r, .n = 1};
    fx_result(f, 0, &r);
    fx_result(f, 0, &r);
    cr_assert_eq(f->n_records, 1);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 1);
    fx_result(f, 0, &r);
    cr_assert_eq(f->n_records, 1);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 2, "its acknowledgement was lost, it seems");
    cr_assert_eq(fx_info(f, 1).recorded, 1);
    fx_free(f);
}

Test(sched_result, of_an_unknown_sweep_is_acknowledged)
{
    fx *f = with(10, 1);
    const sky_range one = {0, 1};
    const sky_msg_result r = {.lease = 99, .sweep = 7, .ok = {&one, 1}, .last = true};
    fx_result(f, 0, &r);
    fx_commit(f);
    cr_assert_eq(f->n_records, 0);
    cr_assert_eq(f->n_acks, 1);
    fx_free(f);
}

Test(sched_result, of_a_copy_is_compared_but_settles_nothing)
{
    fx *f = with(2, 2);
    fx_lease first = f->leases[0];
    fx_tick(f, 6000); /* both are lost, their leases go back */
    cr_assert_eq(fx_info(f, 1).leased, 0);
    fx_clear(f);
    fx_hello(f, 2, 2);
    const fx_lease *again = fx_lease_of(f, 2, 0);
    cr_assert_eq(again->positions.r[0].begin, 0);
    fx_ok(f, again, 1000);
    cr_assert_eq(f->recorded, 1);
    const sky_range zero = {0, 1};
    const sky_msg_result r = {.lease = first.id, .sweep = 1, .ok = {&zero, 1}, .last = true};
    fx_result(f, 0, &r);
    cr_assert_eq(f->n_records, 2, "the store compares");
    cr_assert_eq(f->recorded, 1);
    fx_commit(f);
    cr_assert_eq(f->n_acks, 2);
    fx_free(f);
}

Test(sched_result, of_a_lost_worker_is_taken_where_the_position_is_open)
{
    fx *f = with(2, 1);
    const uint64_t lease = f->leases[0].id;
    fx_tick(f, 6000);
    const sky_range zero = {0, 1};
    const sky_msg_result r = {.lease = lease, .sweep = 1, .ok = {&zero, 1}, .last = true};
    fx_result(f, 0, &r);
    cr_assert_eq(f->recorded, 1);
    cr_assert_eq(f->n_whos, 1, "and it is asked what else it holds");
    fx_free(f);
}

Test(sched_result, may_come_in_parts)
{
    fx *f = with(100000, 1);
    for (size_t i = 0; i < 4; i++)
        fx_ok(f, &f->leases[i], 1000);
    fx_lease l = f->leases[f->n_leases - 1];
    uint64_t begin = l.positions.r[0].begin, end = l.positions.r[0].end;
    cr_assert_gt(end - begin, 10);
    size_t held = fx_held(f, 0);
    const sky_range a = {begin, begin + 4}, b = {begin + 4, end};
    const sky_msg_result first = {.lease = l.id, .sweep = 1, .ok = {&a, 1}};
    const sky_msg_result second = {.lease = l.id, .sweep = 1, .holes = {&b, 1}, .last = true};
    fx_result(f, 0, &first);
    cr_assert_eq(fx_held(f, 0), held);
    fx_result(f, 0, &second);
    cr_assert_eq(f->holes, end - begin - 4);
    cr_assert_eq(fx_info(f, 1).holes, 0, "not yet durable");
    fx_commit(f);
    cr_assert_eq(fx_info(f, 1).holes, end - begin - 4);
    fx_free(f);
}

Test(sched_result, whose_other_parts_never_come_is_not_waited_for)
{
    fx *f = with(100000, 1);
    for (size_t i = 0; i < 4; i++)
        fx_ok(f, &f->leases[i], 1000);
    fx_lease l = f->leases[f->n_leases - 1];
    uint64_t begin = l.positions.r[0].begin, end = l.positions.r[0].end;
    const sky_range b = {begin + 4, end};
    const sky_msg_result second = {.lease = l.id, .sweep = 1, .ok = {&b, 1}, .last = true};
    fx_result(f, 0, &second);
    fx_clear(f);
    fx_beat(f, 2000, 1); /* time for the other part to come */
    bool again = false;
    for (size_t i = 0; i < f->n_leases; i++)
        again |= sky_ranges_has(&f->leases[i].positions, begin);
    for (size_t i = 0; i < f->n_leases && !again; i++) {
        fx_ok(f, &f->leases[i], 1000);
        again |= sky_ranges_has(&f->leases[f->n_leases - 1].positions, begin);
    }
    cr_assert(again);
    fx_free(f);
}

Test(sched_result, returned_untried_goes_back_and_charges_nobody)
{
    fx *f = with(5, 1);
    fx_lease l = f->leases[0];
    const sky_range r0 = {l.positions.r[0].begin, l.positions.r[0].end};
    const sky_msg_result r = {.lease = l.id, .sweep = 1, .returned = {&r0, 1}, .last = true};
    fx_result(f, 0, &r);
    cr_assert_eq(f->n_fails, 0);
    cr_assert_eq(f->n_records, 0);
    cr_assert_eq(f->n_leases, 2, "the first time it may have been chance");
    cr_assert_eq(f->n_plans, 2, "or the plan was lost");
    for (int i = 0; i < 20; i++) {
        const fx_lease *last = &f->leases[f->n_leases - 1];
        const sky_range back = last->positions.r[0];
        const sky_msg_result again = {
            .lease = last->id, .sweep = 1, .returned = {&back, 1}, .last = true};
        if (fx_held(f, 0))
            fx_result(f, 0, &again);
    }
    cr_assert_leq(f->n_leases, 4, "then it has to wait");
    fx_beat(f, 10000, 1);
    cr_assert_gt(fx_held(f, 0), 0, "but not for ever");
    fx_free(f);
}

/* --- Failures --- */

Test(sched_result, failure_is_charged_and_tried_again_later)
{
    fx *f = with(5, 1);
    fx_failed(f, &f->leases[0], 0, true);
    cr_assert_eq(f->n_fails, 1);
    cr_assert_eq(f->fails[0].attempts, 1);
    cr_assert_not(f->fails[0].quarantined);
    cr_assert_eq(fx_info(f, 1).retrying, 1);
    for (size_t i = 1; i < 5; i++) {
        cr_assert_neq(f->leases[i].positions.r[0].begin, 0, "others first");
        fx_ok(f, &f->leases[i], DEAR_NS);
    }
    const fx_lease *retry = &f->leases[f->n_leases - 1];
    cr_assert_eq(retry->positions.r[0].begin, 0);
    cr_assert(retry->isolate, "what failed is evaluated alone");
    fx_free(f);
}

Test(sched_result, failure_goes_to_another_worker_if_there_is_one)
{
    fx *f = with(2, 2);
    fx_failed(f, &f->leases[0], 0, true);
    cr_assert_eq(fx_count(f, 0), 1, "not at once to the one that failed it");
    fx_ok(f, fx_lease_of(f, 1, 0), DEAR_NS);
    const fx_lease *retry = fx_lease_of(f, 1, 1);
    cr_assert_not_null(retry);
    cr_assert_eq(retry->positions.r[0].begin, 0);
    fx_free(f);
}

Test(sched_result, failure_comes_back_to_the_only_worker_that_is_free)
{
    fx *f = with(2, 2);
    fx_failed(f, &f->leases[0], 0, true);
    fx_beat(f, 1500, 2);
    cr_assert_eq(fx_count(f, 0), 2, "the other one is busy for too long");
    fx_free(f);
}

Test(sched_result, failures_up_to_the_limit_quarantine)
{
    fx *f = with(1, 1);
    for (uint32_t i = 0; i < 3; i++) {
        fx_failed(f, &f->leases[f->n_leases - 1], 0, true);
        cr_assert_eq(f->fails[i].attempts, i + 1);
        cr_assert_eq(f->fails[i].quarantined, i == 2);
    }
    cr_assert_eq(fx_info(f, 1).failed, 0);
    cr_assert_eq(f->n_states, 0, "not done before it is durable");
    fx_commit(f);
    cr_assert_eq(fx_info(f, 1).failed, 1);
    cr_assert_eq(f->n_states, 1);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    cr_assert_eq(f->n_leases, 3);
    fx_free(f);
}

Test(sched_result, late_row_of_a_quarantined_trial_is_left_out)
{
    fx *f = with(2, 1);
    fx_lease l = f->leases[0];
    for (int i = 0; i < 3; i++) {
        fx_failed(f, fx_lease_of(f, 0, fx_count(f, 0) - 1), i == 1 ? 1 : 0, true);
        fx_beat(f, 1500, 1);
    }
    sky_sched_sweep w = fx_sweep(1, 2);
    w.attempts = 1;
    fx_set(f, &w);
    const fx_lease *last = &f->leases[f->n_leases - 1];
    uint64_t p = last->positions.r[0].begin;
    fx_failed(f, last, p, true);
    const sky_range bad = {p, p + 1};
    const sky_msg_result r = {.lease = l.id, .sweep = 1, .ok = {&bad, 1}, .last = true};
    f->recorded = 0;
    fx_result(f, 0, &r);
    cr_assert_eq(f->recorded, 0);
    cr_assert_eq(f->skipped, 1);
    fx_free(f);
}

Test(sched_result, attempts_of_the_store_count)
{
    fx *f = fx_new(NULL);
    const sky_sched_sweep w = fx_sweep(1, 3);
    fx_set(f, &w);
    cr_assert_eq(sky_sched_sweep_charged(f->s, 1, 1, 2), SKY_OK);
    cr_assert_eq(sky_sched_sweep_charged(f->s, 9, 1, 2), SKY_ENOTFOUND);
    fx_hello(f, 0, 1);
    fx_ok(f, &f->leases[0], DEAR_NS);
    fx_ok(f, &f->leases[1], DEAR_NS);
    cr_assert_eq(f->leases[2].positions.r[0].begin, 1);
    fx_failed(f, &f->leases[2], 1, true);
    cr_assert_eq(f->fails[0].attempts, 3);
    cr_assert(f->fails[0].quarantined);
    fx_free(f);
}

Test(sched_result, failure_of_an_older_epoch_is_not_charged_twice)
{
    fx *f = fx_new(&(sky_sched_options){.epoch = 5});
    const sky_sched_sweep w = fx_sweep(1, 2);
    fx_set(f, &w);
    sky_sched_sweep_charged(f->s, 1, 0, 1);
    fx_hello(f, 0, 1);
    const fx_lease old = {.worker = 0, .id = UINT64_C(4) << 32 | 17, .sweep = 1};
    fx_failed(f, &old, 0, true);
    cr_assert_eq(f->n_fails, 0, "it may be the attempt that the store knows of");
    fx_failed(f, &old, 1, true);
    cr_assert_eq(f->n_fails, 1, "of this one the store knows nothing");
    fx_commit(f);
    cr_assert_eq(f->n_acks, 2);
    fx_free(f);
}

/* --- Suspects --- */

/* Leases grow until one has at least n positions; returns it. */
static fx_lease large_lease(fx *f, uint64_t n)
{
    for (size_t i = 0; i < f->n_leases; i++) {
        if (f->leases[i].positions.count >= n)
            return f->leases[i];
        fx_ok(f, &f->leases[i], f->leases[i].positions.count * 1000);
    }
    cr_assert_fail("no lease grew");
    return f->leases[0];
}

/* Evaluates leases from the given one on; batches with a culprit die. Isolated ones name it. */
static void hunt(fx *f, size_t from, uint64_t culprit, bool tell)
{
    for (size_t i = from; i < f->n_leases && f->n_leases < FX_MAX - 64; i++) {
        fx_lease l = f->leases[i];
        if (!sky_ranges_has(&l.positions, culprit)) {
            fx_ok(f, &f->leases[i], l.positions.count * 1000);
        } else if (tell && l.isolate) {
            sky_ranges rest = {0};
            sky_ranges_copy(&rest, &l.positions);
            sky_ranges_remove(&rest, culprit, culprit + 1);
            const sky_failed_attempt a = {
                .position = culprit, .kind = SKY_FAILURE_CRASH, .reason = "signal 11", .log = ""};
            const sky_msg_result r = {.lease = l.id,
                                      .sweep = 1,
                                      .ok = {rest.r, rest.n},
                                      .failed = &a,
                                      .n_failed = 1,
                                      .last = true};
            fx_result(f, 0, &r);
            sky_ranges_free(&rest);
        } else {
            sky_ranges copy = {0};
            sky_ranges_copy(&copy, &l.positions);
            const sky_msg_result r = {
                .lease = l.id, .sweep = 1, .suspect = {copy.r, copy.n}, .last = true};
            fx_result(f, 0, &r);
            sky_ranges_free(&copy);
        }
    }
}

static void check_hunt(bool tell)
{
    fx *f = with(3000, 1);
    fx_lease l = large_lease(f, 64);
    uint64_t culprit = l.positions.r[0].begin + 37;
    size_t from = 0;
    while (f->leases[from].id != l.id)
        from++;
    hunt(f, from, culprit, tell);
    cr_assert_eq(f->n_fails, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(f->fails[i].position, culprit, "an innocent is charged: %lu",
                     (unsigned long)f->fails[i].position);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    cr_assert_eq(fx_info(f, 1).recorded, 2999);
    fx_free(f);
}

Test(sched_result, suspects_are_isolated_until_one_is_charged)
{
    check_hunt(true);
}

Test(sched_result, suspects_are_halved_where_workers_cannot_tell)
{
    check_hunt(false);
}

/* --- Rollback --- */

Test(sched_result, rolled_back_is_asked_for_again)
{
    fx *f = with(3, 1);
    fx_lease l = f->leases[0];
    fx_ok(f, &f->leases[0], DEAR_NS);
    fx_failed(f, &f->leases[1], 1, true);
    cr_assert_eq(sky_sched_rolled_back(f->s, f->now_ns), SKY_OK);
    fx_clear(f);
    fx_hello(f, 0, 1);
    cr_assert_eq(f->n_whos, 1, "the worker is asked");
    cr_assert_eq(fx_info(f, 1).recorded, 0);
    const sky_range zero = {0, 1};
    const sky_msg_result r = {.seq = 1, .lease = l.id, .sweep = 1, .ok = {&zero, 1}, .last = true};
    fx_result(f, 0, &r);
    cr_assert_eq(f->recorded, 1);
    const fx_lease same = {.worker = 0, .id = l.id + 1, .sweep = 1};
    f->seqs[0] = 1;
    fx_failed(f, &same, 1, true);
    cr_assert_eq(f->n_fails, 1);
    cr_assert_eq(f->fails[0].attempts, 1, "it was not charged before");
    fx_commit(f);
    cr_assert_eq(f->n_acks, 2);
    fx_free(f);
}
