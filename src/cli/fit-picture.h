/*
 * fit-picture - how the cache of one model grows with the conversation: in the terminal, and as a page with an SVG.
 */
#ifndef STEAD_CLI_FIT_PICTURE_H
#define STEAD_CLI_FIT_PICTURE_H

#include "cli/command.h"
#include "cli/fit-list.h"

/* One bar for each doubling of the context, up to the trained one; what no longer fits is marked. */
void fit_picture_terminal(struct cli *cli, const struct fit_list *l, const struct fit_item *i);

/* The whole list, with a drawing for each of its first models, as one page without scripts or outside resources. */
bool fit_picture_html(struct buf *out, const struct fit_list *l);

#endif
