/* Rows of a SELECT of ours, as a JSON array. */
#ifndef SKY_DASH_SELECTJSON_H
#define SKY_DASH_SELECTJSON_H

#include "base/buf.h"
#include "store/store.h"

/* For sky_export_options.write: arg is a sky_buf. */
sky_err sky__to_buffer(void *arg, const char *bytes, size_t len);
/* Appends the array. fmt is ours: names are quoted and numbers printed by the caller. */
sky_err sky__select_json(sky_store *s, sky_buf *b, sky_error *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
