#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 8, SECTOR = 512, REGIONS_MAX = 16 };

typedef struct change { /* since the last sync: a write, or a truncation */
    struct change *next;
    sqlite3_int64 at;
    int len; /* negative: truncated to `at` */
    uint8_t bytes[];
} change;

typedef struct content {
    uint8_t *bytes;
    sqlite3_int64 len, cap;
} content;

typedef struct memory_file {
    char name[300]; /* "": free */
    content now, synced;
    change *first, *last;
    void *regions[REGIONS_MAX]; /* shared memory, gone when the last one closes */
    int opened;
} memory_file;

typedef struct handle {
    sqlite3_file base;
    memory_file *file;
    bool delete_on_close;
} handle;

const char fault_vfs_name[] = "sky-fault";
static memory_file files[FILES_MAX];
static fault_kind kind;
static uint64_t at_operation, operations;

static volatile bool
    busy; /* volatile: the compiler knows that malloc() reads no variable of ours */

bool fault_vfs_busy(void)
{
    return busy;
}

/* The shim's own memory is not counted where allocations are made to fail. */
static void *own_memory(void *p, size_t size)
{
    busy = true;
    void *q = realloc(p, size);
    busy = false;
    if (!q)
        abort();
    return q;
}

static void own_free(void *p)
{
    busy = true;
    free(p);
    busy = false;
}

/* ---- Faults ---- */

/* Counts an operation; true if it fails. */
static bool fails(bool is_write)
{
    operations++;
    switch (kind) {
    case FAULT_NONE:
        return false;
    case FAULT_ONCE:
        return operations == at_operation;
    case FAULT_TORN:
        return is_write && operations == at_operation;
    case FAULT_FULL:
        return is_write && operations >= at_operation;
    case FAULT_FOREVER:
    case FAULT_POWER:
        return operations >= at_operation;
    }
    return false;
}

static int write_error(void)
{
    return kind == FAULT_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

uint64_t fault_vfs_operations(void)
{
    return operations;
}

bool fault_vfs_hit(void)
{
    return operations >= at_operation;
}

void fault_vfs_heal(void)
{
    kind = FAULT_NONE;
}

/* ---- Contents ---- */

static void content_resize(content *c, sqlite3_int64 len)
{
    if (len > c->cap) {
        c->cap = len * 2 + 4096;
        c->bytes = own_memory(c->bytes, (size_t)c->cap);
    }
    if (len > c->len)
        memset(c->bytes + c->len, 0, (size_t)(len - c->len));
    c->len = len;
}

static void content_write(content *c, const void *bytes, int len, sqlite3_int64 at)
{
    if (at + len > c->len)
        content_resize(c, at + len);
    memcpy(c->bytes + at, bytes, (size_t)len);
}

static void content_copy(content *to, const content *from)
{
    content_resize(to, from->len);
    if (from->len > 0)
        memcpy(to->bytes, from->bytes, (size_t)from->len);
}

static void forget_changes(memory_file *f)
{
    while (f->first) {
        change *c = f->first;
        f->first = c->next;
        own_free(c);
    }
    f->last = NULL;
}

static void note(memory_file *f, const void *bytes, int len, sqlite3_int64 at)
{
    change *c = own_memory(NULL, sizeof *c + (len > 0 ? (size_t)len : 0));
    c->next = NULL;
    c->at = at;
    c->len = len;
    if (len > 0)
        memcpy(c->bytes, bytes, (size_t)len);
    *(f->last ? &f->last->next : &f->first) = c;
    f->last = c;
}

static void drop_regions(memory_file *f)
{
    for (int i = 0; i < REGIONS_MAX; i++) {
        own_free(f->regions[i]);
        f->regions[i] = NULL;
    }
}

static void forget_file(memory_file *f)
{
    forget_changes(f);
    drop_regions(f);
    own_free(f->now.bytes);
    own_free(f->synced.bytes);
    memset(f, 0, sizeof *f);
}

static memory_file *find(const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (files[i].name[0] && strcmp(files[i].name, name) == 0)
            return &files[i];
    }
    return NULL;
}

void fault_vfs_reset(fault_kind new_kind, uint64_t n)
{
    for (int i = 0; i < FILES_MAX; i++)
        forget_file(&files[i]);
    kind = new_kind;
    at_operation = n;
    operations = 0;
}

/* ---- The cut ---- */

static uint64_t coin(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 33;
}

/* Some sectors of a write reach the disk, some do not. */
static void apply_torn(content *c, const change *w, uint64_t *seed)
{
    for (int i = 0; i < w->len;) {
        int len = SECTOR - (int)((w->at + i) % SECTOR);
        len = len > w->len - i ? w->len - i : len;
        if (coin(seed) & 1)
            content_write(c, w->bytes + i, len, w->at + i);
        i += len;
    }
}

void fault_vfs_cut(cut_kind how, uint64_t seed)
{
    seed = seed * 0x9e3779b97f4a7c15U + 1;
    for (int i = 0; i < FILES_MAX; i++) {
        memory_file *f = &files[i];
        if (!f->name[0])
            continue;
        for (const change *c = f->first; c && how != CUT_DROP; c = c->next) {
            if (how == CUT_ANY && coin(&seed) % 3 == 0)
                continue;
            if (c->len < 0)
                content_resize(&f->synced, c->at);
            else if (how == CUT_ANY && coin(&seed) % 2 == 0)
                apply_torn(&f->synced, c, &seed);
            else
                content_write(&f->synced, c->bytes, c->len, c->at);
        }
        forget_changes(f);
        drop_regions(f);
        content_copy(&f->now, &f->synced);
        f->opened = 0;
    }
    kind = FAULT_NONE;
}

