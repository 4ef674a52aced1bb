#include "verify/rules.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "base/data.h"
#include "base/path.h"
#include "config/yaml.h"
#include "verify/rules-internal.h"

const char *finding_severity_name(enum finding_severity s)
{
    static const char *const names[] = { [FINDING_NOTE] = "note", [FINDING_PERSON] = "person", [FINDING_BLOCK] = "block" };
    return names[s];
}

/* --- the rows of data/rules --- */

#define TEXT(key, type, member, flags, max) \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | (flags), struct type, member, 0, max)

static const cyaml_schema_value_t text_schema = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 200) };

static const cyaml_schema_field_t pattern_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("languages", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct rule_pattern, languages, nlanguages,
                               &text_schema, 0, 20),
    TEXT("match", rule_pattern, match, 0, 2000),
    TEXT("unless", rule_pattern, unless, CYAML_FLAG_OPTIONAL, 2000),
    TEXT("under", rule_pattern, under, CYAML_FLAG_OPTIONAL, 2000),
    TEXT("beside", rule_pattern, beside, CYAML_FLAG_OPTIONAL, 2000),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t pattern_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule_pattern, pattern_fields) };

static const cyaml_schema_field_t example_fields[] = {
    TEXT("path", rule_example, path, 0, 200),
    TEXT("old_path", rule_example, old_path, CYAML_FLAG_OPTIONAL, 200),
    TEXT("old", rule_example, old, CYAML_FLAG_OPTIONAL, 20000),
    TEXT("new", rule_example, new, CYAML_FLAG_OPTIONAL, 20000),
    TEXT("task", rule_example, task, CYAML_FLAG_OPTIONAL, 2000),
    TEXT("tests", rule_example, tests, CYAML_FLAG_OPTIONAL, 2000),
    TEXT("also", rule_example, also, CYAML_FLAG_OPTIONAL, 200),
    TEXT("also_old", rule_example, also_old, CYAML_FLAG_OPTIONAL, 20000),
    TEXT("also_new", rule_example, also_new, CYAML_FLAG_OPTIONAL, 20000),
    TEXT("severity", rule_example, severity, CYAML_FLAG_OPTIONAL, 10),
    CYAML_FIELD_BOOL("binary", CYAML_FLAG_OPTIONAL, struct rule_example, binary),
    CYAML_FIELD_BOOL("fires", CYAML_FLAG_DEFAULT, struct rule_example, fires),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t example_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct rule_example, example_fields) };

static const cyaml_schema_field_t rule_fields[] = {
    TEXT("summary", rule, summary, 0, 200),
    TEXT("why", rule, why, 0, 1000),
    TEXT("message", rule, message, CYAML_FLAG_OPTIONAL, 200),
    TEXT("severity", rule, severity, 0, 10),
    TEXT("in_new_files", rule, in_new_files, CYAML_FLAG_OPTIONAL, 10),
    TEXT("check", rule, check, 0, 40),
    TEXT("task_allows", rule, task_allows, CYAML_FLAG_OPTIONAL, 1000),
    CYAML_FIELD_BOOL("code_only", CYAML_FLAG_OPTIONAL, struct rule, code_only),
    CYAML_FIELD_SEQUENCE_COUNT("paths", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct rule, paths, npaths, &text_schema, 0, 60),
    CYAML_FIELD_SEQUENCE_COUNT("patterns", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct rule, patterns, npatterns,
                               &pattern_schema, 0, 60),
    CYAML_FIELD_SEQUENCE_COUNT("examples", CYAML_FLAG_POINTER, struct rule, examples, nexamples, &example_schema, 2, 60),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t rule_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rule, rule_fields) };

static struct {
    struct rule *rows;
    size_t n, cap;
    bool loaded;
    struct err *e;
} table;

static void check_added(struct rules_state *st);
static void check_added_any(struct rules_state *st);
static void check_line_extended(struct rules_state *st);
static void check_removed(struct rules_state *st);
static void check_added_to_old(struct rules_state *st);
static void check_added_in_old_tests(struct rules_state *st);
static void check_added_where_removed(struct rules_state *st);
static void check_line_rewritten(struct rules_state *st);

