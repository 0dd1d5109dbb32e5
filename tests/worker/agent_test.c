/* The agent's rules of life, messages and results, one by one. */
#include <criterion/criterion.h>

#include "agent_harness.h"

TestSuite(agent, .fini = tear_down, .timeout = 30);

Test(agent, says_hello_until_it_is_welcome)
{
    make((sky_agent_options){.heartbeat_ms = 200});
    tick(1000);
    cr_assert_eq(n_did, 0, "nobody is there");
    sky_agent_connected(a, now_ns);
    take();
    cr_assert(SENT(HELLO));
    cr_assert_str_eq(SENT(HELLO)->text, "");
    tick(100);
    cr_assert_eq(n_did, 0);
    tick(100);
    cr_assert(SENT(HELLO));
    welcome("u");
    tick(400);
    cr_assert_eq(n_did, 0);
    tick(100);
    cr_assert(SENT(HEARTBEAT));
    cr_assert_null(SENT(HELLO));
    cr_assert(sky_agent_wake_ns(a) <= now_ns + 500 * SKY_NS_PER_MS);
}

Test(agent, ignores_copies_of_a_lease)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 2);
    lease(1, 0, 2);
    cr_assert_eq(n_did, 0);
    outcome(0, 1, 0, 2, true);
    lease(1, 0, 2);
    cr_assert_eq(n_did, 0, "it is over");
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
}

Test(agent, returns_a_lease_whose_plan_it_lacks_and_asks)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease_of(1, 9, 3, 5);
    cr_assert_null(SENT(RESULT), "only after the WELCOME");
    tick(0);
    cr_assert(SENT(HELLO));
    welcome("u");
    cr_assert_eq(SENT(RESULT)->returned, 2);
}

Test(agent, results_are_kept_until_acknowledged)
{
    set_up((sky_agent_options){.cpus = 1, .resend_ms = 1000}, "");
    lease(1, 0, 10);
    for (uint64_t i = 0; i < 5; i++)
        outcome(0, 1, i, i + 1, false);
    ack(2);
    ack(2);
    ack(77);
    cr_assert_eq(sky_agent_get_stats(a).results_unacked, 4);
    sky_agent_disconnected(a, now_ns);
    outcome(0, 1, 5, 6, false);
    cr_assert_eq(n_did, 0, "nobody to send it to");
    tick(5000);
    cr_assert_eq(n_did, 0);
    sky_agent_connected(a, now_ns);
    take();
    cr_assert_eq(n_did, 1);
    cr_assert_eq(SENT(HELLO)->held, 1);
    cr_assert_eq(SENT(HELLO)->positions, 4);
    cr_assert_str_eq(SENT(HELLO)->text, "u");
    welcome("u");
    static const uint64_t seqs[] = {1, 3, 4, 5, 6};
    cr_assert_eq(n_did, 5);
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(find(SKY_AGENT_SEND, SKY_MSG_RESULT, i)->seq, seqs[i]);
    welcome("u");
    cr_assert_eq(n_did, 0, "a copy of the WELCOME repeats nothing");
    tick(600);
    cr_assert_null(SENT(RESULT));
    tick(500);
    cr_assert(SENT(RESULT), "unanswered for resend_ms");
}

Test(agent, a_full_queue_is_tried_again_soon)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 1);
    outcome(0, 1, 0, 1, true);
    sky_agent_unsent(a, 1);
    cr_assert(sky_agent_wake_ns(a) <= now_ns + 30 * SKY_NS_PER_MS);
    tick(30);
    cr_assert_eq(SENT(RESULT)->seq, 1);
    tick(30);
    cr_assert_eq(n_did, 0);
}

Test(agent, unacknowledged_bytes_hold_leases_back)
{
    set_up((sky_agent_options){.cpus = 1, .unacked_bytes_max = 1}, "");
    lease(1, 0, 1);
    lease(2, 1, 2);
    outcome(0, 1, 0, 1, true);
    cr_assert_null(ACTION(RUN));
    ack(1);
    cr_assert(ACTION(RUN));
}

Test(agent, another_store_means_a_new_start)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    lease(2, 10, 20);
    outcome(0, 1, 0, 5, false);
    sky_agent_disconnected(a, now_ns);
    sky_agent_connected(a, now_ns);
    take();
    welcome("v");
    cr_assert_null(SENT(RESULT));
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_REVOKED);
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
    cr_assert_eq(sky_agent_get_stats(a).results_unacked, 0);
    died(0, SKY_DEATH_ASKED, 6, 7);
    cr_assert_eq(n_did, 0);
    send_plan(7, 1, "");
    lease(1, 0, 10);
    cr_assert(ACTION(RUN), "the same number, another lease");
    outcome(0, 1, 0, 10, true);
    cr_assert_eq(SENT(RESULT)->seq, 2, "sequence numbers go on");
}

