#include "config/config-keys.h"

#include <string.h>

#include "base/mem.h"
#include "config/config.h"

/* --- shape --- */

#define TEXT_MAX 8192
#define ITEMS_MAX 1000

#define OPT CYAML_FLAG_OPTIONAL
#define OPTP (CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER)
#define TEXT(key, type, member) CYAML_FIELD_STRING_PTR(key, OPTP, struct type, member, 1, TEXT_MAX)
#define NEEDED(key, type, member) CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, struct type, member, 1, TEXT_MAX)
#define INT(key, type, member) CYAML_FIELD_INT(key, OPT, struct type, member)
#define LIST(key, type, member, count) \
    CYAML_FIELD_SEQUENCE_COUNT(key, OPTP, struct type, member, count, &text_value, 0, ITEMS_MAX)
#define ITEMS(key, type, member, count, entry) \
    CYAML_FIELD_SEQUENCE_COUNT(key, OPTP, struct type, member, count, &entry, 0, ITEMS_MAX)
#define SECTION(key, type, member, fields) CYAML_FIELD_MAPPING(key, OPT, struct type, member, fields)
#define ENUM(key, type, member, names) CYAML_FIELD_ENUM(key, OPT | CYAML_FLAG_STRICT, struct type, member, names, CYAML_ARRAY_LEN(names))

static const cyaml_schema_value_t text_value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, TEXT_MAX) };

static const cyaml_strval_t tristate_names[] = { { "auto", CONFIG_AUTO }, { "true", CONFIG_YES }, { "false", CONFIG_NO } };
static const cyaml_strval_t approve_names[] = { { "ask", CONFIG_APPROVE_ASK }, { "auto", CONFIG_APPROVE_AUTO }, { "never", CONFIG_APPROVE_NEVER } };
static const cyaml_strval_t guard_names[] = { { "block", CONFIG_GUARD_BLOCK }, { "redact", CONFIG_GUARD_REDACT }, { "ask", CONFIG_GUARD_ASK } };

static const cyaml_schema_field_t endpoint_fields[] = {
    NEEDED("name", config_endpoint, name),
    NEEDED("url", config_endpoint, url),
    TEXT("dialect", config_endpoint, dialect),
    TEXT("model", config_endpoint, model),
    ENUM("local", config_endpoint, local, tristate_names),
    TEXT("key_env", config_endpoint, key_env),
    TEXT("key_file", config_endpoint, key_file),
    TEXT("key_command", config_endpoint, key_command),
    INT("context_tokens", config_endpoint, context_tokens),
    INT("concurrency", config_endpoint, concurrency),
    INT("price_in", config_endpoint, price_in_micro_usd),
    INT("price_cached", config_endpoint, price_cached_micro_usd),
    INT("price_out", config_endpoint, price_out_micro_usd),
    TEXT("size", config_endpoint, size),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t endpoint_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_endpoint, endpoint_fields) };

static const cyaml_schema_field_t chain_fields[] = {
    NEEDED("class", config_chain, task_class),
    CYAML_FIELD_SEQUENCE_COUNT("stops", CYAML_FLAG_POINTER, struct config_chain, stops, nstops, &text_value, 1, 10),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t chain_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_chain, chain_fields) };

static const cyaml_schema_field_t second_fields[] = {
    NEEDED("class", config_second, task_class),
    NEEDED("endpoint", config_second, endpoint),
    TEXT("cost", config_second, cost),
    TEXT("weight", config_second, weight),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t second_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_second, second_fields) };

static const cyaml_schema_field_t budget_fields[] = {
    INT("usd", config_budget, micro_usd),
    INT("tokens", config_budget, tokens),
    INT("time", config_budget, time_ms),
    CYAML_FIELD_END
};
static const cyaml_schema_field_t budgets_fields[] = {
    SECTION("task", config_policy, budgets.task, budget_fields),
    SECTION("day", config_policy, budgets.day, budget_fields),
    SECTION("user", config_policy, budgets.user, budget_fields),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t hours_fields[] = {
    TEXT("days", config_hours, days),
    NEEDED("from", config_hours, from),
    NEEDED("to", config_hours, to),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t hours_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_hours, hours_fields) };