static const struct {
    const char *name;
    rule_check_fn run;
} checks[] = {
    { "added-to-old", check_added_to_old },        /* the same, but not in a new file nor a new test */
    { "added", check_added },                      /* an added line matches a pattern, and more lines of the file do than before */
    { "line-extended", check_line_extended },      /* a line that did not match stands with more behind it, and matches */
    { "added-any", check_added_any },              /* an added line matches, whatever stood there before */
    { "removed", check_removed },                  /* a removed line matches, and fewer lines of the file do than before */
    { "added-in-old-tests", check_added_in_old_tests }, /* an added line, within a test that was there */
    { "added-where-removed", check_added_where_removed }, /* an added line in a file that lost a line of the same pattern */
    { "line-rewritten", check_line_rewritten }, /* a line of a pattern stands rewritten, and words of it are gone */
    { "test-data-removed", check_test_data_removed },
    { "test-input-changed", check_test_input_changed },
    { "test-deleted", check_test_deleted },
    { "test-emptied", check_test_emptied },
    { "asserts-fall", check_asserts_fall },
    { "assert-weakened", check_assert_weakened },
    { "comparison-loosened", check_comparison_loosened },
    { "uncalled", check_uncalled },
    { "helper-muted", check_helper_muted },
    { "expectation-changed", check_expectation_changed },
    { "commented-out", check_commented_out },
    { "unreachable", check_unreachable },
    { "swallowed", check_swallowed },
    { "lock-alone", check_lock_alone },
    { "large-binary", check_large_binary },
    { "file-added", check_file_added },
    { "file-touched", check_file_touched },
    { "snapshot-edited", check_snapshot_edited },
    { "generated-edited", check_generated_edited },
    { "conflict-markers", check_conflict_markers },
    { "hard-coded", check_hard_coded },
    { "number-lowered", check_number_lowered },
};

static rule_check_fn check_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        if (!strcmp(checks[i].name, name))
            return checks[i].run;
    return NULL;
}

static bool severity_parse(const char *s, enum finding_severity *out)
{
    for (int i = FINDING_NOTE; i <= FINDING_BLOCK; i++)
        if (!strcmp(s, finding_severity_name((enum finding_severity)i))) {
            *out = (enum finding_severity)i;
            return true;
        }
    return false;
}

static int check_row(const struct rule *r, const char *path, struct err *e)
{
    enum finding_severity sev;
    if (!severity_parse(r->severity, &sev) || (r->in_new_files && !severity_parse(r->in_new_files, &sev)))
        return err_set(e, ERR_INPUT, "%s: severity '%s' is none of note, person, block", path, r->in_new_files ? r->in_new_files : r->severity);
    if (!check_find(r->check))
        return err_set(e, ERR_INPUT, "%s: unknown check '%s'", path, r->check);
    for (unsigned i = 0; i < r->npatterns; i++) {
        struct regex *rx;
        const char *all[] = { r->patterns[i].match, r->patterns[i].unless, r->patterns[i].under, r->patterns[i].beside };
        for (size_t k = 0; k < COUNT_OF(all); k++) {
            if (!all[k])
                continue;
            if (regex_compile(all[k], &rx, e) < 0)
                return err_wrap(e, "%s", path);
            regex_destroy(rx);
        }
    }
    return 0;
}

static int on_file(void *ctx, const char *path, struct span text)
{
    (void)ctx;
    if (strcmp(path_ext(path), ".yaml") != 0)
        return 0;
    struct rule *row = NULL;
    if (yaml_load(path, text, &rule_schema, (void **)&row, table.e) < 0)
        return -(int)table.e->kind;
    const char *base = path_base(path);
    AUTO(ptr) char *name = span_dup(span_sub(span_of(base), 0, strlen(base) - 5));
    if (check_row(row, path, table.e) < 0 || !name ||
        !array_grow((void **)&table.rows, &table.cap, table.n, 1, sizeof *table.rows)) {
        yaml_destroy(&rule_schema, row);
        return table.e->kind ? -(int)table.e->kind : err_set(table.e, ERR_NOMEM, "reading '%s': out of memory", path);
    }
    table.rows[table.n] = *row; /* its members live as long as the program */
    table.rows[table.n++].name = TAKE(name);
    free(row);
    return 0;
}

