/*
 * banned - functions that invite mistakes, each with its replacement. Force-included in every file.
 *
 * atoi, strtol, strtoul, sscanf -> base/num.h      strcpy, strcat, sprintf, vsprintf -> base/buf.h
 * strtok -> span_split                             gmtime, localtime -> base/clock.h
 * system, popen -> base/proc.h                     tmpnam, mktemp -> mkdtemp, file_write_atomic
 */
#ifndef STEAD_BASE_BANNED_H
#define STEAD_BASE_BANNED_H

#ifndef __ASSEMBLER__ /* also included into the assembled data table */

/* Headers that mention the names come first, so that poisoning does not break them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#undef sprintf /* a macro of glibc's where clang fortifies */
#undef vsprintf

#pragma GCC poison atoi atol atof strcpy strcat sprintf vsprintf strtok gmtime localtime system popen tmpnam mktemp

#endif

#endif
