#include "journal/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "journal/checkpoint.h"

#define LOG_MODULE "journal"
#include "base/log.h"

#define APPLICATION_ID 0x73746a31 /* "stj1": so that `file` and we know whose database this is */

/* Larger blobs are files beside the database: SQLite copies a row's bytes through the log, twice. */
#define BLOB_FILE_BYTES ((size_t)256 << 10)

/* --- schema: one row per version; a version once released is never edited, only followed --- */

static const char *const migrations[] = {
    /* 1: the record */
    "CREATE TABLE sessions("
    " n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, workspace TEXT NOT NULL,"
    " kind TEXT NOT NULL, parent TEXT, fork_seq INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX sessions_workspace ON sessions(workspace, n);"
    "CREATE TABLE events("
    " id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions(n), seq INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL, type TEXT NOT NULL, members TEXT NOT NULL, UNIQUE(session, seq));"
    "CREATE TABLE blobs(hash TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, data BLOB);"
    "CREATE TABLE changes("
    " id TEXT PRIMARY KEY, n INTEGER, session TEXT NOT NULL, workspace TEXT NOT NULL, status TEXT NOT NULL,"
    " blob TEXT, members TEXT, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL, time_ms INTEGER NOT NULL) WITHOUT ROWID;",
    /* 2: facts, what measurements scan: small rows in the order of appending, apart from the bulk */
    "CREATE TABLE facts("
    " id INTEGER PRIMARY KEY, session INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    " type TEXT NOT NULL, members TEXT NOT NULL);"
    "CREATE INDEX facts_time ON facts(time_ms);",
};
#define SCHEMA_VERSION ((int)COUNT_OF(migrations))

/* --- statements --- */

enum statement {
    ST_BEGIN, ST_COMMIT, ST_ROLLBACK, ST_SESSION_N, ST_APPEND, ST_FACT, ST_READ, ST_LAST, ST_FACTS, ST_SESSION_ID,
    ST_SESSION_PUT,
    ST_SESSIONS, ST_CHANGE_PUT, ST_CHANGES, ST_BLOB_PUT, ST_BLOB_GET, ST_BLOB_HAS, ST_STATE_PUT, ST_STATE_GET,
    ST_COUNTS, ST_SYNC_FULL, ST_SYNC_NORMAL, ST_CHECK,
    ST_COUNT
};

/* A prefix matches by range, so that the index serves it; U+FFFD sorts behind every ID. */
static const char *const sql[] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_SESSION_N] = "SELECT n FROM sessions WHERE id=?1",
    [ST_APPEND] = "INSERT INTO events(session,seq,time_ms,type,members) VALUES(?1,"
                  "(SELECT coalesce(max(seq),0)+1 FROM events WHERE session=?1),?2,?3,?4) RETURNING id,seq",
    [ST_FACT] = "INSERT INTO facts(id,session,seq,time_ms,type,members) VALUES(?1,?2,?3,?4,?5,?6)",
    [ST_READ] = "SELECT id,seq,time_ms,type,members FROM events WHERE session=?1 AND seq>?2 ORDER BY seq",
    [ST_LAST] = "SELECT members,seq FROM events WHERE session=?1 AND type=?2 ORDER BY seq DESC LIMIT 1",
    [ST_FACTS] = "SELECT id,seq,time_ms,session,type,members FROM facts"
                 " WHERE id>=?3 AND time_ms>=?1 AND time_ms<?2 ORDER BY id",
    [ST_SESSION_ID] = "SELECT id FROM sessions WHERE n=?1",
    [ST_SESSION_PUT] = "INSERT INTO sessions(id,created_ms,workspace,kind,parent,fork_seq) VALUES(?1,?2,?3,?4,?5,?6)",
    [ST_SESSIONS] =
        "SELECT id,created_ms,workspace,kind,parent,fork_seq,"
        "coalesce((SELECT max(seq) FROM events WHERE session=s.n),0),"
        "coalesce((SELECT time_ms FROM events WHERE session=s.n ORDER BY seq DESC LIMIT 1),created_ms),"
        "coalesce((SELECT members FROM events WHERE session=s.n AND type IN('task','asked') ORDER BY seq LIMIT 1),''),"
        "coalesce((SELECT members FROM events WHERE session=s.n AND type='result' ORDER BY seq DESC LIMIT 1),'')"
        " FROM sessions s WHERE id>=?1 AND id<?1||char(65533) AND (?2 IS NULL OR workspace=?2) ORDER BY n DESC LIMIT ?3",
    [ST_CHANGE_PUT] =
        "INSERT INTO changes(id,n,session,workspace,status,blob,members,created_ms,updated_ms)"
        " VALUES(?1,(SELECT coalesce(max(n),0)+1 FROM changes),?2,?3,?4,?5,?6,?7,?7)"
        " ON CONFLICT(id) DO UPDATE SET status=excluded.status,blob=coalesce(excluded.blob,blob),"
        "members=coalesce(excluded.members,members),updated_ms=excluded.updated_ms",
    [ST_CHANGES] =
        "SELECT id,session,workspace,status,blob,members,created_ms,updated_ms FROM changes"
        " WHERE id>=?1 AND id<?1||char(65533) AND (?2 IS NULL OR workspace=?2) AND (?3 IS NULL OR status=?3)"
        " ORDER BY n DESC LIMIT ?4",
    [ST_BLOB_PUT] = "INSERT OR IGNORE INTO blobs(hash,size,data) VALUES(?1,?2,?3)",
    [ST_BLOB_GET] = "SELECT size,data FROM blobs WHERE hash=?1",
    [ST_BLOB_HAS] = "SELECT 1 FROM blobs WHERE hash=?1",
    [ST_STATE_PUT] = "INSERT INTO state(key,value,time_ms) VALUES(?1,?2,?3)"
                     " ON CONFLICT(key) DO UPDATE SET value=excluded.value,time_ms=excluded.time_ms",
    [ST_STATE_GET] = "SELECT value FROM state WHERE key=?1",
    [ST_COUNTS] = "SELECT (SELECT count(*) FROM events),(SELECT count(*) FROM sessions),(SELECT count(*) FROM blobs)",
    [ST_SYNC_FULL] = "PRAGMA synchronous=FULL",
    [ST_SYNC_NORMAL] = "PRAGMA synchronous=NORMAL",
    [ST_CHECK] = "PRAGMA integrity_check(1)",
};
static_assert(COUNT_OF(sql) == ST_COUNT, "one text per statement");

