#include "route/privacy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "route/placeholder.h"

static struct config_values values;
#define guard values.guard

static struct privacy_result check(const struct privacy_input *in, struct buf *out, struct arena *a)
{
    struct err e = ERR_INIT;
    AUTO(privacy) struct privacy *p = NULL;
    struct privacy_result r = { 0 };
    if (privacy_create(&values, &p, &e) < 0 || privacy_check(p, in, a, out, &r, &e) < 0)
        fail_msg("%s", e.text);
    return r;
}

static int setup(void **state)
{
    (void)state;
    values = (struct config_values){ 0 };
    guard = (struct config_guard){ .on_secret = CONFIG_GUARD_BLOCK, .on_personal = CONFIG_GUARD_REDACT, .on_path = CONFIG_GUARD_BLOCK };
    return 0;
}

/* Written in two halves, so that this file itself holds no secret. */
#define TWO(a, b) a b

static const struct {
    const char *detector; /* NULL: nothing is found */
    const char *text;
} rows[] = {
    { "aws-access-key", TWO("key AKIA", "IOSFODNN7EXAMPL1 there") },
    { "aws-secret-key", TWO("aws_secret_access_key = wJalrXUtnFEMI", "/K7MDENG/bPxRfiCYEXAMPLEKEY") },
    { "github-token", TWO("ghp_", "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5") },
    { "gitlab-token", TWO("glpat-", "x1Y2z3A4b5C6d7E8f9G0") },
    { "slack-token", TWO("xoxb-", "123456789012-abcdefABCDEF") },
    { "stripe-key", TWO("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc") },
    { "model-api-key", TWO("sk-ant-", "api03-abcDEF123_456-ghiJKL789") },
    { "google-api-key", TWO("AIza", "SyD4Kq9f8s7d6f5g4h3j2k1l0mNbVcXzAsD") },
    { "json-web-token", TWO("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U") },
    { "private-key", TWO("-----BEGIN RSA PRIVATE", " KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----") },
    { "private-key", TWO("{\"content\":\"-----BEGIN PRIVATE", " KEY-----\\nMIIEvQ\\n-----END PRIVATE KEY-----\\n\"}") },
    { "password-in-url", "postgres://app:s3cr3tpw@db.internal:5432/x" },
    { "authorization-header", "Authorization: Bearer abcdef0123456789abcdef" },
    { "assigned-secret", "DB_PASSWORD=hunter2-Winter!9" },
    { "assigned-secret", "{\\\"password\\\": \\\"pa55word-xyz\\\"}" },
    { "assigned-secret", "api_key: 9f86d081884c7d659a2feaa0c55ad015" },
    { "random-text", "x = Zk3vQ9pLm2Xw8RtY5bNc7HsD1fGj4KaE" },
    { "unix-password-hash", "$2b$12$KIXQJfS5a8Q2b7u9Zb1V0uO3q5t7y9A1C3E5G7I9K1M3O5Q7S9U1W" },
    { "email", "please ask jane.doe@company.com about it" },
    { "iban", "pay to DE89 3704 0044 0532 0130 00" },
    { "payment-card", "card 4111 1111 1111 1111 declined" },
    { "confidential-mark", "/* Proprietary and confidential */" },
    { "password-on-command-line", "$ mysql -u root -pWinter-99x shop" },
    { "password-on-command-line", "sshpass -p 'Winter-99x' ssh root@10.0.0.1" },
    { "password-on-command-line", "curl -s -u admin:Winter-99x https://host/" },
    { "azure-signature", "https://x.blob.core.windows.net/c?sv=2020&sig=Zk3vQ9pLm2Xw8RtY5bNc7HsD1fGj4KaE%3D" },
    { "quoted-secret", "password: \"a(b)c{d}9!\"" },
    { "environment-secret", "+export API_TOKEN=ab12-xY9" },
    { "password-in-url", "next=postgres%3A%2F%2Fapp%3As3cr3tpw%40db%2Fx" },
    { "password-in-url", "x = \"postgres://app:s3c\" + \"r3tpw@db/x\"" },
    { "password-in-url", "data: cG9zdGdyZXM6Ly9hcHA6czNjcjN0cHdAZGIvcHJvZA==" },
    { "password-in-url", "706f7374677265733a2f2f6170703a733363723374707740646222" },
    { "docker-auth", "{&quot;auth&quot;: &quot;dXNlcjpwYXNzd29yZA==&quot;}" },
    { "phone-north-america", "call (415) 555-2671 tonight" },
    { "phone-national", "Telefon: 030 1234567" },
    { "phone", "\x1b[32m+49 171 2345678\x1b[0m" },
    { "national-id", "AHV 756.9217.0769.85" },
    { "national-id", "CPF 390.533.447-05" },
    { "fiscal-code", "cliente RSSMRA85T10A562S" },
    { "named-national-id", "NINO: QQ 12 34 56 C" },
    { "named-national-id", "Steuer-ID ist 86 095 742 719" },
    { "named-national-id", "\"dni\": \"12345678Z\"" },
    { "named-national-id", "passport: 533380006" },
    { NULL, "\"passport\": \"^0.6.0\", \"passport-jwt\": \"4.0.1\", ssn_field = None" },
    { NULL, "\"jsonwebtoken\": \"^9.12.3\", \"secret-scan\": \">=1.42.3-beta.12\", \"passport-oauth2\": \"~1.83\", token_host: 10.12.34.56" },
    { NULL, "versions 10.11.12-13, 127.000.000.001 and RFC 7231-1" },
    { "near-secret", "- name: DB_PASSWORD\n  value: hunter2x9Qk" },
    { "near-secret", "<password>hunter2x9Qk</password>" },
    { "near-secret", "ALTER ROLE app WITH LOGIN PASSWORD 'Summer2026!';" },
    { "near-secret", "the password for staging is hunter2x9Qk." },
    { "assigned-password", "password: hunter2" },
    { "password-in-other-words", "mot de passe : kxSOuJP18kB1" },
    { "environment-passphrase", "DB_PASS='correct horse battery staple'" },
    { "environment-secret", "MINIO_ROOT_PASSWORD=tvhtwItlRLBeyQMQ" },
    { "session-cookie", "Set-Cookie: sessionid=2kyy9hgzpp0ncmwbaoslvdx56mpamwkn; HttpOnly" },
    { "basic-credentials", "_auth=dXNlcjpkTXdvamZLVnNDRWg=" },
    { "webhook", TWO("https://hooks.zapier.com/hooks/catch", "/8177677/fov1tat/") },
    { "aws-access-key", TWO("k = \"\\x41\\x4b\\x49", "\\x41IOSFODNN7EXAMPL1\"") },
    { "aws-access-key", TWO("k = \"AK\xe2\x80\x8b", "IAIOSFODNN7EXAMPL1\"") },
    { "github-token", TWO("+ghp_aB3dE5fG7hI9jK1l", "\n+M3nO5pQ7rS9tU1vW3xY5") },
    { NULL, "secret = derive(sha256, hkdf_extract_v2, aes_256_gcm_sha384)" },
    { NULL, "password_hash = bcrypt2.hash(passwordField1, rounds=12)" },
    { NULL, "token = tokens[index2].firstChild1; // see utf8mb4_0900_ai_ci" },
    { NULL, "cache_key = sha256_9f86d081884c7d659a2feaa0c55ad0159f86d081884c7d65" },
    { NULL, "login(user1, page2) then open /api/v2/users/12345/tokens" },
    { NULL, "# For internal use only: do not call from outside" },
    { NULL, "{ \"max_tokens\", FIELD_I64, FIELD(model_row, max_tokens), 0, 0, 1000000 }" },
    { NULL, "conn = Client(token.address, authkey=self._authkey)" },
    { NULL, "text = \"one \" + \"two\"; // 200-300-400 and 100%25 of &amp;" },
    { NULL, "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad fixes it" },
    { NULL, "sha512-9/u6bgY2+JDlb7vzKD5STG+jIErimDgtYkdB0NxmODJuKCxBvl5CVNiCB3LFUYosWowMf37aGVlKfrU5RT4e1w==" },
    { NULL, "password = os.environ['DB_PASSWORD']" },
    { NULL, "const token = await getAuthToken(userSession);" },
    { NULL, "secret: ${{ secrets.DEPLOY_KEY }}" },
    { NULL, "token = self.next_token" },
    { NULL, "def reset_password(self, new_password: str) -> None:" },
    { NULL, "if (tokens->type == TOKEN_IDENTIFIER) return parse_identifier(tokens);" },
    { NULL, "see src/components/forms/LoginForm/LoginFormContainer2.test.tsx" },
    { NULL, "contact support@example.com or noreply@github.com, version 1.2.3" },
    { NULL, "static const struct cyaml_schema_field endpointFieldsForConfigurationVersion2[] = {" },
    { NULL, "order 1234567890123456 of 2026-11-23 at 10:42, id 00000000-0000-0000-0000-000000000000" },
    { NULL, "https://example.org/a/very/long/path/to/Some/File2/With3/Digits4 and ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
};

static void check__finds_what_it_should_and_nothing_else(void **state)
{
    (void)state;
    guard.on_personal = CONFIG_GUARD_BLOCK;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
        AUTO(buf) struct buf out = BUF_INIT(1 << 20);
        struct privacy_input in = { .bytes = span_of(rows[i].text) };
        struct privacy_result r = check(&in, &out, &a);
        bool found = false;
        for (size_t f = 0; f < r.nfindings; f++)
            found |= rows[i].detector && strcmp(r.findings[f].detector, rows[i].detector) == 0;
        if (rows[i].detector ? !found || r.action != PRIVACY_BLOCK || out.n : r.action != PRIVACY_SEND)
            fail_msg("'%s': %s, %zu findings, first %s", rows[i].text, privacy_action_name(r.action), r.nfindings,
                     r.nfindings ? r.findings[0].detector : "-");
        if (rows[i].detector && strstr(r.reason, rows[i].text))
            fail_msg("the reason shows the secret: %s", r.reason);
    }
}

