/* What the inside is made of: mounts as text, names of layers, the environment. */
#include "support/test.h"

#include "sandbox/sandbox-internal.h"

static void mount__is_parsed(void **state)
{
    static const char *const bad[] = { "", ":", "/tmp:relative", "/tmp:/a:ro:x", "/tmp:/a:/b", "/no/such/path:/a", "/tmp::ro" };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 16);
    struct err e = ERR_INIT;
    struct sandbox_mount m;
    (void)state;
    assert_ok(sandbox_parse_mount("/tmp", &a, &m, &e), &e);
    assert_string_equal(m.src, "/tmp");
    assert_string_equal(m.dst, "/tmp");
    assert_false(m.rw);
    assert_ok(sandbox_parse_mount("/tmp:/mnt/x:rw", &a, &m, &e), &e);
    assert_string_equal(m.dst, "/mnt/x");
    assert_true(m.rw);
    assert_ok(sandbox_parse_mount("/tmp:ro", &a, &m, &e), &e);
    assert_false(m.rw);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        err_reset(&e);
        if (sandbox_parse_mount(bad[i], &a, &m, &e) >= 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(e.text[0]);
    }
}

static void exception__is_named(void **state)
{
    struct err e = ERR_INIT;
    unsigned bits = 0;
    (void)state;
    assert_ok(sandbox_parse_exception("userns", &bits, &e), &e);
    assert_ok(sandbox_parse_exception("ptrace", &bits, &e), &e);
    assert_int_equal(bits, SANDBOX_ALLOW_USERNS | SANDBOX_ALLOW_PTRACE);
    assert_int_equal(sandbox_parse_exception("root", &bits, &e), -ERR_USAGE);
    assert_contains(e.text, "'root'");
}

static int options(const struct sandbox_overlay *o, const char *home, struct buf *out, struct err *e)
{
    AUTO(buf) struct buf dirs = BUF_INIT(4096);
    buf_reset(out);
    return layout_overlay_options(o, home, out, &dirs, e);
}

static void overlay__names_layers_from_the_private_directory(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);
    struct err e = ERR_INIT;
    const char *lowers[] = { "/s/l1/u1", "/s/l1/u0", "/home/ada/app" };
    struct sandbox_overlay o = { .lowers = lowers, .nlowers = 3, .upper = "/s/l1/u2", .work = "/s/l1/w2" };
    (void)state;
    assert_ok(options(&o, "/s/l1", &out, &e), &e);
    assert_string_equal(buf_str(&out), "lowerdir=l/u1:l/u0:w,upperdir=l/u2,workdir=l/w2,userxattr");
    o.upper = "tmpfs";
    assert_ok(options(&o, "/s/l1", &out, &e), &e);
    assert_string_equal(buf_str(&out), "lowerdir=l/u1:l/u0:w,upperdir=t/u0,workdir=t/w0,userxattr");
    o.upper = "/s/l10/u2";
    assert_int_equal(options(&o, "/s/l1", &out, &e), -ERR_UNSUPPORTED);
    o.upper = "/s/l1/a,b";
    assert_int_equal(options(&o, "/s/l1", &out, &e), -ERR_UNSUPPORTED);
    o.upper = "tmpfs:../x";
    assert_int_equal(options(&o, "/s/l1", &out, &e), -ERR_INPUT);
    o.upper = "tmpfs:a,b";
    assert_int_equal(options(&o, "/s/l1", &out, &e), -ERR_INPUT);
    /* of the way to the layers nothing is an option: any name will do */
    const char *odd[] = { "/s:t,a\\te/l1/u0", "/home/ada/app" };
    o = (struct sandbox_overlay){ .lowers = odd, .nlowers = 2, .upper = "/s:t,a\\te/l1/u2", .work = "/s:t,a\\te/l1/w2" };
    assert_ok(options(&o, "/s:t,a\\te/l1", &out, &e), &e);
    assert_string_equal(buf_str(&out), "lowerdir=l/u0:w,upperdir=l/u2,workdir=l/w2,userxattr");
    /* more names than a page of mount options holds */
    const char *many[500];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = "/s/l1/u1000000";
    o = (struct sandbox_overlay){ .lowers = many, .nlowers = COUNT_OF(many), .upper = "/s/l1/u2", .work = "/s/l1/w2" };
    assert_int_equal(options(&o, "/s/l1", &out, &e), -ERR_LIMIT);
}

static void environment__takes_the_allow_list_only(void **state)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct identity id = { .name = "ada", .home = "/home/ada" };
    const char *const *env;
    bool path = false, lc = false, given = false;
    (void)state;
    assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "x", 1) | setenv("LC_TIME", "C", 1) | setenv("SSH_AUTH_SOCK", "/x", 1), 0);
    struct sandbox_spec spec = { .env = (const char *const[]){ "HOME=/elsewhere", NULL } };
    assert_ok(layout_environment(&spec, &id, &a, &env, &e), &e);
    for (; *env; env++) {
        assert_null(strstr(*env, "SECRET"));
        assert_null(strstr(*env, "SSH_"));
        path |= strncmp(*env, "PATH=", 5) == 0;
        lc |= strcmp(*env, "LC_TIME=C") == 0;
        given |= strcmp(*env, "HOME=/elsewhere") == 0;
    }
    assert_true(path && lc && given);
}

static void identity__is_never_root(void **state)
{
    struct err e = ERR_INIT;
    struct identity id;
    (void)state;
    if (identity_of("/", &id, &e) == -ERR_DENIED) /* root of a container that has no other identity: refused, which is the point */
        return;
    assert_int_not_equal(id.inside_uid, 0);
    if (id.mapped)
        assert_true(id.uid >= IDENTITY_BASE);
    else
        assert_int_equal(id.uid, geteuid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mount__is_parsed), cmocka_unit_test(exception__is_named),
        cmocka_unit_test(overlay__names_layers_from_the_private_directory), cmocka_unit_test(environment__takes_the_allow_list_only),
        cmocka_unit_test(identity__is_never_root),
    };
    return cmocka_run_group_tests_name("sandbox/layout", tests, NULL, NULL);
}
