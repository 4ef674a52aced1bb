/* host - shell scripts of a test, run on the host in a directory of the test's own. */
#ifndef STEAD_TESTS_WORKSPACE_HOST_H
#define STEAD_TESTS_WORKSPACE_HOST_H

#include <sys/wait.h>

#include "tests/unit/workspace/world.h"

/* Exit status; standard output (both, with err_too) into out when not NULL. */
static inline int host_sh(const char *dir, const char *script, struct buf *out)
{
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(p[1], 1);
        (void)close(p[0]);
        (void)close(p[1]);
        if (chdir(dir) < 0)
            _exit(126);
        (void)setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
        (void)setenv("GIT_CONFIG_SYSTEM", "/dev/null", 1);
        (void)setenv("GIT_AUTHOR_NAME", "t", 1);
        (void)setenv("GIT_AUTHOR_EMAIL", "t@t", 1);
        (void)setenv("GIT_COMMITTER_NAME", "t", 1);
        (void)setenv("GIT_COMMITTER_EMAIL", "t@t", 1);
        (void)execl("/bin/sh", "sh", "-ec", script, (char *)NULL);
        _exit(127);
    }
    (void)close(p[1]);
    char chunk[4096];
    ssize_t n;
    while ((n = read(p[0], chunk, sizeof chunk)) > 0)
        if (out)
            (void)buf_add(out, chunk, (size_t)n);
    (void)close(p[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void host_ok(const char *dir, const char *script)
{
    if (host_sh(dir, script, NULL) != 0)
        fail_msg("'%s' failed", script);
}

#endif
