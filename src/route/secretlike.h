/*
 * secretlike - does this text look like a secret, or like something that means one person? What a pattern cannot tell.
 *
 *     if (secretlike(CHECK_LUHN, span)) ...      // a payment card, not any sixteen digits
 *
 * Pure and cheap; any bytes.
 */
#ifndef STEAD_ROUTE_SECRETLIKE_H
#define STEAD_ROUTE_SECRETLIKE_H

#include <stdbool.h>

#include "base/buf.h"

enum secretlike_check {
    CHECK_NONE,    /* the pattern says it all */
    CHECK_RANDOM,  /* given to a telling name: a value, not the name of where it comes from */
    CHECK_QUOTED,  /* the same in quotes: any word may be one */
    CHECK_ENTROPY, /* anywhere: long, and thrown together */
    CHECK_MADE_UP, /* near a telling name: no word, no identifier */
    CHECK_TOKEN,   /* behind a prefix: hexadecimal or thrown together */
    CHECK_BASIC,   /* base64 of "name:password" */
    CHECK_LUHN,
    CHECK_IBAN,
    CHECK_EMAIL,   /* a person's, not an example's or a robot's */
};

bool secretlike(enum secretlike_check c, struct span s);

#endif
