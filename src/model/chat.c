#define LOG_MODULE "chat"
#include "model/chat.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/secret.h"
#include "model/chat-internal.h"
#include "model/control.h"
#include "model/row.h"
#include "model/schema.h"
#include "model/text-tools.h"

#define REPLY_DEFAULT_TOKENS 4096 /* a whole file of a few hundred lines */
#define RESULT_LIMIT_BYTES (16u << 20)
#define BYTES_PER_TOKEN 3.6 /* code in the vocabularies in use: 3.0 to 4.2 */

bool chat_fit_reply(struct chat *c, int64_t window)
{
    if (c->max_tokens_given || window <= 0 || c->max_tokens <= window / 4)
        return false;
    c->max_tokens = window / 4;
    return true;
}

static int nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "cannot hold the conversation: out of memory");
}

/* 64 bits, 8 bytes at a time: finds accidents, not attacks; 200 kB in some 30 us. */
uint64_t chat_hash(struct span s)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ s.n;
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t v;
        memcpy(&v, s.p + i, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdu;
        h ^= h >> 29;
    }
    for (; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

const struct chat_tool *chat_tool_find(const struct chat *c, struct span name)
{
    for (size_t i = 0; i < c->ntools; i++)
        if (span_eqs(name, c->tools[i].sent.name))
            return &c->tools[i];
    return NULL;
}

bool chat_call_schema(const struct chat *c, struct buf *out)
{
    buf_adds(out, "{\"anyOf\":[");
    for (size_t i = 0; i < c->ntools; i++) {
        buf_adds(out, i ? ",{\"type\":\"object\",\"properties\":{\"name\":{\"const\":" : "{\"type\":\"object\",\"properties\":{\"name\":{\"const\":");
        buf_add_json(out, span_of(c->tools[i].sent.name));
        buf_adds(out, "},\"arguments\":");
        buf_add_span(out, c->tools[i].sent.schema);
        buf_adds(out, "},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}");
    }
    return buf_adds(out, "]}");
}

void chat_make_id(struct chat *c, char out[16])
{
    /* Nine letters and digits (quirk 3), the same again after a resume. */
    snprintf(out, 16, "call%05lld", (long long)(c->next_id++ % 100000));
}

/* ---- the head and the messages ---- */

static int write_head(struct chat *c, struct err *e)
{
    struct tool_schema *list = calloc(c->ntools ? c->ntools : 1, sizeof *list);
    if (!list)
        return nomem(e);
    for (size_t i = 0; i < c->ntools; i++)
        list[i] = c->tools[i].sent;
    AUTO(buf) struct buf with_tools = BUF_INIT(CHAT_MAX_BYTES);
    bool in_text = !c->behaviour.tools && c->ntools;
    if (in_text && !text_tools_head(c->given, list, c->ntools, &with_tools)) {
        free(list);
        return nomem(e);
    }
    c->instructions = in_text ? span_of(arena_span(&c->arena, buf_span(&with_tools))) : c->given;
    AUTO(buf) struct buf whole = BUF_INIT(CHAT_MAX_BYTES);
    if (c->behaviour.escape_control && control_break(&whole, c->instructions))
        c->instructions = span_of(arena_span(&c->arena, buf_span(&whole)));
    struct head h = { .model = c->ep->model, .instructions = c->instructions, .tools = list, .ntools = c->behaviour.tools ? c->ntools : 0,
                      .sampling = &c->sampling, .behaviour = &c->behaviour, .max_tokens = c->max_tokens };
    buf_reset(&c->wire.bytes);
    c->wire.open = 0;
    c->wire.messages = 0;
    c->wire.behaviour = &c->behaviour;
    bool ok = c->dialect->head(&c->wire, &h);
    c->wire.head = c->wire.bytes.n;
    c->system_in_user = c->behaviour.system_place == SYSTEM_IN_USER && c->instructions.n;
    free(list);
    return ok ? 0 : nomem(e);
}

static int write_message(struct chat *c, const struct message *m, struct err *e);

static int write_escaped(struct chat *c, const struct message *m, struct err *e);

int chat_write(struct chat *c, const struct message *m, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(CHAT_MAX_BYTES);
    struct message plain;
    if (c->behaviour.tools || !text_tools_message(m, &text, &plain))
        return write_escaped(c, m, e);
    if (text.failed)
        return err_set(e, ERR_LIMIT, "the conversation is longer than %u MiB", CHAT_MAX_BYTES >> 20);
    return write_escaped(c, &plain, e);
}

/* Where the server would take them for its own, control tokens are broken up: in words, results, and calls that are sent back. */
static int write_escaped(struct chat *c, const struct message *m, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(CHAT_MAX_BYTES);
    struct buf *args = NULL;
    struct said_call calls[CHAT_MAX_CALLS];
    struct message broken = *m;
    if (!c->behaviour.escape_control || m->role == MESSAGE_IMAGE)
        return write_message(c, m, e);
    if (control_break(&text, m->text))
        broken.text = buf_span(&text);
    bool failed = text.failed;
    if (m->ncalls && m->ncalls <= CHAT_MAX_CALLS) {
        args = calloc(m->ncalls, sizeof *args);
        failed |= !args;
        for (size_t i = 0; args && i < m->ncalls; i++) {
            buf_init(&args[i], CHAT_MAX_BYTES);
            calls[i] = m->calls[i];
            if (control_break(&args[i], m->calls[i].args))
                calls[i].args = buf_span(&args[i]);
            failed |= args[i].failed;
        }
        broken.calls = calls;
    }
    int rc = failed ? err_set(e, ERR_LIMIT, "the conversation is longer than %u MiB", CHAT_MAX_BYTES >> 20) : write_message(c, &broken, e);
    for (size_t i = 0; args && i < m->ncalls; i++)
        buf_finish(&args[i]);
    free(args);
    return rc;
}

static int write_message(struct chat *c, const struct message *m, struct err *e)
{
    size_t was = c->wire.bytes.n;
    int open = c->wire.open;
    bool ok;
    if (c->system_in_user && m->role == MESSAGE_USER) {
        AUTO(buf) struct buf joined = BUF_INIT(CHAT_MAX_BYTES);
        struct message both = *m;
        buf_add_span(&joined, c->instructions);
        buf_adds(&joined, "\n\n");
        buf_add_span(&joined, m->text);
        both.text = buf_span(&joined);
        ok = !joined.failed && c->dialect->add(&c->wire, &both);
        c->system_in_user = !ok;
    } else {
        ok = c->dialect->add(&c->wire, m);
    }
    if (ok)
        return 0;
    c->wire.bytes.failed = 0;
    buf_truncate(&c->wire.bytes, was);
    c->wire.open = open;
    return err_set(e, ERR_LIMIT, "the conversation is longer than %u MiB", CHAT_MAX_BYTES >> 20);
}

int chat_pend(struct chat *c, struct span id, struct span name, struct err *e)
{
    if (!array_grow((void **)&c->pending, &c->pending_cap, c->npending, 1, sizeof *c->pending))
        return nomem(e);
    struct chat_pending *p = &c->pending[c->npending];
    memset(p, 0, sizeof *p);
    p->id = span_dup(id);
    p->name = span_dup(name);
    buf_init(&p->result, RESULT_LIMIT_BYTES);
    if (!p->id || !p->name) {
        free(p->id);
        free(p->name);
        return nomem(e);
    }
    return (int)c->npending++;
}

static void drop_pending(struct chat *c)
{
    for (size_t i = 0; i < c->npending; i++) {
        free(c->pending[i].id);
        free(c->pending[i].name);
        buf_finish(&c->pending[i].result);
    }
    c->npending = 0;
}

/* Results are written in the order of the calls, whatever order they came in. */
int chat_flush(struct chat *c, struct err *e)
{
    for (size_t i = 0; i < c->npending; i++) {
        struct chat_pending *p = &c->pending[i];
        if (!p->answered)
            buf_adds(&p->result, "error: not run");
        if (i + 1 == c->npending && c->note.n) {
            buf_adds(&p->result, "\n\n");
            buf_add_span(&p->result, buf_span(&c->note));
        }
        struct message m = { .role = MESSAGE_RESULT, .text = buf_span(&p->result), .call_id = span_of(p->id), .tool = span_of(p->name), .ok = p->ok };
        int rc = chat_write(c, &m, e);
        if (rc < 0)
            return rc;
    }
    drop_pending(c);
    buf_reset(&c->note);
    return 0;
}

/* ---- creation ---- */

static int copy_tools(struct chat *c, const struct chat_options *o, struct err *e)
{
    c->tools = arena_array(&c->arena, o->ntools + 1, sizeof *c->tools);
    if (!c->tools)
        return nomem(e);
    for (size_t i = 0; i < o->ntools; i++) {
        struct chat_tool *t = &c->tools[i];
        AUTO(buf) struct buf plain = BUF_INIT(256 << 10);
        t->sent.name = arena_strdup(&c->arena, o->tools[i].name);
        t->sent.doc = arena_strdup(&c->arena, o->tools[i].doc ? o->tools[i].doc : "");
        t->schema = span_of(arena_span(&c->arena, o->tools[i].schema));
        t->check = json_loadb(t->schema.p, t->schema.n, 0, NULL);
        c->ntools = i + 1;
        if (!json_is_object(t->check))
            return err_set(e, ERR_INTERNAL, "the schema of tool '%s' is not a JSON object", o->tools[i].name);
        t->sent.schema = t->schema;
        if (c->behaviour.plain_schemas && schema_plain(t->schema, &plain))
            t->sent.schema = span_of(arena_span(&c->arena, buf_span(&plain)));
        if (!t->sent.name || !t->sent.doc || !t->sent.schema.n)
            return nomem(e);
    }
    return 0;
}

static int set_headers(struct chat *c, struct err *e)
{
    size_t n = 0;
    struct span key = c->ep->key ? secret_span(c->ep->key) : (struct span){ "", 0 };
    if (key.n) {
        AUTO(buf) struct buf b = BUF_INIT(16 << 10);
        const char *mark = strstr(c->dialect->key_header, "%s");
        buf_add(&b, c->dialect->key_header, (size_t)(mark - c->dialect->key_header));
        buf_add_span(&b, key);
        c->key_line = buf_take(&b);
        if (!c->key_line)
            return nomem(e);
        c->headers[n++] = c->key_line;
    }
    c->headers[n++] = "Accept: text/event-stream, application/json";
    for (size_t i = 0; c->dialect->headers && c->dialect->headers[i] && n + 1 < COUNT_OF(c->headers); i++)
        c->headers[n++] = c->dialect->headers[i];
    return 0;
}

int chat_create(struct loop *loop, struct endpoint *ep, const struct chat_options *o, struct chat **out, struct err *e)
{
    int rc = endpoint_prepare(loop, ep, e);
    if (rc < 0)
        return rc;
    if (!ep->profile && (rc = profile_for(ep, NULL, &ep->profile, e)) < 0)
        return rc;
    AUTO(chat) struct chat *c = calloc(1, sizeof *c);
    if (!c)
        return nomem(e);
    c->loop = loop;
    c->ep = ep;
    c->dialect = ep->dialect;
    c->behaviour = ep->profile->behaviour;
    arena_init(&c->arena, 8u << 20);
    buf_init(&c->wire.bytes, CHAT_MAX_BYTES);
    buf_init(&c->note, 64 << 10);
    c->given = span_of(arena_span(&c->arena, o->instructions));
    const struct model_row *row = model_row_for(ep->model);
    c->sampling = o->sampling ? *o->sampling : row->sampling;
    int64_t window = ep->profile->context_tokens ? ep->profile->context_tokens : ep->context_tokens;
    c->max_tokens = o->max_tokens ? o->max_tokens : row->max_tokens ? row->max_tokens : REPLY_DEFAULT_TOKENS;
    c->max_tokens_given = o->max_tokens > 0;
    (void)chat_fit_reply(c, window);
    if (c->max_tokens < 1)
        c->max_tokens = 1;
    c->max_repairs = o->max_repairs ? o->max_repairs : 3;
    c->max_retries = o->max_retries ? o->max_retries : 6;
    c->wait_ms = o->wait_ms ? o->wait_ms : 600000;
    c->stall_ms = o->stall_ms;
    c->first_byte_ms = o->first_byte_ms;
    if ((rc = copy_tools(c, o, e)) < 0 || (rc = set_headers(c, e)) < 0 || (rc = write_head(c, e)) < 0)
        return rc;
    *out = TAKE(c);
    return 0;
}

void chat_destroy(struct chat *c)
{
    if (!c)
        return;
    drop_pending(c);
    free(c->pending);
    for (size_t i = 0; i < c->ntools; i++)
        json_decref(c->tools[i].check);
    if (c->key_line)
        mem_wipe(c->key_line, strlen(c->key_line));
    free(c->key_line);
    buf_finish(&c->note);
    buf_finish(&c->wire.bytes);
    arena_finish(&c->arena);
    free(c);
}

/* ---- adding ---- */

int chat_add_user(struct chat *c, struct span text, struct err *e)
{
    int rc = chat_flush(c, e);
    struct message m = { .role = MESSAGE_USER, .text = text };
    return rc < 0 ? rc : chat_write(c, &m, e);
}

static bool add_base64(struct buf *out, struct span data)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < data.n; i += 3) {
        unsigned v = (unsigned)(unsigned char)data.p[i] << 16;
        if (i + 1 < data.n)
            v |= (unsigned)(unsigned char)data.p[i + 1] << 8;
        if (i + 2 < data.n)
            v |= (unsigned char)data.p[i + 2];
        buf_addc(out, digits[v >> 18]);
        buf_addc(out, digits[(v >> 12) & 63]);
        buf_addc(out, i + 1 < data.n ? digits[(v >> 6) & 63] : '=');
        buf_addc(out, i + 2 < data.n ? digits[v & 63] : '=');
    }
    return !out->failed;
}

