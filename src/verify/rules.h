/*
 * rules - what a change does to the checks themselves, and what should never be in a change.
 *
 *     struct rule_input in = { .files = files, .nfiles = n };
 *     struct findings f = { 0 };
 *     if (rules_run(&in, &arena, &f, e) < 0) ...
 *
 * Deterministic and without I/O: old and new text in, findings out. A rule is a file in data/rules
 * with its own examples (docs: data/rules/README.md); what a pattern cannot say is a named check in
 * rules-*.c. Severity: `block` keeps the change from being verified, `person` asks for a person's
 * look, `note` informs. Quiet on purpose: a rule that cries on ordinary work is worse than none.
 */
#ifndef STEAD_VERIFY_RULES_H
#define STEAD_VERIFY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum finding_severity { FINDING_NOTE, FINDING_PERSON, FINDING_BLOCK };
const char *finding_severity_name(enum finding_severity s); /* "note", "person", "block" */

struct finding {
    const char *rule; /* "test-deleted", or "gate/TOOL/RULE", or "second/..." */
    enum finding_severity severity;
    const char *file; /* relative to the workspace */
    int64_t line;     /* in the new text where there is one, else in the old; 0: the file as a whole */
    const char *message;
};

struct findings {
    struct finding *items;
    size_t len, cap;
};

enum rule_file_kind { RULE_FILE_ADDED, RULE_FILE_MODIFIED, RULE_FILE_DELETED, RULE_FILE_RENAMED };

struct rule_file {
    const char *path;
    const char *old_path;  /* for a rename; else NULL */
    enum rule_file_kind kind;
    struct span old_text, new_text; /* empty where there is none */
    uint64_t new_size;     /* of binary or very large files, whose text is not given */
    bool binary;
    bool executable;       /* the new one */
    bool symlink;
};

struct rule_input {
    const struct rule_file *files;
    size_t nfiles;
    const struct span *tests; /* texts of the project's tests: hard-coded answers are looked for in them; may be none */
    size_t ntests;
    struct span task;      /* what the user asked for; a task that names tests, snapshots, dependencies makes the matching rules softer; may be empty */
};

int rules_run(const struct rule_input *in, struct arena *arena, struct findings *out, struct err *e) WARN_UNUSED;

/* What a path is, by its name: test, snapshot, lock file, CI or tool configuration, generated, source ... */
enum path_class {
    PATH_SOURCE,
    PATH_TEST,
    PATH_SNAPSHOT,
    PATH_CONFTEST,
    PATH_CI,
    PATH_CONFIG, /* of a linter, test runner, build or gate */
    PATH_LOCK,
    PATH_GENERATED,
    PATH_DOC,
    PATH_DATA,
    PATH_CLASSES
};
enum path_class path_classify(const char *path);
const char *path_class_name(enum path_class c);

/* The loaded rules, for `stead` help, documentation and the test that walks the table. */
struct rule_info {
    const char *name, *summary, *why;
    enum finding_severity severity;
};
int rules_list(struct arena *arena, const struct rule_info **out, size_t *n, struct err *e) WARN_UNUSED;

#endif
