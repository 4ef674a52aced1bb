/* What layer.c asks of sandbox/, for builds in which that folder is not there yet: no layer of these tests is mounted. */
#include "sandbox/sandbox.h"

int sandbox_checkpoint(struct sandbox *sb, const struct sandbox_overlay *next, struct err *e)
{
    (void)sb;
    (void)next;
    return err_set(e, ERR_UNSUPPORTED, "no sandbox in this build");
}

int sandbox_identity(const char *workspace, uid_t *uid, gid_t *gid, struct err *e)
{
    (void)workspace;
    (void)uid;
    (void)gid;
    return err_set(e, ERR_UNSUPPORTED, "no sandbox in this build");
}