int chat_add_image(struct chat *c, const char *mime, struct span data, struct err *e)
{
    static const char *const types[] = { "image/png", "image/jpeg", "image/webp", "image/gif" };
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        known |= !strcmp(mime, types[i]);
    if (!known)
        return err_set(e, ERR_INPUT, "'%s' is not a type of image that models take", mime);
    if (!c->behaviour.vision)
        return err_set(e, ERR_UNSUPPORTED, "the model '%s' at %s does not take images", c->ep->model, c->ep->name);
    AUTO(buf) struct buf b = BUF_INIT(CHAT_MAX_BYTES);
    if (!add_base64(&b, data))
        return err_set(e, ERR_LIMIT, "the image of %zu bytes is too large", data.n);
    int rc = chat_flush(c, e);
    struct message m = { .role = MESSAGE_IMAGE, .text = buf_span(&b), .tool = span_of(mime) };
    return rc < 0 ? rc : chat_write(c, &m, e);
}

int chat_add_tool_result(struct chat *c, const char *id, struct span text, bool ok, struct err *e)
{
    for (size_t i = 0; i < c->npending; i++) {
        struct chat_pending *p = &c->pending[i];
        if (p->answered || strcmp(p->id, id) != 0)
            continue;
        if (!buf_add_span(&p->result, text)) {
            buf_reset(&p->result);
            return err_set(e, ERR_LIMIT, "the result of call '%s' is longer than %u MiB", id, RESULT_LIMIT_BYTES >> 20);
        }
        p->answered = true;
        p->ok = ok;
        return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "no call '%s' waits for a result", id);
}

