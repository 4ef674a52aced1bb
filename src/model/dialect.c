#include "model/dialect.h"

const struct dialect *const dialects[] = { &dialect_openai_chat, &dialect_anthropic_messages, NULL };

const struct dialect *dialect_find(const char *name)
{
    for (size_t i = 0; dialects[i]; i++)
        if (!strcmp(dialects[i]->name, name) || (strlen(name) >= 6 && !strncmp(dialects[i]->name, name, strlen(name))))
            return dialects[i]; /* "openai", "anthropic": the first of that family */
    return NULL;
}
