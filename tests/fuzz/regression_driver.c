/* Replays files through a fuzz target without libFuzzer: each argument is a file or a folder of
 * files. Each is followed by random mutations of it, from a seed that SKY_TEST_SEED sets: a
 * little fuzzing in every run of the tests, with any compiler. The input is copied to a block of
 * its exact length, so that AddressSanitizer sees a read past it. */
#include <dirent.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MUTATIONS = 1000, GROWTH_MAX = 64 };

static uint64_t rng_state;
static long mutated;

/* SplitMix64: nothing of the project, which is what is tested here. */
static uint64_t draw(void)
{
    uint64_t x = rng_state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static size_t below(size_t n)
{
    return n ? (size_t)(draw() % n) : 0;
}

/* Changes bytes, which has room for GROWTH_MAX more, in one place. Returns the new length. */
static size_t mutate(uint8_t *bytes, size_t len)
{
    static const uint8_t telling[] = {0,   1,    0x7f, 0x80, 0xff, '0', '9', '-',
                                      '"', '\\', '{',  ']',  ':',  ',', '\n'};
    size_t at = below(len + 1), n = 1 + below(GROWTH_MAX / 2);
    size_t left = len - at;
    switch (below(6)) {
    case 0:
        if (left)
            bytes[at] ^= (uint8_t)(1u << below(8));
        return len;
    case 1:
        if (left)
            bytes[at] = telling[below(sizeof telling)];
        return len;
    case 2: /* insert */
        memmove(bytes + at + 1, bytes + at, left);
        bytes[at] = below(2) ? telling[below(sizeof telling)] : (uint8_t)draw();
        return len + 1;
    case 3: /* remove */
        n = n < left ? n : left;
        memmove(bytes + at, bytes + at + n, left - n);
        return len - n;
    case 4: { /* copy a piece from elsewhere */
        size_t from = below(len + 1);
        n = n < len - from ? n : len - from;
        n = n < left ? n : left;
        memmove(bytes + at, bytes + from, n);
        return len;
    }
    default: /* cut the end, seldom */
        return below(8) ? len : at;
    }
}

static int replay_mutations(const uint8_t *bytes, size_t len)
{
    uint8_t *room = malloc(len + GROWTH_MAX);
    for (int i = 0; room && i < MUTATIONS; i++) {
        size_t n = len;
        if (len)
            memcpy(room, bytes, len);
        for (size_t k = 1 + below(8); k > 0; k--)
            n = mutate(room, n);
        uint8_t *exact = malloc(n ? n : 1);
        if (!exact) {
            free(room);
            return -1;
        }
        memcpy(exact, room, n);
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        mutated++;
    }
    free(room);
    return room ? 0 : -1;
}

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    struct stat s;
    size_t len = fstat(fileno(f), &s) == 0 && s.st_size > 0 ? (size_t)s.st_size : 0;
    uint8_t *bytes = malloc(len ? len : 1);
    if (!bytes || fread(bytes, 1, len, f) != len) {
        perror(path);
        fclose(f);
        free(bytes);
        return -1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, len);
    int err = replay_mutations(bytes, len);
    free(bytes);
    return err ? -1 : 1;
}

/* The number of files replayed, or -1. */
static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return replay_file(path);
    int n = 0;
    for (struct dirent *entry; n >= 0 && (entry = readdir(dir));) {
        char file[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        n = replay_file(file) < 0 ? -1 : n + 1;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    int total = 0;
    const char *seed = getenv("SKY_TEST_SEED");
    rng_state = seed ? strtoull(seed, NULL, 0) : 1;
    printf("SKY_TEST_SEED=%" PRIu64 "\n", rng_state);
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);
        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d files replayed, %ld mutations of them\n", total, mutated);
    return total > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
