#include "cli/plans.h"

sky_err cli_load_plugins(const cli_args *a, bool has_option, sky_error *e)
{
    sky_err err = sky_plugin_load_env(e);
    const char *const *files = has_option ? cli_list(a, "plugin") : NULL;
    for (size_t i = 0; err == SKY_OK && files && files[i]; i++)
        err = sky_plugin_load(files[i], e);
    return err;
}

size_t cli_job_names(const char **names, size_t max)
{
    const sky_job *jobs[CLI_JOBS_MAX];
    size_t n = sky_job_list(jobs, CLI_JOBS_MAX);
    if (n > CLI_JOBS_MAX)
        n = CLI_JOBS_MAX;
    for (size_t i = 0; i < n && i < max; i++)
        names[i] = jobs[i]->d.name;
    return n < max ? n : max;
}

static const sky_descriptor *find_job(void *arg, const char *name)
{
    (void)arg;
    const sky_job *job = sky_job_find(name);
    return job ? &job->d : NULL;
}

static size_t list_jobs(void *arg, const char **list, size_t max)
{
    (void)arg;
    return cli_job_names(list, max);
}

static sky_err load_plugin(void *arg, const char *path, sky_error *e)
{
    (void)arg;
    return sky_plugin_load(path, e);
}

sky_job_lookup cli_job_lookup(void)
{
    return (sky_job_lookup){.find = find_job, .names = list_jobs, .load = load_plugin};
}

bool cli_read_plan(const cli_args *a, const char *path, sky_plan **out, int *code)
{
    sky_error e = {0};
    const sky_plan_options options = {
        .set = cli_list(a, "set"),
        .name = cli_text(a, "name"),
        .jobs = cli_job_lookup(),
    };
    sky_err err = cli_load_plugins(a, true, &e);
    if (err == SKY_OK)
        err = sky_plan_read(out, path, &options, &e);
    if (err == SKY_OK)
        return true;
    /* The text is "file:line:column: ..." as compilers print it, so that editors can follow it. */
    fprintf(stderr, "%s\n", e.text[0] ? e.text : sky_strerror(err));
    const bool cannot_read = err == SKY_EIO || err == SKY_ENOMEM || err == SKY_EPERM;
    *code = cannot_read ? CLI_FAILURE : CLI_USAGE;
    return false;
}
