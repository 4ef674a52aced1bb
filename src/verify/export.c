/* export_sarif (SARIF 2.1.0, OASIS) and export_junit (the form that most servers read). */
#include "base/clean.h"
#include "base/mem.h"
#include "verify/verify.h"

static json_t *text(const char *s)
{
    json_t *v = json_string(s);
    return v ? v : json_string("?");
}

/* A path as a URI reference (RFC 3986): what is no unreserved character is percent-encoded. */
static json_t *uri(const char *path)
{
    AUTO(buf) struct buf b = BUF_INIT(1u << 16);
    for (const char *p = path; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~/", *p);
        if (plain)
            buf_addc(&b, *p);
        else
            buf_addf(&b, "%%%02X", (unsigned char)*p);
    }
    return text(buf_str(&b));
}

/* Once each: the schema wants the rules of a driver unique. */
static void add_rule(json_t *rules, const char *id)
{
    const json_t *r;
    size_t i;
    json_array_foreach(rules, i, r) if (!strcmp(json_string_value(json_object_get(r, "id")), id)) return;
    json_array_append_new(rules, json_pack("{so}", "id", text(id)));
}

static json_t *result(const char *rule, const char *level, const char *message, const char *file, int64_t line)
{
    json_t *r = json_object(), *m = json_object();
    json_object_set_new(r, "ruleId", text(rule));
    json_object_set_new(r, "level", text(level));
    json_object_set_new(m, "text", text(message));
    json_object_set_new(r, "message", m);
    if (*file) {
        json_t *region = line ? json_pack("{sI}", "startLine", (json_int_t)line) : NULL, *place = json_object();
        json_object_set_new(place, "artifactLocation", json_pack("{soss}", "uri", uri(file), "uriBaseId", "%SRCROOT%"));
        if (region)
            json_object_set_new(place, "region", region);
        json_object_set_new(r, "locations", json_pack("[{so}]", "physicalLocation", place));
    }
    return r;
}

bool export_sarif(const struct verdict *v, struct buf *out)
{
    json_t *results = json_array(), *rules = json_array();
    static const char *const levels[] = { [FINDING_NOTE] = "note", [FINDING_PERSON] = "warning", [FINDING_BLOCK] = "error" };
    for (size_t i = 0; i < v->findings.len; i++) {
        const struct finding *f = &v->findings.items[i];
        add_rule(rules, f->rule);
        json_array_append_new(results, result(f->rule, levels[f->severity], f->message, f->file, f->line));
    }
    for (size_t i = 0; i < v->ngates; i++) {
        const struct gate_result *g = &v->gates[i];
        if (g->verdict != VERDICT_FAIL)
            continue;
        AUTO(buf) struct buf m = BUF_INIT(1u << 20), rule = BUF_INIT(4096);
        buf_addf(&rule, "gate/%s", g->gate->name);
        buf_addf(&m, "%s fails with this change", g->gate->name);
        for (size_t k = 0; k < g->new_failures.len && k < 20; k++)
            buf_addf(&m, "%s%s", k ? ", " : ": ", g->new_failures.items[k]);
        add_rule(rules, buf_str(&rule));
        json_array_append_new(results, result(buf_str(&rule), "error", buf_str(&m), "", 0));
    }
    AUTO(json) json_t *doc = json_pack(
        "{ssss s[{s{s{ssssso}} so}]}", "version", "2.1.0", "$schema",
        "https://json.schemastore.org/sarif-2.1.0.json", "runs", "tool", "driver", "name", "stead", "version", STEAD_VERSION,
        "rules", rules, "results", results);
    if (!doc)
        return false;
    return buf_add_json_value(out, doc) && buf_addc(out, '\n');
}

