/* Workers: coming, silent, gone, and back with what they hold. */
#include <criterion/criterion.h>
#include <string.h>

#include "sched_fixture.h"

static fx *with(uint64_t n, unsigned workers)
{
    fx *f = fx_new(NULL);
    const sky_sched_sweep w = fx_sweep(1, n);
    fx_set(f, &w);
    for (unsigned i = 0; i < workers; i++)
        fx_hello(f, i, 1);
    return f;
}

static void hello_holding(fx *f, unsigned worker, const fx_lease *l, const char *uuid)
{
    const sky_held_lease held = {
        .lease = l->id, .sweep = l->sweep, .left = {l->positions.r, l->positions.n}};
    fx_hello_with(f, worker,
                  &(sky_msg_hello){.cpus = 1, .store_uuid = uuid, .leases = &held, .n_leases = 1});
}

Test(sched_worker, is_welcomed)
{
    fx *f = fx_new(NULL);
    fx_hello(f, 0, 1);
    fx_hello(f, 0, 1);
    cr_assert_eq(f->n_welcomes, 2);
    cr_assert_eq(sky_sched_get_stats(f->s).workers, 1);
    fx_free(f);
}

Test(sched_worker, that_is_unknown_is_asked)
{
    fx *f = fx_new(NULL);
    fx_heartbeat(f, 0, 0, 0);
    const sky_range zero = {0, 1};
    const sky_msg_result r = {.lease = 1, .sweep = 1, .ok = {&zero, 1}, .last = true};
    fx_result(f, 0, &r);
    cr_assert_eq(f->n_whos, 2);
    fx_bye(f, 0);
    cr_assert_eq(f->n_whos, 2, "who leaves is not asked");
    fx_commit(f);
    cr_assert_eq(f->n_acks, 0, "it keeps the result until it is known");
    fx_free(f);
}

Test(sched_worker, that_is_silent_is_lost_and_its_leases_go_back_uncharged)
{
    fx *f = with(100, 2);
    fx_lease l = *fx_lease_of(f, 0, 0);
    uint64_t p = l.positions.r[0].begin;
    for (int i = 0; i < 60; i++) { /* worker 1 goes on */
        f->now_ns += 100 * SKY_NS_PER_MS;
        sky_sched_tick(f->s, f->now_ns);
        fx_heartbeat(f, 1, fx_held(f, 1), 0);
    }
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 1);
    cr_assert_eq(f->n_fails, 0);
    fx_ok(f, fx_lease_of(f, 1, 0), 1000);
    const fx_lease *again = fx_lease_of(f, 1, 1);
    cr_assert(sky_ranges_has(&again->positions, p), "the oldest position comes first");
    fx_free(f);
}

Test(sched_worker, that_talks_is_not_lost)
{
    fx *f = with(100, 1);
    fx_beat(f, 60000, 1);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 0);
    cr_assert_eq(f->n_leases, 1);
    fx_free(f);
}

Test(sched_worker, is_not_lost_because_the_coordinator_stood_still)
{
    fx *f = with(100, 1);
    f->now_ns += 3600 * SKY_NS_PER_S;
    sky_sched_tick(f->s, f->now_ns);
    fx_tick(f, 4000);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 0, "what it sent is still to be read");
    fx_heartbeat(f, 0, 1, 0);
    fx_tick(f, 4900);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 0);
    fx_tick(f, 400);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 1, "but then it is");
    fx_free(f);
}

Test(sched_worker, is_not_lost_because_nobody_read)
{
    fx *f = with(100, 1);
    fx_tick(f, 4500);
    sky_sched_gap(f->s, f->now_ns);
    fx_tick(f, 4900);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 0);
    fx_tick(f, 400);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 1);
    fx_free(f);
}

Test(sched_worker, that_cannot_be_reached_is_lost_sooner)
{
    fx *f = with(100, 1);
    fx_beat(f, 6000, 1);
    const sky_session session = fx_session(0);
    sky_sched_peer_gone(f->s, f->now_ns, &session);
    fx_tick(f, 2500);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 1);
    fx_free(f);
}