static const cyaml_schema_field_t policy_fields[] = {
    ENUM("approve", config_policy, approve, approve_names),
    CYAML_FIELD_BOOL("local_only", OPT, struct config_policy, local_only),
    LIST("local_only_paths", config_policy, local_only_paths, nlocal_only_paths),
    LIST("hosted_classes", config_policy, hosted_classes, nhosted_classes),
    LIST("protected_paths", config_policy, protected_paths, nprotected_paths),
    ITEMS("chains", config_policy, chains, nchains, chain_value),
    ITEMS("second_model", config_policy, second_model, nsecond_model, second_value),
    /* the members of an unnamed struct: offsets are of config_policy, so the mapping starts at 0 */
    { .key = "budgets", .value = { .type = CYAML_MAPPING, .flags = OPT, .data_size = sizeof(struct config_policy),
                                   .mapping = { .fields = budgets_fields } }, .data_offset = 0 },
    ITEMS("hours", config_policy, hours, nhours, hours_value),
    INT("max_ttft", config_policy, max_ttft_ms),
    INT("max_escalations", config_policy, max_escalations),
    INT("max_rounds", config_policy, max_rounds),
    CYAML_FIELD_BOOL("clean_handoff", OPT, struct config_policy, clean_handoff),
    CYAML_FIELD_BOOL("classify_by_model", OPT, struct config_policy, classify_by_model),
    CYAML_FIELD_BOOL("fix_formatting", OPT, struct config_policy, fix_formatting),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t guard_fields[] = {
    ENUM("on_secret", config_guard, on_secret, guard_names),
    ENUM("on_personal", config_guard, on_personal, guard_names),
    ENUM("on_path", config_guard, on_path, guard_names),
    LIST("never_send", config_guard, never_send, nnever_send),
    LIST("allow", config_guard, allow, nallow),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t sandbox_fields[] = {
    TEXT("backend", config_sandbox, backend),
    INT("memory", config_sandbox, memory_bytes),
    INT("disk", config_sandbox, disk_bytes),
    INT("inodes", config_sandbox, inodes),
    INT("pids", config_sandbox, pids),
    CYAML_FIELD_FLOAT("cpus", OPT, struct config_sandbox, cpus),
    LIST("net", config_sandbox, net, nnet),
    LIST("env", config_sandbox, env, nenv),
    LIST("mounts", config_sandbox, mounts, nmounts),
    LIST("allow", config_sandbox, allow, nallow),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t gate_fields[] = {
    TEXT("name", config_gate, name),
    NEEDED("command", config_gate, command),
    TEXT("kind", config_gate, kind),
    TEXT("cwd", config_gate, cwd),
    INT("timeout", config_gate, timeout_ms),
    TEXT("fix", config_gate, fix),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t gate_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_gate, gate_fields) };

static const cyaml_schema_field_t limits_fields[] = {
    INT("max_steps", config_limits, max_steps),
    INT("max_tokens", config_limits, max_tokens),
    INT("timeout", config_limits, timeout_ms),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t class_fields[] = {
    NEEDED("name", config_class, name),
    CYAML_FIELD_SEQUENCE_COUNT("words", CYAML_FLAG_POINTER, struct config_class, words, nwords, &text_value, 1, 100),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t class_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_class, class_fields) };

static const cyaml_schema_field_t context_fields[] = {
    LIST("files", config_values, context.files, context.nfiles),
    CYAML_FIELD_END
};
static const cyaml_schema_field_t inference_fields[] = {
    TEXT("model", config_inference, model),
    TEXT("server", config_inference, server),
    INT("threads", config_inference, threads),
    INT("context_tokens", config_inference, context_tokens),
    INT("idle", config_inference, idle_ms),
    CYAML_FIELD_BOOL("embedded", OPT, struct config_inference, embedded),
    CYAML_FIELD_END
};
static const cyaml_schema_field_t report_fields[] = {
    CYAML_FIELD_BOOL("person", OPT, struct config_values, report.person),
    CYAML_FIELD_END
};
static const cyaml_schema_field_t paths_fields[] = {
    TEXT("state", config_values, paths.state),
    TEXT("cache", config_values, paths.cache),
    CYAML_FIELD_END
};

#define UNNAMED(name, members) \
    { .key = (name), .value = { .type = CYAML_MAPPING, .flags = OPT, .data_size = sizeof(struct config_values), \
                                .mapping = { .fields = (members) } }, .data_offset = 0 }

static const cyaml_schema_field_t top_fields[] = {
    TEXT("endpoint", config_values, endpoint),
    TEXT("model", config_values, model),
    ITEMS("endpoints", config_values, endpoints, nendpoints, endpoint_value),
    SECTION("policy", config_values, policy, policy_fields),
    SECTION("guard", config_values, guard, guard_fields),
    SECTION("sandbox", config_values, sandbox, sandbox_fields),
    ITEMS("gates", config_values, gates, ngates, gate_value),
    SECTION("limits", config_values, limits, limits_fields),
    ITEMS("classes", config_values, classes, nclasses, class_value),
    UNNAMED("context", context_fields),
    SECTION("inference", config_values, inference, inference_fields),
    UNNAMED("report", report_fields),
    UNNAMED("paths", paths_fields),
    LIST("locked", config_values, locked, nlocked),
    CYAML_FIELD_END
};

const cyaml_schema_value_t config_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_values, top_fields) };