/* XML 1.0 text: no control characters but tab and newline, none of the two that are no characters. */
static void xml(struct buf *out, struct span s)
{
    AUTO(buf) struct buf b = BUF_INIT(4u << 20);
    clean_add(&b, s, CLEAN_TEXT);
    for (size_t i = 0; i < b.n; i++)
        switch (b.p[i]) {
        case '<':
            buf_adds(out, "&lt;");
            break;
        case '>':
            buf_adds(out, "&gt;");
            break;
        case '&':
            buf_adds(out, "&amp;");
            break;
        case '"':
            buf_adds(out, "&quot;");
            break;
        case '\xef':
            if (i + 2 < b.n && b.p[i + 1] == '\xbf' && (b.p[i + 2] == '\xbe' || b.p[i + 2] == '\xbf')) {
                i += 2;
                break;
            }
            buf_addc(out, b.p[i]);
            break;
        default:
            buf_addc(out, b.p[i]);
        }
}

static void one_case(struct buf *out, const char *class, const char *name, const char *kind, const char *message)
{
    buf_adds(out, "    <testcase classname=\"");
    xml(out, span_of(class));
    buf_adds(out, "\" name=\"");
    xml(out, span_of(name));
    if (!kind) {
        buf_adds(out, "\"/>\n");
        return;
    }
    buf_addf(out, "\"><%s message=\"", kind);
    xml(out, span_of(message));
    buf_adds(out, "\"/></testcase>\n");
}

bool export_junit(const struct verdict *v, struct buf *out)
{
    buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"stead\">\n");
    for (size_t i = 0; i < v->ngates; i++) {
        const struct gate_result *g = &v->gates[i];
        const char *name = g->gate->name;
        bool fail = g->verdict == VERDICT_FAIL, error = g->verdict == VERDICT_ERROR;
        bool skip = g->verdict == VERDICT_SKIPPED || g->verdict == VERDICT_FLAKY;
        size_t failures = fail ? g->new_failures.len : 0, quiet = g->old_failures.len + g->flaky.len;
        size_t own = fail ? 0 : 1; /* a gate without new failures is itself the case */
        buf_adds(out, "  <testsuite name=\"");
        xml(out, span_of(name));
        buf_addf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" skipped=\"%zu\" time=\"%lld.%03lld\">\n", failures + quiet + own,
                 failures, error, quiet + (skip && !fail), (long long)(g->duration_ms / 1000), (long long)(g->duration_ms % 1000));
        if (own)
            one_case(out, name, name, error ? "error" : skip ? "skipped" : NULL, skip && !*g->reason ? "flaky" : g->reason);
        for (size_t k = 0; k < failures; k++)
            one_case(out, name, g->new_failures.items[k], "failure", k < g->messages.len ? g->messages.items[k] : "");
        for (size_t k = 0; k < g->old_failures.len; k++)
            one_case(out, name, g->old_failures.items[k], "skipped", "failed before the change too");
        for (size_t k = 0; k < g->flaky.len; k++)
            one_case(out, name, g->flaky.items[k], "skipped", "flaky");
        if (fail || error) {
            buf_adds(out, "    <system-out>");
            xml(out, g->evidence);
            buf_adds(out, "</system-out>\n");
        }
        buf_adds(out, "  </testsuite>\n");
    }
    size_t findings = 0;
    for (size_t i = 0; i < v->findings.len; i++)
        findings += v->findings.items[i].severity == FINDING_BLOCK && strncmp(v->findings.items[i].rule, "gate/", 5) != 0;
    if (findings) {
        buf_addf(out, "  <testsuite name=\"rules\" tests=\"%zu\" failures=\"%zu\">\n", findings, findings);
        for (size_t i = 0; i < v->findings.len; i++) {
            const struct finding *f = &v->findings.items[i];
            if (f->severity != FINDING_BLOCK || !strncmp(f->rule, "gate/", 5))
                continue;
            AUTO(buf) struct buf n = BUF_INIT(65536);
            buf_addf(&n, "%s:%lld", f->file, (long long)f->line);
            one_case(out, f->rule, buf_str(&n), "failure", f->message);
        }
        buf_adds(out, "  </testsuite>\n");
    }
    return buf_adds(out, "</testsuites>\n");
}