int rules_table(const struct rule **out, size_t *n, struct err *e)
{
    if (!table.loaded) {
        table.e = e;
        table.n = 0;
        int r = data_each("rules/", on_file, NULL);
        if (r)
            return err_wrap(e, "the rules");
        table.loaded = true;
    }
    *out = table.rows;
    *n = table.n;
    return 0;
}

int rules_list(struct arena *arena, const struct rule_info **out, size_t *n, struct err *e)
{
    const struct rule *rows;
    if (rules_table(&rows, n, e) < 0)
        return -(int)e->kind;
    struct rule_info *list = arena_array(arena, *n ? *n : 1, sizeof *list);
    if (!list)
        return err_set(e, ERR_NOMEM, "listing rules: out of memory");
    for (size_t i = 0; i < *n; i++) {
        list[i] = (struct rule_info){ .name = rows[i].name, .summary = rows[i].summary, .why = rows[i].why };
        (void)severity_parse(rows[i].severity, &list[i].severity);
    }
    *out = list;
    return 0;
}

/* --- running --- */

static bool path_fits(const char *pattern, const char *path)
{
    if (!strchr(pattern, '/'))
        return fnmatch(pattern, path_base(path), 0) == 0;
    for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (fnmatch(pattern, p, 0) == 0)
            return true;
    return false;
}

static bool is_class_name(const char *s)
{
    for (int i = 0; i < PATH_CLASSES; i++)
        if (!strcmp(s, path_class_name((enum path_class)i)))
            return true;
    return !strcmp(s, "tests"); /* class test, and languages whose tests stand among the code */
}

bool rule_applies(const struct rule *r, const struct file_view *v)
{
    bool any = true; /* a list of exceptions alone means all others */
    for (unsigned i = 0; i < r->npaths; i++)
        any = any && r->paths[i][0] == '!';
    for (unsigned i = 0; i < r->npaths; i++) {
        const char *p = r->paths[i];
        bool not = *p == '!';
        p += not;
        bool fits = is_class_name(p) ? !strcmp(p, path_class_name(v->class)) || (!strcmp(p, "tests") && v->testing)
                                     : path_fits(p, v->file->path);
        if (fits && not)
            return false;
        any |= fits;
    }
    return any;
}

/* The first of its patterns that the line matches, or NULL. */
static const struct rule_pattern *pattern_of(const struct rule *r, const struct file_view *v, struct span line)
{
    for (unsigned i = 0; i < r->npatterns; i++) {
        const struct rule_pattern *p = &r->patterns[i];
        bool lang = p->nlanguages == 0;
        for (unsigned k = 0; k < p->nlanguages; k++)
            lang |= v->lang && !strcmp(v->lang->name, p->languages[k]);
        if (!lang)
            continue;
        const struct regex *m = lang_regex(p->match), *u = lang_regex(p->unless);
        if (m && regex_match(m, line, 0, NULL) && !(u && regex_match(u, line, 0, NULL)))
            return p;
    }
    return NULL;
}

bool rule_matches(const struct rule *r, const struct file_view *v, struct span line)
{
    return pattern_of(r, v, line) != NULL;
}

void rule_fire(struct rules_state *st, const struct file_view *v, const char *path, size_t line, const char *fmt, ...)
{
    if (st->out->len >= RULE_FINDINGS)
        return;
    st->in_file = v && v == st->last_file ? st->in_file + 1 : 1;
    st->last_file = v;
    if (st->in_file > RULE_PER_FILE)
        return;
    AUTO(buf) struct buf b = BUF_INIT(2000);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    enum finding_severity severity = st->severity, in_new;
    if (v && v->file->kind == RULE_FILE_ADDED && st->rule->in_new_files && severity_parse(st->rule->in_new_files, &in_new) && in_new < severity)
        severity = in_new;
    struct finding f = {
        .rule = st->rule->name,
        .severity = severity,
        .file = arena_strdup(st->arena, v ? v->file->path : path),
        .line = (int64_t)line,
        .message = arena_strdup(st->arena, buf_str(&b)),
    };
    if (!f.file || !f.message || !array_grow((void **)&st->out->items, &st->out->cap, st->out->len, 1, sizeof f)) {
        st->nomem = true;
        return;
    }
    st->out->items[st->out->len++] = f;
}