struct store {
    sqlite3 *db;
    char *path;
    char *blob_dir;
    sqlite3_stmt *cached[ST_COUNT]; /* NULL: not prepared, or taken by a caller up the stack */
    char last_id[ID_SIZE];          /* the session appended to last, and its row */
    int64_t last_n;
    bool writable;
    bool begun;
    bool new_log;                   /* nothing is in the write-ahead log yet */
    struct checkpointer checkpointer;
};

/* --- errors --- */

static int fail(struct store *s, struct err *e, const char *doing)
{
    int rc = sqlite3_extended_errcode(s->db);
    int sys = sqlite3_system_errno(s->db);
    const char *p = s->path;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        err_set(e, ERR_IO, "%s '%s': the disk is full", doing, p);
        err_hint(e, "free some space, or set STEAD_STATE_DIR to a directory that has some");
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        err_set(e, ERR_TIMEOUT, "%s '%s': another process kept it locked for %d s", doing, p, JOURNAL_BUSY_MS / 1000);
        err_hint(e, "see who has it open with `fuser %s`", p);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        err_set(e, ERR_IO, "%s '%s': the file is damaged (%s)", doing, p, sqlite3_errmsg(s->db));
        err_hint(e, "move it away and stead starts a new one; `sqlite3 FILE .recover` saves what can be read");
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        err_set(e, ERR_DENIED, "%s '%s': the file or its directory is read-only", doing, p);
        err_hint(e, "make it writable for you, or set STEAD_STATE_DIR to a directory that is");
        break;
    case SQLITE_CANTOPEN:
        err_set(e, sys == ENOENT ? ERR_NOT_FOUND : ERR_DENIED, "%s '%s': %s", doing, p,
                sys ? strerror(sys) : "it cannot be opened"); // NOLINT(concurrency-mt-unsafe): glibc's is safe
        err_hint(e, "check that the directory exists and is writable for you, or set STEAD_STATE_DIR");
        break;
    case SQLITE_NOMEM:
        err_set(e, ERR_NOMEM, "%s '%s': out of memory", doing, p);
        break;
    case SQLITE_TOOBIG:
        err_set(e, ERR_LIMIT, "%s '%s': too large for one row", doing, p);
        break;
    default:
        err_set(e, ERR_IO, "%s '%s': %s", doing, p, sqlite3_errmsg(s->db));
        err_hint(e, "see with `df` whether the disk has room and with `dmesg` whether it fails; STEAD_STATE_DIR names another place");
        break;
    }
    e->sys = sys;
    return err_code(e);
}

/* --- prepared statements, kept; a second user of one (a reader inside a reader) gets its own --- */

static sqlite3_stmt *take(struct store *s, enum statement which)
{
    sqlite3_stmt *st = s->cached[which];
    s->cached[which] = NULL;
    if (!st && sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
        return NULL;
    return st;
}

static void give(struct store *s, enum statement which, sqlite3_stmt *st)
{
    if (!st)
        return;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    if (s->cached[which])
        sqlite3_finalize(st);
    else
        s->cached[which] = st;
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, at);
}

