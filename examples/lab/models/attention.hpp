// Causal attention of all heads of a block, in float or in part in int8. heads / kv_heads heads of
// queries in a row form a group: they share the keys and values of one head (arXiv 2305.13245).
#pragma once

#include <lab/io/config.hpp>
#include <zeropoint/base/matrix_view.hpp>

#include <cstdint>

namespace zeropoint::inline ZP_BASELINE {
class int8_attention;
struct kv_cache;
}

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

/// Queries whose scores with int8 keys are in memory at a time. In float they are as few as a tile of the
/// float kernels has.
inline constexpr std::size_t attention_block = 42;

/// The S tokens that the queries of a group meet, the queries' own T <= S last.
struct seen_tokens {
  zeropoint::matrix_view<const float> keys, values;     ///< [S, d]
  const zeropoint::int8_attention* integers = nullptr;  ///< instead of these when not null
};

/// Floats that T queries of a group need to meet S tokens: packed keys and values, and scores of a
/// block. Not less for more of either; T = 1 packs nothing.
[[nodiscard]] std::size_t attention_scratch(std::size_t queries, std::size_t seen,
                                            std::size_t head_width);

/// The columns of group `g` in mixed [T, heads * d] from those in q, of the same shape. `scratch` has
/// attention_scratch(T, S, d) floats.
void attend_group(const model_config& config, std::size_t layer, std::size_t g,
                  zeropoint::matrix_view<float> q, const seen_tokens& seen, float* scratch,
                  zeropoint::matrix_view<float> mixed);

/// Floats that one query of a group needs to meet S tokens of a cache.
[[nodiscard]] std::size_t attention_scratch(const model_config& config, std::size_t seen);

/// The same for one query over keys and values as a cache has them, of a kind other than floats: the bits
/// of attend_group() over all of them, widened or packed, without the memory. `scratch` has
/// attention_scratch(config, S) floats.
void attend_group(const model_config& config, std::size_t layer, std::size_t g, attention_kind kind,
                  zeropoint::matrix_view<float> q, const zeropoint::kv_cache& seen, float* scratch,
                  zeropoint::matrix_view<float> mixed);

/// mixed [T, heads * d] from q | k | v, qkv [T, qkv_width], whose keys and values become what the
/// cache makes of them. `scratch` has attention_scratch(T, T, d) floats.
void attend(const model_config& config, std::size_t layer, attention_kind kind,
            zeropoint::matrix_view<float> qkv, float* scratch, zeropoint::matrix_view<float> mixed);

}  // namespace lab