static const char *message_of(const struct rule *r)
{
    return r->message ? r->message : r->summary;
}

static size_t matching(const struct rule *r, const struct file_view *v, const struct text_lines *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += rule_matches(r, v, l->items[i].text);
    return n;
}

static struct span without_comma(struct span line)
{
    line = span_trim(line);
    line.n -= span_ends(line, ",");
    return line;
}

/* Did another file of the change lose this very line? Then it moved. */
static bool moved_here(const struct rules_state *st, const struct file_view *v, struct span line)
{
    line = without_comma(line);
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *o = &st->views[i];
        for (size_t k = 0; o != v && k < o->old.n; k++)
            if (o->old.items[k].changed && span_eq(without_comma(o->old.items[k].text), line))
                return true;
    }
    return false;
}

bool in_new_test(const struct file_view *v, size_t at)
{
    for (size_t k = 0; k < v->new_tests.n; k++) {
        const struct test_case *t = &v->new_tests.items[k];
        if (at >= t->end)
            continue;
        size_t from = t->first;
        while (from > 0) { /* changed lines above it, and its decorators though others have the same */
            struct span above = span_trim(v->new.items[from - 1].text);
            if (!above.n || !(v->new.items[from - 1].changed || above.p[0] == '@' || span_starts(above, "#[")))
                break;
            from--;
        }
        if (at >= from)
            return !tests_by_name(&v->old_tests, t->name);
    }
    return false;
}

/* Does the nearest line above with less indentation say that this one stands under a condition that excuses it? */
static bool is_excused(const struct rule *r, const struct file_view *v, size_t at)
{
    size_t own = indent_width(v->new.items[at].text), k = at;
    while (k > 0 && (!span_trim(v->new.items[k - 1].text).n || indent_width(v->new.items[k - 1].text) >= own))
        k--;
    for (unsigned i = 0; k > 0 && i < r->npatterns; i++) {
        const struct regex *under = lang_regex(r->patterns[i].under);
        const struct regex *match = under ? lang_regex(r->patterns[i].match) : NULL;
        if (match && regex_match(match, v->new.items[at].text, 0, NULL) && regex_match(under, v->new.items[k - 1].text, 0, NULL))
            return true;
    }
    return false;
}

/* Did this file, or a configuration that the change touches, get a line that explains the match? */
static bool is_explained(const struct rules_state *st, const struct file_view *v, struct span line)
{
    const struct rule_pattern *p = pattern_of(st->rule, v, line);
    const struct regex *beside = p ? lang_regex(p->beside) : NULL;
    for (size_t i = 0; beside && i < st->nviews; i++) {
        const struct file_view *o = &st->views[i];
        bool here = o == v || !strcmp(path_base(o->file->path), path_base(v->file->path)) || (v->class != PATH_SOURCE && v->class != PATH_TEST && (o->class == PATH_CONFIG || o->class == PATH_DATA));
        for (size_t k = 0; here && k < o->new.n; k++)
            if ((o->new.items[k].changed || v->class == PATH_SOURCE) && regex_match(beside, o->new.items[k].text, 0, NULL))
                return true;
    }
    return false;
}

/* The finding on a line of the new text (or of the old one, at its place in the new). */
static void fire_at(struct rules_state *st, const struct file_view *v, size_t at, struct span line)
{
    enum finding_severity severity = st->severity;
    struct span s = span_trim(line);
    if (is_explained(st, v, line))
        st->severity = FINDING_NOTE;
    rule_fire(st, v, NULL, at, "%s: %.*s", message_of(st->rule), (int)(s.n < 160 ? s.n : 160), s.p);
    st->severity = severity;
}

