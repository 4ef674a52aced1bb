/*
 * rules-internal - a change as the rules see it: lines that came and went, tests with their assertions.
 */
#ifndef STEAD_VERIFY_RULES_INTERNAL_H
#define STEAD_VERIFY_RULES_INTERNAL_H

#include "base/mem.h"
#include "verify/lang.h"
#include "verify/rules.h"

#define RULE_TEXT_BYTES (4u << 20) /* larger files are looked at by name and size only */
#define RULE_LINES 200000u
#define RULE_FINDINGS 500u         /* of one change */
#define RULE_PER_FILE 20u          /* of one rule in one file: the rest is said in a number */

struct text_line {
    struct span text; /* without the newline */
    bool changed;     /* not on the other side (counted: a line that moved is not changed) */
    bool comment;     /* begins within a block comment */
};

struct text_lines {
    struct text_line *items;
    size_t n;
};

/* A test function: lines [first, end) of its file. */
struct test_case {
    struct span name;
    size_t first, end; /* indexes of lines; `first` is the definition */
    size_t asserts, trivial, code; /* lines with an assertion; of these always true; other lines of code */
};

struct test_cases {
    struct test_case *items;
    size_t n, cap;
};

struct file_view {
    const struct rule_file *file;
    enum path_class class;
    const struct lang *lang;
    bool testing;   /* tests may live in it */
    struct text_lines old, new;
    struct test_cases old_tests, new_tests;
};

struct rule_pattern {
    const char **languages; /* names of lang rows; none: all */
    unsigned nlanguages;
    const char *match, *unless;
    const char *under; /* excuses a match that stands under such a line (a condition on the platform) */
    const char *beside; /* a note where the file (or a configuration of the change) got such a line as well */
};

struct rule_example {
    const char *path, *old_path, *old, *new, *task, *tests; /* tests: text of the project's tests */
    const char *also, *also_old, *also_new;                 /* another file of the change */
    const char *severity;                                   /* of what fires; absent: any */
    bool binary, fires;
};

struct rule {
    const char *name; /* of its file */
    const char *summary, *why, *message, *severity, *check, *task_allows;
    const char *in_new_files; /* the severity in files that the change adds; absent: the same */
    bool code_only;           /* comments do not count */
    const char **paths; /* classes, or patterns as in path-class.c; none: all */
    unsigned npaths;
    struct rule_pattern *patterns;
    unsigned npatterns;
    struct rule_example *examples;
    unsigned nexamples;
};

struct rules_state {
    const struct rule_input *in;
    struct arena *arena;
    struct findings *out;
    struct file_view *views;
    size_t nviews;
    const struct rule *rule; /* being run */
    enum finding_severity severity;
    unsigned in_file;        /* findings of this rule in the present file */
    const struct file_view *last_file;
    bool nomem;
};

/* A check that a rule names; one function each, rows in rules.c. */
typedef void (*rule_check_fn)(struct rules_state *st);