/* ---- resume, compaction ---- */

struct span chat_prefix(struct chat *c)
{
    bool whole = true;
    struct err unused = ERR_INIT;
    for (size_t i = 0; i < c->npending; i++)
        whole &= c->pending[i].answered;
    if (whole)
        (void)chat_flush(c, &unused); /* too long: the next add says so */
    return buf_span(&c->wire.bytes);
}

static int read_messages(const struct dialect *d, struct span bytes, struct arena *arena, struct message **m, size_t *n, int *open, struct err *e)
{
    int rc = d->read(bytes, arena, m, n, open, e);
    return rc < 0 ? rc : text_tools_read(arena, m, n, e);
}

/* Calls at the end of a saved conversation whose results are not in it. */
static int restore_pending(struct chat *c, const struct message *m, size_t n, struct err *e)
{
    size_t last = n;
    while (last > 0 && m[last - 1].role == MESSAGE_RESULT)
        last--;
    if (!last || m[last - 1].role != MESSAGE_ASSISTANT)
        return 0;
    for (size_t k = 0; k < m[last - 1].ncalls; k++) {
        bool answered = false;
        for (size_t i = last; i < n; i++)
            answered |= span_eq(m[i].call_id, m[last - 1].calls[k].id);
        int rc = answered ? 0 : chat_pend(c, m[last - 1].calls[k].id, m[last - 1].calls[k].name, e);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void count_ids(struct chat *c, const struct message *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].role == MESSAGE_ASSISTANT)
            c->next_id += (int64_t)m[i].ncalls;
}

