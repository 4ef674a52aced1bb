/* The verdict as JSON (the contract's members), and back. */
#include "base/clean.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "verify/verify.h"

#define VERDICT_OUTPUT 4000u /* of the end of a red gate's output kept with its verdict */

const char *verify_state_name(enum verify_state s)
{
    static const char *const names[] = { [VERIFY_VERIFIED] = "verified", [VERIFY_RED] = "red", [VERIFY_UNVERIFIED] = "unverified", [VERIFY_CLEAN] = "clean" };
    return names[s];
}

static json_t *text(const char *s)
{
    json_t *v = json_string(s ? s : ""); /* NULL when it is not UTF-8 */
    return v ? v : json_string("?");
}

static json_t *names_of(const struct strings *s)
{
    json_t *a = json_array();
    for (size_t i = 0; i < s->len; i++)
        json_array_append_new(a, text(s->items[i]));
    return a;
}

int verdict_exit(const struct verdict *v)
{
    static const int codes[] = { [VERIFY_VERIFIED] = 0, [VERIFY_RED] = 3, [VERIFY_UNVERIFIED] = 6, [VERIFY_CLEAN] = 0 };
    return codes[v->state];
}

json_t *gate_result_json(const struct gate_result *r, bool names)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", text(r->gate->name));
    json_object_set_new(o, "kind", text(gate_kind_name(r->gate->kind)));
    json_object_set_new(o, "verdict", text(gate_verdict_name(r->verdict)));
    json_object_set_new(o, "new_failures", names ? names_of(&r->new_failures) : json_integer((json_int_t)r->new_failures.len));
    json_object_set_new(o, "old_failures", names ? names_of(&r->old_failures) : json_integer((json_int_t)r->old_failures.len));
    json_object_set_new(o, "duration_ms", json_integer(r->duration_ms));
    json_object_set_new(o, "flaky", names ? names_of(&r->flaky) : json_integer((json_int_t)r->flaky.len));
    json_object_set_new(o, "command", text(r->gate->command));
    json_object_set_new(o, "cwd", text(r->gate->cwd));
    json_object_set_new(o, "from", text(r->gate->from));
    if (*r->reason)
        json_object_set_new(o, "reason", text(r->reason));
    if (r->status >= 0)
        json_object_set_new(o, "status", json_integer(r->status));
    json_object_set_new(o, "overhead_ms", json_integer(r->overhead_ms));
    json_object_set_new(o, "baseline_cached", json_boolean(r->baseline_cached));
    if (r->tests_passed + r->tests_failed + r->tests_skipped)
        json_object_set_new(o, "tests", json_pack("{sIsIsI}", "passed", (json_int_t)r->tests_passed, "failed", (json_int_t)r->tests_failed,
                                                  "skipped", (json_int_t)r->tests_skipped));
    if (names && (r->verdict == VERDICT_FAIL || r->verdict == VERDICT_ERROR) && r->evidence.n) {
        AUTO(buf) struct buf tail = BUF_INIT(VERDICT_OUTPUT * 16);
        clean_add(&tail, span_sub(r->evidence, r->evidence.n > VERDICT_OUTPUT ? r->evidence.n - VERDICT_OUTPUT : 0, r->evidence.n), CLEAN_TEXT);
        json_object_set_new(o, "output", json_stringn(buf_str(&tail), tail.n));
    }
    return o;
}

json_t *finding_json(const struct finding *f)
{
    json_t *o = json_object();
    json_object_set_new(o, "rule", text(f->rule));
    json_object_set_new(o, "severity", text(finding_severity_name(f->severity)));
    json_object_set_new(o, "file", text(f->file));
    json_object_set_new(o, "line", f->line ? json_integer(f->line) : json_null());
    json_object_set_new(o, "message", text(f->message));
    return o;
}

json_t *verdict_json(const struct verdict *v)
{
    json_t *o = json_object(), *gates = json_array(), *findings = json_array();
    for (size_t i = 0; i < v->ngates; i++)
        json_array_append_new(gates, gate_result_json(&v->gates[i], true));
    for (size_t i = 0; i < v->findings.len; i++)
        json_array_append_new(findings, finding_json(&v->findings.items[i]));
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "verdict", text(verify_state_name(v->state)));
    json_object_set_new(o, "exit", json_integer(verdict_exit(v)));
    json_object_set_new(o, "reason", text(v->reason));
    json_object_set_new(o, "duration_ms", json_integer(v->duration_ms));
    json_object_set_new(o, "gates", gates);
    json_object_set_new(o, "findings", findings);
    return o;
}

/* --- back --- */

