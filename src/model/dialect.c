#include "model/dialect.h"

const struct dialect *const dialects[] = { &dialect_openai_chat, &dialect_anthropic_messages, NULL };

const struct dialect *dialect_find(const char *name)
{
    for (size_t i = 0; dialects[i]; i++)
        if (!strcmp(dialects[i]->name, name))
            return dialects[i];
    return NULL;
}