Test(sched_worker, that_could_not_be_reached_for_a_moment_goes_on)
{
    fx *f = with(100, 1);
    fx_beat(f, 6000, 1);
    const sky_session session = fx_session(0);
    sky_sched_peer_gone(f->s, f->now_ns, &session);
    fx_ok(f, fx_lease_of(f, 0, 0), 1000);
    cr_assert_gt(fx_held(f, 0), 0);
    fx_beat(f, 6000, 1);
    cr_assert_eq(sky_sched_get_stats(f->s).lost, 0);
    fx_free(f);
}

Test(sched_worker, that_comes_back_goes_on_with_its_lease)
{
    fx *f = with(1, 1);
    fx_lease l = f->leases[0];
    fx_tick(f, 6000);
    cr_assert_eq(fx_info(f, 1).leased, 0);
    hello_holding(f, 0, &l, NULL);
    cr_assert_eq(fx_info(f, 1).leased, 1);
    cr_assert_eq(f->n_revoked, 0);
    cr_assert_eq(fx_count(f, 0), 1, "no second lease of it");
    fx_ok(f, &l, 1000);
    cr_assert_eq(f->recorded, 1);
    fx_free(f);
}

Test(sched_worker, that_comes_back_too_late_forgets_its_lease)
{
    fx *f = with(1, 1);
    fx_lease l = f->leases[0];
    fx_tick(f, 6000);
    fx_hello(f, 1, 1);
    cr_assert_eq(fx_count(f, 1), 1);
    hello_holding(f, 0, &l, NULL);
    cr_assert_eq(f->n_revoked, 1);
    cr_assert_eq(f->revoked[0], l.id);
    fx_free(f);
}

Test(sched_worker, of_an_earlier_epoch_goes_on_with_its_lease)
{
    fx *f = fx_new(&(sky_sched_options){.epoch = 7, .adopt_wait_ms = 1000});
    sky_sched_sweep w = fx_sweep(1, 10);
    w.recovered = true;
    fx_set(f, &w);
    fx_hello(f, 1, 1);
    cr_assert_eq(f->n_leases, 0, "recovered positions wait for those who may hold them");
    sky_ranges five = {0};
    sky_ranges_add(&five, 0, 5);
    const fx_lease old = {.worker = 0, .id = UINT64_C(6) << 32 | 3, .sweep = 1, .positions = five};
    hello_holding(f, 0, &old, "store");
    cr_assert_eq(f->n_revoked, 0);
    cr_assert_eq(fx_info(f, 1).leased, 5);
    fx_tick(f, 1100);
    cr_assert_eq(fx_count(f, 1), 1);
    cr_assert_eq(f->leases[0].positions.r[0].begin, 5);
    sky_ranges_free(&five);
    fx_free(f);
}

Test(sched_worker, of_another_store_brings_nothing)
{
    fx *f = with(1, 0);
    sky_ranges one = {0};
    sky_ranges_add(&one, 0, 1);
    const fx_lease theirs = {
        .worker = 0, .id = UINT64_C(1) << 32 | 3, .sweep = 1, .positions = one};
    hello_holding(f, 0, &theirs, "another");
    cr_assert_eq(f->n_revoked, 0, "it drops them when it reads our WELCOME");
    cr_assert_eq(fx_count(f, 0), 1);
    sky_ranges_free(&one);
    fx_free(f);
}

Test(sched_worker, whose_lease_was_lost_on_the_way_is_found_out)
{
    fx *f = with(1, 1);
    fx_lease l = f->leases[0];
    for (int i = 0; i < 5; i++) {
        fx_beat(f, 1000, 0);
        fx_heartbeat(f, 0, 0, 0); /* it holds nothing */
    }
    cr_assert_geq(f->n_whos, 1);
    fx_hello(f, 0, 1);
    fx_tick(f, 1100);
    cr_assert_eq(fx_count(f, 0), 2);
    cr_assert(sky_ranges_has(&fx_lease_of(f, 0, 1)->positions, l.positions.r[0].begin));
    fx_free(f);
}

Test(sched_worker, whose_results_are_missing_is_asked_for_them)
{
    fx *f = with(1, 1);
    fx_beat(f, 3000, 1);
    f->n_whos = 0;
    fx_heartbeat(f, 0, 0, 1);
    fx_heartbeat(f, 0, 0, 1);
    cr_assert_eq(f->n_whos, 1);
    fx_free(f);
}

