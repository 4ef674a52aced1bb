#include "task/task-internal.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "model/chat.h"

#define LOG_MODULE "task"
#include "base/log.h"

/*
 * One short question before the task begins, so no conversation's cache is lost to it. It goes to an endpoint on this
 * machine that is ready, and to no other; what comes back is one of the known names or nothing.
 */

#define ASK_TEXT_BYTES 2000
#define ASK_TOKENS 600 /* some models think first */
#define ASK_FIRST_BYTE_MS 20000

static struct {
    pthread_t thread;
    bool running;
    struct classes *classes;
    struct err err;
} warm;

static void *load_main(void *arg)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    const struct class_input any = { .text = SPAN("any text") };
    struct classification ignored;
    (void)arg;
    if (classes_create(&warm.classes, &warm.err) >= 0 && class_decide(warm.classes, &any, &a, &ignored, &warm.err) < 0) /* compiles the patterns */
        classes_destroy(TAKE(warm.classes));
    return NULL;
}

void task_warm(void)
{
    sigset_t all, before;
    (void)data_find("classes/00-words.yaml"); /* a user's own data is read by the first who asks: by us, not by two at once */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    warm.running = pthread_create(&warm.thread, NULL, load_main, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void task_warm_end(void)
{
    if (warm.running)
        (void)pthread_join(warm.thread, NULL);
    warm.running = false;
    classes_destroy(TAKE(warm.classes));
}

int task_classes(struct task *t, struct err *e)
{
    if (t->classes)
        return 0;
    if (warm.running)
        (void)pthread_join(warm.thread, NULL);
    warm.running = false;
    t->classes = TAKE(warm.classes);
    return t->classes ? 0 : classes_create(&t->classes, e); /* also to say what was wrong with them */
}

static struct endpoint *local_endpoint(const struct task *t)
{
    for (size_t i = 0; i < t->ncandidates; i++)
        if (t->candidate_endpoints[i] && t->candidates[i].local && t->candidates[i].ready)
            return t->candidate_endpoints[i];
    return NULL;
}

static void write_question(const struct task *t, struct buf *out)
{
    buf_adds(out, "You sort tasks that developers give to a coding agent. Answer with the one name from this list that fits best, and nothing else.\n");
    for (size_t i = 0; i < classes_count(t->classes); i++)
        buf_addf(out, "%s: %s\n", classes_at(t->classes, i)->name, classes_at(t->classes, i)->title);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* The class that the answer names; NULL when it names none, or several. */
static const struct class_row *named(const struct task *t, struct span answer)
{
    const struct class_row *found = NULL;
    for (size_t i = 0; i < answer.n;) {
        size_t n = 0;
        while (i + n < answer.n && is_word(answer.p[i + n]))
            n++;
        for (size_t k = 0; k < classes_count(t->classes); k++) {
            const struct class_row *row = classes_at(t->classes, k);
            if (strlen(row->name) != n || strncasecmp(row->name, answer.p + i, n) != 0)
                continue;
            if (found && found != row)
                return NULL;
            found = row;
        }
        i += n ? n : 1;
    }
    return found;
}

static int ask(struct task *t, struct endpoint *ep, struct span text, struct arena *a, struct reply *reply, struct cancel *cancel, struct err *e)
{
    AUTO(buf) struct buf question = BUF_INIT(1 << 16);
    AUTO(chat) struct chat *c = NULL;
    write_question(t, &question);
    const struct chat_options o = { .instructions = buf_span(&question), .max_tokens = ASK_TOKENS, .max_repairs = -1, .max_retries = -1,
                                    .first_byte_ms = ASK_FIRST_BYTE_MS };
    if (chat_create(t->spec.loop, ep, &o, &c, e) < 0 || chat_add_user(c, span_sub(text, 0, utf8_cut(text, ASK_TEXT_BYTES < text.n ? ASK_TEXT_BYTES : text.n)), e) < 0)
        return -(int)e->kind;
    return chat_reply(c, NULL, cancel, a, reply, e);
}

int task_ask_class(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    if (!t->class.unsure || t->class.chosen || !t->values->policy.classify_by_model)
        return 0;
    int r = task_candidates(t, cancel, e);
    if (r == -ERR_CANCELLED)
        return r;
    struct endpoint *ep = r < 0 ? NULL : local_endpoint(t);
    AUTO(arena) struct arena a = ARENA_INIT((size_t)32 << 20);
    struct reply reply = { 0 };
    struct err ignored = ERR_INIT; /* an opinion: the rules' own stands without it */
    if (!ep)
        return 0;
    if (task_turns(t, &t->turn_here, ep, e) < 0) /* the place that the conversation will have: nobody else's is evicted */
        return -(int)e->kind;
    r = ask(t, ep, text, &a, &reply, cancel, &ignored);
    if (r == -ERR_CANCELLED) {
        *e = ignored;
        return r;
    }
    const struct class_row *row = r < 0 ? NULL : named(t, reply.text);
    if (!row || row == t->class.row || !class_choose(t->classes, &t->class, row->name)) {
        log_debug("the model's word for the class is not taken: %s", r < 0 ? ignored.text : row ? row->name : "none of the names");
        return 0;
    }
    t->task_class = row->name;
    if (!t->spec.kind || strcmp(t->spec.kind, "chat") != 0)
        t->goal = row->answer ? ATTEMPT_ANSWER : ATTEMPT_CHANGE;
    AUTO(buf) struct buf b = BUF_INIT(4096);
    buf_adds(&b, "{\"what\":\"class\",\"choice\":");
    buf_add_json(&b, span_of(row->name));
    buf_adds(&b, ",\"reason\":\"the rules were not sure; a local model said so\",\"endpoint\":");
    buf_add_json(&b, span_of(ep->name));
    buf_addc(&b, '}');
    r = buf_check(&b, e);
    return r < 0 ? r : journal_append(t->spec.journal, t->session, "decision", buf_span(&b), NULL, e);
}
