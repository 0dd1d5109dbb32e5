/* The model of a store: arrays, of which only what was committed survives a crash. It checks
 * everything that it is given: this is where "exactly once" and "nobody innocent" are tested. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sim.h"

bool sim_store_init(sim *m)
{
    for (uint32_t i = 0; i < m->set.n_sweeps; i++) {
        sim_sweep *w = &m->sweeps[i];
        w->live = calloc(w->room, sizeof *w->live);
        w->kept = calloc(w->room, sizeof *w->kept);
        w->real = calloc(w->room, sizeof *w->real);
        if (!w->live || !w->kept || !w->real)
            return false;
    }
    return true;
}

void sim_store_free(sim *m)
{
    for (uint32_t i = 0; i < m->set.n_sweeps; i++) {
        free(m->sweeps[i].live);
        free(m->sweeps[i].kept);
        free(m->sweeps[i].real);
    }
    free(m->changes);
}

sim_sweep *sim_find(sim *m, int64_t id)
{
    return id >= 1 && id <= m->set.n_sweeps ? &m->sweeps[id - 1] : NULL;
}

sim_trait sim_trait_of(const sim *m, const sim_sweep *w, uint64_t position)
{
    uint64_t h = sky_hash_u64(sky_hash_u64(m->seed, (uint64_t)w->id), position);
    double u = (double)(h >> 11) * 0x1p-53;
    for (int t = SIM_HANGS; t > SIM_GOOD; t--) {
        if (u < m->set.trait[t])
            return (sim_trait)t;
        u -= m->set.trait[t];
    }
    return SIM_GOOD;
}

double sim_value(const sim *m, const sim_sweep *w, uint64_t position)
{
    return (double)(sky_hash_u64(m->seed + (uint64_t)w->id, position) >> 12);
}

/* --- Changes --- */

static void change(sim *m, sim_sweep *w, uint64_t position, sim_cell to)
{
    if (m->n_changes == m->cap_changes) {
        m->cap_changes = m->cap_changes ? 2 * m->cap_changes : 256;
        m->changes = realloc(m->changes, m->cap_changes * sizeof *m->changes);
        assert(m->changes);
    }
    m->changes[m->n_changes++] = (sim_change){(uint32_t)(w - m->sweeps), position};
    w->live[position] = to;
}

void sim_store_commit(sim *m)
{
    for (size_t i = 0; i < m->n_changes; i++) {
        sim_sweep *w = &m->sweeps[m->changes[i].sweep];
        w->kept[m->changes[i].position] = w->live[m->changes[i].position];
    }
    for (uint32_t i = 0; i < m->set.n_sweeps; i++)
        m->sweeps[i].kept_state = m->sweeps[i].live_state;
    m->n_changes = 0;
}

void sim_store_rollback(sim *m)
{
    for (size_t i = 0; i < m->n_changes; i++) {
        sim_sweep *w = &m->sweeps[m->changes[i].sweep];
        w->live[m->changes[i].position] = w->kept[m->changes[i].position];
    }
    for (uint32_t i = 0; i < m->set.n_sweeps; i++)
        m->sweeps[i].live_state = m->sweeps[i].kept_state;
    m->n_changes = 0;
}

/* --- Recording --- */

static void put_row(sim *m, sim_sweep *w, const sky_action_record *a, uint64_t p, double y)
{
    if (a->skip && sky_ranges_has(a->skip, p)) {
        if (p < w->positions && w->live[p].place != SIM_BAD)
            sim_wrong(m, "row %llu is to be left out, but may be stored", (unsigned long long)p);
        return;
    }
    if (p >= w->positions) {
        sim_wrong(m, "row %llu is past the end", (unsigned long long)p);
        return;
    }
    if (y != sim_value(m, w, p))
        sim_wrong(m, "row %llu has a wrong value", (unsigned long long)p);
    bool is_new = sky_ranges_has(a->positions, p);
    sim_cell cell = w->live[p];
    if (cell.place == SIM_ROW && !is_new) {
        m->duplicates++;
        return;
    }
    if (cell.place != SIM_OPEN || !is_new) {
        sim_wrong(m, "row %llu of sweep %lld: place %d, new %d", (unsigned long long)p,
                  (long long)w->id, cell.place, is_new);
        return;
    }
    cell.place = SIM_ROW;
    change(m, w, p, cell);
    m->rows++;
}