static void check__redacts_and_leaves_the_rest_as_it_is(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    guard.on_secret = CONFIG_GUARD_REDACT;
    struct privacy_input in = { .bytes = SPAN("{\"a\":\"DB_PASSWORD=hunter2-Winter9\\nnext\",\"b\":\"mail bob@corp.io\"}") };
    struct privacy_result r = check(&in, &out, &a);
    assert_int_equal(r.action, PRIVACY_REDACTED);
    assert_string_equal(buf_str(&out), "{\"a\":\"DB_PASSWORD=[redacted:assigned-secret:1]\\nnext\",\"b\":\"mail [redacted:email:2]\"}");
    assert_int_equal(r.redactions, 2);
    struct hash_hex h = hash_bytes(out.p, out.n);
    assert_string_equal(r.hash.s, h.s);
    AUTO(buf) struct buf sent = BUF_INIT(1000);
    assert_true(privacy_sent(&sent, "cloud", &r, out.n));
    assert_non_null(strstr(buf_str(&sent), h.s));
}

static void check__asks_and_takes_yes_for_an_answer(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    guard.on_secret = CONFIG_GUARD_ASK;
    struct privacy_input in = { .bytes = SPAN("first line\nDB_PASSWORD=hunter2-Winter9 mail bob@corp.io") };
    struct privacy_result r = check(&in, &out, &a);
    assert_int_equal(r.action, PRIVACY_ASK);
    assert_int_equal(out.n, 0);
    assert_int_equal(r.findings[0].line, 2);
    in.approved = true;
    r = check(&in, &out, &a);
    assert_int_equal(r.action, PRIVACY_REDACTED); /* the mail address was not asked about */
    assert_string_equal(buf_str(&out), "first line\nDB_PASSWORD=hunter2-Winter9 mail [redacted:email:1]");
    const char *allow[] = { "hunter2-Winter9" };
    guard = (struct config_guard){ .on_secret = CONFIG_GUARD_BLOCK, .on_personal = CONFIG_GUARD_REDACT, .allow = allow, .nallow = 1 };
    in.approved = false;
    buf_reset(&out);
    r = check(&in, &out, &a);
    assert_int_equal(r.action, PRIVACY_REDACTED);
}

