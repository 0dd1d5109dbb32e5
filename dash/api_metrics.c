/* /metrics: Prometheus' text format 0.0.4. docs/operations.md lists the families. */
#include <stdlib.h>

#include "dash/api.h"

static void label(sky_buf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            sky_buf_putc(b, '\\');
        sky_buf_putc(b, *text == '\n' ? ' ' : *text);
    }
}

static void family(sky_buf *b, const char *name, const char *type, const char *help,
                   const sky_sweep_info *list, size_t n, double (*value)(const sky_sweep_info *))
{
    sky_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (size_t i = 0; i < n; i++) {
        sky_buf_printf(b, "%s{sweep=\"", name);
        label(b, list[i].name);
        sky_buf_puts(b, "\"} ");
        sky_buf_f64(b, value(&list[i]));
        sky_buf_putc(b, '\n');
    }
}

static double recorded(const sky_sweep_info *s)
{
    return (double)s->recorded;
}

static double failed(const sky_sweep_info *s)
{
    return (double)s->failed;
}

static double positions(const sky_sweep_info *s)
{
    return (double)s->positions;
}

static double holes(const sky_sweep_info *s)
{
    return (double)s->holes;
}

static double busy(const sky_sweep_info *s)
{
    return s->busy_s;
}

static double running(const sky_sweep_info *s)
{
    return s->state == SKY_SWEEP_RUNNING;
}

/* The argument `live` is not the client's: the loop's thread puts what it knows there. */
SKY__HANDLER(metrics)
{
    sky_sweep_info *list = NULL;
    size_t n = 0;
    sky_buf b = {0};
    const char *live = sky__arg(r, "live");
    (void)p;
    sky_err err = sky_store_sweep_list(sky__reader_store(t), &list, &n, e);
    if (err != SKY_OK)
        return err;
    family(&b, "skyline_sweep_recorded", "gauge", "Trials recorded.", list, n, recorded);
    family(&b, "skyline_sweep_failed", "gauge", "Trials set aside.", list, n, failed);
    family(&b, "skyline_sweep_positions", "gauge", "Trials in all.", list, n, positions);
    family(&b, "skyline_sweep_holes", "gauge", "Trials that the sweep's where rejected.", list, n,
           holes);
    family(&b, "skyline_sweep_busy_seconds", "gauge", "Executor time of recorded trials.", list, n,
           busy);
    family(&b, "skyline_sweep_running", "gauge", "1 while the sweep runs.", list, n, running);
    for (size_t i = 0; i < n; i++)
        sky_sweep_info_free(&list[i]);
    free(list);
    if (live)
        sky_buf_puts(&b, live);
    err = sky__api_json(out, &b);
    out->type = "text/plain; version=0.0.4; charset=utf-8";
    return err;
}
