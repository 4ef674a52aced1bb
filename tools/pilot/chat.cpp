/*
 * chat - answers one conversation after another with stock llama.cpp: its templates, its sampler, its parser.
 *
 *     chat model.gguf [threads [temperature]] < requests > replies
 *
 * A request is one line of JSON {"messages": [...], "tools": [...]} in the OpenAI format. The reply is one line of JSON:
 * {"message": ..., "raw": text, "prompt_tokens": n, "reply_tokens": n, "ms": n}. Text is chosen greedily unless a temperature is given.
 * With "render": true nothing is generated; "raw" is then the rendered prompt and "tokens" its token ids.
 * What a conversation has in common with the one before is not computed again.
 *
 * Build: see README.md (libllama-common of the npm package @node-llama-cpp/linux-x64, headers of the same version).
 */
#include "chat.h"
#include "common.h"
#include "json.h"
#include "llama.h"
#include "ggml-backend.h"

#include <chrono>
#include <cstdio>
#include <cmath>
#include <iostream>
#include <random>
#include <string>
#include <vector>

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: chat model.gguf [threads]\n");
        return 2;
    }
    const char *libs = getenv("PILOT_GGML_DIR");
    if (libs) ggml_backend_load_all_from_path(libs); else ggml_backend_load_all();
    llama_log_set([](ggml_log_level level, const char *text, void *) { if (level >= GGML_LOG_LEVEL_ERROR) fputs(text, stderr); }, nullptr);
    llama_model_params mp = llama_model_default_params();
    mp.n_gpu_layers = 0;
    llama_model *model = llama_model_load_from_file(argv[1], mp);
    if (!model) { fprintf(stderr, "chat: cannot load %s\n", argv[1]); return 1; }
    llama_context_params cp = llama_context_default_params();
    cp.n_ctx = 4096; cp.n_batch = 4096; cp.n_ubatch = 512;
    cp.n_threads = cp.n_threads_batch = argc > 2 ? atoi(argv[2]) : 1;
    llama_context *ctx = llama_init_from_model(model, cp);
    const llama_vocab *vocab = llama_model_get_vocab(model);
    auto tmpls = common_chat_templates_init(model, "");
    std::vector<llama_token> held;
    const double temp = argc > 3 ? atof(argv[3]) : 0;
    std::mt19937 dice(1);

    for (std::string line; std::getline(std::cin, line);) {
        common_json req = common_json::parse(line), out;
        try {
            common_chat_templates_inputs in;
            in.messages = common_chat_msgs_parse_oaicompat(req.at("messages"));
            if (req.contains("tools")) in.tools = common_chat_tools_parse_oaicompat(req.at("tools"));
            common_chat_params p = common_chat_templates_apply(tmpls.get(), in);
            std::vector<llama_token> t = common_tokenize(vocab, p.prompt, false, true);
            if (req.contains("render")) {
                out["raw"] = p.prompt;
                std::string ids;
                for (auto id : t) ids += std::to_string(id) + " ";
                out["tokens"] = ids;
                std::cout << out.dump() << std::endl;
                continue;
            }
            auto t0 = std::chrono::steady_clock::now();
            size_t same = 0;
            while (same < held.size() && same + 1 < t.size() && held[same] == t[same]) same++;
            llama_memory_seq_rm(llama_get_memory(ctx), 0, same, -1);
            held.assign(t.begin(), t.end());
            if (llama_decode(ctx, llama_batch_get_one(t.data() + same, t.size() - same))) throw std::runtime_error("decoding the prompt failed");
            std::string text;
            int n = 0;
            for (; n < 400; n++) {
                const float *z = llama_get_logits_ith(ctx, -1);
                llama_token best = 0;
                for (int i = 1; i < llama_vocab_n_tokens(vocab); i++) if (z[i] > z[best]) best = i;
                if (temp > 0) { // as stead asks by default: min_p 0.02
                    std::vector<double> w(llama_vocab_n_tokens(vocab));
                    for (size_t i = 0; i < w.size(); i++) { w[i] = exp((z[i] - z[best]) / temp); if (w[i] < 0.02) w[i] = 0; }
                    best = std::discrete_distribution<int>(w.begin(), w.end())(dice);
                }
                if (llama_vocab_is_eog(vocab, best)) break;
                text += common_token_to_piece(vocab, best, true);
                held.push_back(best);
                if (llama_decode(ctx, llama_batch_get_one(&best, 1))) break;
            }
            common_chat_parser_params pp(p);
            pp.parser.load(p.parser);
            common_chat_msg m = common_chat_parse(text, false, pp);
            m.role = "assistant";
            out["message"] = m.to_json_oaicompat();
            out["raw"] = text;
            out["prompt_tokens"] = (int)t.size();
            out["reply_tokens"] = n;
            out["ms"] = (int)std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - t0).count();
        } catch (const std::exception &e) {
            out["error"] = std::string(e.what());
        }
        std::cout << out.dump_safe() << std::endl;
    }
    llama_free(ctx);
    llama_model_free(model);
    return 0;
}