static void check__knows_paths_that_must_not_leave(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    static const char *const bodies[] = {
        "{\"tool_calls\":[{\"function\":{\"name\":\"read\",\"arguments\":\"{\\\"path\\\":\\\"conf/.env\\\"}\"}}]}",
        "{\"path\": \"deploy/prod.tfvars\"}",
        "--- a/.env\n+++ b/.env\n",
        "{\"content\":\"diff:\\n+++ b/certs/server.pem\\n\"}",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct privacy_input in = { .bytes = span_of(bodies[i]) };
        struct privacy_result r = check(&in, &out, &a);
        if (r.action != PRIVACY_BLOCK)
            fail_msg("%s: %s", bodies[i], privacy_action_name(r.action));
    }
    const char *named[] = { "src/a.c", "secret/plan.txt" }, *globs[] = { "secret/**" };
    guard.never_send = globs;
    guard.nnever_send = 1;
    struct privacy_input in = { .bytes = SPAN("harmless"), .paths = { named, 2 } };
    struct privacy_result r = check(&in, &out, &a);
    assert_int_equal(r.action, PRIVACY_BLOCK);
    assert_string_equal(r.reason, "path 'secret/plan.txt' may not leave");
    const char *mine[] = { "papers/", "/home/ada/private" };
    values.policy.local_only_paths = mine;
    values.policy.nlocal_only_paths = 2;
    struct privacy_input paper = { .bytes = SPAN("{\"path\":\"papers/a.tex\"}") };
    r = check(&paper, &out, &a);
    assert_int_equal(r.action, PRIVACY_BLOCK);
    struct privacy_input fine = { .bytes = SPAN("{\"path\":\".env.example\"} {\"path\":\"src/env.c\"}") };
    r = check(&fine, &out, &a);
    assert_int_equal(r.action, PRIVACY_SEND);
}

