/* Checks on files as a whole: kinds, sizes, what belongs together. */
#include "base/path.h"
#include "verify/rules-internal.h"

static const struct {
    const char *lock, *manifest;
} locks[] = {
    { "package-lock.json", "package.json" }, { "npm-shrinkwrap.json", "package.json" }, { "yarn.lock", "package.json" },
    { "pnpm-lock.yaml", "package.json" },    { "Cargo.lock", "Cargo.toml" },            { "poetry.lock", "pyproject.toml" },
    { "uv.lock", "pyproject.toml" },         { "pdm.lock", "pyproject.toml" },          { "Pipfile.lock", "Pipfile" },
    { "go.sum", "go.mod" },                  { "Gemfile.lock", "Gemfile" },             { "composer.lock", "composer.json" },
    { "mix.lock", "mix.exs" },
};

void check_lock_alone(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; k < COUNT_OF(locks); k++) {
            if (strcmp(path_base(v->file->path), locks[k].lock) != 0)
                continue;
            bool with = false;
            for (size_t x = 0; x < st->nviews; x++)
                with |= !strcmp(path_base(st->views[x].file->path), locks[k].manifest);
            if (!with)
                rule_fire(st, v, NULL, 0, "%s changed without %s", locks[k].lock, locks[k].manifest);
        }
    }
}

#define LARGE_BYTES (1u << 20) /* a megabyte in history stays there */
#define PICTURE_BYTES (5u << 20)

static bool starts_like_program(struct span s)
{
    return span_starts(s, "\x7f" "ELF") || span_starts(s, "MZ") || span_starts(s, "\xcf\xfa\xed\xfe") || span_starts(s, "\xca\xfe\xba\xbe");
}

/* What people look at: larger by nature, and reviewed by looking. */
static bool is_picture(const char *path)
{
    static const char kinds[] = " .png .jpg .jpeg .gif .webp .svg .ico .pdf .woff .woff2 .ttf .mp4 ";
    char ext[16];
    const char *dot = path_ext(path);
    return *dot && (size_t)snprintf(ext, sizeof ext, " %s ", dot) < sizeof ext && strstr(kinds, ext);
}

void check_large_binary(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct rule_file *f = st->views[i].file;
        if (f->kind == RULE_FILE_DELETED || !f->binary)
            continue;
        uint64_t size = f->new_size ? f->new_size : f->new_text.n;
        if (starts_like_program(f->new_text))
            rule_fire(st, &st->views[i], NULL, 0, "a compiled program of %llu bytes", (unsigned long long)size);
        else if (size > LARGE_BYTES && !(is_picture(f->path) && size <= PICTURE_BYTES))
            rule_fire(st, &st->views[i], NULL, 0, "a binary file of %llu bytes", (unsigned long long)size);
    }
}

void check_file_added(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (v->file->kind == RULE_FILE_ADDED && rule_applies(st->rule, v))
            rule_fire(st, v, NULL, 0, "%s", st->rule->message ? st->rule->message : st->rule->summary);
    }
}

/* Patterns of such a rule name lines that do not count: version bumps, comments. Is every changed line one of them? */
static bool only_matching(const struct rule *r, const struct file_view *v)
{
    if (!r->npatterns || v->file->kind == RULE_FILE_DELETED)
        return false;
    const struct text_lines *sides[] = { &v->old, &v->new };
    for (size_t s = 0; s < COUNT_OF(sides); s++)
        for (size_t k = 0; k < sides[s]->n; k++)
            if (sides[s]->items[k].changed && span_trim(sides[s]->items[k].text).n && !rule_matches(r, v, sides[s]->items[k].text))
                return false;
    return true;
}

void check_file_touched(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if ((v->file->kind == RULE_FILE_MODIFIED || v->file->kind == RULE_FILE_DELETED) && rule_applies(st->rule, v) && !only_matching(st->rule, v))
            rule_fire(st, v, NULL, 0, "%s was %s", path_class_name(v->class),
                      v->file->kind == RULE_FILE_DELETED ? "deleted" : "edited");
    }
}