Test(agent, who_is_answered_once)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    message(&(sky_msg){.type = SKY_MSG_WHO});
    cr_assert(SENT(HELLO));
    message(&(sky_msg){.type = SKY_MSG_WHO});
    cr_assert_eq(n_did, 0);
    lease(1, 0, 1);
    cr_assert_eq(n_did, 0, "the coordinator counts on what the HELLO said");
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 0);
}

Test(agent, heartbeats_name_what_runs)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 4, 10);
    tick(500);
    cr_assert_eq(SENT(HEARTBEAT)->held, 1);
    cr_assert_eq(SENT(HEARTBEAT)->running, 4);
    sky_agent_running(a, 0, 8, 20);
    tick(500);
    cr_assert_eq(SENT(HEARTBEAT)->running, 8);
    sky_agent_running(a, 0, 77, 20); /* not of its lease */
    tick(500);
    cr_assert_eq(SENT(HEARTBEAT)->running, 4);
}

Test(agent, stop_finishes_what_runs)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    lease(2, 10, 20);
    message(&(sky_msg){.type = SKY_MSG_STOP});
    cr_assert(ACTION(DRAIN));
    cr_assert_null(ACTION(KILL));
    cr_assert_eq(SENT(RESULT)->returned, 10);
    lease(3, 20, 30);
    cr_assert_eq(SENT(RESULT)->returned, 10);
    outcome(0, 1, 0, 10, true);
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_IDLE);
    died(0, SKY_DEATH_ASKED, 0, 0);
    cr_assert_null(ACTION(EXIT), "its results are not safe yet");
    ack(1);
    ack(2);
    ack(3);
    cr_assert(SENT(BYE));
    cr_assert_eq(ACTION(EXIT)->code, 0);
    tick(5000);
    cr_assert_eq(n_did, 0, "the end is the end");
}

Test(agent, stop_does_not_wait_for_ever)
{
    set_up((sky_agent_options){.cpus = 1, .stop_ms = 2000}, "");
    lease(1, 0, 10);
    sky_agent_stop(a, now_ns, false);
    take();
    died(0, SKY_DEATH_CRASH, 0, 1);
    cr_assert_null(ACTION(START));
    cr_assert_eq(find(SKY_AGENT_SEND, SKY_MSG_RESULT, 0)->failed, 1);
    cr_assert_eq(find(SKY_AGENT_SEND, SKY_MSG_RESULT, 1)->returned, 9);
    tick(1900);
    cr_assert_null(ACTION(EXIT));
    tick(200);
    cr_assert(ACTION(EXIT));
}

Test(agent, stop_now_kills)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 10);
    outcome(0, 1, 0, 2, false);
    sky_agent_stop(a, now_ns, false);
    take();
    message(&(sky_msg){.type = SKY_MSG_STOP, .stop = {.now = true}});
    cr_assert_eq(ACTION(KILL)->why, SKY_KILL_STOP);
    cr_assert_eq(SENT(RESULT)->returned, 8);
    outcome(0, 1, 2, 4, false);
    cr_assert_eq(n_did, 0, "it was given back");
    died(0, SKY_DEATH_ASKED, 3, 4);
    ack(1);
    ack(2);
    cr_assert(ACTION(EXIT));
}

Test(agent, an_idle_worker_stops_at_once)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    message(&(sky_msg){.type = SKY_MSG_STOP});
    cr_assert(SENT(BYE));
    cr_assert(ACTION(EXIT));
}

Test(agent, refuses_impossible_capacities)
{
    sky_agent *x = NULL;
    cr_assert_eq(sky_agent_new(&x, &(sky_agent_options){.cpus = SKY_AGENT_CPUS_MAX + 1}),
                 SKY_EINVAL);
    cr_assert_eq(sky_agent_new(&x, &(sky_agent_options){.gpus = 65}), SKY_EINVAL);
    cr_assert_null(x);
}

Test(agent, forgets_the_plans_that_it_used_longest_ago)
{
    set_up((sky_agent_options){.cpus = 1}, "");
    lease(1, 0, 1);
    for (int64_t sweep = 100; sweep < 100 + SKY_AGENT_PLANS_MAX; sweep++)
        send_plan(sweep, 1, "");
    lease_of(2, 100, 0, 1);
    tick(0);
    cr_assert(SENT(HELLO), "100 was forgotten");
    welcome("u");
    lease(3, 1, 2);
    cr_assert_eq(sky_agent_get_stats(a).leases_held, 2, "7 was not: it has a lease");
}
