/* Any bytes as an event: what members_check passes, jansson reads too, and walking it stays inside. */
#include <stdint.h>
#include <stdlib.h>

#include "base/bind.h"
#include "journal/members.h"

static void walk(struct span object, int depth)
{
    struct members it = members_of(object);
    struct member m;
    while (object.p[0] == '[' ? members_next_item(&it, &m) : members_next(&it, &m)) {
        struct buf text = BUF_INIT((size_t)4 << 20);
        int64_t v;
        bool b;
        struct span s;
        if (m.raw.p < object.p || m.raw.p + m.raw.n > object.p + object.n)
            abort();
        (void)member_i64(&m, &v);
        (void)member_bool(&m, &b);
        (void)member_span(&m, &s);
        (void)member_text(&m, &text);
        if ((m.kind == MEMBER_ARRAY || m.kind == MEMBER_OBJECT) && depth < 8)
            walk(m.raw, depth + 1);
        buf_finish(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct span text = { (const char *)data, size };
    if (members_check(text, &e) < 0)
        return 0;
    walk(text, 0);
    json_error_t why;
    json_t *json = json_loadb(text.p, text.n, JSON_ALLOW_NUL, &why);
    /* jansson refuses lone surrogates and numbers out of range, which are JSON's grammar */
    if (!json && why.text[0] && !strstr(why.text, "Unicode") && !strstr(why.text, "real number overflow") && !strstr(why.text, "too big") &&
        !strstr(why.text, "out of memory"))
        abort();
    json_decref(json);
    return 0;
}