int chat_restore(struct chat *c, struct span bytes, struct err *e)
{
    struct span head = span_sub(buf_span(&c->wire.bytes), 0, c->wire.head);
    if (bytes.n < head.n || memcmp(bytes.p, head.p, head.n) != 0)
        return err_set(e, ERR_CONFLICT, "the saved conversation began with another model, prompt or set of tools");
    AUTO(arena) struct arena a = ARENA_INIT(4 * (size_t)CHAT_MAX_BYTES);
    struct message *m = NULL;
    size_t n = 0;
    int open = 0;
    int rc = read_messages(c->dialect, bytes, &a, &m, &n, &open, e);
    if (rc < 0)
        return rc;
    drop_pending(c);
    buf_truncate(&c->wire.bytes, head.n);
    if (!buf_add_span(&c->wire.bytes, span_sub(bytes, head.n, bytes.n)))
        return nomem(e);
    c->wire.open = open;
    c->wire.messages = n;
    c->system_in_user = c->system_in_user && n == 0;
    c->next_id = 0;
    count_ids(c, m, n);
    c->sent_bytes = c->wire.bytes.n; /* the promise holds over the resume */
    c->sent_hash = chat_hash(buf_span(&c->wire.bytes));
    return restore_pending(c, m, n, e);
}

/* Write messages that came from elsewhere; ids are made anew where this endpoint wants its own. */
static int write_all_messages(struct chat *c, struct message *m, size_t n, struct err *e)
{
    char (*ids)[2][160] = NULL;
    size_t nids = 0, cap = 0;
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < n; i++) {
        struct message w = m[i];
        if (w.role == MESSAGE_USER && i == 0 && c->system_in_user && span_starts(w.text, c->instructions.p))
            w.text = span_sub(w.text, c->instructions.n + 2, w.text.n);
        else if (w.role == MESSAGE_USER && i == 0 && c->system_in_user && c->given.n && span_starts(w.text, c->given.p))
            w.text = span_sub(w.text, c->given.n + 2, w.text.n); /* written before the tools moved into the prompt */
        struct said_call calls[CHAT_MAX_CALLS];
        if (w.role == MESSAGE_ASSISTANT) {
            size_t k = 0;
            for (; k < w.ncalls && k < CHAT_MAX_CALLS; k++) {
                calls[k] = w.calls[k];
                if (!array_grow((void **)&ids, &cap, nids, 1, sizeof *ids)) {
                    rc = nomem(e);
                    break;
                }
                snprintf(ids[nids][0], 160, "%.*s", (int)calls[k].id.n, calls[k].id.p);
                if (c->behaviour.nine_char_ids || calls[k].id.n >= 64)
                    chat_make_id(c, ids[nids][1]);
                else
                    snprintf(ids[nids][1], 160, "%s", ids[nids][0]);
                nids++;
            }
            for (size_t at = 0; at < k; at++)
                calls[at].id = span_of(ids[nids - k + at][1]);
            w.calls = calls;
            w.ncalls = k;
        }
        for (size_t k = nids; w.role == MESSAGE_RESULT && k-- > 0;)
            if (span_eqs(w.call_id, ids[k][0])) {
                w.call_id = span_of(ids[k][1]);
                break;
            }
        if (rc >= 0)
            rc = chat_write(c, &w, e);
    }
    free(ids);
    return rc;
}