static void bind_span(sqlite3_stmt *st, int at, struct span text)
{
    sqlite3_bind_text64(st, at, text.p, text.n, SQLITE_STATIC, SQLITE_UTF8);
}

static struct span column_span(sqlite3_stmt *st, int at)
{
    const char *p = (const char *)sqlite3_column_text(st, at);
    return (struct span){ p ? p : "", (size_t)sqlite3_column_bytes(st, at) };
}

static const char *column(sqlite3_stmt *st, int at)
{
    return (const char *)sqlite3_column_text(st, at);
}

/* Run a statement without parameters and results. */
static int run(struct store *s, enum statement which, const char *doing, struct err *e)
{
    sqlite3_stmt *st = take(s, which);
    int rc = st ? sqlite3_step(st) : SQLITE_ERROR;
    int ret = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : fail(s, e, doing);
    give(s, which, st);
    return ret;
}

/* --- opening --- */

static int exec(struct store *s, const char *text, const char *doing, struct err *e)
{
    if (sqlite3_exec(s->db, text, NULL, NULL, NULL) != SQLITE_OK)
        return fail(s, e, doing);
    return 0;
}

static int pragma_i64(struct store *s, const char *text, int64_t *out, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int ret = 0;
    if (sqlite3_prepare_v2(s->db, text, -1, &st, NULL) != SQLITE_OK || sqlite3_step(st) != SQLITE_ROW)
        ret = fail(s, e, "cannot read the journal");
    else
        *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return ret;
}

/* WAL cannot be switched on while another connection is at it, and SQLite does not wait there: we do. */
static int set_wal(struct store *s, struct err *e)
{
    int64_t until = clock_ms() + JOURNAL_BUSY_MS;
    for (;;) {
        int rc = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            return 0;
        if (rc != SQLITE_BUSY || clock_ms() > until)
            return fail(s, e, "cannot open the journal");
        sqlite3_sleep(2);
    }
}

static int check_version(struct store *s, int64_t version, struct err *e)
{
    if (version <= SCHEMA_VERSION)
        return 0;
    err_set(e, ERR_UNSUPPORTED, "journal '%s' has format %lld; this stead knows formats up to %d", s->path,
            (long long)version, SCHEMA_VERSION);
    err_hint(e, "a newer stead wrote it: update stead, or set STEAD_STATE_DIR to another directory");
    return err_code(e);
}

/* Forward, in one transaction, whoever comes first; never back. */
static int migrate(struct store *s, struct err *e)
{
    if (run(s, ST_BEGIN, "cannot update the journal", e) < 0)
        return err_code(e);
    int64_t version = 0;
    int ret = pragma_i64(s, "PRAGMA user_version", &version, e);
    if (ret == 0)
        ret = check_version(s, version, e);
    for (int64_t v = version; ret == 0 && v < SCHEMA_VERSION; v++)
        ret = exec(s, migrations[v], "cannot update the journal", e);
    if (ret == 0 && version < SCHEMA_VERSION) {
        AUTO(buf) struct buf b = BUF_INIT(200);
        buf_addf(&b, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID, SCHEMA_VERSION);
        ret = exec(s, buf_str(&b), "cannot update the journal", e);
        if (version > 0)
            log_info("journal %s: format %lld is now %d", s->path, (long long)version, SCHEMA_VERSION);
    }
    if (ret == 0)
        ret = run(s, ST_COMMIT, "cannot update the journal", e);
    if (ret < 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return ret;
}

/* Whose file is this, and which version? An empty one is new. Read as one: another program may be making it just now. */
static int identify(struct store *s, int64_t *version, struct err *e)
{
    int64_t id = 0, tables = 0;
    if (exec(s, "BEGIN", "cannot read the journal", e) < 0 || pragma_i64(s, "PRAGMA user_version", version, e) < 0 ||
        pragma_i64(s, "PRAGMA application_id", &id, e) < 0 || pragma_i64(s, "SELECT count(*) FROM sqlite_master", &tables, e) < 0 ||
        exec(s, "COMMIT", "cannot read the journal", e) < 0)
        return err_code(e);
    if (id == APPLICATION_ID || (id == 0 && tables == 0 && *version == 0))
        return check_version(s, *version, e);
    err_set(e, ERR_INPUT, "'%s' is an SQLite database of another program, not a stead journal", s->path);
    err_hint(e, "set STEAD_STATE_DIR to a directory of its own");
    return err_code(e);
}

static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct store *s = ctx;
    (void)name;
    if (s->new_log)
        (void)sqlite3_exec(db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
    s->new_log = false;
    checkpointer_poke(&s->checkpointer, pages);
    return SQLITE_OK;
}

static bool log_is_new(const struct store *s)
{
    struct stat st;
    AUTO(buf) struct buf path = BUF_INIT(8192);
    buf_addf(&path, "%s-wal", s->path);
    return stat(buf_str(&path), &st) < 0 ? errno == ENOENT : st.st_size == 0;
}

/* Directories 0700, file 0600 whatever the umask: the record holds people's code. */
static int make_file(const char *path, struct err *e)
{
    AUTO(ptr) char *dir = span_dup(path_dir(path));
    if (!dir)
        return err_set(e, ERR_NOMEM, "cannot create journal '%s': out of memory", path);
    if (path_mkdirs(dir, 0700, e) < 0) {
        err_hint(e, "make it writable for you, or set STEAD_STATE_DIR to a directory that is");
        return err_wrap(e, "cannot create journal '%s'", path);
    }
    AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        err_sys(e, "cannot create journal '%s'", path);
        err_hint(e, "make its directory writable for you, or set STEAD_STATE_DIR to a directory that is");
        return err_code(e);
    }
    return 0;
}

