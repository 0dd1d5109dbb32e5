/* Results: what became of leases, who is charged, and what is tried again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/sched_internal.h"

/* --- Charges --- */

static void settle_failed(sky_sched *s, sky__sweep *sweep, sky__worker *w, uint64_t position)
{
    if (sky_ranges_add(&sweep->bad, position, position + 1) == UINT64_MAX)
        s->out_of_memory = true;
    sweep->pending_bad++;
    s->uncommitted++;
    w->settled++;
}

static void log_charge(sky_sched *s, const sky__sweep *sweep, uint64_t position, uint32_t before,
                       bool final)
{
    void *charges = s->charges;
    bool ok = sky__sched_grow(&charges, &s->cap_charges, s->n_charges + 1, sizeof *s->charges);
    s->charges = charges;
    if (!ok) {
        s->out_of_memory = true;
        return;
    }
    s->charges[s->n_charges++] =
        (sky__charge){.sweep = sweep->id, .position = position, .attempts = before, .final = final};
}

void sky__charge_position(sky_sched *s, sky__sweep *sweep, sky__worker *w,
                          const sky_failed_attempt *f, bool charge, bool requeue)
{
    sky__attempt *a = sky__attempt_get(&sweep->attempts, f->position);
    if (!a) {
        s->out_of_memory = true;
        return;
    }
    uint32_t before = a->attempts;
    a->attempts += charge;
    a->worker = w->serial;
    a->same_ns = s->now_ns + SKY__SAME_WORKER_NS;
    bool final = !charge || a->attempts >= sweep->attempts_max;
    sky_action *act = sky__sched_push(s, SKY_ACTION_FAIL);
    act->fail = (sky_action_fail){.sweep = sweep->id,
                                  .env = w->env,
                                  .position = f->position,
                                  .attempts = a->attempts,
                                  .quarantined = final,
                                  .kind = (sky_failure_kind)f->kind,
                                  .reason = f->reason ? f->reason : "",
                                  .log = f->log};
    log_charge(s, sweep, f->position, before, final);
    sweep->first_failures += charge && before == 0;
    if (final) {
        settle_failed(s, sweep, w, f->position);
    } else if (requeue) {
        if (!sky__sweep_add_retry(s, sweep, f->position))
            s->out_of_memory = true;
        s->fill_all = true;
    }
    sky__sweep_maybe_pause(s, sweep, f->reason);
}

/* Was this failure never charged before? Of a lease that the worker holds, or of one given out
 * since this coordinator knows the worker, surely not: sequence numbers tell copies apart. Of an
 * older one it may have been charged before a restart; where the store knows of no attempt it was
 * not, and else the benefit of the doubt costs one more try. */
static bool is_first_report(const sky_sched *s, const sky__sweep *sweep, const sky__lease *l,
                            uint64_t lease, uint64_t position)
{
    if (l && sky_ranges_has(&l->left, position))
        return true;
    if (lease >> 32 == s->epoch && (uint32_t)lease - s->exact_from < UINT32_C(1) << 31)
        return true;
    const sky__attempt *a = sky__attempt_find(&sweep->attempts, position);
    return !a || a->attempts == 0;
}

static bool known_kind(uint32_t kind)
{
    return kind == SKY_FAILURE_ERROR || kind == SKY_FAILURE_CRASH || kind == SKY_FAILURE_TIMEOUT ||
           kind == SKY_FAILURE_MEMORY;
}

/* Where a position is that is not in the reporting lease: taken out of the queue it waits in.
 * False: it is in another worker's lease, and stays there. */
static bool unqueue_one(sky_sched *s, sky__sweep *sweep, uint64_t position)
{
    uint64_t before = sweep->todo.count + sweep->retry.count + sweep->group_count;
    sky_range r = {position, position + 1};
    sky_ranges one = {.r = &r, .n = 1, .cap = 1, .count = 1};
    sky__sweep_unqueue(s, sweep, &one);
    return sweep->todo.count + sweep->retry.count + sweep->group_count != before;
}

static void take_failure(sky_sched *s, sky__sweep *sweep, sky__worker *w, sky__lease *l,
                         uint64_t lease, const sky_failed_attempt *f)
{
    if (sky__sweep_settled(sweep, f->position))
        return;
    bool charge = is_first_report(s, sweep, l, lease, f->position) && known_kind(f->kind);
    bool mine = l && sky_ranges_remove(&l->left, f->position, f->position + 1) == 1;
    if (charge) {
        sky__attempt *a = sky__attempt_get(&sweep->attempts, f->position);
        s->out_of_memory |= !a;
        bool final = a && a->attempts + 1 >= sweep->attempts_max;
        bool here = mine || unqueue_one(s, sweep, f->position);
        sky__charge_position(s, sweep, w, f, true, here && !final);
    } else if (mine) {
        sky_range r = {f->position, f->position + 1};
        const sky_ranges one = {.r = &r, .n = 1, .cap = 1, .count = 1};
        sky__sweep_put_back(s, sweep, &one);
    }
}

/* --- Suspects --- */

