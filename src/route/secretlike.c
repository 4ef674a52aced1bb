#include "route/secretlike.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* --- characters --- */

struct letters {
    size_t upper, lower, digit, other, changes; /* changes of class from one character to the next */
};

static struct letters letters_of(struct span s)
{
    struct letters l = { 0 };
    int before = -1;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int k = c >= 'A' && c <= 'Z' ? 0 : c >= 'a' && c <= 'z' ? 1 : c >= '0' && c <= '9' ? 2 : 3;
        *(k == 0 ? &l.upper : k == 1 ? &l.lower : k == 2 ? &l.digit : &l.other) += 1;
        l.changes += before >= 0 && k != before;
        before = k;
    }
    return l;
}

static double entropy(struct span s)
{
    size_t count[256] = { 0 };
    double h = 0;
    for (size_t i = 0; i < s.n; i++)
        count[(unsigned char)s.p[i]]++;
    for (size_t i = 0; i < 256; i++)
        if (count[i]) {
            double f = (double)count[i] / (double)s.n;
            h -= f * log2(f);
        }
    return h;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/*
 * Letters that follow a letter in 96.5 % of the pairs of 6,769 words that code is written in (identifiers of C, Python,
 * JavaScript and Perl, 2026-11-28). Of letters by chance half the pairs are others; of names hardly any.
 */
static const char *const followers[26] = {
    "bcdfgiklmnprstuvwxy", "abceijlmoqrsuy", "acdehiklmorstuy", "abcdegilorstuy", "abcdefgilmnopqrstuvwxy", "abdefilorstuy",
    "aeghilmnorsu", "aeiortu", "abcdefglmnoprstvxz", "aesu", "aeils", "acdefilopstuy", "abeilmopsu", "abcdefgiklmnoprstuvy",
    "abcdefgiklmnoprstuvwx", "adehiloprstuy", "u", "acdefgiklmnoprstuvy", "acefghiklmnopqstuwy", "acdefhilmoprstuy",
    "abcdefgilmnprst", "aeio", "aehinors", "acefipt", "imnpst", "e",
};

/* Percent of the pairs of letters that hardly occur in words; -1 where there are too few to tell. */
static int unusual_percent(struct span s)
{
    int pairs = 0, rare = 0;
    for (size_t i = 0; i + 1 < s.n; i++) {
        char a = (char)(s.p[i] | 32), b = (char)(s.p[i + 1] | 32);
        if (!is_letter(s.p[i]) || !is_letter(s.p[i + 1]))
            continue;
        pairs++;
        rare += strchr(followers[a - 'a'], b) == NULL;
    }
    return pairs < 3 ? -1 : rare * 100 / pairs;
}

#define UNUSUAL_PERCENT 28 /* of the pairs: no words any more */

static bool is_worded(struct span s)
{
    return unusual_percent(s) <= UNUSUAL_PERCENT;
}

static bool is_hex(struct span s)
{
    size_t n = 0;
    while (n < s.n && (is_digit(s.p[n]) || ((s.p[n] | 32) >= 'a' && (s.p[n] | 32) <= 'f')))
        n++;
    return s.n && n == s.n;
}

/* --- secrets --- */

/* "^9.0.2", "~4.18", ">=1.2.3-beta.1", "10.0.0.1": numbers with dots, as packages and addresses have. */
static bool is_version(const char *s)
{
    s += strspn(s, "^~<>=v ");
    size_t digits = strspn(s, "0123456789.x*"), rest = strlen(s) - digits;
    bool dotted = digits && memchr(s, '.', digits);
    return dotted && (!rest || (s[digits] == '-' && strspn(s + digits + 1, "abcdefghijklmnopqrstuvwxyz.0123456789") == rest - 1 && rest < 12));
}

/* Where a value comes from, or what stands for one: no secret itself. `low`: it in small letters. */
static bool is_placeholder(struct span s, const char *low)
{
    static const char *const not_secret[] = { "${", "$(", "{{", "%(", "process.env", "os.environ", "getenv", "env.", "env[", "config.",
                                              "settings.", "self.", "this.", "args.", "request.", "example", "changeme", "change-me",
                                              "change_me", "placeholder", "your-", "your_", "xxxx", "****", "....", "redacted", "<", "null",
                                              "none", "undefined", "true", "false", "string", "required", "optional", "std::", "http://", "https://" };
    for (size_t i = 0; i < COUNT_OF(not_secret); i++) {
        /* such a word marks a short value as no secret; a long random one may hold it by chance */
        if (strstr(low, not_secret[i]) && (s.n < strlen(not_secret[i]) + 10 || strncmp(low, not_secret[i], strlen(not_secret[i])) == 0) &&
            letters_of(s).digit < 4)
            return true;
    }
    return is_version(low);
}

static char *lower(struct span s)
{
    char *low = span_dup(s);
    for (char *p = low; p && *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 32) : *p;
    return low;
}

/* A quoted value of a telling name: whatever it is, if it is one. */
static bool is_quoted_secret(struct span s)
{
    AUTO(ptr) char *low = lower(s);
    return !low || !is_placeholder(s, low);
}

/* A value given to a telling name: a secret, or the name of where it comes from? */
static bool is_assigned_secret(struct span s)
{
    AUTO(ptr) char *low = lower(s);
    if (!low)
        return true;
    if (is_placeholder(s, low))
        return false;
    struct letters l = letters_of(s);
    double h = entropy(s);
    bool mixed = (l.upper > 0) + (l.lower > 0) + (l.digit > 0) + (l.other > 0) >= 2;
    if (l.digit == 0 && l.other == 0)
        return s.n >= 10 && !is_worded(s); /* letters only: a name, unless they are thrown */
    size_t sign = strspn(low, "#%@");
    if (l.digit == 0 && sign + strspn(low + sign, "abcdefghijklmnopqrstuvwxyz_.-/:>*&") == s.n)
        return false; /* snake_case, a.member, a path, #colour */
    return mixed && h >= 2.5;
}

static bool looks_random(struct span s)
{
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    struct letters l = letters_of(s);
    size_t slashes = 0;
    for (size_t i = 0; i < s.n; i++)
        slashes += s.p[i] == '/';
    if (slashes > 2 && slashes * 6 > s.n)
        return false; /* a path */
    if (!l.upper && l.digit >= 4 && l.lower >= 8 && l.changes * 3 >= s.n && !is_hex(s)) /* base 32 and 36 */
        return l.other * 12 <= s.n && !is_worded(s) && entropy(s) >= 3.7;
    if (l.upper < 3 || l.lower < 3 || l.changes * 3 < s.n || (l.digit < 2 && l.changes * 2 < s.n))
        return false; /* words, hexadecimal hashes, identifiers */
    double least = s.n < 32 ? 3.7 : s.n < 48 ? 4.0 : 4.3;
    return entropy(s) >= least;
}

/* One run of letters and digits: thrown together, or a word, a number, a name with a number? */
static bool is_made_up_run(struct span s)
{
    struct letters l = letters_of(s);
    size_t digit_runs = 0;
    for (size_t i = 0; i < s.n; i++)
        digit_runs += is_digit(s.p[i]) && (i == 0 || !is_digit(s.p[i - 1]));
    if (s.n < 8 || l.digit == s.n || (s.p[0] == '0' && (s.p[1] | 32) == 'x'))
        return false;
    if (l.digit == 0)
        return s.n >= 12 && !is_worded(s) && l.lower > 0;
    if (is_hex(s))
        return s.n >= 12 && digit_runs >= 3;
    return (digit_runs >= 2 && l.digit >= 2 && l.changes >= 3) || (l.upper + l.lower >= 6 && !is_worded(s));
}

/* Two of a letter, a digit and a sign as people put them into passwords: P@ssw0rd, Summer2026! */
static bool is_peppered(struct span s)
{
    struct letters l = letters_of(s);
    size_t signs = 0;
    for (size_t i = 0; i < s.n; i++)
        signs += strchr("!@#$%^&*", s.p[i]) != NULL;
    bool whole = is_letter(s.p[0]) || is_digit(s.p[0]);
    bool mail = memchr(s.p, '@', s.n) && memchr(s.p, '.', s.n);
    return s.n >= 8 && whole && !mail && signs && signs <= 4 && l.digit && l.upper + l.lower >= 3 && l.other - signs <= 2;
}

static bool is_made_up(struct span s)
{
    for (size_t i = 0; i < s.n;) {
        size_t from = i;
        while (i < s.n && (is_digit(s.p[i]) || is_letter(s.p[i])))
            i++;
        if (is_made_up_run(span_sub(s, from, i - from)))
            return true;
        i += i == from;
    }
    return s.n && is_peppered(s);
}

/* What stands behind a prefix such as "abc_". */
static bool is_token(struct span s)
{
    struct letters l = letters_of(s);
    if (is_hex(s))
        return s.n >= 32 && l.digit >= 6 && l.lower + l.upper >= 3;
    return l.digit >= 2 && l.lower + l.upper >= 8 && l.changes * 4 >= s.n && entropy(s) >= 3.5 && (l.upper >= 2 || l.changes >= 6 || !is_worded(s));
}

static int sixty_four(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : is_digit(c) ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* base64 of printable text with a colon in it */
static bool is_basic(struct span s)
{
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0, colon = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        int v = sixty_four(s.p[i]);
        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        char c = (char)(bits >> have & 0xff);
        if (c < 0x20 || c > 0x7e)
            return false;
        n++;
        if (c == ':' && !colon)
            colon = n;
    }
    return colon && n > colon + 2;
}

/* --- people --- */

static bool luhn(struct span s)
{
    int sum = 0, n = 0;
    for (size_t i = s.n; i-- > 0;) {
        if (!is_digit(s.p[i]))
            continue;
        int d = s.p[i] - '0';
        if (n++ % 2)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return n >= 13 && n <= 19 && sum > 0 && sum % 10 == 0;
}

static bool iban(struct span s)
{
    char t[40];
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < sizeof t; i++)
        if (s.p[i] != ' ')
            t[n++] = s.p[i];
    if (n < 15 || n > 34)
        return false;
    int rest = 0;
    for (size_t i = 0; i < n; i++) {
        char c = t[(i + 4) % n];
        int v = c >= 'A' ? c - 'A' + 10 : c - '0';
        rest = (rest * (v > 9 ? 100 : 10) + v) % 97;
    }
    return rest == 1;
}

static bool is_persons_email(struct span s)
{
    static const char *const robots[] = { "noreply", "no-reply", "donotreply", "git@", "root@", "user@", "users.noreply", "@example.", "@localhost",
                                          "@test.", "example.com", "example.org", "example.net", ".invalid", ".example", ".test", ".local" };
    AUTO(ptr) char *low = lower(s);
    if (!low)
        return true;
    for (size_t i = 0; i < COUNT_OF(robots); i++)
        if (strstr(low, robots[i]))
            return false;
    return true;
}

bool secretlike(enum secretlike_check c, struct span s)
{
    switch (c) {
    case CHECK_NONE: return true;
    case CHECK_RANDOM: return is_assigned_secret(s);
    case CHECK_QUOTED: return is_quoted_secret(s);
    case CHECK_ENTROPY: return looks_random(s);
    case CHECK_MADE_UP: return is_made_up(s);
    case CHECK_TOKEN: return is_token(s);
    case CHECK_BASIC: return is_basic(s);
    case CHECK_LUHN: return luhn(s);
    case CHECK_IBAN: return iban(s);
    case CHECK_EMAIL: return is_persons_email(s);
    }
    return true;
}
