#include "base/lazy.h"

int lazy_load(const char *soname, const char *hint, const char *const *names, void **table, size_t count,
              struct err *e)
{
    void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        const char *why = dlerror(); /* NOLINT(concurrency-mt-unsafe): glibc keeps dlerror per thread */
        err_set(e, ERR_UNAVAILABLE, "cannot load the library %s: %s", soname, why ? why : "unknown reason");
        err_hint(e, "%s", hint);
        return -(int)e->kind;
    }
    for (size_t i = 0; i < count; i++) {
        table[i] = dlsym(lib, names[i]);
        if (!table[i]) {
            err_set(e, ERR_UNAVAILABLE, "the library %s lacks %s: it is too old", soname, names[i]);
            err_hint(e, "%s", hint);
            (void)dlclose(lib);
            return -(int)e->kind;
        }
    }
    return 0;
}
