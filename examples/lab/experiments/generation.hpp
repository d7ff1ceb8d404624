// A model that continues a text, token by token, and the choice of each token.
#pragma once

#include <lab/experiments/perplexity.hpp>
#include <lab/models/kv_store.hpp>

#include <functional>
#include <optional>
#include <random>
#include <string>

namespace lab {

/// One text on its way through a model under a scheme. Bits do not depend on the number of threads.
/// What a token's logits are does not depend on how the text is divided into calls, to rounding,
/// unless the scheme's scales do (w8a8-dynamic without -token: a scale per call).
class decoder {
 public:
  /// `model` and `layers` have to stay; texts of up to `capacity` tokens, of which a first call brings
  /// `prompt`: for these no memory has to be found and cleared with the clock running.
  decoder(const transformer& model, const scheme_layers& layers, std::size_t capacity,
          std::size_t threads, std::size_t prompt = 1);

  /// The logits [V] behind the last of these tokens, which follow those of earlier calls; until the
  /// next call. Throws input_error for a token beyond the vocabulary or a text beyond the capacity.
  /// Adds to `times`, when given, where the time went.
  [[nodiscard]] std::span<const float> feed(std::span<const std::uint32_t> ids,
                                            stage_times* times = nullptr);

  [[nodiscard]] const key_value_store& past() const noexcept { return past_; }

 private:
  const transformer* model_;
  const scheme_layers* layers_;
  std::size_t threads_;
  key_value_store past_;
  workspace step_;  ///< of a single token
  std::size_t prompt_;
  std::optional<workspace> prompt_space_;
  zeropoint::aligned_buffer<float> hidden_, logits_;
};

/// How a token is chosen. temperature = 0: the likeliest one. Otherwise drawn from the softmax of
/// logits / temperature over the top_k likeliest tokens (0: all), of these over the fewest likeliest
/// whose probabilities sum to top_p (arXiv 1904.09751).
struct sampling {
  double temperature = 0;
  std::size_t top_k = 0;
  double top_p = 1;
  std::uint64_t seed = 1;
};

/// Chooses token after token; the same seed makes the same choices. Of equal logits the lower id
/// comes first. Throws std::runtime_error when the logits hold a NaN.
class sampler {
 public:
  explicit sampler(const sampling& how) : how_(how), bits_(how.seed) {}
  [[nodiscard]] std::uint32_t pick(std::span<const float> logits);

 private:
  struct candidate {
    std::uint32_t id;
    double weight;  ///< its logit, then exp((logit - largest) / temperature)
  };

  sampling how_;
  std::mt19937_64 bits_;
  std::vector<candidate> candidates_;
};

struct generation_options {
  std::size_t new_tokens = 64;  ///< at most
  sampling choice;
  std::vector<std::uint32_t> stop;  ///< each ends the text and does not belong to it
  std::size_t threads = 1;
};

/// One continuation, and how long it took.
struct generation {
  std::vector<std::uint32_t> ids;      ///< the new tokens
  std::optional<std::uint32_t> ended;  ///< the stop token behind them
  double prefill_seconds = 0;          ///< the prompt, up to its last logits
  double first_seconds = 0;            ///< up to the first new token
  double decode_seconds = 0;           ///< from there to the last
  std::size_t decoded = 0;             ///< passes of one token in decode_seconds
  stage_times prefill_stages, decode_stages;
  std::size_t cache_bytes = 0;  ///< at the end

  [[nodiscard]] double decode_rate() const noexcept {
    return decoded == 0 ? 0 : static_cast<double>(decoded) / decode_seconds;
  }
};

/// Continues a prompt of at least one token. `hear`, when given, hears each new token as soon as it
/// is chosen; generation ends where it returns false. Throws input_error when prompt and new tokens
/// together are more than the model's positions.
[[nodiscard]] generation generate(const transformer& model, const scheme_layers& layers,
                                  std::span<const std::uint32_t> prompt,
                                  const generation_options& options,
                                  const std::function<bool(std::uint32_t)>& hear = {});

/// Bytes of tokens as UTF-8 that can be shown at once: an unfinished character waits for its other
/// bytes, what is not UTF-8 becomes U+FFFD.
class utf8_stream {
 public:
  /// What has become complete.
  [[nodiscard]] std::string add(std::string_view bytes);
  /// The rest.
  [[nodiscard]] std::string finish();

 private:
  std::string waiting_;
};

}  // namespace lab
