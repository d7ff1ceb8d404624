// zp-lab generate: the continuation of a prompt, and how fast it came.
#include <lab/cli/commands.hpp>
#include <lab/cli/generation_arguments.hpp>
#include <lab/experiments/generation.hpp>
#include <lab/experiments/protocol.hpp>
#include <lab/experiments/quantile.hpp>
#include <lab/io/memory.hpp>
#include <lab/report/format.hpp>

namespace lab::cli {
namespace {

struct generate_arguments : generation_arguments {
  std::string scheme;
  sampling choice;
  std::size_t prompt_tokens = 0, runs = 1;
};

void check(const generate_arguments& o) {
  if (!(o.choice.temperature >= 0 && o.choice.temperature <= 1000)) {
    throw input_error("--temperature: expected a number from 0 to 1000");
  }
  if (!(o.choice.top_p > 0 && o.choice.top_p <= 1)) {
    throw input_error("--top-p: expected a number above 0 and at most 1");
  }
  if (o.choice.temperature == 0 && (o.choice.top_k > 0 || o.choice.top_p < 1)) {
    throw input_error(std::string(o.choice.top_k > 0 ? "--top-k" : "--top-p") +
                      ": expected a --temperature above 0 with it; without one the likeliest token "
                      "is taken");
  }
}

/// Text as it comes, or numbers where there is no tokenizer.
class printer {
 public:
  /// `begins`: the prompt is empty, and a space that the tokenizer puts in front is not shown.
  printer(const tokenizer* tokens, bool begins) : tokens_(tokens), begins_(begins) {}
  void show(std::uint32_t id) {
    if (tokens_ == nullptr) {
      std::cout << (first_ ? "" : " ") << id;
    } else if (id < tokens_->size()) {
      std::string text = tokens_->decode_bytes({&id, 1});
      const bool spaced = first_ && begins_ && tokens_->begins_with_space();
      if (spaced && text.starts_with(' ')) text.erase(0, 1);
      std::cout << stream_.add(text);
    } else {  // a row of the embedding beyond the vocabulary
      std::cout << stream_.add("\xFF");
    }
    first_ = false;
    std::cout << std::flush;
  }
  void finish() { std::cout << stream_.finish() << std::endl; }

