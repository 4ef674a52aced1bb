/*
 * log - for maintainers: one `time level module message` line on standard error or a file.
 *
 *     #define LOG_MODULE "sandbox"
 *     #include "base/log.h"
 *     log_debug("helper ready in %lld us", us);
 *
 * Silent at LOG_WARN and above by default; -v shows info, -vv debug. Never log prompts, file content
 * or secrets above debug. Text is cleaned of control characters. Any thread.
 */
#ifndef STEAD_BASE_LOG_H
#define STEAD_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#ifndef LOG_MODULE
#define LOG_MODULE "-"
#endif

void log_set_level(enum log_level level);
int log_open_file(const char *path); /* append there in place of standard error; 0 or -errno */
void log_write(enum log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
extern enum log_level log_level_now;

#define log_at(level, ...)                                     \
    do {                                                       \
        if ((level) <= log_level_now)                          \
            log_write((level), LOG_MODULE, __VA_ARGS__);       \
    } while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
