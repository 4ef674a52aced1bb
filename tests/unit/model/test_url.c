#include "support/test.h"

#include "base/mem.h"
#include "model/url.h"

static void parse__takes_what_people_write(void **state)
{
    static const struct {
        const char *in, *text, *origin, *socket, *root, *api;
        bool local;
    } rows[] = {
        { "http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080", "", "", "/v1", true },
        { "http://127.0.0.1:8080/", "http://127.0.0.1:8080", "http://127.0.0.1:8080", "", "", "/v1", true },
        { "http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080", "http://127.0.0.1:8080", "", "", "/v1", true },
        { "localhost:11434", "http://localhost:11434", "http://localhost:11434", "", "", "/v1", true },
        { "http://host:12434/engines/v1", "http://host:12434/engines/v1", "http://host:12434", "", "/engines", "/engines/v1", true },
        { "https://api.openai.com", "https://api.openai.com", "https://api.openai.com", "", "", "/v1", false },
        { "https://x.example/v1beta/openai", "https://x.example/v1beta/openai", "https://x.example", "", "/v1beta/openai", "/v1beta/openai", false },
        { "unix:///run/e.sock", "unix:///run/e.sock", "http://localhost", "/run/e.sock", "", "/v1", true },
        { "unix:/run/e.sock", "unix:///run/e.sock", "http://localhost", "/run/e.sock", "", "/v1", true },
        { "unix:///run/e.sock:/engines/v1", "unix:///run/e.sock:/engines/v1", "http://localhost", "/run/e.sock", "/engines", "/engines/v1", true },
        { "http+unix://%2Frun%2Fe.sock", "unix:///run/e.sock", "http://localhost", "/run/e.sock", "", "/v1", true },
        { "http+unix://%2Frun%2Fe.sock/v1", "unix:///run/e.sock", "http://localhost", "/run/e.sock", "", "/v1", true },
        { "http://[::1]:8080", "http://[::1]:8080", "http://[::1]:8080", "", "", "/v1", true },
        { "http://192.168.1.20:8080", "http://192.168.1.20:8080", "http://192.168.1.20:8080", "", "", "/v1", true },
        { "http://172.32.0.1:80", "http://172.32.0.1:80", "http://172.32.0.1:80", "", "", "/v1", false },
        { "http://10.1.2.3", "http://10.1.2.3", "http://10.1.2.3", "", "", "/v1", true },
        { "http://8.8.8.8:80", "http://8.8.8.8:80", "http://8.8.8.8:80", "", "", "/v1", false },
        { "http://127.0.0.1.evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1.evil.example", "", "", "/v1", false },
        { "http://host.docker.internal:11434", "http://host.docker.internal:11434", "http://host.docker.internal:11434", "", "", "/v1", true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        struct url u;
        if (url_parse(rows[i].in, &u, &e) < 0)
            fail_msg("%s: %s", rows[i].in, e.text);
        assert_string_equal(u.text, rows[i].text);
        assert_string_equal(u.origin, rows[i].origin);
        assert_string_equal(u.socket, rows[i].socket);
        assert_string_equal(u.root, rows[i].root);
        assert_string_equal(u.api, rows[i].api);
        if (url_is_local(&u) != rows[i].local)
            fail_msg("%s: local is %d", rows[i].in, !rows[i].local);
        struct url again; /* its own text means the same */
        assert_ok(url_parse(u.text, &again, &e), &e);
        assert_string_equal(again.text, u.text);
        assert_string_equal(again.api, u.api);
    }
}

static void parse__refuses(void **state)
{
    static const char *const rows[] = { "", "http://", "ftp://x", "http://user:key@host", "http://host:0", "http://host:99999", "http://host:", "http://ho st", "http://host/v1?key=x",
                                        "unix://relative.sock", "http+unix://%2", "http://[::1", "http://a\nb", "http://host/\x1b[31m" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        struct url u;
        if (url_parse(rows[i], &u, &e) >= 0)
            fail_msg("'%s' was taken as %s", rows[i], u.text);
        assert_null(strstr(e.text, "key@")); /* a key is not repeated */
        assert_null(strchr(e.text, '\x1b'));
        assert_contains(e.hint, "http://HOST:PORT");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(parse__takes_what_people_write), cmocka_unit_test(parse__refuses) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
