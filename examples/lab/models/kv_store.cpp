// Appending, and showing attention what is there.
#include <lab/io/memory.hpp>
#include <lab/models/kv_store.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/nn/attention.hpp>

#include <algorithm>
#include <optional>

namespace lab {

using zeropoint::matrix_view;

key_value_store::key_value_store(const model_config& config, attention_kind kind,
                                 std::size_t capacity)
    : config_(config), kind_(kind), capacity_(capacity), scratch_(config.kv_heads) {
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

void key_value_store::append(head& h, matrix_view<const float> k, matrix_view<const float> v) {
  if (kind_ != attention_kind::floats) return h.codes.append(k, v);
  const std::size_t d = config_.head_width;
  for (std::size_t t = 0; t < k.rows(); ++t) {
    std::copy_n(k.row(t).data(), d, h.keys.data() + (tokens_ + t) * d);
    std::copy_n(v.row(t).data(), d, h.values.data() + (tokens_ + t) * d);
  }
}

/// What attention needs and, when several queries meet a widened cache, room for S keys and values
/// before it. Once single tokens follow a prompt there is room for all that may come: no more
/// allocations.
float* key_value_store::scratch(std::size_t g, std::size_t queries, std::size_t seen) {
  const std::size_t d = config_.head_width, last = queries == 1 ? capacity_ : seen;
  const auto size = [&](std::size_t tokens) {
    if (queries == 1 && kind_ != attention_kind::floats) return attention_scratch(config_, tokens);
    return widened(tokens) + attention_scratch(queries, tokens, d);
  };
  if (scratch_[g].size() < size(seen)) scratch_[g] = zeropoint::aligned_buffer<float>(size(last));
  return scratch_[g].data();
}

std::size_t key_value_store::widened(std::size_t tokens) const noexcept {
  return kind_ == attention_kind::int8_cache ? 2 * config_.head_width * tokens : 0;
}

void key_value_store::attend_group(std::size_t block, std::size_t g, matrix_view<float> qkv,
                                   matrix_view<float> mixed) {
  const std::size_t d = config_.head_width, T = qkv.rows(), S = tokens_ + T;
  const auto columns = [&](std::size_t first, std::size_t count) {
    return matrix_view<float>(qkv.data() + first, T, count, qkv.stride());
  };
  const std::size_t k = config_.q_width() + g * d, v = k + config_.kv_width();
  head& h = heads_[block * config_.kv_heads + g];
  append(h, columns(k, d), columns(v, d));
  float* const memory = scratch(g, T, S);
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
  parallel_for(threads, config_.kv_heads,
               [&](std::size_t g) { attend_group(block, g, qkv, mixed); });
}

}  // namespace lab