static const char *load_text(const json_t *o, const char *name, struct arena *arena)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? arena_strdup(arena, s) : "";
}

static struct strings load_names(const json_t *o, const char *name, struct arena *arena)
{
    const json_t *a = json_object_get(o, name);
    size_t n = json_array_size(a);
    struct strings s = { arena_array(arena, n + 1, sizeof(char *)), 0 };
    for (size_t i = 0; s.items && i < n; i++) {
        const char *t = json_string_value(json_array_get(a, i));
        const char *copy = t ? arena_strdup(arena, t) : NULL;
        if (copy)
            s.items[s.len++] = copy;
    }
    return s;
}

static int index_of(const char *name, const char *(*nth)(int), int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(name, nth(i)))
            return i;
    return -1;
}

static const char *nth_state(int i) { return verify_state_name((enum verify_state)i); }
static const char *nth_verdict(int i) { return gate_verdict_name((enum gate_verdict)i); }
static const char *nth_severity(int i) { return finding_severity_name((enum finding_severity)i); }

int verdict_load(const json_t *json, struct arena *arena, struct verdict *out, struct err *e)
{
    const json_t *gates = json_object_get(json, "gates"), *findings = json_object_get(json, "findings"), *row;
    size_t i, ng = json_array_size(gates), nf = json_array_size(findings);
    struct verdict v = { .reason = load_text(json, "reason", arena), .duration_ms = json_integer_value(json_object_get(json, "duration_ms")) };
    const char *state = json_string_value(json_object_get(json, "verdict"));
    int st = state ? index_of(state, nth_state, VERIFY_CLEAN + 1) : (int)VERIFY_UNVERIFIED;
    if (st < 0)
        return err_set(e, ERR_INPUT, "a stored verdict has the unknown state '%.40s'", state);
    v.state = (enum verify_state)st;
    struct gate *gs = arena_array(arena, ng + 1, sizeof *gs);
    v.gates = arena_array(arena, ng + 1, sizeof *v.gates);
    v.findings.items = arena_array(arena, nf + 1, sizeof *v.findings.items);
    if (!gs || !v.gates || !v.findings.items || !v.reason)
        return err_set(e, ERR_NOMEM, "reading a stored verdict: out of memory");
    json_array_foreach(gates, i, row)
    {
        struct gate_result *g = &v.gates[v.ngates];
        const char *verdict = json_string_value(json_object_get(row, "verdict"));
        int k = verdict ? index_of(verdict, nth_verdict, 5) : -1;
        gs[i] = (struct gate){ .name = load_text(row, "name", arena), .command = load_text(row, "command", arena),
                               .cwd = load_text(row, "cwd", arena), .from = load_text(row, "from", arena), .kind = GATE_CUSTOM };
        (void)gate_kind_parse(span_of(json_string_value(json_object_get(row, "kind"))), &gs[i].kind);
        if (k < 0 || !gs[i].name)
            return err_set(e, ERR_INPUT, "a stored verdict has a gate without a known verdict");
        const json_t *tests = json_object_get(row, "tests"), *status = json_object_get(row, "status");
        *g = (struct gate_result){
            .gate = &gs[i],
            .verdict = (enum gate_verdict)k,
            .reason = load_text(row, "reason", arena),
            .status = json_is_integer(status) ? (int)json_integer_value(status) : -1,
            .new_failures = load_names(row, "new_failures", arena),
            .old_failures = load_names(row, "old_failures", arena),
            .flaky = load_names(row, "flaky", arena),
            .duration_ms = json_integer_value(json_object_get(row, "duration_ms")),
            .tests_passed = (size_t)json_integer_value(json_object_get(tests, "passed")),
            .tests_failed = (size_t)json_integer_value(json_object_get(tests, "failed")),
            .tests_skipped = (size_t)json_integer_value(json_object_get(tests, "skipped")),
            .evidence = span_of(load_text(row, "output", arena)),
        };
        v.ngates++;
    }
    json_array_foreach(findings, i, row)
    {
        const char *sev = json_string_value(json_object_get(row, "severity"));
        int k = sev ? index_of(sev, nth_severity, 3) : -1;
        struct finding f = { load_text(row, "rule", arena), k < 0 ? FINDING_PERSON : (enum finding_severity)k, load_text(row, "file", arena),
                             json_integer_value(json_object_get(row, "line")), load_text(row, "message", arena) };
        if (!f.rule || !f.file || !f.message)
            return err_set(e, ERR_NOMEM, "reading a stored verdict: out of memory");
        v.findings.items[v.findings.len++] = f;
    }
    *out = v;
    return 0;
}
