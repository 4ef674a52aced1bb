/* Runs a fuzz target over every file of a corpus: ordinary test runs keep what fuzzing found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent *entry;
        DIR *dir = opendir(argv[i]);
        while (dir && (entry = readdir(dir))) {
            char path[1024];
            struct err e = ERR_INIT;
            struct buf b = BUF_INIT(16 << 20);
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (file_read(path, 16 << 20, &b, &e) < 0) {
                fprintf(stderr, "%s\n", e.text);
                return 1;
            }
            (void)LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.n);
            buf_finish(&b);
            n++;
        }
        if (dir)
            closedir(dir);
    }
    printf("%zu inputs\n", n);
    return n ? 0 : 1;
}
