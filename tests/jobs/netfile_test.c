#include "jobs/netfile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hw/network.h"

static char folder[64];

static void set_up(void)
{
    snprintf(folder, sizeof folder, "/tmp/sky-netfile-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void tear_down(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

TestSuite(netfile, .init = set_up, .fini = tear_down);

#define GEMM "Layer,M,N,K,\nqkv,512,2304,768,\n"

Test(netfile, names_of_the_zoo)
{
    const sky_network *net = NULL;
    sky_error e = {0};
    cr_assert_eq(sky_job_network("vgg16", folder, &net, &e), SKY_OK);
    cr_assert_eq(net, sky_network_find("vgg16"));
    cr_assert_eq(sky_job_network("vgg166", folder, &net, &e), SKY_EINVAL);
    cr_assert_not_null(strstr(e.text, "there is no 'vgg166' (did you mean 'vgg16'?)"), "%s",
                       e.text);
    cr_assert_not_null(strstr(e.text, "resnet50, "), "%s", e.text);
    cr_assert_not_null(strstr(e.text, ".onnx or .csv"), "%s", e.text);
    cr_assert_eq(net, sky_network_find("vgg16")); /* untouched */
    cr_assert_eq(sky_job_network("", folder, &net, &e), SKY_EINVAL);
    cr_assert_eq(sky_job_network(".csv", folder, &net, &e), SKY_EINVAL);
}

Test(netfile, checks_need_no_file)
{
    const sky_network *net = NULL;
    sky_error e = {0};
    cr_assert_eq(sky_job_network_check("resnet18", &net, &e), SKY_OK);
    cr_assert_eq(net, sky_network_find("resnet18"));
    cr_assert_eq(sky_job_network_check("not/there.onnx", &net, &e), SKY_OK);
    cr_assert_null(net);
    cr_assert_eq(sky_job_network_check("resnet", NULL, &e), SKY_EINVAL);
}

Test(netfile, files_are_read_once)
{
    const sky_network *first = NULL, *again = NULL, *absolute = NULL;
    sky_error e = {0};
    char path[128];
    snprintf(path, sizeof path, "%s/gemm.csv", folder);
    write_text("gemm.csv", GEMM);
    cr_assert_eq(sky_job_network("gemm.csv", folder, &first, &e), SKY_OK, "%s", e.text);
    cr_assert_str_eq(first->name, "gemm");
    write_text("gemm.csv", "changed"); /* every point of a process sees the same */
    cr_assert_eq(sky_job_network("gemm.csv", folder, &again, &e), SKY_OK);
    cr_assert_eq(first, again);
    cr_assert_eq(sky_job_network(path, "/elsewhere", &absolute, &e), SKY_OK);
    cr_assert_eq(first, absolute);
}

Test(netfile, errors_stay)
{
    const sky_network *net = NULL;
    sky_error e = {0}, later = {0};
    cr_assert_eq(sky_job_network("no.csv", folder, &net, &e), SKY_ENOTFOUND);
    cr_assert_eq(strncmp(e.text, "network: ", 9), 0);
    cr_assert_not_null(strstr(e.text, "no.csv"));
    write_text("no.csv", GEMM);
    cr_assert_eq(sky_job_network("no.csv", folder, &net, &later), SKY_ENOTFOUND);
    cr_assert_str_eq(e.text, later.text);
    write_text("bad.csv", "Layer,M,N,K,\nqkv,512,many,768,\n");
    cr_assert_eq(sky_job_network("bad.csv", folder, &net, &e), SKY_EFORMAT);
    cr_assert_not_null(strstr(e.text, "bad.csv:2:9: N"), "%s", e.text);
    write_text("bad.onnx", "nonsense");
    cr_assert_eq(sky_job_network("bad.onnx", folder, &net, &e), SKY_EFORMAT);
    cr_assert_null(net);
    char *spec = malloc(5000);
    memset(spec, 'x', 4999);
    memcpy(spec + 4995, ".csv", 5);
    cr_assert_eq(sky_job_network(spec, folder, &net, &e), SKY_ELIMIT);
    free(spec);
}

Test(netfile, traces_are_bound_to_their_network)
{
    const sky_network *vgg11 = sky_network_find("vgg11"), *vgg13 = sky_network_find("vgg13");
    const sky_job_bound_trace *t = NULL, *again = NULL, *other = NULL;
    sky_error e = {0};
    write_text("run.trace", "skyline-trace 1\nat 0 0\nlayer conv1_1 30\nend 1 1\n");
    cr_assert_eq(sky_job_trace("run.trace", folder, vgg11, &t, &e), SKY_OK, "%s", e.text);
    cr_assert_eq(t->network, vgg11);
    cr_assert_eq(t->trace.n_stages, 1);
    cr_assert_str_eq(vgg11->layers[t->map.layer[0]].name, "conv1_1");
    cr_assert_eq(sky_job_trace("run.trace", folder, vgg11, &again, &e), SKY_OK);
    cr_assert_eq(t, again);
    cr_assert_eq(sky_job_trace("run.trace", folder, vgg13, &other, &e), SKY_OK);
    cr_assert_neq(t, other);
    cr_assert_eq(sky_job_trace("run.trace", folder, sky_network_find("resnet18"), &t, &e),
                 SKY_EINVAL);
    cr_assert_eq(strncmp(e.text, "trace: ", 7), 0);
    cr_assert_not_null(strstr(e.text, "run.trace: network 'resnet18' has no layer 'conv1_1'"), "%s",
                       e.text);
    cr_assert_eq(sky_job_trace("none.trace", folder, vgg11, &t, &e), SKY_ENOTFOUND);
}

/* A search over files must not grow without bound. */
Test(netfile, number_of_files_is_limited)
{
    const sky_network *net = NULL;
    sky_error e = {0};
    char name[32];
    for (int i = 0; i < SKY_JOB_NETFILES_MAX; i++) {
        snprintf(name, sizeof name, "none-%d.csv", i);
        cr_assert_eq(sky_job_network(name, folder, &net, &e), SKY_ENOTFOUND);
    }
    cr_assert_eq(sky_job_network("one-more.csv", folder, &net, &e), SKY_ELIMIT);
    cr_assert_not_null(strstr(e.text, "at most 1024"), "%s", e.text);
    cr_assert_eq(sky_job_network("none-7.csv", folder, &net, &e), SKY_ENOTFOUND);
    cr_assert_eq(sky_job_network("vgg16", folder, &net, &e), SKY_OK);
}