int chat_adopt(struct chat *c, const char *dialect, struct span bytes, struct err *e)
{
    const struct dialect *d = dialect_find(dialect);
    if (!d)
        return err_set(e, ERR_UNSUPPORTED, "the saved conversation is of the dialect '%s', which this version does not know", dialect);
    AUTO(arena) struct arena a = ARENA_INIT(4 * (size_t)CHAT_MAX_BYTES);
    struct message *m = NULL;
    size_t n = 0;
    int open = 0;
    int rc = read_messages(d, bytes, &a, &m, &n, &open, e);
    if (rc < 0)
        return rc;
    drop_pending(c);
    c->sent_bytes = 0;
    c->counted_tokens = 0;
    if ((rc = write_head(c, e)) < 0)
        return rc;
    rc = write_all_messages(c, m, n, e);
    if (rc >= 0 && !c->behaviour.nine_char_ids)
        count_ids(c, m, n);
    return rc < 0 ? rc : restore_pending(c, m, n, e);
}

int chat_rebuild(struct chat *c, struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT(4 * (size_t)CHAT_MAX_BYTES);
    struct message *m = NULL;
    size_t n = 0;
    int open = 0;
    int rc = read_messages(c->dialect, buf_span(&c->wire.bytes), &a, &m, &n, &open, e);
    if (rc >= 0)
        rc = write_head(c, e);
    if (rc >= 0)
        rc = write_all_messages(c, m, n, e);
    c->sent_bytes = 0;
    return rc;
}

