#include "dash/page.h"

#include <string.h>

const sky__asset *sky__asset_find(const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    for (const sky__asset *a = sky__assets; a->path; a++) {
        if (strcmp(a->path, path) == 0)
            return a;
    }
    return NULL;
}
