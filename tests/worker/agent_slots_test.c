/* The agent's rules of leases and executors, one by one. */
#include <criterion/criterion.h>

#include "agent_harness.h"

TestSuite(agent_slots, .fini = tear_down, .timeout = 30);

Test(agent_slots, runs_a_lease_and_keeps_the_executor)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    cr_assert_eq(n_did, 2);
    cr_assert_eq(did[0].kind, SKY_AGENT_START);
    cr_assert_eq(did[0].type, SKY_MSG_PLAN);
    cr_assert_eq(did[1].kind, SKY_AGENT_RUN);
    cr_assert_eq(did[1].positions, 10);
    uint32_t slot = did[1].slot;
    lease(2, 10, 20);
    cr_assert_eq(n_did, 0, "one cpu, one lease at a time");
    outcome(slot, 1, 0, 4, false);
    cr_assert_eq(n_did, 1);
    cr_assert_eq(SENT(RESULT)->seq, 1);
    cr_assert_eq(SENT(RESULT)->last, false);
    outcome(slot, 1, 4, 10, true);
    cr_assert_eq(SENT(RESULT)->seq, 2);
    cr_assert_eq(SENT(RESULT)->last, true);
    cr_assert_null(ACTION(START));
    cr_assert_eq(ACTION(RUN)->slot, slot);
    cr_assert_eq(ACTION(RUN)->lease, 2);
    cr_assert_eq(sky_agent_get_stats(a).trials_ok, 10);
}

Test(agent_slots, ends_an_idle_executor_after_a_while)
{
    set_up((sky_agent_options){.cpus = 1, .idle_ms = 3000}, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    ack(1);
    cr_assert(ACTION(RECORDED));
    tick(2900);
    cr_assert_null(ACTION(KILL));
    tick(200);
    cr_assert(ACTION(KILL));
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_IDLE);
    died(0, SKY_DEATH_ASKED, 0, 0);
    lease(2, 1, 2);
    cr_assert(ACTION(START));
}

Test(agent_slots, replaces_an_executor_of_another_sweep)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    send_plan(8, 1, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    lease_of(2, 8, 0, 1);
    cr_assert(ACTION(KILL));
    cr_assert_eq(ACTION(KILL)->slot, 0);
    cr_assert(ACTION(START));
    cr_assert_neq(ACTION(START)->slot, 0);
    /* A new revision too. */
    outcome(ACTION(START)->slot, 2, 0, 1, true);
    died(0, SKY_DEATH_ASKED, 0, 0);
}

Test(agent_slots, a_new_revision_needs_a_new_executor)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    send_plan(7, 2, "limits: {timeout: 5s}");
    lease(2, 1, 2);
    cr_assert(ACTION(KILL));
    cr_assert(ACTION(START));
}

Test(agent_slots, starts_leases_in_order_when_resources_are_free)
{
    set_up((sky_agent_options){.cpus = 4, .memory_bytes = 100}, "resources: {cpus: 3, memory: 60}");
    send_plan(8, 1, "resources: {cpus: 1, memory: 50}");
    lease(1, 0, 1);
    lease_of(2, 8, 0, 1);
    cr_assert_null(ACTION(RUN), "60 and 50 bytes are more than 100");
    outcome(0, 1, 0, 1, true);
    cr_assert_eq(ACTION(RUN)->lease, 2);
    lease(3, 1, 2);
    lease_of(4, 8, 1, 2);
    cr_assert_null(ACTION(RUN), "the large one that came first is not passed");
}

Test(agent_slots, returns_what_can_never_run)
{
    set_up((sky_agent_options){.cpus = 2}, "resources: {cpus: 3}");
    lease(1, 5, 9);
    cr_assert_null(ACTION(START));
    cr_assert_eq(SENT(RESULT)->returned, 4);
    cr_assert_eq(SENT(RESULT)->last, true);
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
}

Test(agent_slots, gives_gpus_to_one_executor_each)
{
    set_up((sky_agent_options){.cpus = 4, .gpus = 3}, "resources: {gpus: 2}");
    send_plan(8, 1, "resources: {gpus: 1}");
    lease(1, 0, 1);
    cr_assert_eq(ACTION(START)->gpus, 3);
    lease_of(2, 8, 0, 1);
    cr_assert_eq(ACTION(START)->gpus, 4);
    uint32_t other = ACTION(START)->slot;
    lease_of(3, 8, 1, 2);
    cr_assert_null(ACTION(START), "no GPU is free");
    outcome(0, 1, 0, 1, true);
    cr_assert(ACTION(KILL), "an idle executor holds two");
    cr_assert_null(ACTION(START), "until it is dead");
    died(0, SKY_DEATH_ASKED, 0, 0);
    cr_assert_eq(ACTION(START)->gpus, 1);
    cr_assert_neq(ACTION(START)->slot, other);
}

Test(agent_slots, charges_the_trial_that_crashed)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 4, false);
    died(0, SKY_DEATH_CRASH, 5, 6);
    const done *r = SENT(RESULT);
    cr_assert_eq(r->failed, 1);
    cr_assert_eq(r->first, 5);
    cr_assert_eq(r->failure, 1);
    cr_assert_eq(r->last, false);
    cr_assert(ACTION(START));
    cr_assert_eq(ACTION(RUN)->positions, 5, "0 to 3 are reported, 5 failed");
    cr_assert_eq(ACTION(RUN)->first, 4);
}

