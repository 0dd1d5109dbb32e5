/* Columns on the wire: docs/columns.md is the specification. */
#ifndef SKY_DASH_FRAME_H
#define SKY_DASH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { SKY__FRAME_VERSION = 1, SKY__FRAME_HEAD_BYTES = 24 };

typedef enum sky__dtype { SKY__F32, SKY__F64, SKY__U32 } sky__dtype;

typedef struct sky__frame_column {
    const char *name;
    sky__dtype dtype;
    const double *doubles;  /* of F32 and F64 */
    const uint64_t *ids;    /* instead, of F64 */
    const uint32_t *counts; /* of U32 */
    bool is_text;           /* what is sent are indices into texts */
    const char *const *texts;
    size_t n_texts;
} sky__frame_column;

/* Appends a frame of n rows. meta is JSON members, such as "\"next\":12", or "". Values of F32 are
 * sent as their difference from a base, so that a narrow range far from zero keeps its digits. */
void sky__frame_write(sky_buf *out, const char *meta, const sky__frame_column *columns,
                      size_t n_columns, size_t n);

#endif