static void fire_line(struct rules_state *st, const struct file_view *v, size_t k)
{
    fire_at(st, v, k + 1, v->new.items[k].text);
}

static bool came(const struct rules_state *st, const struct file_view *v, size_t k)
{
    const struct text_line *l = &v->new.items[k];
    if (st->rule->code_only && (l->comment || is_comment(v->lang, l->text)))
        return false;
    return l->changed && rule_matches(st->rule, v, l->text) && !is_excused(st->rule, v, k) && !moved_here(st, v, l->text);
}

static void check_added_to_old(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || v->file->kind == RULE_FILE_ADDED)
            continue;
        /* What new tests bring of their own, and what only reads differently, does not count. */
        size_t before = matching(st->rule, v, &v->old), after = matching(st->rule, v, &v->new), own = 0;
        for (size_t k = 0; k < v->new.n; k++)
            own += rule_matches(st->rule, v, v->new.items[k].text) && in_new_test(v, k);
        if (after <= before + own)
            continue;
        for (size_t k = 0; k < v->new.n; k++)
            if (!in_new_test(v, k) && came(st, v, k))
                fire_line(st, v, k);
    }
}

/* A list that got longer, or the same with more behind it: each word of the old line, in order, and further ones. */
static bool extends(struct span old, struct span new)
{
    size_t words = 0, more = 0;
    size_t at = 0;
    for (size_t i = 0; i < new.n;) {
        size_t k = i;
        while (k < new.n && word_char(new.p[k]))
            k++;
        if (k > i) {
            struct span w = span_sub(new, i, k - i);
            while (at < old.n && !word_char(old.p[at]))
                at++;
            size_t end = at;
            while (end < old.n && word_char(old.p[end]))
                end++;
            if (span_eq(w, span_sub(old, at, end - at)))
                words++, at = end;
            else
                more++;
        }
        i = k + 1;
    }
    while (at < old.n && !word_char(old.p[at]))
        at++;
    return at >= old.n && words && more;
}

/* Changed lines of the old text that match: an edit of such a line adds none. */
static size_t lost_matches(const struct rules_state *st, const struct file_view *v)
{
    size_t n = 0;
    for (size_t k = 0; k < v->old.n; k++)
        n += v->old.items[k].changed && rule_matches(st->rule, v, v->old.items[k].text);
    return n;
}

static bool extends_lost(const struct rules_state *st, const struct file_view *v, struct span new)
{
    for (size_t k = 0; k < v->old.n; k++) {
        struct span old = v->old.items[k].text;
        if (v->old.items[k].changed && rule_matches(st->rule, v, old) && extends(span_trim(old), span_trim(new)))
            return true;
    }
    return false;
}

static void check_added(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v))
            continue;
        size_t lost = lost_matches(st, v), added = 0;
        for (size_t k = 0; k < v->new.n; k++)
            added += came(st, v, k);
        for (size_t k = 0; added && k < v->new.n; k++)
            if (came(st, v, k) && (added > lost || extends_lost(st, v, v->new.items[k].text)))
                fire_line(st, v, k);
    }
}

static void check_line_extended(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; rule_applies(st->rule, v) && k < v->new.n; k++)
            for (size_t x = 0; came(st, v, k) && x < v->old.n; x++)
                if (v->old.items[x].changed && !rule_matches(st->rule, v, v->old.items[x].text) &&
                    extends(span_trim(v->old.items[x].text), span_trim(v->new.items[k].text))) {
                    fire_line(st, v, k);
                    break;
                }
    }
}

static void check_added_any(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; rule_applies(st->rule, v) && k < v->new.n; k++)
            if (came(st, v, k))
                fire_line(st, v, k);
    }
}

static void check_added_in_old_tests(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v))
            continue;
        for (size_t k = 0; k < v->new_tests.n; k++) {
            const struct test_case *t = &v->new_tests.items[k];
            if (!tests_by_name(&v->old_tests, t->name))
                continue;
            size_t from = t->first ? t->first - 1 : 0; /* its decorator too */
            for (size_t x = from; x < t->end; x++)
                if (v->new.items[x].changed && rule_matches(st->rule, v, v->new.items[x].text)) {
                    struct span s = span_trim(v->new.items[x].text);
                    rule_fire(st, v, NULL, x + 1, "test '%.*s': %s: %.*s", (int)t->name.n, t->name.p, message_of(st->rule), (int)(s.n < 120 ? s.n : 120), s.p);
                }
        }
    }
}