/* --- the rest of each key --- */

#define CLASSES_DOC "a task class: `stead route explain` names them"
#define DAY_MS (24 * INT64_C(3600000))
#define MANY INT64_C(1000000000000)

const struct config_key config_keys[] = {
    { "endpoint", KEY_TEXT, TRUST_USER, .doc = "name or URL of the endpoint to use first" },
    { "model", KEY_TEXT, TRUST_USER, .doc = "model to ask that endpoint for" },

    { "endpoints", KEY_ITEMS, TRUST_USER, .adds = true, .doc = "servers of models; one with the same name replaces an earlier one" },
    { "endpoints[].name", KEY_NAME, TRUST_USER, .doc = "how chains, options and reports call it" },
    { "endpoints[].url", KEY_URL, TRUST_USER, .doc = "http://, https:// or unix:/path" },
    { "endpoints[].dialect", KEY_NAME, TRUST_USER, .doc = "the API it speaks; found out when not given" },
    { "endpoints[].model", KEY_TEXT, TRUST_USER, .doc = "model to ask for; else what it offers first" },
    { "endpoints[].local", KEY_CHOICE, TRUST_USER, .choices = "auto|true|false", .doc = "whether what is sent there stays within your walls; auto: only on this machine" },
    { "endpoints[].key_env", KEY_NAME, TRUST_USER, .doc = "environment variable that holds its key" },
    { "endpoints[].key_file", KEY_TEXT, TRUST_USER, .doc = "file that holds its key (mode 0600)" },
    { "endpoints[].key_command", KEY_TEXT, TRUST_USER, .doc = "command that prints its key" },
    { "endpoints[].context_tokens", KEY_INT, TRUST_USER, .min = 1024, .max = 100000000, .doc = "upper bound of its context; else measured" },
    { "endpoints[].concurrency", KEY_INT, TRUST_USER, .min = 1, .max = 1000, .doc = "requests at once; else its slots" },
    { "endpoints[].price_in", KEY_USD, TRUST_USER, .max = MANY, .doc = "US dollars for a million prompt tokens" },
    { "endpoints[].price_cached", KEY_USD, TRUST_USER, .max = MANY, .doc = "the same for tokens it had cached" },
    { "endpoints[].price_out", KEY_USD, TRUST_USER, .max = MANY, .doc = "the same for tokens it generates" },
    { "endpoints[].size", KEY_CHOICE, TRUST_USER, .choices = "small|large", .doc = "which stop of a chain it serves" },

    { "policy.approve", KEY_CHOICE, TRUST_TIGHTEN, .choices = "ask|auto|never", .doc = "whether a verified change is applied; unset: ask at a terminal, else never" },
    { "policy.local_only", KEY_BOOL, TRUST_TIGHTEN, .fallback = "false", .doc = "nothing is ever sent to a hosted endpoint" },
    { "policy.local_only_paths", KEY_LIST, TRUST_TIGHTEN, .adds = true, .doc = "directories whose content is never sent to a hosted endpoint" },
    { "policy.hosted_classes", KEY_LIST, TRUST_USER, .doc = "classes of tasks that may go to hosted endpoints, or `all`; none by default" },
    { "policy.protected_paths", KEY_LIST, TRUST_TIGHTEN, .adds = true, .doc = "globs; a change there always needs a person" },
    { "policy.chains", KEY_ITEMS, TRUST_USER, .doc = "where a task goes, and where next when that fails, by class" },
    { "policy.chains[].class", KEY_NAME, TRUST_USER, .doc = CLASSES_DOC ", or `default`" },
    { "policy.chains[].stops", KEY_LIST, TRUST_USER, .doc = "endpoint names, or local-small, local-large, local, hosted, person" },
    { "policy.second_model", KEY_ITEMS, TRUST_USER, .doc = "another endpoint that reads a change when the gates have nothing against it; the first row that fits" },
    { "policy.second_model[].class", KEY_NAME, TRUST_USER, .doc = CLASSES_DOC ", or `default`" },
    { "policy.second_model[].endpoint", KEY_NAME, TRUST_USER, .doc = "a name under `endpoints`; a hosted one gets the change through the privacy guard" },
    { "policy.second_model[].cost", KEY_CHOICE, TRUST_USER, .choices = "low|medium|high", .doc = "only from this failure cost on; low when not given" },
    { "policy.second_model[].weight", KEY_CHOICE, TRUST_USER, .choices = "note|person|block", .doc = "most that its findings weigh: they inform (note, when not given), ask for a person, or block" },
    { "policy.budgets.task.usd", KEY_USD, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "1.00", .doc = "US dollars that one task may cost; 0: no limit" },
    { "policy.budgets.task.tokens", KEY_INT, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "0", .doc = "tokens that one task may use; 0: no limit" },
    { "policy.budgets.task.time", KEY_DURATION, TRUST_TIGHTEN, .zero_unlimited = true, .max = 30 * DAY_MS, .fallback = "1h", .doc = "time that one task may take, over all attempts" },
    { "policy.budgets.day.usd", KEY_USD, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "10.00", .doc = "US dollars a day, all tasks in this journal; 0: no limit" },
    { "policy.budgets.day.tokens", KEY_INT, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "0", .doc = "tokens a day to hosted endpoints; 0: no limit" },
    { "policy.budgets.day.time", KEY_DURATION, TRUST_TIGHTEN, .zero_unlimited = true, .max = 30 * DAY_MS, .fallback = "0s", .doc = "time a day on hosted endpoints; 0s: no limit" },
    { "policy.budgets.user.usd", KEY_USD, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "0", .doc = "US dollars a day for one person, where several share a journal; 0: no limit" },
    { "policy.budgets.user.tokens", KEY_INT, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "0", .doc = "tokens a day for one person; 0: no limit" },
    { "policy.budgets.user.time", KEY_DURATION, TRUST_TIGHTEN, .zero_unlimited = true, .max = 30 * DAY_MS, .fallback = "0s", .doc = "time a day for one person; 0s: no limit" },
    { "policy.hours", KEY_ITEMS, TRUST_USER, .doc = "hosted endpoints are used only within one of these; none: always" },
    { "policy.hours[].days", KEY_TEXT, TRUST_USER, .doc = "mon-fri, sat,sun; every day when not given" },
    { "policy.hours[].from", KEY_TEXT, TRUST_USER, .doc = "08:00, local time" },
    { "policy.hours[].to", KEY_TEXT, TRUST_USER, .doc = "18:30; before `from`: the next day" },
    { "policy.max_ttft", KEY_DURATION, TRUST_USER, .max = DAY_MS, .fallback = "0s", .doc = "an endpoint whose first token is expected later is passed over; 0s: any" },
    { "policy.max_escalations", KEY_INT, TRUST_TIGHTEN, .max = 10, .fallback = "2", .doc = "attempts after the first" },
    { "policy.max_rounds", KEY_INT, TRUST_TIGHTEN, .max = 20, .fallback = "3", .doc = "times that gate findings go back to the same attempt" },
    { "policy.clean_handoff", KEY_BOOL, TRUST_USER, .fallback = "false", .doc = "an escalated attempt starts from a clean layer" },
    { "policy.classify_by_model", KEY_BOOL, TRUST_USER, .fallback = "false", .doc = "ask a local model for the class where the rules are unsure" },
    { "policy.fix_formatting", KEY_BOOL, TRUST_USER, .fallback = "true", .doc = "a formatter repairs by itself what it finds in a change, in its layer, before the agent is told" },

    { "guard.on_secret", KEY_CHOICE, TRUST_USER, .choices = "block|redact|ask", .fallback = "block", .doc = "what happens to a secret that would leave for a hosted endpoint" },
    { "guard.on_personal", KEY_CHOICE, TRUST_USER, .choices = "block|redact|ask", .fallback = "redact", .doc = "the same for personal data" },
    { "guard.on_path", KEY_CHOICE, TRUST_USER, .choices = "block|redact|ask", .fallback = "block", .doc = "the same for content of paths that must not leave" },
    { "guard.never_send", KEY_LIST, TRUST_TIGHTEN, .adds = true, .doc = "globs of files that never leave, beside the built-in ones" },
    { "guard.allow", KEY_LIST, TRUST_USER, .adds = true, .doc = "literal values that are no secrets (keys of test fixtures)" },

    { "sandbox.backend", KEY_CHOICE, TRUST_USER, .choices = "auto|native|oci|nested", .fallback = "auto", .doc = "how processes are isolated" },
    { "sandbox.memory", KEY_SIZE, TRUST_TIGHTEN, .min = 16 << 20, .max = INT64_C(1) << 44, .fallback = "4G", .doc = "memory of everything inside together" },
    { "sandbox.disk", KEY_SIZE, TRUST_TIGHTEN, .min = 1 << 20, .max = INT64_C(1) << 44, .fallback = "8G", .doc = "bytes that may be written" },
    { "sandbox.inodes", KEY_INT, TRUST_TIGHTEN, .min = 100, .max = 1000000000, .fallback = "1000000", .doc = "files that may be made" },
    { "sandbox.pids", KEY_INT, TRUST_TIGHTEN, .min = 8, .max = 1000000, .fallback = "1024", .doc = "processes and threads at once" },
    { "sandbox.cpus", KEY_FLOAT, TRUST_TIGHTEN, .zero_unlimited = true, .max = 4096, .fallback = "0", .doc = "processors' worth of time; 0: all" },
    { "sandbox.net", KEY_LIST, TRUST_USER, .doc = "HOST[:PORT] that may be reached from inside; none by default" },
    { "sandbox.env", KEY_LIST, TRUST_USER, .adds = true, .doc = "names of environment variables passed inside" },
    { "sandbox.mounts", KEY_LIST, TRUST_USER, .adds = true, .doc = "SRC[:DST][:ro|rw], further directories to see inside" },
    { "sandbox.allow", KEY_LIST, TRUST_USER, .adds = true, .doc = "named holes: userns (browsers, rootless containers), ptrace (gdb, strace)" },

    { "gates", KEY_ITEMS, TRUST_PROJECT, .doc = "checks that decide whether a change may go on; replaces detection" },
    { "gates[].name", KEY_TEXT, TRUST_PROJECT, .doc = "shown in results; else made from the command" },
    { "gates[].command", KEY_TEXT, TRUST_PROJECT, .doc = "run by sh inside the sandbox" },
    { "gates[].kind", KEY_CHOICE, TRUST_PROJECT, .choices = "build|test|lint|type|format|custom", .doc = "what it checks, and so how its output is read" },
    { "gates[].cwd", KEY_TEXT, TRUST_PROJECT, .doc = "directory below the workspace" },
    { "gates[].fix", KEY_TEXT, TRUST_PROJECT, .doc = "run inside when the gate fails anew, over the files of the change; then the gates look again" },
    { "gates[].timeout", KEY_DURATION, TRUST_PROJECT, .min = 100, .max = DAY_MS, .doc = "longest time it may take" },

    { "limits.max_steps", KEY_INT, TRUST_TIGHTEN, .min = 1, .max = 10000, .fallback = "60", .doc = "steps of one attempt" },
    { "limits.max_tokens", KEY_INT, TRUST_TIGHTEN, .zero_unlimited = true, .max = MANY, .fallback = "0", .doc = "tokens that one attempt may generate; 0: no limit" },
    { "limits.timeout", KEY_DURATION, TRUST_TIGHTEN, .min = 1000, .max = 30 * DAY_MS, .fallback = "30m", .doc = "time of one attempt" },

    { "classes", KEY_ITEMS, TRUST_PROJECT, .adds = true, .doc = "words by which tasks of this repository are classed" },
    { "classes[].name", KEY_NAME, TRUST_PROJECT, .doc = CLASSES_DOC },
    { "classes[].words", KEY_LIST, TRUST_PROJECT, .doc = "words or phrases that mark it" },

    { "context.files", KEY_LIST, TRUST_PROJECT, .adds = true, .doc = "files that the agent reads first, beside AGENTS.md" },

    { "inference.model", KEY_TEXT, TRUST_USER, .doc = "GGUF file, or name of a model in the store, for the server on this machine; else the bundled pilot" },
    { "inference.server", KEY_TEXT, TRUST_USER, .doc = "llama-server program to start in place of the embedded engine" },
    { "inference.threads", KEY_INT, TRUST_USER, .max = 4096, .fallback = "0", .doc = "threads it computes with; 0: by the hardware" },
    { "inference.context_tokens", KEY_INT, TRUST_USER, .max = 100000000, .fallback = "0", .doc = "its context; 0: by the memory" },
    { "inference.idle", KEY_DURATION, TRUST_USER, .max = 30 * DAY_MS, .fallback = "10m", .doc = "it is stopped after so long without a request" },
    { "inference.embedded", KEY_BOOL, TRUST_USER, .fallback = "true", .doc = "start the embedded engine where no endpoint answers" },

    { "report.person", KEY_BOOL, TRUST_USER, .fallback = "false", .doc = "tasks say whose they are, and `stead report` shows figures by person" },

    { "paths.state", KEY_TEXT, TRUST_USER, .doc = "directory of the journal and of layers" },
    { "paths.cache", KEY_TEXT, TRUST_USER, .doc = "directory of models and of what can be made again" },

    { "locked", KEY_LIST, TRUST_SITE, .doc = "keys or sections that only the site's file may set" },
    { NULL },
};

static bool matches(const char *pattern, const char *path)
{
    while (*pattern && *path) {
        if (*pattern != *path)
            return false;
        if (*path == '[') {
            path += strcspn(path, "]");
            pattern++;
            continue;
        }
        pattern++, path++;
    }
    return *pattern == *path;
}

const struct config_key *config_key_find(const char *path)
{
    for (const struct config_key *k = config_keys; k->path; k++)
        if (matches(k->path, path))
            return k;
    return NULL;
}