Test(agent_slots, names_the_reason_of_each_death)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    died(0, SKY_DEATH_TIMEOUT, 0, 1);
    cr_assert_eq(SENT(RESULT)->failure, 2);
    died(0, SKY_DEATH_MEMORY, 1, 2);
    cr_assert_eq(SENT(RESULT)->failure, 3);
    sky_agent_died d = {
        .kind = SKY_DEATH_CRASH, .begin = 2, .end = 3, .reason = "signal 11", .log = "x"};
    sky_agent_died_event(a, now_ns, 0, &d);
    take();
    cr_assert_str_eq(SENT(RESULT)->text, "signal 11");
}

Test(agent_slots, a_kill_from_outside_charges_nobody)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    died(0, SKY_DEATH_OUTSIDE, 3, 4);
    cr_assert_eq(SENT(RESULT)->returned, 1);
    cr_assert_eq(SENT(RESULT)->first, 3);
    cr_assert_eq(ACTION(RUN)->positions, 9);
    for (int i = 0; i < 10; i++) {
        died(0, SKY_DEATH_OUTSIDE, 0, 0);
        cr_assert_null(SENT(RESULT));
        cr_assert_eq(ACTION(RUN)->positions, 9);
    }
}

Test(agent_slots, a_dead_batch_is_suspect)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 100);
    outcome(0, 1, 0, 12, false);
    died(0, SKY_DEATH_CRASH, 8, 40);
    cr_assert_eq(SENT(RESULT)->suspect, 28);
    cr_assert_eq(SENT(RESULT)->first, 12);
    cr_assert_eq(SENT(RESULT)->failed, 0);
    cr_assert_eq(ACTION(RUN)->positions, 60);
    died(0, SKY_DEATH_CRASH, 40, 100);
    cr_assert_eq(SENT(RESULT)->suspect, 60);
    cr_assert_eq(SENT(RESULT)->last, true);
    cr_assert_null(ACTION(START));
}

Test(agent_slots, executors_that_die_before_they_run_charge_the_first)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    died(0, SKY_DEATH_CRASH, 0, 0);
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(RUN)->positions, 10);
    died(0, SKY_DEATH_CRASH, 0, 0);
    cr_assert_eq(SENT(RESULT)->failed, 1);
    cr_assert_eq(SENT(RESULT)->first, 0);
    cr_assert_eq(ACTION(RUN)->positions, 9);
}

Test(agent_slots, memory_is_charged_only_in_a_fresh_executor)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 3, false);
    died(0, SKY_DEATH_MEMORY, 3, 4);
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(RUN)->first, 3);
    died(0, SKY_DEATH_MEMORY, 3, 4);
    cr_assert_eq(SENT(RESULT)->failed, 1);
    cr_assert_eq(SENT(RESULT)->failure, 3);
}

Test(agent_slots, a_result_that_does_not_fit_is_a_crash)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 4, false);
    outcome(0, 1, 3, 6, false);
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_CORRUPT);
    outcome(0, 1, 4, 10, true);
    cr_assert_eq(n_did, 0, "nothing of it is believed any more");
    died(0, SKY_DEATH_ASKED, 6, 7);
    cr_assert_eq(SENT(RESULT)->failed, 1);
    cr_assert_eq(SENT(RESULT)->first, 6);
    cr_assert_eq(ACTION(RUN)->positions, 5);
    outcome(0, 2, 4, 6, false);
    cr_assert(ACTION(KILL), "another lease");
    died(0, SKY_DEATH_ASKED, 0, 0);
    outcome(0, 1, 4, 6, true);
    cr_assert(ACTION(KILL), "last, with positions left");
}

Test(agent_slots, a_revoked_lease_is_forgotten)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    lease(2, 10, 20);
    uint64_t both[] = {2, 1, 55};
    message(&(sky_msg){.type = SKY_MSG_REVOKE, .revoke = {.leases = both, .n = 3}});
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_REVOKED);
    outcome(0, 1, 0, 3, false);
    cr_assert_eq(n_did, 0);
    died(0, SKY_DEATH_ASKED, 3, 4);
    cr_assert_eq(n_did, 0);
    lease(55, 0, 3);
    cr_assert_eq(n_did, 0, "its REVOKE came first");
    lease(56, 0, 3);
    cr_assert(ACTION(RUN));
}

Test(agent_slots, a_lease_revoked_before_its_start_leaves_no_trace)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    sky_range r = {0, 5};
    uint64_t id = 1;
    sky_agent_message(
        a, now_ns,
        &(sky_msg){.type = SKY_MSG_LEASE,
                   .lease = {.lease = 1, .sweep = 7, .revision = 1, .positions = {&r, 1}}});
    sky_agent_message(a, now_ns,
                      &(sky_msg){.type = SKY_MSG_REVOKE, .revoke = {.leases = &id, .n = 1}});
    take();
    cr_assert_eq(n_did, 0);
    lease(2, 0, 5);
    cr_assert(ACTION(START));
    cr_assert(ACTION(RUN));
}

Test(agent_slots, gives_up_when_executors_cannot_start)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    int starts = 1;
    for (int i = 0; i < 1000 && !ACTION(EXIT); i++) {
        if (ACTION(START)) {
            starts++;
            sky_agent_died d = {.kind = SKY_DEATH_START, .reason = "no such program"};
            sky_agent_died_event(a, now_ns, ACTION(START)->slot, &d);
            take();
            cr_assert_null(ACTION(START), "not at once");
            for (size_t k = 0; k < n_did; k++) {
                if (did[k].type == SKY_MSG_RESULT)
                    cr_assert_eq(did[k].returned, 10);
            }
        } else {
            tick(100);
        }
    }
    cr_assert_eq(starts, 9);
    cr_assert_eq(ACTION(EXIT)->code, 1);
    cr_assert_str_eq(ACTION(EXIT)->text, "no such program");
}
