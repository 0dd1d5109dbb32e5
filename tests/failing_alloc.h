/* Allocations that fail on demand. A test program includes this once and is linked with
 * --wrap=malloc,--wrap=calloc,--wrap=realloc, which routes its calls here. */
#ifndef SKY_TESTS_FAILING_ALLOC_H
#define SKY_TESTS_FAILING_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Allocations that still succeed before one fails; after that one, and if negative, all succeed. */
static long until_failure = -1;
static bool allocation_failed; /* set by the one that fails; whoever asks clears it */

static bool fails_now(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return false;
    allocation_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}

#endif