static int open_db(struct store *s, unsigned flags, struct err *e)
{
    int mode = flags ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int64_t version = 0;
    if (sqlite3_open_v2(s->path, &s->db, mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK)
        return fail(s, e, "cannot open the journal");
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, JOURNAL_BUSY_MS);
    if (identify(s, &version, e) < 0)
        return err_code(e);
    if (!flags) {
        if (version == SCHEMA_VERSION)
            return exec(s, "PRAGMA query_only=1; PRAGMA mmap_size=268435456", "cannot open the journal", e);
        /* An older file is brought forward first, by a short-lived writer. */
        sqlite3_close(TAKE(s->db));
        struct store *w;
        if (store_open(s->path, JOURNAL_WRITE, &w, e) < 0)
            return err_code(e);
        store_close(w);
        if (sqlite3_open_v2(s->path, &s->db, mode | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
            return fail(s, e, "cannot open the journal");
        sqlite3_busy_timeout(s->db, JOURNAL_BUSY_MS);
        return 0;
    }
    if (sqlite3_db_readonly(s->db, "main") == 1) {
        err_set(e, ERR_DENIED, "cannot write the journal '%s': the file is read-only", s->path);
        err_hint(e, "make it writable for you, or set STEAD_STATE_DIR to a directory that is");
        return err_code(e);
    }
    /* synchronous=NORMAL, but for a new file and for the first commit to a new log, which would wait for the disk before
     * there is anything to lose: see "What is safe when" in docs/design/journal.md. */
    if ((version == 0 && exec(s, "PRAGMA synchronous=OFF", "cannot open the journal", e) < 0) || set_wal(s, e) < 0)
        return err_code(e);
    s->new_log = log_is_new(s);
    if (exec(s, s->new_log ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=NORMAL", "cannot open the journal", e) < 0)
        return err_code(e);
    sqlite3_wal_hook(s->db, on_commit, s); /* in place of checkpoints inside a commit */
    if (version < SCHEMA_VERSION && migrate(s, e) < 0)
        return err_code(e);
    s->writable = true;
    return 0;
}

int store_open(const char *path, unsigned flags, struct store **out, struct err *e)
{
    if ((flags & JOURNAL_CREATE) && make_file(path, e) < 0)
        return err_code(e);
    struct stat st;
    if (stat(path, &st) < 0 && errno == ENOENT) {
        err_set(e, ERR_NOT_FOUND, "there is no journal at '%s' yet", path);
        err_hint(e, "it is made by the first `stead run`");
        return err_code(e);
    }
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NOMEM, "cannot open journal '%s': out of memory", path);
    AUTO(buf) struct buf dir = BUF_INIT(8192);
    buf_addf(&dir, "%s.blobs", path);
    s->path = strdup(path);
    s->blob_dir = buf_take(&dir);
    if (!checkpointer_init(&s->checkpointer, path) || !s->path || !s->blob_dir) {
        store_close(s);
        return err_set(e, ERR_NOMEM, "cannot open journal '%s': out of memory", path);
    }
    if (open_db(s, flags, e) < 0) {
        store_close(s);
        return err_code(e);
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    checkpointer_finish(&s->checkpointer);
    for (size_t i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(s->cached[i]);
    sqlite3_close(s->db); /* the last one to close checkpoints */
    free(s->path);
    free(s->blob_dir);
    free(s);
}

/* --- transactions --- */

int store_begin(struct store *s, struct err *e)
{
    if (!s->writable)
        return err_set(e, ERR_INTERNAL, "journal '%s' was opened for reading", s->path);
    if (run(s, ST_BEGIN, "cannot write the journal", e) < 0)
        return err_code(e);
    s->begun = true;
    return 0;
}

int store_commit(struct store *s, struct err *e)
{
    s->begun = false;
    if (run(s, ST_COMMIT, "cannot write the journal", e) == 0)
        return 0;
    struct err ignored = ERR_INIT;
    if (!sqlite3_get_autocommit(s->db))
        (void)run(s, ST_ROLLBACK, "cannot roll back", &ignored);
    return err_code(e);
}

void store_rollback(struct store *s)
{
    struct err ignored = ERR_INIT;
    s->begun = false;
    s->last_n = 0; /* its session may be gone with it */
    if (!sqlite3_get_autocommit(s->db)) /* a full disk has rolled back already */
        (void)run(s, ST_ROLLBACK, "cannot roll back", &ignored);
}

int store_sync(struct store *s, struct err *e)
{
    /* In WAL mode a commit under FULL syncs the log, and with it everything before. */
    if (run(s, ST_SYNC_FULL, "cannot sync the journal", e) < 0)
        return err_code(e);
    struct span now = SPAN("");
    int ret = store_state_put(s, "synced", now, clock_unix_ms(), e);
    struct err ignored = ERR_INIT;
    (void)run(s, ST_SYNC_NORMAL, "cannot sync the journal", &ignored);
    return ret;
}

/* --- events --- */

static int session_row(struct store *s, const char *id, int64_t *n, struct err *e)
{
    if (s->last_n && strcmp(s->last_id, id) == 0) {
        *n = s->last_n;
        return 0;
    }
    sqlite3_stmt *st = take(s, ST_SESSION_N);
    if (!st)
        return fail(s, e, "cannot read the journal");
    bind_text(st, 1, id);
    int rc = sqlite3_step(st), ret = 0;
    if (rc == SQLITE_ROW) {
        *n = sqlite3_column_int64(st, 0);
        if (strlen(id) < sizeof s->last_id) {
            memcpy(s->last_id, id, strlen(id) + 1);
            s->last_n = *n;
        }
    } else if (rc == SQLITE_DONE) {
        ret = err_set(e, ERR_NOT_FOUND, "there is no session '%s' in the journal", id);
        err_hint(e, "`stead session list` shows those there are");
    } else {
        ret = fail(s, e, "cannot read the journal");
    }
    give(s, ST_SESSION_N, st);
    return ret;
}

static int insert_event(struct store *s, int64_t n, struct journal_event *ev, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_APPEND);
    if (!st)
        return fail(s, e, "cannot write the journal");
    sqlite3_bind_int64(st, 1, n);
    sqlite3_bind_int64(st, 2, ev->time_ms);
    bind_text(st, 3, ev->type);
    bind_span(st, 4, ev->members);
    int ret = 0;
    if (sqlite3_step(st) == SQLITE_ROW) {
        ev->id = sqlite3_column_int64(st, 0);
        ev->seq = sqlite3_column_int64(st, 1);
        if (sqlite3_step(st) != SQLITE_DONE)
            ret = fail(s, e, "cannot write the journal");
    } else {
        ret = fail(s, e, "cannot write the journal");
    }
    give(s, ST_APPEND, st);
    return ret;
}

static int insert_fact(struct store *s, int64_t n, const struct journal_event *ev, struct span fact, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_FACT);
    if (!st)
        return fail(s, e, "cannot write the journal");
    sqlite3_bind_int64(st, 1, ev->id);
    sqlite3_bind_int64(st, 2, n);
    sqlite3_bind_int64(st, 3, ev->seq);
    sqlite3_bind_int64(st, 4, ev->time_ms);
    bind_text(st, 5, ev->type);
    bind_span(st, 6, fact);
    int ret = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "cannot write the journal");
    give(s, ST_FACT, st);
    return ret;
}

int store_append(struct store *s, struct journal_event *ev, struct span fact, struct err *e)
{
    int64_t n = 0;
    bool own = !s->begun;
    if (own && store_begin(s, e) < 0)
        return err_code(e);
    int ret = session_row(s, ev->session, &n, e);
    if (ret == 0)
        ret = insert_event(s, n, ev, e);
    if (ret == 0 && fact.p)
        ret = insert_fact(s, n, ev, fact, e);
    if (own && ret == 0)
        return store_commit(s, e);
    if (own)
        store_rollback(s);
    return ret;
}

/* Steps through st, giving each row to `row`; what the callback returned, or a failure. */
typedef int (*row_fn)(void *ctx, sqlite3_stmt *st);
static int each_row(struct store *s, enum statement which, sqlite3_stmt *st, row_fn row, void *ctx, struct err *e)
{
    int rc, ret = 0;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        ret = row(ctx, st);
        if (ret != 0)
            break;
    }
    if (ret == 0 && rc != SQLITE_DONE)
        ret = fail(s, e, "cannot read the journal");
    give(s, which, st);
    return ret;
}

struct event_reader {
    const char *session;
    journal_event_fn fn;
    void *ctx;
};

static int read_row(void *ctx, sqlite3_stmt *st)
{
    struct event_reader *r = ctx;
    struct journal_event ev = {
        .id = sqlite3_column_int64(st, 0),
        .seq = sqlite3_column_int64(st, 1),
        .time_ms = sqlite3_column_int64(st, 2),
        .session = r->session,
        .type = column(st, 3),
        .members = column_span(st, 4),
    };
    return r->fn(r->ctx, &ev);
}

int store_read(struct store *s, const char *session, int64_t after_seq, journal_event_fn fn, void *ctx, struct err *e)
{
    int64_t n = 0;
    if (session_row(s, session, &n, e) < 0)
        return err_code(e);
    sqlite3_stmt *st = take(s, ST_READ);
    if (!st)
        return fail(s, e, "cannot read the journal");
    sqlite3_bind_int64(st, 1, n);
    sqlite3_bind_int64(st, 2, after_seq);
    struct event_reader r = { session, fn, ctx };
    return each_row(s, ST_READ, st, read_row, &r, e);
}

int store_last(struct store *s, const char *session, const char *type, struct buf *out, int64_t *seq, struct err *e)
{
    int64_t n = 0;
    if (session_row(s, session, &n, e) < 0)
        return err_code(e);
    sqlite3_stmt *st = take(s, ST_LAST);
    if (!st)
        return fail(s, e, "cannot read the journal");
    sqlite3_bind_int64(st, 1, n);
    bind_text(st, 2, type);
    int rc = sqlite3_step(st), ret = 0;
    if (rc == SQLITE_ROW) {
        buf_add_span(out, column_span(st, 0));
        if (seq)
            *seq = sqlite3_column_int64(st, 1);
        ret = buf_check(out, e) < 0 ? err_code(e) : 1;
    } else if (rc != SQLITE_DONE) {
        ret = fail(s, e, "cannot read the journal");
    }
    give(s, ST_LAST, st);
    return ret;
}

struct fact_reader {
    struct store *store;
    journal_event_fn fn;
    void *ctx;
    struct {
        int64_t n;
        char id[ID_SIZE];
    } known[64]; /* sessions write in turns: the ID of most rows was looked up before */
};

static const char *session_id(struct fact_reader *r, int64_t n)
{
    size_t slot = (size_t)n % COUNT_OF(r->known);
    if (r->known[slot].n == n)
        return r->known[slot].id;
    sqlite3_stmt *st = take(r->store, ST_SESSION_ID);
    if (!st)
        return "";
    sqlite3_bind_int64(st, 1, n);
    struct span id = { "", 0 };
    if (sqlite3_step(st) == SQLITE_ROW)
        id = column_span(st, 0);
    size_t len = id.n < ID_SIZE ? id.n : ID_SIZE - 1;
    memcpy(r->known[slot].id, id.p, len);
    r->known[slot].id[len] = '\0';
    r->known[slot].n = n;
    give(r->store, ST_SESSION_ID, st);
    return r->known[slot].id;
}

static int fact_row(void *ctx, sqlite3_stmt *st)
{
    struct fact_reader *r = ctx;
    struct journal_event ev = {
        .id = sqlite3_column_int64(st, 0),
        .seq = sqlite3_column_int64(st, 1),
        .time_ms = sqlite3_column_int64(st, 2),
        .session = session_id(r, sqlite3_column_int64(st, 3)),
        .type = column(st, 4),
        .members = column_span(st, 5),
    };
    return r->fn(r->ctx, &ev);
}

/* The first fact at or after a time, by the index. */
static int64_t first_fact_id(struct store *s, int64_t since_ms)
{
    sqlite3_stmt *st = NULL;
    int64_t id = 0;
    if (since_ms > 0 && sqlite3_prepare_v2(s->db, "SELECT min(id) FROM facts WHERE time_ms>=?1", -1, &st, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, since_ms);
        if (sqlite3_step(st) == SQLITE_ROW)
            id = sqlite3_column_int64(st, 0);
    }
    sqlite3_finalize(st);
    return id;
}

int store_facts(struct store *s, int64_t since_ms, int64_t until_ms, int64_t after_id, journal_event_fn fn, void *ctx,
                struct err *e)
{
    int64_t from = first_fact_id(s, since_ms);
    sqlite3_stmt *st = take(s, ST_FACTS);
    if (!st)
        return fail(s, e, "cannot read the journal");
    sqlite3_bind_int64(st, 1, since_ms);
    sqlite3_bind_int64(st, 2, until_ms > 0 ? until_ms : INT64_MAX);
    sqlite3_bind_int64(st, 3, from > after_id ? from : after_id + 1);
    struct fact_reader r = { .store = s, .fn = fn, .ctx = ctx };
    return each_row(s, ST_FACTS, st, fact_row, &r, e);
}

/* --- sessions --- */

int store_session_put(struct store *s, const struct journal_session *x, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_SESSION_PUT);
    if (!st)
        return fail(s, e, "cannot write the journal");
    bind_text(st, 1, x->id);
    sqlite3_bind_int64(st, 2, x->created_ms);
    bind_text(st, 3, x->workspace);
    bind_text(st, 4, x->kind);
    bind_text(st, 5, x->parent);
    sqlite3_bind_int64(st, 6, x->fork_seq);
    int ret = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "cannot write the journal");
    give(s, ST_SESSION_PUT, st);
    return ret;
}