bool fault_vfs_dump(void)
{
    bool ok = true;
    for (int i = 0; i < FILES_MAX; i++) {
        const memory_file *f = &files[i];
        if (!f->name[0])
            continue;
        FILE *out = fopen(f->name, "wb");
        ok = ok && out &&
             fwrite(f->now.bytes ? (const void *)f->now.bytes : "", 1, (size_t)f->now.len, out) ==
                 (size_t)f->now.len;
        ok = out && fclose(out) == 0 && ok;
    }
    return ok;
}

/* ---- Files ---- */

static memory_file *file_of(sqlite3_file *base)
{
    return ((handle *)base)->file;
}

static int file_close(sqlite3_file *base)
{
    handle *h = (handle *)base;
    if (--h->file->opened <= 0 && h->delete_on_close)
        forget_file(h->file);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int len, sqlite3_int64 at)
{
    const content *c = &file_of(base)->now;
    const sqlite3_int64 have = c->len - at < 0 ? 0 : c->len - at < len ? c->len - at : len;
    if (have > 0)
        memcpy(out, c->bytes + at, (size_t)have);
    memset((char *)out + have, 0, (size_t)(len - have));
    return have == len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *bytes, int len, sqlite3_int64 at)
{
    memory_file *f = file_of(base);
    const bool fail = fails(true);
    if (fail && kind == FAULT_TORN)
        len /= 2;
    if (!fail || kind == FAULT_TORN || kind == FAULT_POWER) {
        if (kind != FAULT_POWER || !fail || operations == at_operation) {
            content_write(&f->now, bytes, len, at);
            note(f, bytes, len, at);
        }
    }
    return fail ? write_error() : SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 len)
{
    if (fails(false))
        return SQLITE_IOERR_TRUNCATE;
    content_resize(&file_of(base)->now, len);
    note(file_of(base), NULL, -1, len);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    memory_file *f = file_of(base);
    (void)flags;
    if (fails(false))
        return SQLITE_IOERR_FSYNC;
    forget_changes(f);
    content_copy(&f->synced, &f->now);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    *out = file_of(base)->now.len;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level)
{
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *out)
{
    (void)base;
    *out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
    (void)base;
    return SECTOR;
}

/* What SQLite assumes of every disk today: a write harms no byte but its own. */
static int file_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    memory_file *f = file_of(base);
    *out = NULL;
    if (region >= REGIONS_MAX)
        return SQLITE_IOERR_SHMMAP;
    if (!f->regions[region] && extend)
        f->regions[region] = memset(own_memory(NULL, (size_t)size), 0, (size_t)size);
    *out = f->regions[region];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
    (void)base;
    (void)offset;
    (void)n;
    (void)flags;
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base)
{
    (void)base;
}

static int shm_unmap(sqlite3_file *base, int delete_it)
{
    (void)delete_it;
    drop_regions(file_of(base)); /* one connection at a time */
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- The VFS ---- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags,
                    int *out_flags)
{
    static unsigned next_temporary;
    char temporary[64];
    handle *h = (handle *)base;
    (void)vfs;
    *h = (handle){.delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0};
    if (!name) {
        snprintf(temporary, sizeof temporary, "temporary-%u", next_temporary++);
        name = temporary;
    }
    memory_file *f = find(name);
    if (!f && !(flags & SQLITE_OPEN_CREATE))
        return SQLITE_CANTOPEN;
    if (fails(false))
        return SQLITE_CANTOPEN;
    for (int i = 0; !f && i < FILES_MAX; i++) {
        if (!files[i].name[0])
            f = &files[i];
    }
    if (!f || strlen(name) >= sizeof f->name)
        return SQLITE_CANTOPEN;
    strcpy(f->name, name);
    f->opened++;
    h->file = f;
    h->base.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)sync;
    memory_file *f = find(name);
    if (!f)
        return SQLITE_IOERR_DELETE_NOENT;
    if (fails(false))
        return SQLITE_IOERR_DELETE;
    forget_file(f);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    (void)vfs;
    (void)flags;
    const memory_file *f = find(name);
    *out = f != NULL && (flags != SQLITE_ACCESS_EXISTS || f->now.len > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int len, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)len, "%s", name);
    return SQLITE_OK;
}

static sqlite3_vfs *unix_vfs;

static int vfs_random(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    return unix_vfs->xRandomness(unix_vfs, len, out);
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    return unix_vfs->xCurrentTimeInt64(unix_vfs, out);
}

static int vfs_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    (void)len;
    (void)out;
    return 0;
}

void fault_vfs_register(void)
{
    static sqlite3_vfs vfs = {.iVersion = 2,
                              .szOsFile = sizeof(handle),
                              .mxPathname = 299,
                              .zName = fault_vfs_name,
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_path,
                              .xRandomness = vfs_random,
                              .xSleep = vfs_sleep,
                              .xGetLastError = vfs_error,
                              .xCurrentTimeInt64 = vfs_time};
    unix_vfs = sqlite3_vfs_find(NULL);
    sqlite3_vfs_register(&vfs, 0);
}
