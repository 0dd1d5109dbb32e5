#include "msg_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t sample_seed(void)
{
    const char *given = getenv("SKY_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003u;
    fprintf(stderr, "SKY_TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static const char *random_text(sky_rng *rng, sky_arena *arena)
{
    static const char *const pieces[] = {"a", "Z", "0", " ", "\n", "\"", "é", "試", "🙂", "\x01"};
    char text[64];
    size_t len = 0, n = (size_t)sky_rng_below(rng, 12);
    for (size_t i = 0; i < n; i++) {
        const char *piece = pieces[sky_rng_below(rng, sizeof pieces / sizeof *pieces)];
        memcpy(text + len, piece, strlen(piece));
        len += strlen(piece);
    }
    return sky_arena_strndup(arena, text, len);
}

static uint64_t random_u64(sky_rng *rng)
{
    return sky_rng_u64(rng) >> sky_rng_below(rng, 64);
}

static sky_range_list random_ranges(sky_rng *rng, sky_arena *arena, size_t n_max)
{
    size_t n = (size_t)sky_rng_below(rng, n_max + 1);
    sky_range *r = sky_new(arena, sky_range, n);
    uint64_t at = sky_rng_below(rng, 2) ? 0 : random_u64(rng) / 4;
    for (size_t i = 0; i < n; i++) {
        r[i].begin = at + sky_rng_below(rng, 1000);
        r[i].end = r[i].begin + 1 + sky_rng_below(rng, 30);
        at = r[i].end;
    }
    return (sky_range_list){r, n};
}

static sky_session random_session(sky_rng *rng)
{
    sky_session s;
    for (size_t i = 0; i < sizeof s.b; i++)
        s.b[i] = (uint8_t)sky_rng_u32(rng);
    return s;
}

static sky_column random_column(sky_rng *rng, sky_arena *arena, size_t n_rows)
{
    sky_column c = {.type = (sky_type)sky_rng_below(rng, 4)};
    if (sky_rng_below(rng, 3) == 0) {
        c.absent = sky_new(arena, uint8_t, n_rows);
        for (size_t row = 0; row < n_rows; row++)
            c.absent[row] = sky_rng_below(rng, 4) == 0;
    }
    if (c.type == SKY_TEXT) {
        c.s = sky_new(arena, const char *, n_rows);
        bool distinct = sky_rng_below(rng, 2);
        for (size_t row = 0; row < n_rows; row++)
            c.s[row] =
                distinct ? sky_arena_printf(arena, "text %zu", row) : random_text(rng, arena);
    } else if (c.type == SKY_REAL) {
        c.f = sky_new(arena, double, n_rows);
        for (size_t row = 0; row < n_rows; row++)
            c.f[row] = sky_rng_normal(rng);
    } else {
        c.i = sky_new(arena, int64_t, n_rows);
        for (size_t row = 0; row < n_rows; row++)
            c.i[row] =
                c.type == SKY_BOOL ? (int64_t)sky_rng_below(rng, 2) : (int64_t)random_u64(rng);
    }
    return c;
}

static void random_hello(sky_msg_hello *m, sky_rng *rng, sky_arena *arena)
{
    m->session = random_session(rng);
    m->host = random_text(rng, arena);
    m->pid = sky_rng_u32(rng);
    m->program_version = random_text(rng, arena);
    m->cpus = sky_rng_u32(rng) >> 20;
    m->gpus = sky_rng_u32(rng) >> 29;
    m->memory_bytes = random_u64(rng);
    m->open_plugins = sky_rng_below(rng, 2);
    m->environment = random_text(rng, arena);
    m->store_uuid = random_text(rng, arena);
    m->n_jobs = (size_t)sky_rng_below(rng, 10);
    sky_job_version *jobs = sky_new(arena, sky_job_version, m->n_jobs);
    for (size_t i = 0; i < m->n_jobs; i++)
        jobs[i] = (sky_job_version){random_text(rng, arena), random_text(rng, arena)};
    m->jobs = jobs;
    m->n_leases = (size_t)sky_rng_below(rng, 5);
    sky_held_lease *leases = sky_new(arena, sky_held_lease, m->n_leases);
    for (size_t i = 0; i < m->n_leases; i++)
        leases[i] = (sky_held_lease){random_u64(rng), (int64_t)random_u64(rng),
                                     random_ranges(rng, arena, 9)};
    m->leases = leases;
}

static void random_lists(sky_msg_result *m, sky_rng *rng, sky_arena *arena)
{
    m->n_failed = (size_t)sky_rng_below(rng, 4);
    sky_failed_attempt *failed = sky_new(arena, sky_failed_attempt, m->n_failed);
    for (size_t i = 0; i < m->n_failed; i++)
        failed[i] = (sky_failed_attempt){random_u64(rng), (uint32_t)sky_rng_below(rng, 5),
                                         random_text(rng, arena), "\xff\xfe not UTF-8"};
    m->failed = failed;
    m->n_curve = (size_t)sky_rng_below(rng, 30);
    sky_curve_step *curve = sky_new(arena, sky_curve_step, m->n_curve);
    for (size_t i = 0; i < m->n_curve; i++)
        curve[i] = (sky_curve_step){random_u64(rng), (int64_t)random_u64(rng),
                                    sky_rng_below(rng, 2) ? "loss" : random_text(rng, arena),
                                    sky_rng_normal(rng)};
    m->curve = curve;
    m->n_artifacts = (size_t)sky_rng_below(rng, 3);
    sky_artifact *artifacts = sky_new(arena, sky_artifact, m->n_artifacts);
    for (size_t i = 0; i < m->n_artifacts; i++) {
        size_t len = (size_t)sky_rng_below(rng, 100);
        uint8_t *bytes = sky_new(arena, uint8_t, len);
        for (size_t j = 0; j < len; j++)
            bytes[j] = (uint8_t)sky_rng_u32(rng);
        artifacts[i] = (sky_artifact){random_u64(rng), random_text(rng, arena), bytes, len};
    }
    m->artifacts = artifacts;
}

static void random_result(sky_msg_result *m, sky_rng *rng, sky_arena *arena)
{
    m->seq = random_u64(rng);
    m->lease = random_u64(rng);
    m->sweep = (int64_t)random_u64(rng);
    m->ok = random_ranges(rng, arena, 12);
    m->holes = random_ranges(rng, arena, 3);
    m->returned = random_ranges(rng, arena, 3);
    m->suspect = random_ranges(rng, arena, 2);
    m->values_hash = sky_rng_u64(rng);
    m->busy_ns = random_u64(rng);
    m->last = sky_rng_below(rng, 2);
    size_t n_rows = (size_t)sky_range_list_count(&m->ok);
    m->n_metrics = (size_t)sky_rng_below(rng, 6);
    sky_column *metrics = sky_new(arena, sky_column, m->n_metrics);
    for (size_t i = 0; i < m->n_metrics; i++)
        metrics[i] = random_column(rng, arena, n_rows);
    m->metrics = metrics;
    if (n_rows && sky_rng_below(rng, 2)) {
        float *wall_s = sky_new(arena, float, n_rows);
        for (size_t row = 0; row < n_rows; row++)
            wall_s[row] = (float)sky_rng_f64(rng);
        m->wall_s = wall_s;
    }
    random_lists(m, rng, arena);
}

static const uint64_t *random_numbers(sky_rng *rng, sky_arena *arena, size_t *n_out)
{
    *n_out = (size_t)sky_rng_below(rng, 40);
    uint64_t *numbers = sky_new(arena, uint64_t, *n_out);
    for (size_t i = 0; i < *n_out; i++)
        numbers[i] = random_u64(rng);
    return numbers;
}

static void random_heartbeat(sky_msg_heartbeat *m, sky_rng *rng, sky_arena *arena)
{
    m->session = random_session(rng);
    m->leases_held = random_u64(rng);
    m->results_unacked = random_u64(rng);
    m->n_running = (size_t)sky_rng_below(rng, 9);
    sky_running_trial *running = sky_new(arena, sky_running_trial, m->n_running);
    for (size_t i = 0; i < m->n_running; i++)
        running[i] = (sky_running_trial){random_u64(rng), random_u64(rng), sky_rng_u32(rng)};
    m->running = running;
}

sky_msg sample_random(sky_msg_type type, sky_rng *rng, sky_arena *arena)
{
    sky_msg m = {.type = type};
    switch (type) {
    case SKY_MSG_HELLO:
        random_hello(&m.hello, rng, arena);
        break;
    case SKY_MSG_WELCOME:
        m.welcome = (sky_msg_welcome){random_text(rng, arena), sky_rng_u32(rng), sky_rng_u32(rng)};
        break;
    case SKY_MSG_WHO:
        break;
    case SKY_MSG_PLAN:
        m.plan =
            (sky_msg_plan){(int64_t)random_u64(rng), sky_rng_u32(rng), random_text(rng, arena)};
        break;
    case SKY_MSG_LEASE:
        m.lease = (sky_msg_lease){random_u64(rng), (int64_t)random_u64(rng), sky_rng_u32(rng),
                                  sky_rng_below(rng, 2), random_ranges(rng, arena, 20)};
        break;
    case SKY_MSG_REVOKE:
        m.revoke.leases = random_numbers(rng, arena, &m.revoke.n);
        break;
    case SKY_MSG_RESULT:
        random_result(&m.result, rng, arena);
        break;
    case SKY_MSG_ACK:
        m.ack.seqs = random_numbers(rng, arena, &m.ack.n);
        break;
    case SKY_MSG_HEARTBEAT:
        random_heartbeat(&m.heartbeat, rng, arena);
        break;
    case SKY_MSG_STOP:
        m.stop.now = sky_rng_below(rng, 2);
        break;
    case SKY_MSG_BYE:
        m.bye = (sky_msg_bye){random_session(rng), random_text(rng, arena)};
        break;
    case SKY_MSG_REQUEST:
        m.request = (sky_msg_request){
            random_u64(rng), (sky_request_kind)(1 + sky_rng_below(rng, 8)), random_text(rng, arena),
            random_text(rng, arena), (int64_t)random_u64(rng)};
        break;
    case SKY_MSG_REPLY:
        m.reply = (sky_msg_reply){random_u64(rng), -(int32_t)sky_rng_below(rng, 20),
                                  random_text(rng, arena), random_text(rng, arena)};
        break;
    }
    return m;
}
