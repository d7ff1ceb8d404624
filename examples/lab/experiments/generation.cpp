// Prefill in one pass, then a pass per token.
#include <lab/experiments/generation.hpp>
#include <lab/io/unicode.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace lab {

decoder::decoder(const transformer& model, const scheme_layers& layers, std::size_t capacity,
                 std::size_t threads, std::size_t prompt)
    : model_(&layers.form_of(model)),
      layers_(&layers),
      threads_(threads),
      past_(model_->config, layers.attention, capacity),
      step_(model_->config, 1),
      prompt_(prompt),
      hidden_(std::max<std::size_t>(prompt, 1) * model_->config.embed_width),
      logits_(model_->config.vocab) {
  if (prompt > 1) prompt_space_.emplace(model_->config, prompt).make_resident();
}

std::span<const float> decoder::feed(std::span<const std::uint32_t> ids, stage_times* times) {
  check_window(*model_, ids);
  if (ids.size() > past_.capacity() - past_.tokens()) {
    throw input_error("a text of " + std::to_string(past_.tokens() + ids.size()) +
                      " tokens, expected at most " + std::to_string(past_.capacity()));
  }
  const std::size_t T = ids.size(), E = model_->config.embed_width, V = model_->config.vocab;
  const float* last = nullptr;
  zeropoint::aligned_buffer<float> hidden;
  if (T == 1 || T == prompt_) {
    workspace& w = T == 1 ? step_ : *prompt_space_;
    extend(*model_, layers_->layers, ids, w, past_, threads_, {hidden_.data(), T, E}, times);
    last = hidden_.data() + (T - 1) * E;
  } else {
    workspace w(model_->config, T);
    hidden = zeropoint::aligned_buffer<float>(T * E);
    extend(*model_, layers_->layers, ids, w, past_, threads_, {hidden.data(), T, E}, times);
    last = hidden.data() + (T - 1) * E;
  }
  stage_clock time(times);
  apply_head_on(threads_, *model_, *layers_, {last, 1, E}, {logits_.data(), 1, V});
  time.lap(&stage_times::head);
  return {logits_.data(), V};
}

namespace {

std::uint32_t likeliest(std::span<const float> logits) {
  return static_cast<std::uint32_t>(std::max_element(logits.begin(), logits.end()) -
                                    logits.begin());
}

}  // namespace

std::uint32_t sampler::pick(std::span<const float> logits) {
  const auto nan = std::find_if(logits.begin(), logits.end(), [](float v) { return v != v; });
  if (nan != logits.end()) {
    throw std::runtime_error("the logit of token " + std::to_string(nan - logits.begin()) +
                             " is not a number");
  }
  const std::uint32_t best = likeliest(logits);
  if (how_.temperature <= 0) return best;
  candidates_.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    candidates_[i] = {static_cast<std::uint32_t>(i), static_cast<double>(logits[i])};
  }
  const std::size_t k = how_.top_k == 0 ? logits.size() : std::min(how_.top_k, logits.size());
  if (how_.top_k > 0 || how_.top_p < 1) {
    const auto likelier = [](const candidate& a, const candidate& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
    };
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k),
                      candidates_.end(), likelier);
  }
  const auto largest = static_cast<double>(logits[best]);
  double total = 0;
  for (std::size_t i = 0; i < k; ++i) {
    candidates_[i].weight = std::exp((candidates_[i].weight - largest) / how_.temperature);
    total += candidates_[i].weight;
  }
  std::size_t kept = 0;
  double mass = 0;
  while (kept < k && (kept == 0 || mass < how_.top_p * total)) mass += candidates_[kept++].weight;
  double left = static_cast<double>(bits_() >> 11) * 0x1p-53 * mass;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    left -= candidates_[i].weight;
    if (left < 0) return candidates_[i].id;
  }
  return candidates_[kept - 1].id;
}

generation generate(const transformer& model, const scheme_layers& layers,
                    std::span<const std::uint32_t> prompt, const generation_options& o,
                    const std::function<bool(std::uint32_t)>& hear) {
  using clock = std::chrono::steady_clock;
  const std::size_t most = prompt.size() + o.new_tokens;
  const std::size_t positions = layers.form_of(model).config.positions;
  if (most > positions) {
    throw input_error("a prompt of " + std::to_string(prompt.size()) + " tokens and " +
                      std::to_string(o.new_tokens) + " new ones: this model has " +
                      std::to_string(positions) + " positions");
  }
  decoder d(model, layers, most, o.threads, prompt.size());
  sampler choose(o.choice);
  generation g;
  const auto begin = clock::now();
  const auto since = [](clock::time_point t) {
    return std::chrono::duration<double>(clock::now() - t).count();
  };
  std::span<const float> logits = d.feed(prompt, &g.prefill_stages);
  g.prefill_seconds = since(begin);
  auto first = begin;
  while (g.ids.size() < o.new_tokens) {
    const std::uint32_t id = choose.pick(logits);
    if (g.ids.empty()) {
      first = clock::now();
      g.first_seconds = since(begin);
    }
    if (std::find(o.stop.begin(), o.stop.end(), id) != o.stop.end()) {
      g.ended = id;
      break;
    }
    g.ids.push_back(id);
    if ((hear && !hear(id)) || g.ids.size() == o.new_tokens) break;
    logits = d.feed({&g.ids.back(), 1}, &g.decode_stages);
    ++g.decoded;
  }
  if (g.decoded > 0) g.decode_seconds = since(first);
  g.cache_bytes = d.past().bytes();
  return g;
}

std::string utf8_stream::add(std::string_view bytes) {
  waiting_ += bytes;
  std::size_t whole = waiting_.size();
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, waiting_.size()); ++back) {
    const auto byte = static_cast<unsigned char>(waiting_[waiting_.size() - back]);
    if (byte < 0x80 || byte > 0xF7) break;
    if (byte < 0xC0) continue;  // a continuation: its first byte is further back
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
    if (length > back) whole = waiting_.size() - back;
    break;
  }
  const std::string rest = waiting_.substr(whole);
  waiting_.resize(whole);
  return unicode::replace_invalid(std::exchange(waiting_, rest));
}

std::string utf8_stream::finish() {
  return unicode::replace_invalid(std::exchange(waiting_, {}));
}

}  // namespace lab