static void check__blocks_what_it_cannot_check_and_is_bounded(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
    AUTO(buf) struct buf in_bytes = BUF_INIT(4 << 20), out = BUF_INIT(8 << 20);
    for (int i = 0; i < 3000; i++)
        buf_addf(&in_bytes, "user%d.name@corp%d.io ", i, i);
    struct privacy_input many = { .bytes = buf_span(&in_bytes) };
    assert_int_equal(check(&many, &out, &a).action, PRIVACY_BLOCK);
    buf_reset(&in_bytes);
    static const char *const fill[] = { "a", "\\", "password=", "://", "eyJ", "\"path\":\"", "-----BEGIN PRIVATE KEY-----", "1 ", "A1a", "\xff" };
    for (size_t f = 0; f < COUNT_OF(fill); f++) {
        buf_reset(&in_bytes);
        while (in_bytes.n < 256 << 10)
            buf_adds(&in_bytes, fill[f]);
        int64_t from = clock_ms();
        struct privacy_input in = { .bytes = buf_span(&in_bytes) };
        (void)check(&in, &out, &a);
        if (clock_ms() - from > 5000)
            fail_msg("'%s' repeated takes %lld ms", fill[f], (long long)(clock_ms() - from));
    }
    struct privacy_input none = { .bytes = SPAN("") };
    assert_int_equal(check(&none, &out, &a).action, PRIVACY_SEND);
}

#define T(f) cmocka_unit_test_setup(f, setup)
static void placeholders__lead_back_to_what_they_stand_for(void **state)
{
    (void)state;
    struct placeholders p = { 0 };
    AUTO(buf) struct buf out = BUF_INIT(4096), back = BUF_INIT(4096);
    static const struct {
        const char *detector, *value, *mark;
    } marks[] = {
        { "email", "jo@corp.io", "[redacted:email:1]" },      { "phone", "+49 171 2345678", "[redacted:phone:2]" },
        { "email", "jo@corp.io", "[redacted:email:1]" },      { "quoted-secret", "a\\\"b", "[redacted:quoted-secret]" },
        { "iban", "[redacted:phone:2] 1", "[redacted:iban:3]" },
    };
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        buf_reset(&out);
        assert_true(placeholder_write(&p, marks[i].detector, span_of(marks[i].value), &out));
        assert_string_equal(buf_str(&out), marks[i].mark);
    }
    size_t n = placeholder_restore(&p, SPAN("a[redacted:email:1][redacted:iban:3] [redacted:email:2] [redacted:email:0] [redacted:x] [redacted:email:"), &back);
    assert_string_equal(buf_str(&back), "ajo@corp.io+49 171 2345678 1 [redacted:email:2] [redacted:email:0] [redacted:x] [redacted:email:");
    assert_int_equal(n, 2);
    placeholders_finish(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(check__finds_what_it_should_and_nothing_else),
        T(check__redacts_and_leaves_the_rest_as_it_is),
        T(check__asks_and_takes_yes_for_an_answer),
        T(check__knows_paths_that_must_not_leave),
        T(check__blocks_what_it_cannot_check_and_is_bounded),
        T(placeholders__lead_back_to_what_they_stand_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
