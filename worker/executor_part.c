/* The result that an executor gathers while it works through a lease. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "worker/executor_internal.h"

void sky__part_add(sky_ranges *s, uint64_t begin, uint64_t end)
{
    if (s->n > 0 && s->r[s->n - 1].end == begin) { /* nearly always: positions come in order */
        s->r[s->n - 1].end = end;
        s->count += end - begin;
        return;
    }
    if (sky_ranges_add(s, begin, end) == UINT64_MAX)
        sky__executor_die("out of memory");
}

/* Room for one more element. */
static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 64;
    items = realloc(items, *cap * size);
    if (!items)
        sky__executor_die("out of memory");
    return items;
}

static const char *keep_text(sky__part *p, const char *text)
{
    const char *copy = sky_arena_strdup(&p->texts, text);
    if (!copy)
        sky__executor_die("out of memory");
    return copy;
}

void sky__part_fail(sky__executor *x, uint64_t position, const char *reason, const char *log)
{
    sky__part *p = &x->part;
    p->failed = grow(p->failed, p->n_failed, &p->cap_failed, sizeof *p->failed);
    p->failed[p->n_failed++] = (sky_failed_attempt){
        .position = position,
        .kind = 0, /* SKY_FAILURE_ERROR of store/store.h: the wire carries the number */
        .reason = keep_text(p, reason),
        .log = log ? keep_text(p, log) : "",
    };
}

void sky__part_curve(sky__executor *x, int64_t step, const char *name, double value)
{
    sky__part *p = &x->part;
    if (p->n_curve - x->trial_curve >= SKY__CURVE_STEPS_MAX)
        return;
    p->curve = grow(p->curve, p->n_curve, &p->cap_curve, sizeof *p->curve);
    /* Curves repeat a few names: look among the last ones before making a copy. */
    const char *known = NULL;
    for (size_t back = 1; back <= 16 && back <= p->n_curve && !known; back++) {
        if (strcmp(p->curve[p->n_curve - back].name, name) == 0)
            known = p->curve[p->n_curve - back].name;
    }
    p->curve[p->n_curve++] = (sky_curve_step){.position = x->position,
                                              .step = step,
                                              .name = known ? known : keep_text(p, name),
                                              .value = value};
}

void sky__part_artifact(sky__executor *x, const char *name, const void *bytes, size_t len)
{
    sky__part *p = &x->part;
    p->artifacts = grow(p->artifacts, p->n_artifacts, &p->cap_artifacts, sizeof *p->artifacts);
    uint8_t *copy = sky_new(&p->texts, uint8_t, len + 1);
    if (!copy)
        sky__executor_die("out of memory");
    if (len)
        memcpy(copy, bytes, len);
    p->artifacts[p->n_artifacts++] = (sky_artifact){
        .position = x->position, .name = keep_text(p, name), .bytes = copy, .len = len};
    x->trial_artifact_bytes += len;
}

void sky__part_forget_trial(sky__executor *x)
{
    x->part.n_curve = x->trial_curve;
    x->part.n_artifacts = x->trial_artifacts;
}

bool sky__part_is_due(const sky__executor *x, int64_t now_ns)
{
    const sky__part *p = &x->part;
    return now_ns - p->begin_ns >= SKY__FLUSH_MS * INT64_C(1000000) || p->n_ok >= x->rows_max ||
           p->texts.used_bytes >= SKY__PART_BYTES_MAX || p->n_curve >= SKY__CURVE_STEPS_MAX;
}

static sky_range_list list_of(const sky_ranges *s)
{
    return (sky_range_list){.r = s->r, .n = s->n};
}

/* A column goes without its marks where nothing is absent. */
static const sky_column *columns_to_send(sky__executor *x)
{
    for (size_t m = 0; m < x->d->n_metrics; m++) {
        sky_column c = x->metrics[m];
        if (c.absent && !memchr(c.absent, 1, x->part.n_ok))
            c.absent = NULL;
        x->metrics_at[m] = c;
    }
    return x->metrics_at;
}

static void reset(sky__executor *x, int64_t now_ns)
{
    sky__part *p = &x->part;
    sky_ranges_clear(&p->ok);
    sky_ranges_clear(&p->holes);
    sky_ranges_clear(&p->returned);
    p->n_ok = p->n_failed = p->n_curve = p->n_artifacts = 0;
    x->trial_curve = x->trial_artifacts = 0;
    sky_arena_reset(&p->texts);
    p->begin_ns = now_ns;
}

bool sky__part_send(sky__executor *x, bool last, int64_t now_ns)
{
    sky__part *p = &x->part;
    assert(p->ok.count == p->n_ok);
    sky__executor_idle(x); /* a channel that is full is no trial's fault */
    sky_msg m = {.type = SKY_MSG_RESULT};
    sky_msg_result *r = &m.result;
    r->lease = x->lease->lease;
    r->sweep = x->sweep;
    r->ok = list_of(&p->ok);
    r->holes = list_of(&p->holes);
    r->returned = list_of(&p->returned);
    r->failed = p->failed;
    r->n_failed = p->n_failed;
    if (p->n_ok > 0) {
        r->values_hash = sky_columns_hash(x->params, x->d->n_params, p->n_ok);
        r->metrics = columns_to_send(x);
        r->n_metrics = x->d->n_metrics;
        r->wall_s = x->wall_s;
    }
    r->busy_ns = now_ns > p->begin_ns ? (uint64_t)(now_ns - p->begin_ns) : 0;
    r->curve = p->curve;
    r->n_curve = p->n_curve;
    r->artifacts = p->artifacts;
    r->n_artifacts = p->n_artifacts;
    r->last = last;

    static const char header[4];
    sky_buf_reset(&x->frame);
    sky_buf_add(&x->frame, header, sizeof header);
    sky_err err = sky_msg_encode(&m, &x->frame);
    if (err != SKY_OK)
        sky__executor_die(sky_strerror(err));
    bool sent = sky__executor_send(x);
    reset(x, now_ns);
    return sent;
}

void sky__part_free(sky__part *p)
{
    sky_ranges_free(&p->ok);
    sky_ranges_free(&p->holes);
    sky_ranges_free(&p->returned);
    free(p->failed);
    free(p->curve);
    free(p->artifacts);
    sky_arena_free(&p->texts);
    *p = (sky__part){0};
}
