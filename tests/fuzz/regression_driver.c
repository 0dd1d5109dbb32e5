/* Replays files through a fuzz target without libFuzzer: each argument is a file or a folder of files.
 * The input is copied to a block of its exact length, so that AddressSanitizer sees a read past it. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

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
    free(bytes);
    return 1;
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
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);
        if (n < 0)
            return 1;
        total += n;
    }
    printf("%d files replayed\n", total);
    return total > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
