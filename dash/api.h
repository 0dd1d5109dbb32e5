/* What each address under /api/v1 answers. Handlers run on a reader's thread (dash/reader.h). */
#ifndef SKY_DASH_API_H
#define SKY_DASH_API_H

#include "base/buf.h"
#include "dash/reader.h"
#include "dash/url.h"

enum {
    SKY__QUERY_MS = 5000, /* of a person's SQL, all its steps together */
    SKY__STEP_MS = 250,   /* of one of its steps: the writer's log cannot be cut meanwhile */
    SKY__ROWS_MAX = 1000, /* of an answer in JSON; an export has no such limit */
    SKY__COLUMN_ROWS_MAX = 2000000, /* that a page holds; beyond, it shows densities */
    SKY__GRID_MAX = 1024,           /* cells of a density, each way */
    SKY__FRONT_ROWS_MAX = 20000,    /* of an answer in JSON */
    SKY__EXPORT_BYTES_MAX = 1 << 30,
    SKY__EXPORT_MS = 60000,
};

/* The handler of a request, and whether it is the thread for slow questions that answers. NULL: there is
 * no such address; *allowed is what methods there are. */
sky__handler sky__api_route(const sky_http_request *r, const sky__path *p, bool *slow);

/* ---- Handlers; p of each is /api/v1/sweeps/NAME/... ---- */

void sky__api_sweeps(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_sweep(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_trial(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_artifact(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_failures(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_environments(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_columns(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_front(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_density(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_importance(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_filter(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_rows(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_export(sky__reader *t, const sky_http_request *r, sky_http_response *out);
void sky__api_metrics(sky__reader *t, const sky_http_request *r, sky_http_response *out);
/* What the events say: the same list as sweeps, with the newest commit's number. */
void sky__api_poll(sky__reader *t, const sky_http_request *r, sky_http_response *out);

/* ---- For handlers ---- */

/* The sweep's name in the path; false: answered with 404. */
bool sky__api_name(const sky_http_request *r, sky__path *p, sky_http_response *out);
void sky__api_error(sky_http_response *out, const sky_error *e);
/* Takes the buffer. */
void sky__api_json(sky_http_response *out, sky_buf *b);
void sky__api_frame(sky_http_response *out, sky_buf *b);
/* The list of sweeps as a JSON array. */
sky_err sky__api_sweep_list(sky_store *s, sky_buf *b, sky_error *e);

#endif
