#include "review/highlight.h"

#include <stdlib.h>

#include "base/path.h"
#include "term/style.h"

static const char *const keywords[] = { /* sorted; of the common languages together */
    "and", "as", "async", "await", "bool", "break", "case", "catch", "char", "class", "const", "continue", "def", "default", "defer",
    "del", "do", "double", "elif", "else", "end", "enum", "except", "export", "extern", "false", "final", "finally", "float", "fn", "for",
    "from", "func", "function", "go", "goto", "if", "impl", "import", "in", "inline", "int", "interface", "is", "lambda", "let", "long",
    "match", "mod", "mut", "new", "nil", "not", "null", "or", "package", "pass", "private", "protected", "pub", "public", "raise",
    "return", "self", "short", "signed", "sizeof", "static", "struct", "super", "switch", "this", "throw", "trait", "true", "try",
    "type", "typedef", "union", "unsigned", "use", "using", "var", "void", "volatile", "while", "with", "yield",
};

static int by_name(const void *key, const void *row)
{
    const struct span *k = key;
    const char *name = *(const char *const *)row;
    int order = strncmp(k->p, name, k->n);
    return order ? order : name[k->n] ? -1 : 0;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool hash_comments(const char *path)
{
    static const char *const ext[] = { ".py", ".sh", ".rb", ".yaml", ".yml", ".toml", ".pl", ".mk", ".cmake", ".r", ".ex" };
    for (size_t i = 0; i < sizeof ext / sizeof ext[0]; i++)
        if (strcmp(path_ext(path), ext[i]) == 0)
            return true;
    return strcmp(path_base(path), "Makefile") == 0;
}

static size_t string_end(struct span s, size_t i)
{
    char quote = s.p[i];
    for (size_t k = i + 1; k < s.n; k++) {
        if (s.p[k] == '\\')
            k++;
        else if (s.p[k] == quote)
            return k + 1;
    }
    return s.n;
}

static void piece(struct buf *out, const char *base, enum style st, struct span text)
{
    buf_adds(out, style(st));
    buf_add_span(out, text);
    buf_adds(out, style(STYLE_RESET));
    buf_adds(out, base);
}

void highlight_line(const char *path, struct span s, const char *base, struct buf *out)
{
    bool hash = hash_comments(path);
    if (!style_on()) {
        buf_add_span(out, s);
        return;
    }
    buf_adds(out, base);
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        struct span rest = span_sub(s, i, s.n);
        if ((hash && c == '#') || (!hash && span_starts(rest, "//")) || span_starts(rest, "/*")) {
            piece(out, base, STYLE_DIM, rest);
            break;
        }
        if (c == '"' || (c == '\'' && string_end(s, i) - i <= 4) || (c == '\'' && hash)) {
            size_t end = string_end(s, i);
            piece(out, base, STYLE_WARN, span_sub(s, i, end - i));
            i = end;
        } else if (is_name(c)) {
            size_t n = 0;
            while (n < rest.n && is_name(rest.p[n]))
                n++;
            struct span word = span_sub(rest, 0, n);
            bool number = c >= '0' && c <= '9';
            bool keyword = !number && bsearch(&word, keywords, sizeof keywords / sizeof keywords[0], sizeof keywords[0], by_name);
            if (number || keyword)
                piece(out, base, number ? STYLE_CODE : STYLE_ACCENT, word);
            else
                buf_add_span(out, word);
            i += n;
        } else {
            buf_addc(out, c);
            i++;
        }
    }
    buf_adds(out, style(STYLE_RESET));
}
