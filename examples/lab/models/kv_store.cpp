// Appending, and showing attention what is there.
#include <lab/io/memory.hpp>
#include <lab/models/kv_store.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/nn/attention.hpp>

#include <algorithm>
#include <atomic>
#include <optional>

namespace lab {

using zeropoint::matrix_view;

key_value_store::key_value_store(const model_config& config, attention_kind kind,
                                 std::size_t capacity)
    : config_(config), kind_(kind), capacity_(capacity) {
  for (std::size_t i = 0; i < config.layers * config.kv_heads; ++i) {
    head& h = heads_.emplace_back(config.head_width);
    if (kind != attention_kind::floats) {
      h.codes.reserve(capacity);
      continue;
    }
    h.keys = zeropoint::aligned_buffer<float>(capacity * config.head_width);
    h.values = zeropoint::aligned_buffer<float>(capacity * config.head_width);
    make_resident(std::as_writable_bytes(h.keys.span()));
    make_resident(std::as_writable_bytes(h.values.span()));
  }
}

std::size_t key_value_store::bytes() const noexcept {
  if (kind_ == attention_kind::floats) {
    return heads_.size() * tokens_ * 2 * config_.head_width * sizeof(float);
  }
  std::size_t sum = 0;
  for (const head& h : heads_) sum += h.codes.bytes();
  return sum;
}

namespace {

/// Rows of a head lie as far apart as those of all heads, q, k and v, are long, which no processor
/// foresees: without being asked for ahead they come at the pace of single accesses.
void copy_rows(matrix_view<const float> from, float* to) {
  constexpr std::size_t ahead = 8, line = 16;
  for (std::size_t t = 0; t < from.rows(); ++t, to += from.cols()) {
    if (t + ahead < from.rows()) {
      const float* const later = from.row(t + ahead).data();
      for (std::size_t j = 0; j < from.cols(); j += line) __builtin_prefetch(later + j);
    }
    std::copy_n(from.row(t).data(), from.cols(), to);
  }
}

}  // namespace

void key_value_store::append(head& h, matrix_view<const float> k, matrix_view<const float> v) {
  if (kind_ != attention_kind::floats) return h.codes.append(k, v);
  const std::size_t first = tokens_ * config_.head_width;
  copy_rows(k, h.keys.data() + first);
  copy_rows(v, h.values.data() + first);
}

/// What attention needs and, when several queries meet a widened cache, room for S keys and values
/// before it. Once single tokens follow a prompt there is room for all that may come: no more
/// allocations.
void key_value_store::make_scratch(std::size_t threads, std::size_t queries) {
  const std::size_t d = config_.head_width, seen = queries == 1 ? capacity_ : tokens_ + queries;
  const std::size_t size = queries == 1 && kind_ != attention_kind::floats
                               ? attention_scratch(config_, seen)
                               : widened(seen) + attention_scratch(queries, seen, d);
  if (scratch_.size() < threads) scratch_.resize(threads);
  for (auto& s : scratch_) {
    if (s.size() < size) s = zeropoint::aligned_buffer<float>(size);
  }
}

std::size_t key_value_store::widened(std::size_t tokens) const noexcept {
  return kind_ == attention_kind::int8_cache ? (2 * config_.head_width * tokens + 15) / 16 * 16 : 0;
}

void key_value_store::attend_group(std::size_t block, std::size_t g, matrix_view<float> qkv,
                                   float* memory, matrix_view<float> mixed) {
  const std::size_t d = config_.head_width, T = qkv.rows(), S = tokens_ + T;
  const auto columns = [&](std::size_t first, std::size_t count) {
    return matrix_view<float>(qkv.data() + first, T, count, qkv.stride());
  };
  const std::size_t k = config_.q_width() + g * d, v = k + config_.kv_width();
  head& h = heads_[block * config_.kv_heads + g];
  append(h, columns(k, d), columns(v, d));
  if (T == 1 && kind_ != attention_kind::floats) {
    return lab::attend_group(config_, block, g, kind_, columns(0, config_.q_width()), h.codes,
                             memory, mixed);
  }
  seen_tokens seen;
  std::optional<zeropoint::int8_attention> integers;
  if (kind_ == attention_kind::floats) {
    seen.keys = {h.keys.data(), S, d};
    seen.values = {h.values.data(), S, d};
  } else if (kind_ == attention_kind::int8_cache) {
    const matrix_view<float> keys(memory, S, d), values(memory + S * d, S, d);
    h.codes.keys.dequantize(keys);
    h.codes.values.dequantize(values);
    seen.keys = keys, seen.values = values;
  } else {
    seen.integers = &integers.emplace(h.codes);
  }
  lab::attend_group(config_, block, g, columns(0, config_.q_width()), seen, memory + widened(S),
                    mixed);
}

void key_value_store::attend(std::size_t block, matrix_view<float> qkv, std::size_t threads,
                             matrix_view<float> mixed) {
  ZP_REQUIRE(qkv.rows() <= capacity_ - tokens_, "key_value_store: ", qkv.rows(), " tokens after ",
             tokens_, ", room for ", capacity_);
  const std::size_t workers = std::clamp<std::size_t>(threads, 1, config_.kv_heads);
  make_scratch(workers, qkv.rows());
  std::atomic<std::size_t> next{0};
  parallel_for(workers, workers, [&](std::size_t w) {
    for (std::size_t g = next++; g < config_.kv_heads; g = next++) {
      attend_group(block, g, qkv, scratch_[w].data(), mixed);
    }
  });
}

}  // namespace lab