struct session_reader {
    store_session_fn fn;
    void *ctx;
};

static int session_row_fn(void *ctx, sqlite3_stmt *st)
{
    struct session_reader *r = ctx;
    struct journal_session x = {
        .workspace = column(st, 2),
        .kind = column(st, 3),
        .parent = column(st, 4),
        .fork_seq = sqlite3_column_int64(st, 5),
        .created_ms = sqlite3_column_int64(st, 1),
        .events = sqlite3_column_int64(st, 6),
        .updated_ms = sqlite3_column_int64(st, 7),
    };
    struct span id = column_span(st, 0);
    memcpy(x.id, id.p, id.n < sizeof x.id ? id.n : sizeof x.id - 1);
    return r->fn(r->ctx, &x, column_span(st, 8), column_span(st, 9));
}

int store_sessions(struct store *s, const char *id, const char *workspace, size_t limit, store_session_fn fn, void *ctx,
                   struct err *e)
{
    sqlite3_stmt *st = take(s, ST_SESSIONS);
    if (!st)
        return fail(s, e, "cannot read the journal");
    bind_text(st, 1, id ? id : "");
    bind_text(st, 2, workspace);
    sqlite3_bind_int64(st, 3, limit && limit <= INT64_MAX ? (int64_t)limit : -1);
    struct session_reader r = { fn, ctx };
    return each_row(s, ST_SESSIONS, st, session_row_fn, &r, e);
}

