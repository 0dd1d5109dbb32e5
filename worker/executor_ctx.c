/* What a running job may ask of its surroundings: see sky_job_ctx in jobs/job.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "worker/executor_internal.h"

enum { CHECKPOINT_BYTES_MAX = 1 << 30, NAME_BYTES_MAX = 256 };

/* Names become file names and column texts: printable ASCII is what every reader of them takes. */
static bool name_ok(const char *name)
{
    if (!name || !*name || strlen(name) > NAME_BYTES_MAX)
        return false;
    for (; *name; name++) {
        if (*name < 0x20 || *name > 0x7e)
            return false;
    }
    return true;
}

static bool on_report(sky_job_ctx *ctx, int64_t step, size_t n, const char *const *names,
                      const double *values)
{
    sky__executor *x = ctx->impl;
    for (size_t i = 0; i < n; i++) {
        if (name_ok(names[i]))
            sky__part_curve(x, step, names[i], values[i]);
    }
    return sky__executor_stopping(x);
}

static sky_err on_artifact(sky_job_ctx *ctx, const char *name, const void *bytes, size_t len)
{
    sky__executor *x = ctx->impl;
    if (!name_ok(name))
        return SKY_EINVAL;
    if (len > SKY__ARTIFACTS_BYTES_MAX - x->trial_artifact_bytes)
        return SKY_ELIMIT;
    sky__part_artifact(x, name, bytes, len);
    return SKY_OK;
}

static bool checkpoint_path(const sky__executor *x, char *buf, size_t len, const char *suffix)
{
    if (!x->page->checkpoints[0])
        return false;
    int n = snprintf(buf, len, "%s/%" PRIu64 "%s", x->page->checkpoints, x->position, suffix);
    return n > 0 && (size_t)n < len;
}

static bool write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* Makes the folder when the first checkpoint needs it: most jobs have none. */
static int open_new(sky__executor *x, const char *path)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    char folder[SKY_EXECUTOR_CHECKPOINTS_MAX];
    snprintf(folder, sizeof folder, "%s", x->page->checkpoints);
    for (char *at = folder; *at; at++) {
        if (at > folder && *at == '/') {
            *at = 0;
            mkdir(folder, 0700);
            *at = '/';
        }
    }
    mkdir(folder, 0700);
    return open(path, flags, 0600);
}

static sky_err on_save(sky_job_ctx *ctx, const void *bytes, size_t len)
{
    sky__executor *x = ctx->impl;
    char path[SKY_EXECUTOR_CHECKPOINTS_MAX + 64], temporary[sizeof path];
    if (!checkpoint_path(x, path, sizeof path, "") ||
        !checkpoint_path(x, temporary, sizeof temporary, ".new"))
        return SKY_OK; /* nowhere to keep it: a later attempt begins anew */
    if (len > CHECKPOINT_BYTES_MAX)
        return SKY_ELIMIT;
    int fd = open_new(x, temporary);
    if (fd < 0)
        return sky_fail_errno(NULL, errno, "%s", temporary);
    atomic_store(&x->page->checkpoints_used, 1);
    /* Renamed only when whole: a crash in between leaves the one before. */
    bool ok = write_all(fd, bytes, len) && fdatasync(fd) == 0;
    int saved = errno;
    close(fd);
    if (ok && rename(temporary, path) == 0)
        return SKY_OK;
    saved = ok ? errno : saved;
    unlink(temporary);
    return sky_fail_errno(NULL, saved, "%s", path);
}

static sky_err on_load(sky_job_ctx *ctx, const void **bytes, size_t *len)
{
    sky__executor *x = ctx->impl;
    char path[SKY_EXECUTOR_CHECKPOINTS_MAX + 64];
    if (!checkpoint_path(x, path, sizeof path, ""))
        return SKY_ENOTFOUND;
    char *text = NULL;
    size_t n = 0;
    sky_err err = sky_read_file(path, CHECKPOINT_BYTES_MAX, &text, &n, NULL);
    if (err != SKY_OK)
        return err;
    atomic_store(&x->page->checkpoints_used, 1); /* so that it is removed in the end */
    char *copy = sky_arena_strndup(&x->scratch, text, n);
    free(text);
    if (!copy)
        return SKY_ENOMEM;
    *bytes = copy;
    *len = n;
    return SKY_OK;
}

static bool on_stopping(sky_job_ctx *ctx)
{
    return sky__executor_stopping(ctx->impl);
}

static void on_fail_row(sky_job_ctx *ctx, size_t row, const char *reason)
{
    sky__executor *x = ctx->impl;
    if (row >= SKY__BATCH_ROWS_MAX || x->reasons[row])
        return;
    const char *copy = sky_arena_strdup(&x->scratch, reason ? reason : "failed");
    x->reasons[row] = copy ? copy : "failed";
}

void sky__executor_ctx_init(sky__executor *x)
{
    sky_job_ctx_init(&x->ctx, &x->scratch);
    x->ctx.threads = x->page->threads ? x->page->threads : 1;
    x->ctx.gpus = x->page->gpus;
    x->ctx.command = sky_plan_command(x->plan);
    x->ctx.workdir = sky_plan_workdir(x->plan);
    x->ctx.report = on_report;
    x->ctx.write_artifact = on_artifact;
    x->ctx.save_checkpoint = on_save;
    x->ctx.load_checkpoint = on_load;
    x->ctx.stopping = on_stopping;
    x->ctx.fail_row = on_fail_row;
    x->ctx.impl = x;
}
