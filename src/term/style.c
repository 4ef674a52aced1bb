#include "term/style.h"

static bool on;

void style_set(bool enable)
{
    on = enable;
}

bool style_on(void)
{
    return on;
}

const char *style(enum style s)
{
    static const char *const codes[] = {
        [STYLE_RESET] = "\033[0m",  [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",     [STYLE_ITALIC] = "\033[3m",
        [STYLE_REVERSE] = "\033[7m", [STYLE_GOOD] = "\033[32m", [STYLE_BAD] = "\033[31m",    [STYLE_WARN] = "\033[33m",
        [STYLE_ACCENT] = "\033[36m", [STYLE_CODE] = "\033[35m",
    };
    _Static_assert(sizeof codes / sizeof codes[0] == STYLES, "one code per style");
    return on ? codes[s] : "";
}