/* --- changes --- */

int store_change_put(struct store *s, const struct journal_change *c, int64_t now_ms, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_CHANGE_PUT);
    if (!st)
        return fail(s, e, "cannot write the journal");
    bind_text(st, 1, c->id);
    bind_text(st, 2, c->session);
    bind_text(st, 3, c->workspace);
    bind_text(st, 4, c->status);
    bind_text(st, 5, c->blob);
    bind_text(st, 6, c->members);
    sqlite3_bind_int64(st, 7, now_ms);
    int ret = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "cannot write the journal");
    give(s, ST_CHANGE_PUT, st);
    return ret;
}

struct change_reader {
    journal_change_fn fn;
    void *ctx;
};

static int change_row(void *ctx, sqlite3_stmt *st)
{
    struct change_reader *r = ctx;
    struct journal_change c = {
        .id = column(st, 0), .session = column(st, 1), .workspace = column(st, 2), .status = column(st, 3),
        .blob = column(st, 4), .members = column(st, 5),
        .created_ms = sqlite3_column_int64(st, 6), .updated_ms = sqlite3_column_int64(st, 7),
    };
    return r->fn(r->ctx, &c);
}

int store_changes(struct store *s, const char *id, const char *workspace, const char *status, size_t limit,
                  journal_change_fn fn, void *ctx, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_CHANGES);
    if (!st)
        return fail(s, e, "cannot read the journal");
    bind_text(st, 1, id ? id : "");
    bind_text(st, 2, workspace);
    bind_text(st, 3, status);
    sqlite3_bind_int64(st, 4, limit && limit <= INT64_MAX ? (int64_t)limit : -1);
    struct change_reader r = { fn, ctx };
    return each_row(s, ST_CHANGES, st, change_row, &r, e);
}

