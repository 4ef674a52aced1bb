/*
 * config - site, user and project configuration, the environment and options, as one checked value.
 *
 *     struct config_option set[] = { { "limits.max_steps", "20", "--max-steps" } };
 *     struct config_options o = { .workspace = dir, .file = explicit_file, .set = set, .nset = 1 };
 *     struct config *c;
 *     if (config_load(&o, &c, e) < 0) return exit 2;           // "stead.yaml:4: endpoints: ..."
 *     const struct config_values *v = config_values(c);
 *     ... v->limits.max_steps, v->policy.local_only, config_state_dir(c) ...
 *     config_destroy(c);
 *
 * Sources, weakest first: defaults; /etc/stead/config.yaml (site); the user's file ($STEAD_CONFIG or
 * --config in its place); stead.yaml in the workspace or above it up to the repository's top (project);
 * the environment; options. The site's file may lock keys (`locked: [policy.local_only]`): a lower
 * source that sets one is an error. The project's file comes with a repository and is not trusted: it
 * may set what runs inside the sandbox (gates, context files, classes) and tighten policy, nothing
 * else; the attempt is an error with file and line.
 *
 * config-keys.c has a row for every key: trust, range, default, unit, a sentence. To add a setting: a
 * member here, a line in its libcyaml schema and a row there; the unit test checks that they agree.
 * Everything returned belongs to the config. Secrets are not values: see secret.h.
 */
#ifndef STEAD_CONFIG_CONFIG_H
#define STEAD_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* --- the values; strings are NULL and numbers 0 where nothing is set and no default is named --- */

enum config_tristate { CONFIG_AUTO, CONFIG_YES, CONFIG_NO };

struct config_endpoint {
    const char *name;
    const char *url;
    const char *dialect;      /* auto, openai, anthropic, ollama, ...: model/ knows the rows */
    const char *model;        /* NULL: what the server offers */
    enum config_tristate local; /* auto: by address */
    const char *key_env;      /* at most one of the three */
    const char *key_file;
    const char *key_command;  /* run by /bin/sh, first line of its output */
    int64_t context_tokens;   /* 0: measured */
    int64_t concurrency;      /* requests at once; 0: the server's slots */
    int64_t price_in_micro_usd, price_cached_micro_usd, price_out_micro_usd; /* per million tokens */
    const char *size;         /* small, large or NULL: which chain stop it serves (local-small, local-large) */
};

struct config_chain {         /* policy.chains */
    const char *task_class;   /* "class:", or "default" */
    const char **stops;       /* endpoint names, or local-small, local-large, local, hosted, person */
    size_t nstops;
};

struct config_budget {        /* 0: no limit */
    int64_t micro_usd;
    int64_t tokens;
    int64_t time_ms;
};

struct config_hours {         /* policy.hours: hosted endpoints may be used only then */
    const char *days;         /* "mon-fri", "sat,sun", NULL: every day */
    const char *from, *to;    /* "08:00", local time */
};

struct config_second {        /* policy.second_model: who else reads a change */
    const char *task_class;   /* "class:", or "default" */
    const char *endpoint;     /* a name under endpoints */
    const char *cost;         /* from this failure cost on: low, medium, high; NULL: low */
    const char *weight;       /* most that its findings weigh: note, person, block; NULL: note */
};

enum config_approve { CONFIG_APPROVE_UNSET, CONFIG_APPROVE_ASK, CONFIG_APPROVE_AUTO, CONFIG_APPROVE_NEVER };
enum config_guard_action { CONFIG_GUARD_BLOCK, CONFIG_GUARD_REDACT, CONFIG_GUARD_ASK };

struct config_policy {
    enum config_approve approve; /* unset: ask at a terminal, else never */
    bool local_only;             /* nothing goes to a hosted endpoint */
    const char **local_only_paths; size_t nlocal_only_paths; /* workspaces under these (absolute, ~) or, in a project, paths of it */
    const char **hosted_classes; size_t nhosted_classes;     /* classes allowed to go to hosted endpoints; "all" */
    const char **protected_paths; size_t nprotected_paths;   /* globs: a change there needs a person */
    struct config_chain *chains; size_t nchains;
    struct config_second *second_model; size_t nsecond_model;
    struct { struct config_budget task, day, user; } budgets;
    struct config_hours *hours; size_t nhours;
    int64_t max_ttft_ms;         /* an endpoint expected to be slower is skipped; 0: no target */
    int64_t max_escalations;     /* attempts after the first */
    int64_t max_rounds;          /* rounds of gate findings per attempt before escalating */
    bool clean_handoff;          /* an escalated attempt starts from a clean layer */
    bool classify_by_model;      /* where the rules are unsure, ask a local model */
    bool fix_formatting;         /* formatters may repair by themselves what they find in a change */
};

