/* What this machine has, and how a store remembers it. */
#include <ctype.h>
#include <dirent.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zmq.h>

#include "base/text.h"
#include "worker/worker_internal.h"

/* The first line of a file, without its end; false if there is none. */
static bool first_line(const char *path, char *buf, size_t len)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fgets(buf, (int)len, f) != NULL;
    fclose(f);
    if (ok)
        buf[strcspn(buf, "\n")] = 0;
    return ok;
}

/* A file of this process's cgroup (the unified hierarchy). */
static bool cgroup_line(const char *name, char *buf, size_t len)
{
    char own[4096], path[4400];
    if (!first_line("/proc/self/cgroup", own, sizeof own) || strncmp(own, "0::/", 4) != 0)
        return false;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", own + 3, name);
    return first_line(path, buf, len);
}

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    char text[128];
    double quota_us, period_us;
    if (cgroup_line("cpu.max", text, sizeof text) &&
        sscanf(text, "%lf %lf", &quota_us, &period_us) == 2 && period_us > 0) {
        int allowed = (int)(quota_us / period_us + 0.5);
        allowed = allowed > 0 ? allowed : 1;
        n = allowed < n ? allowed : n;
    }
    return n > 0 ? (uint32_t)n : 1;
}

static uint64_t count_memory(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    char text[128];
    uint64_t limit;
    if (cgroup_line("memory.max", text, sizeof text) && sky_parse_u64(text, &limit) == SKY_OK &&
        limit < bytes)
        bytes = limit;
    return bytes;
}

/* Numbers GPUs 0, 1, ...: what the driver shows, without loading CUDA. */
static void find_gpus(sky__machine *m)
{
    DIR *d = opendir("/proc/driver/nvidia/gpus");
    bool driver = d != NULL;
    if (!d)
        d = opendir("/dev");
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d)) && m->n_gpus < SKY_AGENT_GPUS_MAX;) {
        const char *name = entry->d_name;
        bool is_gpu = driver ? name[0] != '.'
                             : strncmp(name, "nvidia", 6) == 0 && isdigit((unsigned char)name[6]);
        if (is_gpu) {
            snprintf(m->gpus[m->n_gpus], sizeof m->gpus[0], "%u", m->n_gpus);
            m->n_gpus++;
        }
    }
    closedir(d);
}

static sky_err read_gpus(sky__machine *m, const char *list, sky_error *e)
{
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, ",");
        const char *next = at + len + (at[len] == ',');
        while (len > 0 && isspace((unsigned char)*at))
            at++, len--;
        if (len == 0 || len >= SKY__GPU_NAME_MAX)
            return sky_fail(e, SKY_EINVAL, "GPUs: expected a list like 0,2, found '%s'", list);
        if (m->n_gpus == SKY_AGENT_GPUS_MAX)
            return sky_fail(e, SKY_ELIMIT, "GPUs: at most %d", SKY_AGENT_GPUS_MAX);
        snprintf(m->gpus[m->n_gpus++], sizeof m->gpus[0], "%.*s", (int)len, at);
        at = next;
    }
    return SKY_OK;
}

sky_err sky__machine_probe(sky__machine *m, const char *gpus, sky_error *e)
{
    *m = (sky__machine){.cpus = count_cpus(), .memory_bytes = count_memory()};
    if (gethostname(m->host, sizeof m->host - 1) != 0)
        snprintf(m->host, sizeof m->host, "unknown");
    if (gpus)
        return read_gpus(m, gpus, e);
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (!visible)
        find_gpus(m);
    else if (read_gpus(m, visible[0] == '-' ? "" : visible, NULL) != SKY_OK)
        m->n_gpus = 0; /* CUDA too sees none where the list is wrong */
    return SKY_OK;
}

/* "model name : X" of /proc/cpuinfo. */
static void cpu_model(char *buf, size_t len)
{
    snprintf(buf, len, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        return;
    char line[512];
    while (fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(buf, len, "%s", colon + 1 + (colon[1] == ' '));
        break;
    }
    fclose(f);
}

static void add_text(sky_buf *b, const char *key, const char *value)
{
    if (b->len > 1)
        sky_buf_putc(b, ',');
    sky_buf_json_string(b, key);
    sky_buf_putc(b, ':');
    sky_buf_json_string(b, value);
}

static void add_number(sky_buf *b, const char *key, uint64_t value)
{
    sky_buf_putc(b, ',');
    sky_buf_json_string(b, key);
    sky_buf_printf(b, ":%llu", (unsigned long long)value);
}

void sky__machine_json(const sky__machine *m, const char *git_commit, sky_buf *out)
{
    char text[512];
    struct utsname u;
    sky_buf_putc(out, '{');
    add_text(out, "host", m->host);
    cpu_model(text, sizeof text);
    add_text(out, "cpu", text);
    add_number(out, "cpus", m->cpus);
    add_number(out, "memory_bytes", m->memory_bytes);
    add_number(out, "gpus", m->n_gpus);
    if (uname(&u) == 0) {
        snprintf(text, sizeof text, "%s %s", u.sysname, u.release);
        add_text(out, "kernel", text);
        add_text(out, "machine", u.machine);
    }
    snprintf(text, sizeof text, "glibc %s", gnu_get_libc_version());
    add_text(out, "libc", text);
    add_text(out, "libuv", uv_version_string());
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    add_text(out, "zeromq", text);
    add_text(out, "compiler", __VERSION__);
    add_text(out, "version", SKY_VERSION);
    if (git_commit)
        add_text(out, "git_commit", git_commit);
    sky_buf_putc(out, '}');
}