/* --- blobs --- */

/* "<journal>.blobs/ab/cdef..."; the directories are made for writing. */
static char *blob_path(struct store *s, const char *hash, bool make, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(8192);
    buf_addf(&b, "%s/%.2s", s->blob_dir, hash);
    if (make && path_mkdirs(buf_str(&b), 0700, e) < 0)
        return NULL;
    buf_addf(&b, "/%s", hash + 2);
    char *p = buf_take(&b);
    if (!p)
        err_set(e, ERR_NOMEM, "cannot name a blob: out of memory");
    return p;
}

int store_blob_put(struct store *s, const char *hash, struct span data, struct err *e)
{
    if (!s->writable)
        return err_set(e, ERR_INTERNAL, "journal '%s' was opened for reading", s->path);
    bool file = data.n > BLOB_FILE_BYTES;
    if (store_blob_has(s, hash))
        return 0;
    if (file) { /* the bytes first, then the row that vouches for them */
        AUTO(ptr) char *path = blob_path(s, hash, true, e);
        if (!path || file_write_atomic(path, data, 0600, true, e) < 0)
            return err_wrap(e, "storing a blob");
    }
    sqlite3_stmt *st = take(s, ST_BLOB_PUT);
    if (!st)
        return fail(s, e, "cannot write the journal");
    bind_text(st, 1, hash);
    sqlite3_bind_int64(st, 2, (int64_t)data.n);
    if (file)
        sqlite3_bind_null(st, 3);
    else
        sqlite3_bind_blob64(st, 3, data.p ? data.p : "", data.n, SQLITE_STATIC);
    int ret = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "cannot write the journal");
    give(s, ST_BLOB_PUT, st);
    return ret;
}

