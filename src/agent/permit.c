#include "agent/permit.h"

#include <assert.h>
#include <stdlib.h>

#include "agent/match.h"
#include "base/hash.h"
#include "base/mem.h"
#include "journal/journal.h"

enum {
    RULES_LIMIT = 64 << 10, /* bytes of all rules of a workspace */
    COMMAND_WORDS = 256,
};

static const char *const kind_names[] = {
    [PERMIT_NET] = "net",     [PERMIT_MOUNT] = "mount",   [PERMIT_PUBLISH] = "publish",
    [PERMIT_GUARD] = "guard", [PERMIT_HOSTED] = "hosted",
};
static_assert(COUNT_OF(kind_names) == PERMIT_KINDS, "a name for each kind");

const char *permit_kind_name(enum permit_kind k)
{
    return k < PERMIT_KINDS ? kind_names[k] : "?";
}

/* --- commands as argument vectors --- */

struct words {
    struct span text;
    size_t at;
    const char *why;
};

static bool refuse(struct words *w, const char *why)
{
    w->why = why;
    return false;
}

/* One word of a POSIX shell command of literal words; false at the end or where a shell would do more. */
static bool next_word(struct words *w, struct buf *out)
{
    const char *s = w->text.p;
    size_t n = w->text.n;
    while (w->at < n && (s[w->at] == ' ' || s[w->at] == '\t'))
        w->at++;
    if (w->at == n)
        return false;
    if (s[w->at] == '#')
        return refuse(w, "a comment");
    buf_reset(out);
    char quote = 0;
    bool first = true;
    for (; w->at < n; w->at++, first = false) {
        char c = s[w->at];
        if (c == '\n' || c == '\0')
            return refuse(w, "several lines");
        if (quote == '\'') {
            if (c == '\'')
                quote = 0;
            else
                buf_addc(out, c);
            continue;
        }
        if (c == '$' || c == '`')
            return refuse(w, "a substitution");
        if (c == '\\') {
            if (w->at + 1 == n || s[w->at + 1] == '\n')
                return refuse(w, "a continued line");
            char d = s[w->at + 1];
            if (quote && d != '"' && d != '\\' && d != '$' && d != '`')
                buf_addc(out, '\\');
            buf_addc(out, d);
            w->at++;
            continue;
        }
        if (quote) {
            if (c == '"')
                quote = 0;
            else
                buf_addc(out, c);
            continue;
        }
        if (c == '\'' || c == '"') {
            quote = c;
            continue;
        }
        if (c == ' ' || c == '\t')
            break;
        if (strchr("|&;<>()", c))
            return refuse(w, "a pipe, a redirection or several commands");
        if (strchr("*?[", c) || (first && c == '~') || c == '{' || c == '}' || c == '!')
            return refuse(w, "a pattern");
        buf_addc(out, c);
    }
    if (quote)
        return refuse(w, "an open quote");
    /* An empty word ('') is a word. */
    if (!out->p)
        buf_adds(out, "");
    return out->failed ? refuse(w, "too long") : true;
}

int permit_parse_command(struct span command, struct arena *a, struct strings *argv, const char **why)
{
    struct words w = { span_trim(command), 0, NULL };
    AUTO(buf) struct buf word = BUF_INIT(64 << 10);
    const char **items = arena_array(a, COMMAND_WORDS + 1, sizeof *items);
    size_t n = 0;
    while (items && next_word(&w, &word)) {
        if (n == COMMAND_WORDS) {
            w.why = "too many words";
            break;
        }
        const char *eq = n == 0 ? strchr(buf_str(&word), '=') : NULL;
        if (eq) {
            w.why = "a variable set for the command";
            break;
        }
        items[n] = arena_span(a, buf_span(&word));
        if (!items[n] || strlen(items[n]) != word.n) {
            w.why = "too long";
            break;
        }
        n++;
    }
    if (!items)
        w.why = "too long";
    else if (!w.why && n == 0)
        w.why = "no command";
    if (why)
        *why = w.why;
    if (w.why)
        return 0;
    *argv = (struct strings){ items, n };
    return 1;
}

