#include "dash/selectjson.h"

#include "dash/selection.h"
#include "store/export.h"

sky_err sky__to_buffer(void *arg, const char *bytes, size_t len)
{
    sky_buf_add(arg, bytes, len);
    return sky_buf_ok(arg) ? SKY_OK : SKY_ENOMEM;
}

sky_err sky__select_json(sky_store *s, sky_buf *b, sky_error *e, const char *fmt, ...)
{
    sky_buf sql = {0};
    va_list ap;
    va_start(ap, fmt);
    sky_buf_vprintf(&sql, fmt, ap);
    va_end(ap);
    const sky_export_options o = {.format = SKY_FORMAT_JSON,
                                  .write = sky__to_buffer,
                                  .arg = b,
                                  .time_limit_ms = SKY__QUERY_MS};
    const sky_err err = sky_export_sql(s, sky_buf_str(&sql), &o, NULL, e);
    sky_buf_free(&sql);
    return err;
}