Test(sched_worker, that_leaves_gives_back_what_it_holds)
{
    fx *f = with(1, 1);
    fx_bye(f, 0);
    cr_assert_eq(fx_info(f, 1).leased, 0);
    cr_assert_eq(sky_sched_get_stats(f->s).workers, 0);
    fx_hello(f, 0, 1);
    cr_assert_eq(sky_sched_get_stats(f->s).workers, 0, "sessions are not used twice");
    fx_hello(f, 1, 1);
    cr_assert_eq(fx_count(f, 1), 1);
    fx_free(f);
}

Test(sched_worker, that_dies_with_the_same_position_again_and_again)
{
    fx *f = with(1, 0);
    for (unsigned i = 0; i < SKY_SCHED_LOSSES_MAX; i++) {
        cr_assert_eq(f->n_fails, 0, "loss %u", i);
        fx_hello(f, i, 1);
        const fx_lease *l = fx_lease_of(f, i, 0);
        cr_assert_not_null(l);
        const sky_running_trial running = {.lease = l->id, .position = 0, .elapsed_ms = 10};
        sky_msg m = {.type = SKY_MSG_HEARTBEAT};
        m.heartbeat = (sky_msg_heartbeat){
            .session = fx_session(i), .running = &running, .n_running = 1, .leases_held = 1};
        fx_message(f, i, &m);
        fx_tick(f, 6000);
    }
    cr_assert_eq(f->n_fails, 1);
    cr_assert_eq(f->fails[0].kind, SKY_FAILURE_LOST);
    cr_assert(f->fails[0].quarantined);
    fx_commit(f);
    cr_assert_eq(f->state, SKY_SWEEP_DONE);
    fx_free(f);
}

Test(sched_worker, whose_results_are_wrong_gets_no_more_of_that_sweep)
{
    fx *f = with(10, 1);
    const sky_session session = fx_session(0);
    sky_sched_exclude(f->s, &session, 1);
    fx_ok(f, fx_lease_of(f, 0, 0), 1000);
    cr_assert_eq(fx_count(f, 0), 1);
    char why[256];
    cr_assert(strstr(sky_sched_waiting(f->s, 1, why, sizeof why), "wrong"), "%s", why);
    fx_free(f);
}

Test(sched_worker, with_numbers_that_make_no_sense_is_ignored)
{
    fx *f = with(10, 1);
    for (uint64_t i = 1; i < 3 * SKY_SCHED_SEQ_GAPS_MAX; i++) {
        const sky_msg_result r = {.seq = 2 * i, .lease = 1, .sweep = 99, .last = true};
        sky_msg m = {.type = SKY_MSG_RESULT, .result = r};
        const sky_session session = fx_session(0);
        sky_sched_message(f->s, f->now_ns, &session, &m);
        sky_action a;
        while (sky_sched_next(f->s, &a)) {
        }
        if (i % 64 == 0) {
            sky_sched_committed(f->s, f->now_ns);
            while (sky_sched_next(f->s, &a)) {
            }
        }
    }
    cr_assert_lt(sky_sched_bytes(f->s), 1 << 20);
    fx_free(f);
}

Test(sched_worker, all_are_told_to_stop)
{
    fx *f = with(10, 3);
    sky_sched_stop_workers(f->s, true);
    fx_heartbeat(f, 0, 1, 0);
    cr_assert_eq(f->n_stops, 3);
    fx_free(f);
}

Test(sched_worker, limit_of_the_lost_that_are_remembered)
{
    fx *f = with(1, 0);
    for (unsigned i = 0; i < SKY_SCHED_LOST_MAX + 200; i++) {
        const sky_session session = fx_session(i);
        sky_msg m = {.type = SKY_MSG_HELLO};
        m.hello = (sky_msg_hello){
            .session = session, .host = "h", .program_version = "1", .store_uuid = ""};
        sky_sched_message(f->s, f->now_ns, &session, &m);
        m.type = SKY_MSG_BYE;
        m.bye = (sky_msg_bye){.session = session, .reason = ""};
        sky_sched_message(f->s, f->now_ns, &session, &m);
        sky_action a;
        while (sky_sched_next(f->s, &a)) {
        }
    }
    cr_assert_eq(sky_sched_get_stats(f->s).lost, SKY_SCHED_LOST_MAX);
    fx_free(f);
}
