/*
 * lazy - a shared library that is loaded when it is first needed, not at start-up.
 *
 * `stead --help` must not pay 6 ms for libcurl's thirty libraries. A module lists the functions that
 * it uses; types come from the library's own header, so a mismatch does not compile:
 *
 *     #include <curl/curl.h>
 *     #define CURL_API(X) X(curl_easy_init) X(curl_easy_cleanup)
 *     LAZY_DEFINE(curl, CURL_API)                       // struct curl_api, curl_lazy()
 *     const struct curl_api *c = curl_lazy("libcurl.so.4", "install libcurl4", e);
 *     if (!c) return -e->kind;                          // ERR_UNAVAILABLE, names the library
 *     CURL *h = c->curl_easy_init();
 *
 * Loaded once and never unloaded. Any thread after the first successful call.
 */
#ifndef STEAD_BASE_LAZY_H
#define STEAD_BASE_LAZY_H

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

/* dlopen + dlsym of `count` names into table; 0 or negative with text and hint. */
int lazy_load(const char *soname, const char *hint, const char *const *names, void **table, size_t count,
              struct err *e);

#define LAZY_MEMBER(f) __typeof__(&f) f;
#define LAZY_NAME(f) #f,
#define LAZY_DEFINE(lib, API)                                                                       \
    struct lib##_api {                                                                              \
        API(LAZY_MEMBER)                                                                            \
    };                                                                                              \
    __attribute__((unused)) static const struct lib##_api *lib##_lazy(const char *soname,          \
                                                                      const char *hint, struct err *e) \
    {                                                                                               \
        static const char *const names[] = { API(LAZY_NAME) };                                      \
        static struct lib##_api api;                                                                \
        static int ready;                                                                           \
        void *table[COUNT_OF(names)];                                                               \
        if (ready)                                                                                  \
            return &api;                                                                            \
        if (lazy_load(soname, hint, names, table, COUNT_OF(names), e) < 0)                          \
            return NULL;                                                                            \
        memcpy(&api, table, sizeof api);                                                            \
        ready = 1;                                                                                  \
        return &api;                                                                                \
    }

#endif
