/*
 * reader - turns the output of a check into results; one row and one file per format.
 *
 *     const struct reader *rd = reader_find("junit");       // or, by looking: reader_sniff(text)
 *     if (rd->read(text, &results, e) < 0) ...              // malformed: results keep what was read
 *     results_close(&results);
 *
 * Input is hostile: any bytes, cut anywhere. A reader never fails on text that is merely of another
 * kind or cut short where the format allows that (line formats): it returns how many tests and
 * findings it took. Structured formats (XML, JSON) that are not well-formed return -ERR_INPUT and keep
 * what stood before the fault. Readers look at no file and keep no state; any thread.
 */
#ifndef STEAD_VERIFY_READER_H
#define STEAD_VERIFY_READER_H

#include <stdbool.h>

#include "base/err.h"
#include "verify/result.h"

#define READER_MAX_BYTES (64u << 20) /* of one report; larger ones are refused by read() with ERR_LIMIT */

struct reader {
    const char *name;    /* as data/ecosystems and stead.yaml name it */
    const char *summary; /* one line for documentation */
    bool repeats;        /* names cases without their file: the same id twice is two tests (results.repeats) */
    bool lines;          /* a format of text lines: escape sequences are taken out before read() */
    /* How sure, 0..100, that `text` (maybe cut) is this format. NULL: never by looking. */
    int (*sniff)(struct span text);
    int (*read)(struct span text, struct results *out, struct err *e);
};

extern const struct reader *const readers[]; /* NULL-terminated, sorted by name */

const struct reader *reader_find(const char *name); /* NULL: unknown */
/* The surest reader, or NULL where none is (then the exit code alone speaks). */
const struct reader *reader_sniff(struct span text);
/* Size check, then rd->read. Several reports may be read into the same results. */
int reader_read(const struct reader *rd, struct span text, struct results *out, struct err *e) WARN_UNUSED;

#endif
