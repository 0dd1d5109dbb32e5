#include "dash/frame.h"

#include <assert.h>
#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are copied as they are");

static const char *const dtype_names[] = {"f32", "f64", "u32"};
static const size_t dtype_bytes[] = {4, 8, 4};

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

/* A float has 24 bits: where the range is a small part of the magnitude, the least value is taken off. */
static double base_of(const double *values, size_t n)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            low = values[i] < low ? values[i] : low;
            high = values[i] > high ? values[i] : high;
        }
    }
    return low < high && high - low < 1e-3 * fmax(fabs(low), fabs(high)) ? low : 0;
}

static void describe(sky_buf *json, const sky__frame_column *c, size_t offset, double base)
{
    sky_buf_puts(json, "{\"name\":");
    sky_buf_json_string(json, c->name);
    sky_buf_printf(json, ",\"dtype\":\"%s\",\"offset\":%zu,\"base\":", dtype_names[c->dtype],
                   offset);
    sky_buf_json_f64(json, base);
    if (c->is_text) {
        sky_buf_puts(json, ",\"texts\":[");
        for (size_t i = 0; i < c->n_texts; i++) {
            if (i)
                sky_buf_putc(json, ',');
            sky_buf_json_string(json, c->texts[i]);
        }
        sky_buf_putc(json, ']');
    }
    sky_buf_putc(json, '}');
}

static void write_column(unsigned char *out, const sky__frame_column *c, size_t n, double base)
{
    if (c->dtype == SKY__U32) {
        memcpy(out, c->counts, n * 4);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (c->dtype == SKY__F64) {
            const double x = c->ids ? (double)c->ids[i] : c->doubles[i];
            memcpy(out + 8 * i, &x, 8);
        } else {
            const float x = (float)(c->doubles[i] - base);
            memcpy(out + 4 * i, &x, 4);
        }
    }
}

void sky__frame_write(sky_buf *out, const char *meta, const sky__frame_column *columns,
                      size_t n_columns, size_t n)
{
    sky_buf json = {0};
    double bases[256];
    size_t body = 0;
    assert(n_columns <= sizeof bases / sizeof *bases);
    sky_buf_printf(&json, "{%s%s\"columns\":[", meta, meta[0] ? "," : "");
    for (size_t i = 0; i < n_columns; i++) {
        const sky__frame_column *c = &columns[i];
        bases[i] = c->dtype == SKY__F32 && !c->is_text ? base_of(c->doubles, n) : 0;
        if (i)
            sky_buf_putc(&json, ',');
        describe(&json, c, body, bases[i]);
        body += padded(n * dtype_bytes[c->dtype]);
    }
    sky_buf_puts(&json, "]}");
    const size_t json_len = json.len, json_room = padded(json_len);
    const size_t total = SKY__FRAME_HEAD_BYTES + json_room + body;
    if (!sky_buf_ok(&json) || !sky_buf_reserve(out, total)) {
        out->failed = true;
        sky_buf_free(&json);
        return;
    }
    const uint16_t version = SKY__FRAME_VERSION, flags = 0;
    const uint32_t len32 = (uint32_t)json_len, count32 = (uint32_t)n_columns;
    const uint64_t rows = n;
    sky_buf_add(out, "SKYC", 4);
    sky_buf_add(out, &version, 2);
    sky_buf_add(out, &flags, 2);
    sky_buf_add(out, &len32, 4);
    sky_buf_add(out, &count32, 4);
    sky_buf_add(out, &rows, 8);
    sky_buf_add(out, json.data, json_len);
    sky_buf_add(out, "        ", json_room - json_len);
    unsigned char *at = (unsigned char *)out->data + out->len;
    memset(at, 0, body);
    for (size_t i = 0; i < n_columns; i++) {
        write_column(at, &columns[i], n, bases[i]);
        at += padded(n * dtype_bytes[columns[i].dtype]);
    }
    out->len += body;
    out->data[out->len] = 0;
    sky_buf_free(&json);
}