#define SNAPSHOT_LINES 400u /* changed ones of a snapshot; more are not looked for in the source */

/* Does a changed line of one side have the word? Of the file itself, or of the change's source. */
static bool changed_has(const struct rules_state *st, const struct file_view *own, bool old, struct span word)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = own ? own : &st->views[i];
        const struct text_lines *l = old ? &v->old : &v->new;
        if (!own && (v->class != PATH_SOURCE || v->file->kind == RULE_FILE_DELETED))
            continue;
        for (size_t k = 0; k < l->n; k++)
            if (l->items[k].changed && !is_comment(v->lang, l->items[k].text) && has_word(l->items[k].text, word))
                return true;
        if (own)
            break;
    }
    return false;
}

/* Each word that one side of the snapshot has and the other lacks came or went in the source of the change as well. */
static bool source_explains(const struct rules_state *st, const struct file_view *v)
{
    size_t said = 0, lines = 0;
    for (int old = 0; old < 2; old++) {
        const struct text_lines *l = old ? &v->old : &v->new;
        for (size_t k = 0; k < l->n; k++) {
            struct span words[64];
            size_t n = l->items[k].changed ? words_of(l->items[k].text, words, COUNT_OF(words)) : 0;
            lines += l->items[k].changed;
            if (n == COUNT_OF(words) || lines > SNAPSHOT_LINES)
                return false;
            for (size_t i = 0; i < n; i++) {
                if (changed_has(st, v, !old, words[i]))
                    continue;
                if (!changed_has(st, NULL, old, words[i]))
                    return false;
                said++;
            }
        }
    }
    return said > 0;
}

/* A snapshot named after a test file that the change deletes goes with it. */
static bool went_with_test(const struct rules_state *st, const struct file_view *v)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *o = &st->views[i];
        if (o->class == PATH_TEST && o->file->kind == RULE_FILE_DELETED && span_starts(span_of(path_base(v->file->path)), path_base(o->file->path)))
            return true; /* test-deleted judges that one */
    }
    return false;
}

void check_snapshot_edited(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        bool deleted = v->file->kind == RULE_FILE_DELETED;
        if (!(v->file->kind == RULE_FILE_MODIFIED || deleted) || !rule_applies(st->rule, v) || only_matching(st->rule, v))
            continue;
        enum finding_severity severity = st->severity;
        if (deleted ? went_with_test(st, v) : source_explains(st, v))
            st->severity = FINDING_NOTE;
        rule_fire(st, v, NULL, 0, "%s was %s", path_class_name(v->class), deleted ? "deleted" : "edited");
        st->severity = severity;
    }
}

void check_generated_edited(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (v->file->kind != RULE_FILE_MODIFIED || !rule_applies(st->rule, v))
            continue;
        bool header = false;
        size_t changed = 0;
        for (size_t k = 0; k < v->old.n; k++) {
            header |= k < 10 && !v->old.items[k].changed && rule_matches(st->rule, v, v->old.items[k].text);
            changed += v->old.items[k].changed;
        }
        if (header && changed < 10) /* a new run of the generator changes more, or its header too */
            rule_fire(st, v, NULL, 0, "a generated file was edited by hand");
    }
}

void check_conflict_markers(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        size_t begin = 0;
        bool middle = false;
        for (size_t k = 0; k < v->new.n; k++) {
            struct span s = v->new.items[k].text;
            if (span_starts(s, "<<<<<<< ") && v->new.items[k].changed)
                begin = k + 1;
            else if (begin && (span_eqs(s, "=======") || span_starts(s, "||||||| ")))
                middle = true;
            else if (span_starts(s, ">>>>>>> ") && begin && middle) {
                rule_fire(st, v, NULL, begin, "an unresolved merge conflict");
                begin = 0;
                middle = false;
            }
        }
    }
}
