/* Error answers, schemas and addresses on any bytes. First byte: which. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bind.h"
#include "base/mem.h"
#include "model/failure.h"
#include "model/schema.h"
#include "model/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span in = { (const char *)data + 1, size - 1 };
    struct err e = ERR_INIT;
    if (data[0] % 3 == 0) {
        AUTO(buf) struct buf words = BUF_INIT(1 << 20), type = BUF_INIT(256);
        int64_t prompt = -1, ctx = -1;
        struct reply r;
        failure_text(in, &words, &type, &prompt, &ctx);
        (void)failure_set(&r, failure_classify(400 + data[0], buf_span(&type), buf_span(&words)), "x", buf_span(&words), &e);
    } else if (data[0] % 3 == 1) { /* [schema, value] */
        AUTO(json) json_t *j = json_loadb(in.p, in.n, 0, NULL);
        AUTO(buf) struct buf plain = BUF_INIT(1 << 20);
        json_t *schema = json_array_get(j, 0), *value = json_array_get(j, 1);
        if (schema && value) {
            (void)schema_coerce(schema, value);
            (void)(schema_check(schema, value, &e) < 0);
            AUTO(ptr) char *text = json_dumps(schema, JSON_ENCODE_ANY);
            if (text)
                (void)schema_plain(span_of(text), &plain);
        }
    } else {
        AUTO(ptr) char *text = span_dup(in);
        struct url u, again;
        if (text && url_parse(text, &u, &e) >= 0 && (url_parse(u.text, &again, &e) < 0 || strcmp(u.api, again.api) != 0))
            abort(); /* its own text must mean the same */
    }
    return 0;
}