/* A JSON member that only got or lost the comma behind it did not change. */
static bool only_comma(const struct file_view *v, struct span line)
{
    for (size_t i = 0; i < v->old.n; i++)
        if (v->old.items[i].changed && span_eq(without_comma(v->old.items[i].text), without_comma(line)))
            return true;
    return false;
}

/* Did the change move test files? */
static bool tests_moved(const struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++)
        if (st->views[i].file->kind == RULE_FILE_RENAMED && st->views[i].class == PATH_TEST)
            return true;
    return false;
}

static bool path_char(char c)
{
    return word_char(c) || strchr("./*{}-", c);
}

/* Is each path or pattern of the old line in the new one, as it was? */
static bool has_paths_of(struct span old, struct span new)
{
    for (size_t i = 0; i < old.n;) {
        size_t k = i;
        while (k < old.n && path_char(old.p[k]))
            k++;
        struct span path = span_sub(old, i, k - i), rest = new;
        bool found = k == i;
        for (ptrdiff_t at; !found && (at = span_find(rest, path)) >= 0;) {
            size_t end = (size_t)at + path.n;
            found = !(at > 0 && path_char(rest.p[at - 1])) && !(end < rest.n && path_char(rest.p[end]));
            rest = span_sub(rest, (size_t)at + 1, rest.n);
        }
        if (!found)
            return false;
        i = k + 1;
    }
    return true;
}

/* A line that matches was rewritten, and not all paths that it had are in what stands there now. */
static void check_line_rewritten(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; rule_applies(st->rule, v) && k < v->new.n; k++) {
            struct span new = v->new.items[k].text;
            if (!v->new.items[k].changed || !rule_matches(st->rule, v, new))
                continue;
            for (size_t x = 0; x < v->old.n; x++) {
                struct span old = v->old.items[x].text;
                if (!v->old.items[x].changed || pattern_of(st->rule, v, old) != pattern_of(st->rule, v, new))
                    continue;
                enum finding_severity severity = st->severity;
                if (tests_moved(st))
                    st->severity = FINDING_NOTE;
                if (!has_paths_of(old, new))
                    fire_line(st, v, k);
                st->severity = severity;
                break;
            }
        }
    }
}

static void check_added_where_removed(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        bool lost = false;
        if (!rule_applies(st->rule, v))
            continue;
        for (size_t k = 0; k < v->old.n; k++)
            lost |= v->old.items[k].changed && rule_matches(st->rule, v, v->old.items[k].text);
        for (size_t k = 0; lost && k < v->new.n; k++)
            if (v->new.items[k].changed && !only_comma(v, v->new.items[k].text) && rule_matches(st->rule, v, v->new.items[k].text)) {
                struct span s = span_trim(v->new.items[k].text);
                rule_fire(st, v, NULL, k + 1, "%s: %.*s", message_of(st->rule), (int)(s.n < 160 ? s.n : 160), s.p);
            }
    }
}

/* Does the line name a file that the change deletes? Then what was registered there is judged with the file. */
static bool names_deleted_file(const struct rules_state *st, struct span line)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct rule_file *f = st->views[i].file;
        if (f->kind != RULE_FILE_DELETED || st->views[i].class != PATH_TEST)
            continue;
        struct span base = span_of(path_base(f->path));
        ptrdiff_t dot = span_findc(base, '.');
        struct span stem = dot > 0 ? span_sub(base, 0, (size_t)dot) : base;
        if (stem.n >= 4 && has_word(line, stem))
            return true;
    }
    return false;
}