 private:
  const tokenizer* tokens_;
  utf8_stream stream_;
  bool begins_;
  bool first_ = true;
};

template <class Value>
double median(const std::vector<generation>& runs, Value&& value) {
  std::vector<double> all;
  for (const generation& g : runs) all.push_back(value(g));
  return lab::median(std::move(all));
}

std::string closing_line(const generate_arguments& o, const generation_arguments::loaded& made,
                         std::size_t prompt, const std::vector<generation>& runs) {
  constexpr double mb = 1e6;
  const transformer& m = made.work.model;
  const scheme_layers& layers = made.schemes[0];
  const std::size_t halves = m.short_embedding ? m.short_embedding->size() : 0;
  const std::size_t others = (m.parameters() - m.linear_parameters() - halves) * sizeof(float) +
                             halves * sizeof(zeropoint::float16);
  const std::uint64_t head = layers.head ? layers.head_memory_bytes : 0;  // a float one: in others
  std::string line = format(
      "%s, %zu %s: prefill of %zu tokens at %.1f tokens/s, ", layers.name.c_str(), o.thread_count(),
      o.thread_count() == 1 ? "thread" : "threads", prompt, median(runs, [&](const generation& g) {
        return static_cast<double>(prompt) / g.prefill_seconds;
      }));
  const std::size_t decoded = runs[0].decoded;
  line += decoded == 0 ? std::string("nothing to decode, ")
                       : format("decode of %zu at %.1f tokens/s, ", decoded,
                                median(runs, [](const generation& g) { return g.decode_rate(); }));
  line += format("first token after %.1f ms, ",
                 1e3 * median(runs, [](const generation& g) { return g.first_seconds; }));
  line += format("peak memory %.1f MB, weights %.1f MB (linear layers %.1f), KV cache %.1f MB",
                 static_cast<double>(peak_memory()) / mb,
                 static_cast<double>(others + layers.memory_bytes + head) / mb,
                 static_cast<double>(layers.memory_bytes) / mb,
                 static_cast<double>(runs[0].cache_bytes) / mb);
  return runs.size() == 1 ? line : line + format(" (medians of %zu runs)", runs.size());
}

/// A few tokens of the prompt and one decoded token, whose text and time nobody sees: what comes next
/// finds threads started and weights in memory. Not for a scheme that changes with what it has seen.
void warm_up(const transformer& m, const scheme_layers& layers, std::span<const std::uint32_t> ids,
             generation_options how) {
  how.new_tokens = 2;
  how.stop.clear();
  const std::size_t room = m.config.positions - std::min(m.config.positions, how.new_tokens);
  const std::size_t some = std::min({ids.size(), room, std::size_t{16}});
  if (some > 0) (void)lab::generate(m, layers, ids.first(some), how);
}

void generate(const generate_arguments& o) {
  check(o);
  const bool stored = is_quantized(o.model);
  if (stored && !o.scheme.empty()) {
    throw input_error("--scheme: " + printable(o.model, 300) + " is quantized already");
  }
  const scheme_name names[] = {parse_scheme(o.scheme.empty() ? "fp32" : o.scheme, "--scheme")};
  std::optional<tokenizer> tokens;
  std::vector<std::uint32_t> ids;
  if (o.prompt_tokens == 0) ids = o.prompt_ids(tokens.emplace(o.model));
  const auto made = stored ? o.load_stored() : o.load(names, o.prompt_tokens > 0);
  const transformer& m = made->work.model;
  if (!tokens) ids = random_ids(o.prompt_tokens, m.config.vocab, o.choice.seed);

  generation_options how;
  how.new_tokens = o.new_tokens;
  how.choice = o.choice;
  how.threads = o.thread_count();
  if (tokens) how.stop = m.config.eos;
  printer out(tokens ? &*tokens : nullptr, o.prompt.empty());
  if (!made->schemes[0].ordered) warm_up(m, made->schemes[0], ids, how);
  std::vector<generation> runs;
  runs.push_back(lab::generate(m, made->schemes[0], ids, how, [&](std::uint32_t id) {
    out.show(id);
    return std::cout.good();
  }));
  out.finish();
  while (runs.size() < o.runs && std::cout) {
    runs.push_back(lab::generate(m, made->schemes[0], ids, how));
    if (runs.back().ids != runs[0].ids && !made->schemes[0].ordered) {
      throw std::runtime_error("run " + std::to_string(runs.size()) + " gave another text");
    }
  }
  std::cerr << closing_line(o, *made, ids.size(), runs) << std::endl;
}

}  // namespace

void add_generate(CLI::App& app) {
  auto* command = app.add_subcommand("generate", "Continue a prompt under a quantization scheme");
  command->footer(
      "Writes the new text to standard output as it comes, and at the end a line of speeds and "
      "sizes to standard\n"
      "error. It warms up on at most 16 tokens of the prompt and a new one, which count nowhere.\n"
      "The likeliest token is taken unless there is a --temperature; the same seed gives the same "
      "text, on any number of\n"
      "threads. Ends at any of the model's ends of a text (eos_token_id of generation_config.json, "
      "else of config.json;\n"
      " of a .gguf tokenizer.ggml.eos_token_id, eot_token_id and eom_token_id).\n"
      "Schemes are those of zp-lab perplexity; with a scale \"per tensor\", w8a8-dynamic has one "
      "for "
      "the prompt and one for\n"
      "each new token. A checkpoint of zp-lab quantize runs under its own scheme.\n"
      "With --prompt-tokens, for speed tests without a tokenizer, ids are written instead of "
      "text, and nothing ends early.\n"
      "Example: zp-lab generate --model gpt2 --prompt \"The river\" --scheme w8a8-dynamic-token");
  auto o = std::make_shared<generate_arguments>();
  auto* prompt = o->add_to(*command);
  auto* random = command
                     ->add_option("--prompt-tokens", o->prompt_tokens,
                                  "Instead of a text, so many tokens drawn with --seed")
                     ->check(CLI::Range(1, 1 << 24))
                     ->excludes(prompt);
  add_schemes(*command, "--scheme", o->scheme, "Quantization scheme (default: fp32)")
      ->type_name("NAME");
  command->add_option("--temperature", o->choice.temperature,
                      "Draw tokens from softmax(logits / T); 0 takes the likeliest (default)");
  command
      ->add_option("--top-k", o->choice.top_k,
                   "With --temperature: draw among the K likeliest only (0: all)")
      ->check(CLI::Range(0, 1 << 24));
  command->add_option(
      "--top-p", o->choice.top_p,
      "With --temperature: draw among the fewest likeliest that sum to P (default: 1)");
  command->add_option("--seed", o->choice.seed, "Of the draws (default: 1)");
  command->add_option("--runs", o->runs, "Repeat for the speeds, which are medians (default: 1)")
      ->check(CLI::Range(1, 10000));
  command->callback([o, prompt, random] {
    if (prompt->count() + random->count() == 0) {
      throw input_error("generate: --prompt or --prompt-tokens is required");
    }
    generate(*o);
  });
}

}  // namespace lab::cli
