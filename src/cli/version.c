#include "cli/version.h"

#include <event2/event.h>
#include <jansson.h>
#include <sqlite3.h>

#ifndef STEAD_LLAMA_VERSION
#define STEAD_LLAMA_VERSION "not built in"
#endif

int version_print(struct cli *cli)
{
    if (cli->json) {
        cli_outf(cli,
                 "{\"v\":1,\"stead\":\"%s\",\"llama.cpp\":\"%s\",\"sqlite\":\"%s\",\"jansson\":\"%s\",\"libevent\":\"%s\"}\n",
                 STEAD_VERSION, STEAD_LLAMA_VERSION, SQLITE_VERSION, JANSSON_VERSION, event_get_version());
        return EXIT_DONE;
    }
    cli_outf(cli, "stead %s\nllama.cpp %s (embedded engine)\nsqlite %s, jansson %s, libevent %s\n", STEAD_VERSION,
             STEAD_LLAMA_VERSION, SQLITE_VERSION, JANSSON_VERSION, event_get_version());
    return EXIT_DONE;
}
