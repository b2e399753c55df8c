/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a fuzz target over every file of the directories given, so that `make check` replays the corpora also
 * where the compiler has no fuzzer. Files over the size that the targets look at are an error, as is an empty
 * corpus.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    static uint8_t read_bytes[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    size_t size = fread(read_bytes, 1, sizeof(read_bytes), file);
    int failed = ferror(file) || size == sizeof(read_bytes);
    fclose(file);
    if (failed) {
        fprintf(stderr, "%s: not readable, or too long\n", path);
        return -1;
    }
    /* A copy of the exact size, so that the sanitizer sees a byte read too far. */
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        return -1;
    memcpy(exact, read_bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

/* Returns the number of files replayed, or -1. */
static int replay_directory(const char *directory)
{
    int n_files = 0;
    DIR *dir = opendir(directory);
    if (dir == NULL) {
        perror(directory);
        return -1;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (len >= (int)sizeof(path) || replay_file(path) < 0) {
            n_files = -1;
            break;
        }
        n_files++;
    }
    closedir(dir);
    return n_files;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int n_files = replay_directory(argv[i]);
        if (n_files < 0)
            return EXIT_FAILURE;
        total += n_files;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
