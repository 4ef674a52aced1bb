/* locate.c - see locate.h. */
#include "inference/locate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* Directory of the running program, and its parents: where an installation or a build tree has the rest. */
static char *beside_self(const char *const *candidates, size_t n, int mode)
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return NULL;
    self[len] = 0;
    for (int up = 0; up < 6; up++) {
        char *slash = strrchr(self, '/');
        if (!slash)
            return NULL;
        *slash = 0;
        for (size_t i = 0; i < n; i++) {
            char path[4096 + 64];
            (void)snprintf(path, sizeof path, "%s/%s", self, candidates[i]);
            if (access(path, mode) == 0)
                return strdup(path);
        }
    }
    return NULL;
}

char *engine_program(struct err *e)
{
    static const char *const places[] = { "stead-engine", "libexec/stead/stead-engine", "src/inference/engine/stead-engine" };
    char *found = beside_self(places, COUNT_OF(places), X_OK);
    if (!found && access(STEAD_LIBEXECDIR "/stead-engine", X_OK) == 0)
        found = strdup(STEAD_LIBEXECDIR "/stead-engine");
    if (!found) {
        (void)err_set(e, ERR_NOT_FOUND, "the embedded engine (stead-engine) is not installed");
        err_hint(e, "build with llama.cpp's libraries (`make deps`), or start llama-server or Ollama yourself");
    }
    return found;
}

char *engine_pilot(struct err *e)
{
    static const char *const places[] = { "share/stead/pilot/stead-pilot.gguf", "data/pilot/stead-pilot.gguf" };
    char *found = beside_self(places, COUNT_OF(places), R_OK);
    if (!found && access(STEAD_DATADIR "/pilot/stead-pilot.gguf", R_OK) == 0)
        found = strdup(STEAD_DATADIR "/pilot/stead-pilot.gguf");
    if (!found) {
        (void)err_set(e, ERR_NOT_FOUND, "the bundled pilot model (stead-pilot.gguf) is not installed");
        err_hint(e, "name a model with inference.model, or `stead model import FILE.gguf`");
    }
    return found;
}
