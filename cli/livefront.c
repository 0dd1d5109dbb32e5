#include "cli/livefront.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/frontload.h"

enum { SHARE = 30 }; /* one part of the time in so many */
static const int64_t PAUSE_NS_MIN = 300 * SKY_NS_PER_MS;

struct cli_livefront {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
    char *path, *sweep;
    _Atomic int64_t size;
    _Atomic(struct sqlite3 *) db; /* of the thread's connection, to interrupt it */
};

int64_t cli_front_size(sky_store *store, const sky_sweep_info *sweep, uint64_t rows_max)
{
    sky_arena arena = {0};
    cli_columns columns;
    cli_front_data data = {0};
    sky_objective objectives[SKY_OBJECTIVES_MAX];
    cli_front_query query = {.table = sweep->name, .objectives = objectives};
    int64_t size = -1;
    if (sweep->recorded <= rows_max &&
        cli_columns_read(store, sweep->id, &arena, &columns, NULL) == SKY_OK &&
        cli_objectives_read(store, sweep->id, &arena, objectives, SKY_OBJECTIVES_MAX, &query.k,
                            NULL) == SKY_OK &&
        query.k > 0) {
        query.constraints = columns.constraints;
        query.points = sweep->positions > sweep->points ? sweep->points : 0;
        if (cli_front_load(store, &query, &data, NULL) == SKY_OK)
            size = (int64_t)data.n_front;
        cli_front_free(&data);
    }
    sky_arena_free(&arena);
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
    int64_t pause_ns = PAUSE_NS_MIN; /* a short run is over before anything is opened */
    while (!wait_ns(f, pause_ns)) {
        sky_sweep_info info = {0};
        const int64_t start = sky_clock_ns();
        if (!store && sky_store_open(&store, &(sky_store_options){.path = f->path}, NULL) != SKY_OK)
            break;
        atomic_store(&f->db, sky_store_sqlite(store));
        if (sky_store_sweep_find(store, f->sweep, &info, NULL) == SKY_OK)
            atomic_store(&f->size, cli_front_size(store, &info, UINT64_MAX));
        sky_sweep_info_free(&info);
        pause_ns = (sky_clock_ns() - start) * SHARE;
        pause_ns = pause_ns < PAUSE_NS_MIN ? PAUSE_NS_MIN : pause_ns;
    }
    pthread_mutex_lock(&f->lock); /* nobody interrupts a connection that is closed */
    atomic_store(&f->db, NULL);
    pthread_mutex_unlock(&f->lock);
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

void cli_livefront_stop(cli_livefront *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    if (atomic_load(&f->db))
        sqlite3_interrupt(atomic_load(&f->db));
    pthread_cond_signal(&f->stopped);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->stopped);
    pthread_mutex_destroy(&f->lock);
    free_all(f);
}