bool permit_match(const char *pattern, const char *const *argv)
{
    struct span rest = span_of(pattern), word;
    if (rest.n == 0)
        return false;
    size_t i = 0;
    while (span_split(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (!argv[i])
            return false;
        if (!span_eqs(word, "*") && !span_eqs(word, argv[i]))
            return false;
        i++;
    }
    return i > 0;
}

/* --- deciding --- */

struct permit {
    struct permit_options o;
    char *session, *workspace;
    struct buf rules; /* lines: "allow publish npm publish" */
    char key[96];
};

int permit_create(const struct permit_options *o, struct permit **out, struct err *e)
{
    struct permit *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "permissions: out of memory");
    p->o = *o;
    buf_init(&p->rules, RULES_LIMIT);
    p->session = strdup(o->session ? o->session : "");
    p->workspace = strdup(o->workspace ? o->workspace : "");
    if (!p->session || !p->workspace) {
        permit_destroy(p);
        return err_set(e, ERR_NOMEM, "permissions: out of memory");
    }
    struct hash_hex h = hash_bytes(p->workspace, strlen(p->workspace));
    (void)snprintf(p->key, sizeof p->key, "permit/%.32s", h.s);
    int r = o->journal ? journal_state_get(o->journal, p->key, &p->rules, e) : 0;
    if (r < 0) {
        permit_destroy(p);
        return err_wrap(e, "reading the remembered permissions");
    }
    *out = p;
    return 0;
}

void permit_destroy(struct permit *p)
{
    if (!p)
        return;
    buf_finish(&p->rules);
    free(p->session);
    free(p->workspace);
    free(p);
}

/* What would be remembered: for a command its first words up to the first option, at most three. */
static bool rule_of(const struct permit_request *r, struct buf *out)
{
    buf_addf(out, "%s ", permit_kind_name(r->kind));
    if (!r->argv)
        return buf_adds(out, r->what ? r->what : "");
    for (int i = 0; i < 3 && r->argv[i]; i++) {
        const char *word = r->argv[i];
        /* A word with a blank cannot be written in a rule, an option is too little to remember. */
        if (word[0] == '-' || word[0] == '\0' || strpbrk(word, " \n*"))
            break;
        buf_addf(out, "%s%s", i ? " " : "", word);
    }
    return out->failed == 0;
}

static bool rule_covers(struct span rule, const struct permit_request *r)
{
    struct span kind, rest = rule;
    if (!span_split(&rest, ' ', &kind) || !span_eqs(kind, permit_kind_name(r->kind)) || !rest.p || rest.n == 0)
        return false;
    if (!r->argv)
        return span_eqs(rest, r->what ? r->what : "");
    AUTO(ptr) char *pattern = span_dup(rest);
    return pattern && permit_match(pattern, r->argv);
}

/* 1 allow, 0 refuse, -1 no rule; a refusal wins over an allowance. */
static int by_rules(struct permit *p, const struct permit_request *r, struct span *which)
{
    struct span rest = buf_span(&p->rules), line;
    int verdict = -1;
    while (span_line(&rest, &line)) {
        struct span decision, rule = line;
        if (!span_split(&rule, ' ', &decision) || !rule.p || !rule_covers(rule, r))
            continue;
        bool allow = span_eqs(decision, "allow");
        if (verdict < 0 || !allow) {
            verdict = allow;
            *which = line;
        }
    }
    return verdict;
}

