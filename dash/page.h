/* The page's files, inside the program (dash/web/dist, embedded by dash/CMakeLists.txt). */
#ifndef SKY_DASH_PAGE_H
#define SKY_DASH_PAGE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sky__asset {
    const char *path, *type, *hash;
    const unsigned char *data, *data_end;
    const unsigned char *gzip, *gzip_end;
} sky__asset;

extern const sky__asset sky__assets[]; /* generated; ends with a NULL path */

/* NULL: there is none. "/" and the addresses of views are the page itself. */
const sky__asset *sky__asset_find(const char *path);

#endif
