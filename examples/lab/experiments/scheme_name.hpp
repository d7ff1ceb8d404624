// What a scheme's name says. Names compose:
//
//   fp32, f16, bf16                                 weights in floats of that size
//   w8 w4 w3 ... [-tensor|-channel|-gN] [-affine] [-gptq|-awq|-adaround|-equalize] [-bias]
//                                                   integer weights, float activations
//   w4a8 w3a8 w2a8 [-tensor|-channel|-gN] [-affine] [-gptq|-adaround|-equalize] [-bias]
//                                                   the same weights, packed, times int8 activations with a
//                                                   scale per token; N a multiple of 32
//   w8a8-dynamic[-token] [-smooth[-search]|-rotate|-equalize] [-bias]
//                                                   int8 activations, scales from the values themselves
//   w8a8-static [-p99.9|-mse|-kl] [-smooth[-search]|-rotate|-equalize] [-bias|-watch]
//                                                   int8 activations, a calibrated scale per layer
//   w8a8-outlier                                    LLM.int8(): columns with outliers stay float
//   w8a8-channel-simulated                          a scale per channel: an upper bound, no GEMM can do it
//
// Each may end in one of
//
//   -kv8                                            keys and values cached in int8
//   -attn8                                          that, and the two products of attention in int8
//
// and then in one of
//
//   -head8                                          the head's weights in int8, a scale per token of
//                                                   the vocabulary, times float activations
//   -head4                                          the head as w4a8-g32 has its layers, whatever the
//                                                   others are: 4 bits in groups of 32, float16
//                                                   scales, times int8 activations per token
//
// gN is a scale per N inputs (g32, g64, g128, ...); without a granularity a scale per output channel.
// Grids are symmetric unless -affine. There is no -awq with -tensor or -bias. -smooth takes
// alpha = 0.5, -smooth-search the best alpha for every norm. -equalize balances two layers with nothing
// but ReLU or a product between them, -bias takes back what rounding moves the outputs' means by.
#pragma once

#include <lab/models/attention.hpp>
#include <zeropoint/nn/weight.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace lab {

enum class arithmetic {
  fp32,
  f16,
  bf16,
  weight_only,
  int4,  ///< packed weights of at most 4 bits, dynamic activations per token
  dynamic,
  calibrated,  ///< the static schemes
  outlier,
  channel_simulated
};
enum class weight_method { nearest, gptq, awq, adaround };
enum class range_rule { min_max, percentile, mse, entropy };
enum class head_kind { floats, int8, int4 };
/// Other forms of the model.
enum class activation_cure { none, smooth, smooth_search, rotate, equalize };

struct scheme_name {
  std::string text;
  arithmetic kind = arithmetic::fp32;
  // weights
  zeropoint::scheme weights = zeropoint::symmetric;
  zeropoint::weight_granularity granularity = zeropoint::per_output_channel;
  weight_method method = weight_method::nearest;
  // activations
  bool per_token = false;
  range_rule range = range_rule::min_max;
  activation_cure cure = activation_cure::none;
  bool corrected = false;  ///< biases, by the means of the inputs
  bool watched = false;
  attention_kind attention = attention_kind::floats;
  head_kind head = head_kind::floats;

  [[nodiscard]] bool quantizes_activations() const noexcept { return kind >= arithmetic::int4; }
  [[nodiscard]] bool is_smooth() const noexcept {
    return cure == activation_cure::smooth || cure == activation_cure::smooth_search;
  }
  /// Whether the layers are made from what calibration saw.
  [[nodiscard]] bool needs_calibration() const noexcept;
  /// Whether that includes the Gram matrices of the inputs, which cost time and memory.
  [[nodiscard]] bool needs_gram() const noexcept { return method != weight_method::nearest; }
};

/// Throws input_error with the grammar when it is no scheme; `option` is where it was given.
[[nodiscard]] scheme_name parse_scheme(std::string_view text,
                                       std::string_view option = "--schemes");

/// What `perplexity` measures unless told otherwise: the rows of the original experiment.
[[nodiscard]] const std::vector<std::string>& default_schemes();

/// "fp32,w8" to names: fp32 is put first whether named or not (every delta needs it), the others keep
/// their order, duplicates are dropped; empty means default_schemes().
[[nodiscard]] std::vector<scheme_name> parse_schemes(std::string_view list,
                                                     std::string_view option = "--schemes");

}  // namespace lab