static bool split(const sky_ranges *x, sky_ranges *low, sky_ranges *high)
{
    sky_ranges rest = {0};
    bool ok = sky_ranges_copy(&rest, x) && sky_ranges_take(&rest, x->count / 2, low) != UINT64_MAX;
    *high = rest;
    return ok;
}

/* One of these killed a batch. Halves of it go out, one position at a time, until the culprit is
 * alone. */
static void take_suspects(sky_sched *s, sky__sweep *sweep, sky__worker *w, sky__lease *l,
                          const sky_msg_result *r)
{
    const sky_ranges named = sky__set_view(&r->suspect);
    sky_ranges suspects = {0};
    if (!l || named.count == 0)
        return; /* of a lease that was taken back: its positions are queued already */
    if (!sky__set_extract(&l->left, &named, &suspects) ||
        !sky__set_clip(&suspects, sweep->positions) ||
        !sky__set_subtract(&suspects, &sweep->done) || !sky__set_subtract(&suspects, &sweep->bad))
        s->out_of_memory = true;
    if (suspects.count == 1 && named.count == 1) {
        sky_failed_attempt f = {.position = suspects.r[0].begin,
                                .kind = SKY_FAILURE_CRASH,
                                .reason = "its executor died",
                                .log = ""};
        sky__charge_position(s, sweep, w, &f, true, true);
    } else if (suspects.count) {
        sky_ranges low = {0}, high = {0};
        if (!split(&suspects, &low, &high))
            s->out_of_memory = true;
        sky__sweep_add_group(s, sweep, &low);
        sky__sweep_add_group(s, sweep, &high);
    }
    sky_ranges_free(&suspects);
}

/* --- Rows and holes --- */

/* The open ones among the positions of a list; the others are settled already. */
static bool open_of(const sky__sweep *sweep, const sky_ranges *list, sky_ranges *out)
{
    return sky_ranges_copy(out, list) && sky__set_clip(out, sweep->positions) &&
           sky__set_subtract(out, &sweep->done) && sky__set_subtract(out, &sweep->bad);
}

/* Rows of which nothing may be stored: the trial was quarantined, or is past the end. */
static bool rows_to_skip(const sky__sweep *sweep, const sky_ranges *rows, sky_ranges *out)
{
    sky_ranges past = {0};
    bool ok = sky_ranges_copy(out, rows);
    if (ok && rows->n && rows->r[rows->n - 1].end > sweep->positions) {
        ok = sky_ranges_copy(&past, rows) &&
             sky_ranges_remove(&past, 0, sweep->positions) != UINT64_MAX;
    }
    sky_ranges kept = {0};
    ok = ok && sky_ranges_copy(&kept, rows) && sky__set_subtract(&kept, &sweep->bad) &&
         sky__set_subtract(out, &kept) && sky_ranges_add_all(out, &past);
    sky_ranges_free(&past);
    sky_ranges_free(&kept);
    return ok;
}

static sky_ranges *arena_copy(sky_sched *s, const sky_ranges *x)
{
    sky_ranges *copy = sky_new(&s->arena, sky_ranges, 1);
    sky_range_list l = sky__sched_copy_list(s, x);
    if (!copy || !l.r) {
        s->out_of_memory = true;
        return NULL;
    }
    memcpy(&copy->r, &l.r, sizeof copy->r);
    copy->n = copy->cap = x->n;
    copy->count = x->count;
    return copy;
}

/* Settles the open positions of ok and holes, and says what to record. */
static void take_rows(sky_sched *s, sky__sweep *sweep, sky__worker *w, sky__lease *l,
                      const sky_msg_result *r)
{
    const sky_ranges rows = sky__set_view(&r->ok), holes = sky__set_view(&r->holes);
    if (rows.count + holes.count == 0)
        return;
    sky_ranges open = {0}, open_holes = {0}, skip = {0}, late = {0};
    bool ok = open_of(sweep, &rows, &open) && open_of(sweep, &holes, &open_holes);
    uint64_t n_rows = open.count;
    ok = ok && sky_ranges_add_all(&open, &open_holes);
    uint64_t n_holes = open.count - n_rows;
    if (n_rows < rows.count)
        ok = ok && rows_to_skip(sweep, &rows, &skip);

    /* What is not left in this lease waits in a queue, or is being done by somebody else. */
    ok = ok && sky_ranges_copy(&late, &open) && (!l || sky__set_subtract(&late, &l->left));
    if (ok && late.count)
        sky__sweep_unqueue(s, sweep, &late);
    if (l)
        ok = ok && sky__set_subtract(&l->left, &rows) && sky__set_subtract(&l->left, &holes);
    ok =
        ok && sky_ranges_add_all(&sweep->done, &open) && sky_ranges_add_all(&sweep->pending, &open);
    sweep->recorded += n_rows;
    sweep->pending_recorded += n_rows;
    sweep->holes += n_holes;
    sweep->pending_holes += n_holes;
    s->uncommitted += open.count;
    w->settled += open.count;
    if (rows.count || open.count) {
        const sky_ranges *positions = arena_copy(s, &open);
        const sky_ranges *skipped = skip.count ? arena_copy(s, &skip) : NULL;
        sky_action *a = sky__sched_push(s, SKY_ACTION_RECORD);
        a->record = (sky_action_record){.sweep = sweep->id,
                                        .env = w->env,
                                        .result = r,
                                        .positions = positions,
                                        .skip = skipped,
                                        .n_holes = n_holes};
    }
    s->out_of_memory |= !ok;
    sky_ranges_free(&open);
    sky_ranges_free(&open_holes);
    sky_ranges_free(&skip);
    sky_ranges_free(&late);
}

