/*
 * baseline - what a gate said without the change, kept so that it is paid for once.
 *
 *     struct hash_hex tree;
 *     if (baseline_tree_key(workspace, files, nfiles, &tree, e) == 1) {
 *         struct hash_hex key = baseline_key(tree.s, gate, env, sandbox);
 *         if (baseline_load(cache_dir, &key, &arena, &outcome) == 1) ...
 *         else { ... run ...; (void)baseline_store(cache_dir, &key, &outcome, e); }
 *     }
 *
 * Key: the tree, the gate (command, directory, reader, report) and the environment (what the sandbox passes
 * in, its mounts and limits, the system's installed packages, the project's own in directories that git ignores, our version).
 *
 * The tree's key does not read files: it is a hash over path, type, mode, size and time of change of all
 * that .git, directories ignored by git and well-known caches do not hold, plus HEAD. One lstat a file,
 * 5 to 10 us each on a loaded machine, and only when a gate fails or a caller asks (a task takes it once at its start, while
 * the model is thinking, and hands it down). A touched but equal file costs a run, never a wrong answer;
 * only an edit that keeps size and time to the nanosecond would be missed. Above BASELINE_FILES nothing is
 * cached.
 */
#ifndef STEAD_VERIFY_BASELINE_H
#define STEAD_VERIFY_BASELINE_H

#include "base/hash.h"
#include "verify/outcome.h"

#define BASELINE_FILES 300000u
#define BASELINE_KEEP 300u /* files in the cache; older ones go */

/* 1 done, 0 too large or unreadable: do not cache. `files` lie on top (struct tree). */
int baseline_tree_key(const char *workspace, const struct tree_file *files, size_t nfiles, struct hash_hex *out,
                      struct err *e) WARN_UNUSED;
struct sandbox_spec;
/* `env`: what the gate gets on top of what `in`, the sandbox it runs in, gives it. */
struct hash_hex baseline_key(const char *tree_key, const struct gate *g, const char *const *env, const struct sandbox_spec *in);
/* 1 found, 0 absent or unusable. */
int baseline_load(const char *cache_dir, const struct hash_hex *key, struct arena *arena, struct outcome *out);
void baseline_prune(const char *cache_dir); /* old ones go when there are many */
int baseline_store(const char *cache_dir, const struct hash_hex *key, const struct outcome *o, struct err *e);

#endif
