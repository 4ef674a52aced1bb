#!/bin/sh
# make-repo.sh DIR: a small git repository of C code with a failing test, for `make demo`.
set -eu
dir=$1
mkdir -p "$dir/src" "$dir/tests"
cd "$dir"
cat > src/stats.h << 'EOF'
#ifndef STATS_H
#define STATS_H

int sum(const int *v, int n);

#endif
EOF
cat > src/stats.c << 'EOF'
#include "stats.h"

int sum(const int *v, int n)
{
    int total = 0;
    for (int i = 1; i < n; i++)
        total += v[i];
    return total;
}
EOF
cat > tests/test_stats.c << 'EOF'
#include <stdio.h>

#include "../src/stats.h"

int main(void)
{
    int v[] = { 4, 2, 7 };
    int got = sum(v, 3);
    if (got != 13) {
        printf("tests/test_stats.c:9: sum({4, 2, 7}, 3) = %d, expected 13\n", got);
        return 1;
    }
    printf("ok\n");
    return 0;
}
EOF
printf 'CC ?= cc\n\ntest: test_stats\n\t./test_stats\n\ntest_stats: src/stats.c tests/test_stats.c\n\t$(CC) -Wall -o $@ $^\n' > Makefile
printf 'test_stats\n' > .gitignore
git init -q .
git add -A
git -c user.name=demo -c user.email=demo@localhost commit -q -m "sum, and its test"
