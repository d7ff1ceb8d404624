// Causal attention of all heads of a block, in float or in part in int8.
#pragma once

#include <lab/io/config.hpp>
#include <zeropoint/base/matrix_view.hpp>

#include <cstdint>

namespace lab {

/// Which parts of attention are int8 (zeropoint/nn/attention.hpp); softmax is always float. Scales
/// belong to one token of one head, so in all three a token depends on none that comes later.
enum class attention_kind : std::uint8_t {
  floats,      ///< none
  int8_cache,  ///< keys and values are kept as int8 and multiplied as floats
  int8         ///< both products as well
};

/// What the scores of a block's attention are multiplied by.
[[nodiscard]] float attention_scale(const model_config& config, std::size_t layer);

/// Queries that are multiplied with their keys at a time.
inline constexpr std::size_t attention_block = 64;

/// mixed [T, C] from q | k | v, qkv [T, 3C], whose keys and values become what the cache makes of
/// them. `scores` has room for [attention_block, T].
void attend(const model_config& config, std::size_t layer, attention_kind kind,
            zeropoint::matrix_view<float> qkv, float* scores, zeropoint::matrix_view<float> mixed);

}  // namespace lab