/* Does a line that stays ask for as much: the same command, or the same with fewer words behind it? */
static bool broader_stays(const struct rules_state *st, const struct file_view *v, struct span line)
{
    struct span had[64], has[64];
    size_t n = words_of(line, had, COUNT_OF(had));
    for (size_t k = 0; k < v->new.n; k++) {
        struct span s = v->new.items[k].text;
        if (is_comment(v->lang, s) || span_starts(span_trim(s), "#") || !rule_matches(st->rule, v, s))
            continue;
        size_t all = words_of(s, has, COUNT_OF(has)), found = 0, kept = 0;
        for (size_t a = 0; a < all; a++) {
            bool both = false;
            for (size_t b = 0; b < n && !both; b++)
                both = span_eq(has[a], had[b]);
            found += both;
        }
        for (size_t b = 0; b < n; b++) {
            bool both = false;
            for (size_t a = 0; a < all && !both; a++)
                both = span_eq(has[a], had[b]);
            kept += both;
        }
        if (all && n && (found == all || (kept == n && v->new.items[k].changed)))
            return true; /* with more words behind it: what those do is asked by gate-narrowed */
    }
    return false;
}

static void check_removed(struct rules_state *st)
{
    /* Over the whole change: what moved to another file is not gone. */
    size_t before = 0, after = 0;
    for (size_t i = 0; i < st->nviews; i++)
        if (rule_applies(st->rule, &st->views[i])) {
            before += matching(st->rule, &st->views[i], &st->views[i].old);
            after += matching(st->rule, &st->views[i], &st->views[i].new);
        }
    if (after >= before)
        return;
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || matching(st->rule, v, &v->new) >= matching(st->rule, v, &v->old))
            continue;
        if (v->file->kind == RULE_FILE_DELETED && (v->class == PATH_TEST || (v->class == PATH_SOURCE && v->lang)))
            continue; /* test-deleted says so; and code that is gone needs no strictness */
        for (size_t k = 0; k < v->old.n; k++) {
            struct span old = v->old.items[k].text;
            if (!v->old.items[k].changed || !rule_matches(st->rule, v, old))
                continue;
            enum finding_severity severity = st->severity;
            bool package = v->file->kind == RULE_FILE_DELETED && v->class != PATH_CI && strchr(v->file->path, '/'); /* all of it went */
            if (package || names_deleted_file(st, old) || broader_stays(st, v, old))
                st->severity = FINDING_NOTE;
            fire_at(st, v, k < v->new.n ? k + 1 : 0, old);
            st->severity = severity;
        }
    }
}

static int by_place(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    if (x->severity != y->severity)
        return x->severity > y->severity ? -1 : 1;
    int c = strcmp(x->file, y->file);
    if (!c && x->line != y->line)
        c = x->line < y->line ? -1 : 1;
    return c ? c : strcmp(x->rule, y->rule);
}

int rules_run(const struct rule_input *in, struct arena *arena, struct findings *out, struct err *e)
{
    const struct rule *rows;
    size_t n;
    if (rules_table(&rows, &n, e) < 0)
        return -(int)e->kind;
    AUTO(arena) struct arena scratch = ARENA_INIT(512u << 20);
    struct rules_state st = { .in = in, .arena = arena, .out = out };
    st.views = arena_array(&scratch, in->nfiles ? in->nfiles : 1, sizeof *st.views);
    for (size_t i = 0; i < in->nfiles && st.views; i++) {
        if (view_open(&st.views[i], &in->files[i], &scratch) < 0)
            return err_set(e, ERR_NOMEM, "looking at '%s': out of memory", in->files[i].path);
        st.nviews++;
    }
    size_t first = out->len;
    for (size_t i = 0; i < n && st.views; i++) {
        st.rule = &rows[i];
        st.last_file = NULL;
        (void)severity_parse(rows[i].severity, &st.severity);
        const struct regex *allows = lang_regex(rows[i].task_allows);
        if (allows && in->task.n && regex_match(allows, in->task, 0, NULL))
            st.severity = FINDING_NOTE; /* the user asked for it: said, not held against it */
        check_find(rows[i].check)(&st);
    }
    if (st.nomem || !st.views)
        return err_set(e, ERR_NOMEM, "running the rules: out of memory");
    if (out->len > first)
        qsort(out->items + first, out->len - first, sizeof *out->items, by_place);
    return 0;
}
