#include "cli/livefront.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/fronts.h"

enum { SHARE = 30 }; /* one part of the time in so many */
static const int64_t PAUSE_NS_MIN = 300 * SKY_NS_PER_MS;

struct cli_livefront {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    char *path, *sweep;
    _Atomic int64_t size;
};

int64_t cli_front_size(sky_store *store, const sky_sweep_info *sweep, uint64_t rows_max)
{
    sky_fronts *f = NULL;
    int64_t size = -1;
    if (sweep->recorded <= rows_max &&
        sky_fronts_open(&f, store, sweep->name, &(sky_fronts_options){0}, NULL) == SKY_OK &&
        sky_fronts_refresh(f, NULL, NULL) == SKY_OK)
        size = (int64_t)sky_fronts_size(f);
    sky_fronts_close(f);
    return size;
}

/* Waits; true if it is time to stop. */
static bool wait_ns(cli_livefront *f, int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t at = until.tv_nsec + ns;
    until.tv_sec += at / SKY_NS_PER_S;
    until.tv_nsec = at % SKY_NS_PER_S;
    pthread_mutex_lock(&f->lock);
    int r = 0;
    while (!f->stop && r == 0)
        r = pthread_cond_timedwait(&f->stopped, &f->lock, &until);
    const bool stop = f->stop;
    pthread_mutex_unlock(&f->lock);
    return stop;
}

static void *watch(void *arg)
{
    cli_livefront *f = arg;
    sky_store *store = NULL;
    sky_fronts *fronts = NULL;
    int64_t pause_ns = PAUSE_NS_MIN; /* a short run is over before anything is opened */
    bool stop = false;
    while (!stop) {
        stop = wait_ns(f, pause_ns);
        if (stop && !fronts)
            break;
        const int64_t start = sky_clock_ns();
        if (!store && sky_store_open(&store, &(sky_store_options){.path = f->path}, NULL) != SKY_OK)
            break;
        if (!fronts &&
            sky_fronts_open(&fronts, store, f->sweep, &(sky_fronts_options){0}, NULL) != SKY_OK)
            break; /* no objectives */
        if (sky_fronts_refresh(fronts, NULL, NULL) == SKY_OK)
            atomic_store(&f->size, (int64_t)sky_fronts_size(fronts));
        pause_ns = (sky_clock_ns() - start) * SHARE;
        pause_ns = pause_ns < PAUSE_NS_MIN ? PAUSE_NS_MIN : pause_ns;
    }
    sky_fronts_close(fronts);
    sky_store_close(store);
    return NULL;
}

static void free_all(cli_livefront *f)
{
    free(f->path);
    free(f->sweep);
    free(f);
}

void cli_livefront_start(cli_livefront **out, sky_store *store, const char *sweep)
{
    cli_livefront *f = calloc(1, sizeof *f);
    if (!f)
        return;
    f->size = -1;
    f->path = sky_strdup(sky_store_path(store));
    f->sweep = sky_strdup(sweep);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&f->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&f->lock, NULL);
    if (!f->path || !f->sweep || pthread_create(&f->thread, NULL, watch, f) != 0)
        free_all(f);
    else
        *out = f;
}

int64_t cli_livefront_size(const cli_livefront *f)
{
    return f ? atomic_load(&f->size) : -1;
}

int64_t cli_livefront_stop(cli_livefront *f)
{
    if (!f)
        return -1;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->stopped);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    const int64_t size = atomic_load(&f->size);
    pthread_cond_destroy(&f->stopped);
    pthread_mutex_destroy(&f->lock);
    free_all(f);
    return size;
}
