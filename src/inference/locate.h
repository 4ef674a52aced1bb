/*
 * locate - where the engine and the pilot model lie: beside the running program, in an installation, in a build tree.
 */
#ifndef STEAD_INFERENCE_LOCATE_H
#define STEAD_INFERENCE_LOCATE_H

#include "base/err.h"

/* The stead-engine program; malloc'd, or NULL with *e set. */
char *engine_program(struct err *e);
/* The bundled pilot model; malloc'd, or NULL with *e set. */
char *engine_pilot(struct err *e);

/* Exit status of stead-engine --measure: llama.cpp does not load the file. */
#define ENGINE_REFUSED 3

#endif