static int blob_row(struct store *s, const char *hash, sqlite3_stmt *st, size_t limit, struct buf *out, struct err *e)
{
    int64_t size = sqlite3_column_int64(st, 0);
    if (size < 0 || (uint64_t)size > limit)
        return err_set(e, ERR_LIMIT, "blob %.12s has %lld bytes; at most %zu are wanted", hash, (long long)size, limit);
    if (sqlite3_column_type(st, 1) == SQLITE_NULL) {
        AUTO(ptr) char *path = blob_path(s, hash, false, e);
        return path ? file_read(path, limit, out, e) : err_code(e);
    }
    buf_add(out, sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
    return buf_check(out, e);
}

int store_blob_get(struct store *s, const char *hash, size_t limit, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_BLOB_GET);
    if (!st)
        return fail(s, e, "cannot read the journal");
    bind_text(st, 1, hash);
    int rc = sqlite3_step(st), ret;
    if (rc == SQLITE_ROW)
        ret = blob_row(s, hash, st, limit, out, e) < 0 ? err_code(e) : 0;
    else if (rc == SQLITE_DONE)
        ret = err_set(e, ERR_NOT_FOUND, "there is no blob %.12s in the journal", hash);
    else
        ret = fail(s, e, "cannot read the journal");
    give(s, ST_BLOB_GET, st);
    return ret;
}

bool store_blob_has(struct store *s, const char *hash)
{
    sqlite3_stmt *st = take(s, ST_BLOB_HAS);
    if (!st)
        return false;
    bind_text(st, 1, hash);
    bool has = sqlite3_step(st) == SQLITE_ROW;
    give(s, ST_BLOB_HAS, st);
    return has;
}

/* --- state --- */

int store_state_put(struct store *s, const char *key, struct span value, int64_t now_ms, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_STATE_PUT);
    if (!st)
        return fail(s, e, "cannot write the journal");
    bind_text(st, 1, key);
    sqlite3_bind_blob64(st, 2, value.p ? value.p : "", value.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 3, now_ms);
    int ret = sqlite3_step(st) == SQLITE_DONE ? 0 : fail(s, e, "cannot write the journal");
    give(s, ST_STATE_PUT, st);
    return ret;
}

int store_state_get(struct store *s, const char *key, struct buf *out, struct err *e)
{
    sqlite3_stmt *st = take(s, ST_STATE_GET);
    if (!st)
        return fail(s, e, "cannot read the journal");
    bind_text(st, 1, key);
    int rc = sqlite3_step(st), ret = 0;
    if (rc == SQLITE_ROW) {
        buf_add(out, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        ret = buf_check(out, e) < 0 ? err_code(e) : 1;
    } else if (rc != SQLITE_DONE) {
        ret = fail(s, e, "cannot read the journal");
    }
    give(s, ST_STATE_GET, st);
    return ret;
}

/* --- maintenance --- */

int store_check(struct store *s, struct journal_check *out, struct err *e)
{
    *out = (struct journal_check){ .schema = SCHEMA_VERSION };
    sqlite3_stmt *st = take(s, ST_COUNTS);
    if (!st || sqlite3_step(st) != SQLITE_ROW) {
        give(s, ST_COUNTS, st);
        return fail(s, e, "cannot read the journal");
    }
    out->events = sqlite3_column_int64(st, 0);
    out->sessions = sqlite3_column_int64(st, 1);
    out->blobs = sqlite3_column_int64(st, 2);
    give(s, ST_COUNTS, st);
    struct stat sb;
    if (stat(s->path, &sb) == 0)
        out->bytes = sb.st_size;
    st = take(s, ST_CHECK);
    if (!st || sqlite3_step(st) != SQLITE_ROW) {
        give(s, ST_CHECK, st);
        return fail(s, e, "cannot check the journal");
    }
    struct span said = column_span(st, 0);
    if (!span_eqs(said, "ok"))
        memcpy(out->problem, said.p, said.n < sizeof out->problem ? said.n : sizeof out->problem - 1);
    give(s, ST_CHECK, st);
    return 0;
}