static int record(struct permit *p, const struct permit_request *r, bool allow, const char *by, const char *rule,
                  struct err *e)
{
    if (!p->o.journal)
        return 0;
    AUTO(buf) struct buf b = BUF_INIT(256 << 10);
    buf_addf(&b, "{\"what\":\"%s", permit_kind_name(r->kind));
    AUTO(buf) struct buf what = BUF_INIT(64 << 10);
    for (size_t i = 0; r->argv && r->argv[i]; i++)
        buf_addf(&what, " %s", r->argv[i]);
    if (!r->argv)
        buf_addf(&what, " %s", r->what ? r->what : "");
    AUTO(buf) struct buf quoted = BUF_INIT(256 << 10);
    buf_add_json(&quoted, buf_span(&what));
    if (quoted.n >= 2)
        buf_add(&b, quoted.p + 1, quoted.n - 1);
    buf_addf(&b, ",\"decision\":\"%s\",\"by\":", allow ? "allow" : "refuse");
    buf_add_json(&b, span_of(by));
    if (rule) {
        buf_adds(&b, ",\"remembered\":");
        buf_add_json(&b, span_of(rule));
    }
    buf_addc(&b, '}');
    if (buf_check(&b, e) < 0)
        return err_wrap(e, "recording a decision");
    return journal_append(p->o.journal, p->session, "approval", buf_span(&b), NULL, e);
}

int permit_ask(struct permit *p, const struct permit_request *r, struct err *e)
{
    assert(r->kind < PERMIT_KINDS);
    bool allow = false;
    int err;
    if (p->o.policy && p->o.policy(p->o.ctx, r, &allow)) {
        err = record(p, r, allow, "policy", NULL, e);
        return err < 0 ? err : allow;
    }
    struct span which = { 0 };
    int verdict = by_rules(p, r, &which);
    if (verdict >= 0) {
        AUTO(buf) struct buf by = BUF_INIT(RULES_LIMIT);
        buf_addf(&by, "rule: %.*s", (int)which.n, which.p);
        err = record(p, r, verdict == 1, buf_str(&by), NULL, e);
        return err < 0 ? err : verdict;
    }
    if (!p->o.ask) {
        err = record(p, r, false, "nobody to ask", NULL, e);
        return err < 0 ? err : 0;
    }
    AUTO(buf) struct buf rule = BUF_INIT(8192);
    rule_of(r, &rule);
    struct span words = buf_span(&rule);
    size_t kind_len = strlen(permit_kind_name(r->kind));
    bool can_remember = rule.failed == 0 && words.n > kind_len + 1 && !memchr(words.p, '\n', words.n);
    enum permit_answer answer = p->o.ask(p->o.ctx, r, can_remember ? buf_str(&rule) : NULL);
    allow = answer == PERMIT_ONCE || answer == PERMIT_ALWAYS;
    bool remember = can_remember && (answer == PERMIT_ALWAYS || answer == PERMIT_NEVER);
    if (remember) {
        buf_addf(&p->rules, "%s %s\n", allow ? "allow" : "refuse", buf_str(&rule));
        if (buf_check(&p->rules, e) < 0)
            return err_wrap(e, "remembering a permission");
        if (p->o.journal && journal_state_put(p->o.journal, p->key, buf_span(&p->rules), e) < 0)
            return err_wrap(e, "remembering a permission");
    }
    err = record(p, r, allow, "person", remember ? buf_str(&rule) : NULL, e);
    return err < 0 ? err : allow;
}

int permit_rules(struct permit *p, struct arena *a, struct strings *out, struct err *e)
{
    size_t n = lines_count(buf_span(&p->rules)), i = 0;
    const char **items = arena_array(a, n + 1, sizeof *items);
    struct span rest = buf_span(&p->rules), line;
    while (items && i < n && span_line(&rest, &line))
        if (!(items[i++] = arena_span(a, line)))
            items = NULL;
    if (!items)
        return err_set(e, ERR_NOMEM, "permissions: out of memory");
    *out = (struct strings){ items, i };
    return 0;
}

int permit_forget(struct permit *p, const char *rule, struct err *e)
{
    struct span rest = buf_span(&p->rules), line;
    while (span_line(&rest, &line)) {
        if (!span_eqs(line, rule))
            continue;
        size_t at = (size_t)(line.p - p->rules.p);
        buf_erase(&p->rules, at, line.n + 1);
        if (!p->o.journal)
            return 0;
        return journal_state_put(p->o.journal, p->key, buf_span(&p->rules), e);
    }
    return err_set(e, ERR_NOT_FOUND, "no such permission is remembered: '%s'", rule);
}