void sim_store_record(sim *m, const sky_action_record *a)
{
    sim_sweep *w = sim_find(m, a->sweep);
    const sky_msg_result *r = a->result;
    if (!w) {
        sim_wrong(m, "a result of no sweep");
        return;
    }
    size_t row = 0;
    uint64_t n_holes = 0;
    for (size_t i = 0; i < r->ok.n; i++) {
        for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++)
            put_row(m, w, a, p, r->metrics[0].f[row++]);
    }
    /* All other positions that are now settled are holes. */
    for (size_t i = 0; i < a->positions->n; i++) {
        for (uint64_t p = a->positions->r[i].begin; p < a->positions->r[i].end; p++) {
            sim_cell cell = p < w->positions ? w->live[p] : (sim_cell){.place = SIM_BAD};
            if (cell.place == SIM_ROW)
                continue;
            if (cell.place != SIM_OPEN || sim_trait_of(m, w, p) != SIM_HOLE)
                sim_wrong(m, "position %llu is no hole", (unsigned long long)p);
            cell.place = SIM_WAS_HOLE;
            if (p < w->positions)
                change(m, w, p, cell);
            n_holes++;
        }
    }
    if (n_holes != a->n_holes)
        sim_wrong(m, "%llu holes were announced, %llu came", (unsigned long long)a->n_holes,
                  (unsigned long long)n_holes);
}

void sim_store_fail(sim *m, const sky_action_fail *a)
{
    sim_sweep *w = sim_find(m, a->sweep);
    if (!w || a->position >= w->positions || w->live[a->position].place != SIM_OPEN) {
        sim_wrong(m, "a failure of a position that is not open: %llu",
                  (unsigned long long)a->position);
        return;
    }
    sim_cell cell = w->live[a->position];
    bool lost = a->kind == SKY_FAILURE_LOST;
    if (a->attempts != cell.attempts + (lost ? 0u : 1u))
        sim_wrong(m, "position %llu: attempt %u after %u", (unsigned long long)a->position,
                  a->attempts, cell.attempts);
    cell.attempts = (uint8_t)a->attempts;
    if (cell.attempts > w->real[a->position])
        sim_wrong(m, "position %llu is charged %u attempts, but failed %u times",
                  (unsigned long long)a->position, cell.attempts, w->real[a->position]);
    if (a->quarantined != (lost || a->attempts >= w->attempts))
        sim_wrong(m, "position %llu: quarantined %d with %u of %u attempts",
                  (unsigned long long)a->position, a->quarantined, a->attempts, w->attempts);
    if (a->quarantined)
        cell.place = SIM_BAD;
    change(m, w, a->position, cell);
}

void sim_store_state(sim *m, int64_t sweep, sky_sweep_state state)
{
    sim_sweep *w = sim_find(m, sweep);
    if (!w)
        return;
    w->live_state = state;
    if (state != SKY_SWEEP_DONE)
        return;
    for (uint64_t p = 0; p < w->positions; p++) {
        if (w->kept[p].place == SIM_OPEN)
            sim_wrong(m, "sweep %lld is done without position %llu", (long long)sweep,
                      (unsigned long long)p);
    }
}

void sim_store_retry(sim *m, sim_sweep *w, sky_ranges *out)
{
    for (uint64_t p = 0; p < w->positions; p++) {
        if (w->live[p].place != SIM_BAD)
            continue;
        change(m, w, p, (sim_cell){0});
        sky_ranges_add(out, p, p + 1);
    }
}

/* --- Checks --- */

void sim_store_check_ack(sim *m, const sky_msg_result *r)
{
    const sim_sweep *w = sim_find(m, r->sweep);
    m->acks++;
    if (!w || w->cancelled)
        return;
    for (size_t i = 0; i < r->ok.n; i++) {
        for (uint64_t p = r->ok.r[i].begin; p < r->ok.r[i].end; p++) {
            if (p < w->positions && w->kept[p].place != SIM_ROW && w->kept[p].place != SIM_BAD)
                sim_wrong(m, "position %llu of sweep %lld was acknowledged, but is not stored",
                          (unsigned long long)p, (long long)w->id);
        }
    }
}

bool sim_all_settled(const sim *m)
{
    for (uint32_t i = 0; i < m->set.n_sweeps; i++) {
        if (!m->sweeps[i].cancelled && m->sweeps[i].kept_state != SKY_SWEEP_DONE)
            return false;
    }
    return true;
}

void sim_store_check_end(sim *m)
{
    for (uint32_t i = 0; i < m->set.n_sweeps; i++) {
        const sim_sweep *w = &m->sweeps[i];
        for (uint64_t p = 0; !w->cancelled && p < w->positions; p++) {
            sim_trait t = sim_trait_of(m, w, p);
            int place = w->kept[p].place;
            bool right = (t == SIM_GOOD && place == SIM_ROW) ||
                         (t == SIM_HOLE && place == SIM_WAS_HOLE) ||
                         (t >= SIM_FAILS && t != SIM_FLAKY && place == SIM_BAD) ||
                         (t == SIM_FLAKY && (place == SIM_ROW || place == SIM_BAD));
            if (!right)
                sim_wrong(m, "sweep %lld, position %llu: trait %d ended in place %d",
                          (long long)w->id, (unsigned long long)p, t, place);
        }
    }
}
