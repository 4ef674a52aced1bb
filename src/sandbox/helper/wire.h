/*
 * wire - what stead and the helper say to each other over their one socket pair.
 *
 * SOCK_SEQPACKET: one message is one record, `struct wire` and then its payload. stead sends STEPS, FILTER (twice)
 * and GO; the helper answers READY or FAIL and then serves requests. A request carries an id, its answers carry
 * the same id. Payloads above WIRE_INLINE travel in a memfd attached to the message (flag WIRE_MEMFD).
 * Both ends are the same build: no versions, no byte order. stead treats what comes from inside as hostile.
 */
#ifndef STEAD_SANDBOX_HELPER_WIRE_H
#define STEAD_SANDBOX_HELPER_WIRE_H

#include <stdint.h>

#define WIRE_INLINE 49152 /* payload bytes in one record: well under the socket buffer, so that one always fits */
#define WIRE_FDS 128      /* descriptors with one record */
#define WIRE_MEMFD 1u     /* flags: the payload is in the attached memfd, a = its bytes is in `size` */

struct wire {
    uint16_t type;
    uint16_t flags;
    uint32_t id;
    uint64_t size; /* payload bytes */
    int64_t a, b, c;
};

enum wire_type {
    /* set-up, in this order */
    WIRE_STEPS = 1, /* payload: packed steps; descriptors attached */
    WIRE_FILTER,    /* a: 0 for everything inside, 1 for commands; payload: BPF instructions */
    WIRE_GO,        /* a: enum wire_go flags */
    /* requests */
    WIRE_EXEC,       /* a: timeout_ms, b: cap, c: packed, see wire_exec_*; payload: u32 argc, u32 envc, cwd, argv, env */
    WIRE_INPUT,      /* id of a running EXEC; payload: bytes, none: end of file */
    WIRE_SIGNAL,     /* id of a running EXEC; a: signal */
    WIRE_RESIZE,     /* id of a running EXEC; a: rows, b: columns */
    WIRE_BACKGROUND, /* a: id of a background EXEC -> OK a: 1 when ended, b: status, c: bytes */
    WIRE_READ,       /* a: offset, b: limit; payload: path -> DATA..., OK with stat and the last piece */
    WIRE_WRITE,      /* a: mode, b: flags; payload: path, NUL, content */
    WIRE_STAT,       /* payload: path -> OK with stat */
    WIRE_REMOVE,     /* payload: path */
    WIRE_LIST,       /* a: flags, b: max; payload: path -> DATA (stream 1)..., EXIT */
    WIRE_PAUSE,      /* a: 1 stop, 0 continue */
    WIRE_CHECKPOINT, /* payload: target, options, names of directories to make on the tmpfs, each with NUL */
    WIRE_LISTEN,     /* a: port -> OK, then ACCEPT with a descriptor for each connection */
    /* answers */
    WIRE_READY, /* descriptor of the private tmpfs's root attached, if there is one */
    WIRE_FAIL,  /* a: errno, b: 1 when a program could not be started; payload: what failed */
    WIRE_OK,    /* a, b, c by request */
    WIRE_DATA,  /* a: stream (1, 2); payload */
    WIRE_TAIL,  /* payload: the last bytes of an output that exceeded its cap */
    WIRE_TAKEN, /* the last INPUT was written to the command */
    WIRE_EXIT,  /* a: status, b: enum wire_exit flags, c: bytes written; payload: spill path */
    WIRE_ACCEPT,
};

enum wire_go {
    WIRE_GO_NOTIFY = 1,      /* renames ask the helper */
    WIRE_GO_NO_LANDLOCK = 2, /* nested user namespaces are allowed: Landlock would forbid their mounts */
};
enum wire_exit { WIRE_EXIT_TIMEOUT = 1, WIRE_EXIT_TRUNCATED = 2, WIRE_EXIT_DISK = 4, WIRE_EXIT_MEMORY = 8 };

enum wire_exec { /* in c; nice in bits 8..15, rows 16..31, columns 32..47 */
    WIRE_EXEC_MERGE = 1,
    WIRE_EXEC_TTY = 2,
    WIRE_EXEC_STDIN = 4,
    WIRE_EXEC_BACKGROUND = 8,
};

/* a stat answer: a: size, b: mtime_ns, c: type | mode << 8 */

/*
 * Steps of set-up, executed in order. Sources are opened first, while the host's tree can still be seen.
 * Record: struct wire_step, then `src` and `dst` and `data`, each with its NUL.
 */
struct wire_step {
    uint16_t op;
    uint16_t flags;
    int32_t fd; /* index of an attached descriptor (a detached mount) in place of src, or -1 */
    int64_t a;
    uint32_t len; /* of the three strings with their NULs */
    uint32_t reserved;
};

enum wire_op {
    WIRE_OP_BIND = 1, /* src at dst */
    WIRE_OP_INNER,    /* src, a path already inside, at dst */
    WIRE_OP_DIR,      /* dst with mode a */
    WIRE_OP_LINK,     /* dst -> src */
    WIRE_OP_FILE,     /* dst with content data, mode a */
    WIRE_OP_TMPFS,    /* at dst, options data */
    WIRE_OP_PROC,     /* at dst */
    WIRE_OP_DEVPTS,   /* at dst */
    WIRE_OP_MASK,     /* dst made empty */
    WIRE_OP_READONLY, /* dst, as it is, read-only */
    WIRE_OP_OVERLAY,  /* at dst, options data, relative to WIRE_PRIVATE */
    WIRE_OP_COVER,    /* hide WIRE_PRIVATE */
    WIRE_OP_LOOPBACK, /* bring lo up */
    WIRE_OP_HOSTNAME, /* src */
    WIRE_OP_RLIMIT,   /* fd: resource, a: limit */
    WIRE_OP_ALLOW,    /* Landlock: dst may be written (flag WIRE_STEP_RW) */
    WIRE_OP_WATCH,    /* dst, relative to WIRE_PRIVATE, may hold a bytes in fd files (each: none when not positive) */
    WIRE_OP_MEMORY,   /* everything inside may take a bytes of memory */
    WIRE_OP_SYSCTL,   /* data into dst */
    WIRE_OPS
};

enum wire_step_flags {
    WIRE_STEP_RO = 1,
    WIRE_STEP_NOEXEC = 2,
    WIRE_STEP_OPTIONAL = 4, /* a missing source or target is no failure */
    WIRE_STEP_DEV = 8,      /* device nodes work */
    WIRE_STEP_RW = 16,
    WIRE_STEP_SEND = 32, /* READY carries a descriptor of it */
    WIRE_STEP_FLAT = 64, /* without what is mounted below */
};

#define WIRE_PRIVATE "/.stead" /* where layers and scratch are mounted; covered before anything runs */
#define WIRE_SPILL_DIR "/run/stead"
#define WIRE_SPILL_MAX (64 << 20)

#endif
