/* Networks and traces that jobs are given by name or by file: the text parameters `network` and `trace`.
 *
 * A network is a name of the zoo (hw/network.h), or a path that ends in .onnx (hw/onnx.h) or .csv (a SCALE-Sim
 * topology, hw/topology.h). Behind .onnx may follow sizes of dimensions that the file leaves open:
 * "bert.onnx:sequence=128". Paths are relative to the sweep file's folder, sky_job_ctx.workdir.
 *
 * Each process reads a file once: later calls look it up, allocate nothing and see no change of it. What is
 * found lives until the process ends. A file that could not be read stays so too: a million points do not
 * try it again, each gets the same error. Not thread-safe. */
#ifndef SKY_JOBS_NETFILE_H
#define SKY_JOBS_NETFILE_H

#include <stdbool.h>

#include "base/err.h"
#include "hw/network.h"
#include "hw/trace.h"

enum {
    SKY_JOB_NETFILES_MAX =
        1024, /* networks and traces that one process reads; a search over more fails */
};

/* The network that spec names. workdir may be "" (the current folder). SKY_EINVAL for a name that the zoo
 * lacks, with the nearest and the list; for a file, what went wrong in it and where (SKY_ENOTFOUND,
 * SKY_EFORMAT, SKY_ELIMIT, ...). The texts begin with "network: ". *out is untouched on errors. */
sky_err sky_job_network(const char *spec, const char *workdir, const sky_network **out,
                        sky_error *e);

/* For a job's validate(), which knows no folder: SKY_OK for a name of the zoo, whose network is then in *out,
 * and for anything that looks like a file, where *out is NULL: that is read by sky_job_network(), in
 * check_inputs() and when the point runs. out may be NULL. */
sky_err sky_job_network_check(const char *spec, const sky_network **out, sky_error *e);

/* A trace, bound to the network that it is of. */
typedef struct sky_job_bound_trace {
    sky_trace trace;
    sky_trace_map map;
    const sky_network *network;
} sky_job_bound_trace;

/* The trace in a file (any ending), bound to net, which sky_job_network() or sky_network_find() gave.
 * Errors as above; the texts begin with "trace: ". */
sky_err sky_job_trace(const char *path, const char *workdir, const sky_network *net,
                      const sky_job_bound_trace **out, sky_error *e);

/* For a job's check_inputs(): reads the network and, unless NULL or "", the trace. *out: the network. */
sky_err sky_job_inputs(const char *network, const char *trace, const char *workdir,
                       const sky_network **out, sky_error *e);

#endif
