/*
 * style - colour by meaning, not by number: on, or nothing at all.
 *
 * Styles are decided once (term_style_set); NO_COLOR, --color, TERM=dumb and pipes turn them off.
 */
#ifndef STEAD_TERM_STYLE_H
#define STEAD_TERM_STYLE_H

#include <stdbool.h>

enum style {
    STYLE_RESET,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_ITALIC,
    STYLE_REVERSE,
    STYLE_GOOD,    /* added, passed */
    STYLE_BAD,     /* removed, failed */
    STYLE_WARN,    /* needs a look */
    STYLE_ACCENT,  /* names of things, commands */
    STYLE_CODE,
    STYLES
};

void style_set(bool enable);
bool style_on(void);
const char *style(enum style s); /* an SGR sequence, or "" when styles are off */

#endif