struct config_guard {            /* what may leave for a hosted endpoint */
    enum config_guard_action on_secret, on_personal, on_path;
    const char **never_send; size_t nnever_send; /* globs, added to the built-in ones */
    const char **allow; size_t nallow;           /* literal values that are not secrets (test keys) */
};

struct config_sandbox {
    const char *backend;         /* auto, native, oci, nested */
    int64_t memory_bytes, disk_bytes, inodes;
    int64_t pids;
    double cpus;                 /* 0: all */
    const char **net; size_t nnet;       /* HOST[:PORT]; empty: none */
    const char **env; size_t nenv;       /* names passed through */
    const char **mounts; size_t nmounts; /* SRC[:DST][:ro|rw] */
    const char **allow; size_t nallow;   /* named holes: userns, ptrace */
};

struct config_gate {
    const char *name;            /* NULL: from the command */
    const char *command;         /* run by sh inside the sandbox */
    const char *kind;            /* build, test, lint, type, format, custom */
    const char *cwd;             /* relative to the workspace; NULL: its top */
    int64_t timeout_ms;
    const char *fix;             /* repairs by itself what the gate finds; NULL */
};

struct config_limits {           /* one attempt */
    int64_t max_steps, max_tokens, timeout_ms;
};

struct config_class {            /* classes: words that mark a task of this repository */
    const char *name;            /* a class of data/classes */
    const char **words; size_t nwords;
};

struct config_inference {        /* servers on this machine */
    const char *model;           /* GGUF file or name of a model here; NULL: the pilot */
    const char *server;          /* llama-server to start in place of the embedded engine; NULL: the engine */
    int64_t threads;             /* 0: by the hardware */
    int64_t context_tokens;      /* 0: by memory */
    int64_t idle_ms;             /* stop an idle engine after */
    bool embedded;               /* may start the embedded engine where no endpoint answers */
};

struct config_values {
    const char *endpoint;        /* name or URL to use first */
    const char *model;
    struct config_endpoint *endpoints; size_t nendpoints;
    struct config_policy policy;
    struct config_guard guard;
    struct config_sandbox sandbox;
    struct config_gate *gates; size_t ngates;
    struct config_limits limits;
    struct config_class *classes; size_t nclasses;
    struct { const char **files; size_t nfiles; } context; /* read as context beside AGENTS.md */
    struct config_inference inference;
    struct { bool person; } report;                        /* figures by person; off */
    struct { const char *state, *cache; } paths;
    const char **locked; size_t nlocked;                   /* site only */
};

/* --- loading --- */

struct config;

struct config_option {
    const char *key;    /* "limits.max_steps"; a list takes items separated by commas */
    const char *value;
    const char *source; /* "--max-steps": named in errors and in `config show` */
};

struct config_options {
    const char *workspace;  /* absolute path; NULL: no project file */
    const char *file;       /* --config FILE, in place of the user's file; must exist */
    const char *site_file;  /* NULL: /etc/stead/config.yaml */
    char *const *env;       /* NULL: environ */
    const struct config_option *set;
    size_t nset;
};

int config_load(const struct config_options *o, struct config **out, struct err *e) WARN_UNUSED;
void config_destroy(struct config *c);
static inline void config_auto(struct config **c)
{
    config_destroy(*c);
}

const struct config_values *config_values(const struct config *c);

/* Absolute; not created. $STEAD_STATE_DIR, paths.state, $XDG_STATE_HOME/stead, ~/.local/state/stead. */
const char *config_state_dir(const struct config *c);
const char *config_cache_dir(const struct config *c);
const char *config_journal_path(const struct config *c); /* in the state directory */
/* The directory of stead.yaml, else of .git, at or above the workspace; else the workspace. NULL without one. */
const char *config_project_dir(const struct config *c);

/* --- looking at it: config show, check, path --- */

enum config_level { CONFIG_DEFAULT, CONFIG_SITE, CONFIG_USER, CONFIG_PROJECT, CONFIG_ENV, CONFIG_OPTION };
const char *config_level_name(enum config_level level);

struct config_value {
    const char *key;    /* "policy.chains[0].class" */
    const char *text;   /* as written; lists have one value per item */
    const char *source; /* "/home/ada/.config/stead/config.yaml:12", "environment STEAD_MODEL", "--max-steps", "default" */
    enum config_level level;
    bool locked;
};
/* Every value that is set or has a default, in the order of the rows. Stops at the first non-zero result. */
int config_each(const struct config *c, int (*fn)(void *ctx, const struct config_value *v), void *ctx);
/* Where a key was set, for messages ("stead.yaml:4"); "default" where nobody did. */
const char *config_source(const struct config *c, const char *key);

struct config_file {
    enum config_level level;
    const char *path;
    bool exists;
};
size_t config_files(const struct config *c, const struct config_file **out);

#endif
