#define LOG_MODULE "model"
#include "model/row.h"

#include <strings.h>

#include "base/data.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/profile.h"

static const char *const replays[] = { "none", "field", "tags", NULL };

static const struct field sampling_fields[] = {
    { "temperature", FIELD_F64, FIELD(sampling, temperature), 0, 0, 2, "0 always takes the likeliest token" },
    { "top_p", FIELD_F64, FIELD(sampling, top_p), 0, 0, 1, "share of probability that is considered" },
    { "top_k", FIELD_I64, FIELD(sampling, top_k), 0, -1, 1000, "tokens that are considered; 0 all, -1 not sent" },
    { "min_p", FIELD_F64, FIELD(sampling, min_p), 0, 0, 1, "least probability against the likeliest" },
    { "repeat_penalty", FIELD_F64, FIELD(sampling, repeat_penalty), 0, 0, 2, "1 is none" },
    { "presence_penalty", FIELD_F64, FIELD(sampling, presence_penalty), 0, 0, 2, "0 is none" },
    { "seed", FIELD_I64, FIELD(sampling, seed), 0, -1, 2147483647, "-1 is not sent" },
    { 0 },
};

static const struct field row_fields[] = {
    { "name", FIELD_STRING, FIELD(model_row, name), FIELD_REQUIRED, 1, 64, "as the file" },
    { "match", FIELD_STRINGS, FIELD(model_row, match), FIELD_REQUIRED, 0, 32, "parts of model names" },
    { "note", FIELD_STRING, FIELD(model_row, note), 0, 0, 400, "for a person" },
    { "sampling", FIELD_OBJECT, FIELD(model_row, sampling), FIELD_REQUIRED, 0, 0, "sampling parameters", .fields = sampling_fields },
    { "max_tokens", FIELD_I64, FIELD(model_row, max_tokens), 0, 0, 1000000, "of one reply; 0: the default" },
    { .name = "reasoning", .type = FIELD_ENUM, FIELD(model_row, reasoning), .doc = "how thinking is sent back", .names = replays },
    { "leaks", FIELD_STRINGS, FIELD(model_row, leaks), 0, 0, 16, "markup that it leaves in the text, likeliest first" },
    { "edit", FIELD_STRING, FIELD(model_row, edit), 0, 1, 32, "edit format that it does well" },
    { 0 },
};

/* For the case that even data/models/default.json was broken by an override. */
static const struct model_row fallback = {
    .name = "default",
    .sampling = { .temperature = 0.3, .top_p = 0.95, .min_p = 0.02, .top_k = 40, .repeat_penalty = 1.0, .seed = 1 },
    .edit = "replace",
    .note = "",
};

static struct model_row *rows; /* loaded once, kept */
static size_t nrows, caprows;
static struct arena memory = ARENA_INIT(1 << 20);

static int load_row(void *ctx, const char *path, struct span text)
{
    (void)ctx;
    struct err e = ERR_INIT;
    json_t *j = NULL;
    if (!span_ends(span_of(path), ".json"))
        return 0;
    struct model_row row = { .note = "", .edit = "replace", .sampling = fallback.sampling };
    if (json_parse(text, BIND_STRICT, &j, &e) < 0 || bind_load(j, row_fields, &row, BIND_STRICT, &memory, &e) < 0)
        log_error("data/%s: %s: the row is left out", path, e.text);
    else if (array_grow((void **)&rows, &caprows, nrows, 1, sizeof *rows))
        rows[nrows++] = row;
    json_decref(j);
    return 0;
}

static size_t matches(const struct model_row *row, const char *model)
{
    size_t best = 0;
    for (size_t i = 0; i < row->match.len; i++) {
        size_t n = strlen(row->match.items[i]);
        for (const char *p = model; *p; p++)
            if (!strncasecmp(p, row->match.items[i], n) && n > best)
                best = n;
    }
    return best;
}

const struct model_row *model_row_for(const char *model)
{
    static bool loaded;
    if (!loaded) {
        loaded = true;
        (void)data_each("models/", load_row, NULL);
    }
    const struct model_row *best = NULL, *other = &fallback;
    size_t length = 0;
    for (size_t i = 0; i < nrows; i++) {
        size_t n = matches(&rows[i], model ? model : "");
        if (n > length) {
            best = &rows[i];
            length = n;
        }
        if (!strcmp(rows[i].name, "default"))
            other = &rows[i];
    }
    return best ? best : other;
}