int rules_table(const struct rule **out, size_t *n, struct err *e) WARN_UNUSED;
/* Report; v may be NULL (then `path` says where). line: index into new lines + 1, or 0. */
void rule_fire(struct rules_state *st, const struct file_view *v, const char *path, size_t line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Does the rule (its paths) apply to this file? */
bool rule_applies(const struct rule *r, const struct file_view *v);
/* Does a line of this file match one of the rule's patterns? */
bool rule_matches(const struct rule *r, const struct file_view *v, struct span line);
/* Does the new line belong to a test that is new: its body, or what stands directly above it (decorators, comments)? */
bool in_new_test(const struct file_view *v, size_t at);

/* rules-text.c */
int view_open(struct file_view *v, const struct rule_file *f, struct arena *arena);
void tests_find(struct file_view *v, const struct text_lines *lines, struct test_cases *out, struct arena *arena);
const struct test_case *tests_by_name(const struct test_cases *t, struct span name);
bool is_comment(const struct lang *lang, struct span line);
size_t indent_width(struct span line);
size_t words_of(struct span s, struct span *out, size_t max); /* words and numbers */
bool has_word(struct span line, struct span word);            /* not within a longer one */
bool word_char(char c);
bool is_tautology(struct span line); /* f(1) == f(1), assertEqual(x, x) */
/* An assertion, or an `if` whose next words end the test program: "if (add(1, 2) != 3) return 1;". */
bool is_check(const struct lang *lang, const struct text_lines *l, size_t at);
/* A call whose name says that it checks: of a helper that stands elsewhere. */
bool may_check(struct span line);
/* Does the line say that a hand-written check failed: a counter, an exit, a throw? */
bool is_failing(struct span line);
/* The line with those that go on with it: to the closing bracket, and what is called on it (".isEqualTo(3)"). */
void statement_at(const struct text_lines *l, size_t at, struct buf *out);
/* Literals of a line: quoted strings and numbers, each with its quotes. At most max. */
size_t literals(struct span s, struct span *out, size_t max);
/* The text with literals (numbers, quoted strings, true/false/None) as '#' and without blanks. */
void without_literals(struct span s, struct buf *out);

/* A loop, a table of cases: one check for many. */
#define LOOP "^for\\b|^while\\b|\\bforEach\\b|\\.each\\b|parametrize|subTest|\\bfor \\w+ in\\b|^@ValueSource|ParameterizedTest"

/* rules-gone.c */
void check_test_deleted(struct rules_state *st);
/* Does the line name something that source code of this change lost? */
bool names_the_gone(const struct rules_state *st, struct span line);
bool stands_in(const struct text_lines *l, size_t from, size_t end, struct span text);
/* Does no file of the change have a test of this name before, and does it check something? */
bool is_new_test(const struct rules_state *st, const struct test_case *t);
/* Is a new test named after this one? */
bool name_lives_on(const struct rules_state *st, struct span name);
/*
 * Was an old test (or only the checks that it lost) written anew in tests that the change brings? Told by the words that no line
 * has which stays: names of what is tested, inputs and expected values. `named`: a new test is named after it, so that fewer do.
 */
bool words_live_on(const struct rules_state *st, const struct file_view *v, const struct test_case *t, bool only_checks, bool named);
/* Does the old line stand under a condition on a version or platform that the change took away? */
bool condition_gone(const struct file_view *v, size_t at);
/* Assertions of tests over the whole change. */
void count_assertions(const struct rules_state *st, size_t *before, size_t *after);

/* rules-tests.c */
void check_test_emptied(struct rules_state *st);
void check_asserts_fall(struct rules_state *st);
void check_commented_out(struct rules_state *st);
void check_unreachable(struct rules_state *st);
void check_swallowed(struct rules_state *st);
/* rules-expect.c */
void check_assert_weakened(struct rules_state *st);
void check_expectation_changed(struct rules_state *st);
void check_test_data_removed(struct rules_state *st);
void check_test_input_changed(struct rules_state *st);
/* Checks of a test that compare with a value. */
size_t strong_checks(const struct file_view *v, const struct text_lines *l, const struct test_case *t);
/* rules-compare.c */
void check_comparison_loosened(struct rules_state *st);
void check_uncalled(struct rules_state *st);
/* Does a changed line of [from, end) begin with a call of a function of this file that makes checks? */
bool calls_a_checker(const struct file_view *v, size_t from, size_t end);
void check_helper_muted(struct rules_state *st);
/* rules-files.c */
void check_lock_alone(struct rules_state *st);
void check_large_binary(struct rules_state *st);
void check_file_added(struct rules_state *st);
void check_file_touched(struct rules_state *st);
void check_snapshot_edited(struct rules_state *st);
void check_generated_edited(struct rules_state *st);
void check_conflict_markers(struct rules_state *st);
/* rules-source.c */
void check_hard_coded(struct rules_state *st);
void check_number_lowered(struct rules_state *st);

#endif