int64_t chat_compact(struct chat *c, chat_compact_fn fn, void *ctx, struct err *e)
{
    int rc = chat_flush(c, e);
    if (rc < 0)
        return rc;
    AUTO(arena) struct arena a = ARENA_INIT(4 * (size_t)CHAT_MAX_BYTES);
    struct message *m = NULL;
    size_t n = 0, was = c->wire.bytes.n;
    int open = 0;
    rc = read_messages(c->dialect, buf_span(&c->wire.bytes), &a, &m, &n, &open, e);
    if (rc < 0)
        return rc;
    int replies_after = 0, total = 0;
    for (size_t i = 0; i < n; i++)
        total += m[i].role == MESSAGE_ASSISTANT;
    const struct message *said = NULL;
    for (size_t i = 0; i < n; i++) {
        if (m[i].role == MESSAGE_ASSISTANT) {
            said = &m[i];
            replies_after++;
        }
        if (m[i].role != MESSAGE_RESULT)
            continue;
        struct span tool = { "", 0 }, args = { "{}", 2 };
        for (size_t k = 0; said && k < said->ncalls; k++)
            if (span_eq(said->calls[k].id, m[i].call_id)) {
                tool = said->calls[k].name;
                args = said->calls[k].args;
            }
        m[i].tool = tool;
        AUTO(buf) struct buf b = BUF_INIT(RESULT_LIMIT_BYTES);
        AUTO(ptr) char *name = span_dup(tool);
        if (name && fn(ctx, name, args, m[i].text, total - replies_after, &b))
            m[i].text = span_of(arena_span(&a, buf_span(&b)));
    }
    if ((rc = write_head(c, e)) < 0 || (rc = write_all_messages(c, m, n, e)) < 0)
        return rc;
    int64_t freed = (int64_t)was - (int64_t)c->wire.bytes.n;
    if (c->counted_tokens) {
        c->counted_tokens -= (int64_t)((double)freed / BYTES_PER_TOKEN);
        c->counted_bytes = c->wire.bytes.n;
        if (c->counted_tokens < 0)
            c->counted_tokens = 0;
    }
    c->prompt_tokens = 0;
    c->sent_bytes = 0;
    c->stats.compactions++;
    return freed;
}

void chat_reset(struct chat *c)
{
    struct err unused = ERR_INIT;
    drop_pending(c);
    buf_reset(&c->note);
    (void)write_head(c, &unused); /* it was written before, into the same memory */
    c->sent_bytes = 0;
    c->counted_tokens = c->prompt_tokens = 0;
    c->stats.compactions++;
}

int64_t chat_estimate_tokens(const struct chat *c)
{
    size_t more = 0;
    for (size_t i = 0; i < c->npending; i++)
        more += c->pending[i].result.n;
    if (c->counted_tokens && c->wire.bytes.n >= c->counted_bytes)
        return c->counted_tokens + (int64_t)((double)(c->wire.bytes.n - c->counted_bytes + more) / BYTES_PER_TOKEN);
    return (int64_t)((double)(c->wire.bytes.n + more) / BYTES_PER_TOKEN);
}

int64_t chat_room_tokens(const struct chat *c)
{
    int64_t window = c->ep->profile->context_tokens ? c->ep->profile->context_tokens : c->ep->context_tokens;
    return window > c->max_tokens ? window - c->max_tokens : window;
}

size_t chat_message_count(const struct chat *c)
{
    return c->wire.messages;
}

struct chat_stats chat_stats(const struct chat *c)
{
    return c->stats;
}
