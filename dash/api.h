/* What each address under /api/v1 answers. Handlers run on a reader's thread (dash/readthread.h); the
 * addresses, arguments and answers are in dash/openapi.json, which a test holds against this. */
#ifndef SKY_DASH_API_H
#define SKY_DASH_API_H

#include "base/arena.h"
#include "base/buf.h"
#include "dash/readthread.h"
#include "dash/resident.h"

enum {
    SKY__ROWS_MAX = 1000,            /* of an answer in JSON; an export has no such limit */
    SKY__FRAME_BYTES_MAX = 32 << 20, /* of an answer in columns; the page asks for the rest */
    SKY__GRID_MAX = 1024,            /* cells of a density, each way */
    SKY__FRONT_ROWS_MAX = 20000,     /* of an answer in JSON */
    SKY__COMPARE_MAX = 8,            /* sweeps */
    SKY__EXPORT_BYTES_MAX = 1 << 30,
};

/* Which thread answers: for what changes, for what the page draws, for what a person asks in SQL, for
 * what takes long. */
typedef enum sky__lane { SKY__NEWS, SKY__QUICK, SKY__ASKED, SKY__BULK, SKY__LANES } sky__lane;

/* The handler of a request; NULL: there is no such address. */
sky__handler sky__api_route(const sky_http_request *r, const sky__path *p, sky__lane *lane);

#define SKY__HANDLER(name)                                                                         \
    sky_err sky__api_##name(sky__reader *t, const sky_http_request *r, const sky__path *p,         \
                            sky_http_response *out, sky_error *e)
SKY__HANDLER(sweeps);
SKY__HANDLER(sweep);
SKY__HANDLER(trial);
SKY__HANDLER(artifact);
SKY__HANDLER(failures);
SKY__HANDLER(environments);
SKY__HANDLER(columns);
SKY__HANDLER(summary);
SKY__HANDLER(front);
SKY__HANDLER(compare);
SKY__HANDLER(history);
SKY__HANDLER(density);
SKY__HANDLER(importance);
SKY__HANDLER(slice);
SKY__HANDLER(filter);
SKY__HANDLER(rows);
SKY__HANDLER(export);
SKY__HANDLER(metrics);
/* What changed since the last time, for the events: 200 with a body, or 204. */
SKY__HANDLER(poll);
/* Reads a slice of the newest sweep's columns, before somebody looks, if it has at most `rows` positions: 202 while
 * there is more, so that whoever asks meanwhile waits for a slice only. */
SKY__HANDLER(preload);

/* ---- For handlers ---- */

void sky__api_error(sky_http_response *out, const sky_error *e);
/* Take the buffer. */
sky_err sky__api_json(sky_http_response *out, sky_buf *b);
sky_err sky__api_frame(sky_http_response *out, sky_buf *b);
sky_err sky__api_no_memory(sky_error *e);
/* A list argument, split; the parts live in the arena. */
sky_err sky__arg_list(const sky_http_request *r, const char *name, sky_arena *arena,
                      const char **parts, size_t max, size_t *n, sky_error *e);
/* Appends ,"name":"text". */
void sky__json_member(sky_buf *b, const char *name, const char *text);
void sky__json_numbers(sky_buf *b, const double *values, size_t n);  /* [1,2.5] */
void sky__json_trials(sky_buf *b, const uint64_t *trials, size_t n); /* [1,2] */
void sky__json_objectives(sky_buf *b, const sky_objective *list, size_t n);

/* ---- Fronts (api_front.c), for history and comparison ---- */

/* The objectives that a request names, or the sweep's. Names live as long as s. */
sky_err sky__objectives_of(const sky__resident *s, const sky_http_request *r, sky_objective *list,
                           size_t *n, sky_error *e);
/* The worst value of each objective among rows that count. False: there are none. */
bool sky__worst(const sky__resident *s, const sky_objective *list, size_t k, bool infeasible_too,
                double *worst);
/* The argument `reference`; absent leaves *given false. */
sky_err sky__reference_arg(const sky_http_request *r, size_t k, double *reference, bool *given,
                           sky_error *e);

#endif