/* --- Measuring --- */

static double blend(double old, double now)
{
    if (old <= 0)
        return now;
    /* Too large a lease hurts more than too small a one: towards dearer, faster. */
    return old + (now > old ? 0.6 : 0.3) * (now - old);
}

static void measure(sky_sched *s, sky__sweep *sweep, sky__worker *w, const sky__lease *l,
                    const sky_msg_result *r)
{
    uint64_t n = sky_range_list_count(&r->ok) + sky_range_list_count(&r->holes) + r->n_failed;
    sweep->busy_ns += (double)r->busy_ns;
    sky__pair *p = sky__pair_get(s, w, sweep);
    if (!p)
        return;
    uint64_t returned = sky_range_list_count(&r->returned);
    if (n == 0 && returned) {
        /* It came back untried: once may be chance, again and again needs a pause. */
        uint32_t shift = p->returns < SKY__RETURNS_SHIFT_MAX ? p->returns : SKY__RETURNS_SHIFT_MAX;
        p->idle_ns = p->returns ? s->now_ns + ((50 * SKY__MS) << shift) : 0;
        p->returns++;
        p->sent = false; /* perhaps for want of the plan */
        return;
    }
    if (n == 0)
        return;
    p->returns = 0;
    double cost_ns = (double)r->busy_ns / (double)n;
    cost_ns = cost_ns < 1 ? 1 : cost_ns;
    p->cost_ns = blend(p->cost_ns, cost_ns);
    sweep->cost_ns = blend(sweep->cost_ns, cost_ns);
    if (l) /* it was charged the estimate when it left */
        sweep->vt += ((double)r->busy_ns - l->est_ns * (double)n / (double)l->given) * l->cpus;
}

/* --- Results --- */

/* True if this result is seen for the first time. In any case it will be acknowledged. */
static bool take_seq(sky_sched *s, sky__worker *w, uint64_t seq)
{
    if (seq == UINT64_MAX)
        return false;
    for (size_t i = 0; i < w->n_acks; i++) {
        if (w->acks[w->n_acks - 1 - i].seq == seq)
            return false;
    }
    void *acks = w->acks;
    bool ok = sky__sched_grow(&acks, &w->cap_acks, w->n_acks + 1, sizeof *w->acks);
    w->acks = acks;
    uint64_t added = ok ? sky_ranges_add(&w->seen, seq, seq + 1) : UINT64_MAX;
    if (added == UINT64_MAX) {
        s->out_of_memory = true;
        return false;
    }
    w->acks[w->n_acks++] = (sky__ack){.seq = seq, .fresh = added == 1};
    s->results_waiting++;
    if (!w->ack_listed) {
        w->ack_listed = true;
        w->ack_next = s->ack_first;
        s->ack_first = w;
    }
    return added == 1;
}

static void take_parts(sky_sched *s, sky__sweep *sweep, sky__worker *w, sky__lease *l,
                       const sky_msg_result *r)
{
    measure(s, sweep, w, l, r);
    take_rows(s, sweep, w, l, r);
    if (l && (r->n_failed || r->suspect.n))
        l->clean = false;
    for (size_t i = 0; i < r->n_failed; i++)
        take_failure(s, sweep, w, l, r->lease, &r->failed[i]);
    take_suspects(s, sweep, w, l, r);
    const sky_ranges returned = sky__set_view(&r->returned);
    sky_ranges back = {0};
    if (l && returned.count) {
        l->clean = false;
        if (!sky__set_extract(&l->left, &returned, &back))
            s->out_of_memory = true;
        sky__sweep_put_back(s, sweep, &back);
        sky_ranges_free(&back);
    }
}

void sky__result(sky_sched *s, sky__worker *w, const sky_msg_result *r)
{
    if (w->seen.n > SKY_SCHED_SEQ_GAPS_MAX) {
        sky__sched_note(s, SKY_LOG_ERROR,
                        "worker %s pid=%u: its results are ignored, their numbers "
                        "make no sense",
                        w->host, w->pid);
        return;
    }
    if (!take_seq(s, w, r->seq))
        return;
    sky__sweep *sweep = sky__sweep_find(s, r->sweep);
    if (!sweep)
        return; /* forgotten, and so is the result */
    sky__lease *l = sky__lease_find(s, r->lease);
    if (l && (l->worker != w || l->sweep != sweep))
        l = NULL;
    if (sweep->state == SKY_SWEEP_RUNNING || sweep->state == SKY_SWEEP_PAUSED)
        take_parts(s, sweep, w, l, r);
    if (!l)
        return;
    if (l->left.count == 0)
        sky__lease_end(s, l);
    else if (r->last)
        sky__lease_orphan(s, l); /* other parts of it are late */
}
