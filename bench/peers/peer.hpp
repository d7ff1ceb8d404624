// Other people's matrix products and quantization, to be timed beside ours in one process. An adapter
// is one file that becomes a module with one function, zp_peers; what could not be built is named by
// missing_peers().
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

/// c [m, n] = a [m, k] * w [n, k]^T; with several copies of the weights run() takes them in turn, so
/// that they come from memory. Or, without weights, x [m, k] to be quantized. What is pointed to
/// outlives what is made from it.
struct peer_problem {
  std::size_t m = 0, k = 0, n = 0, copies = 1;
  const std::int8_t* a = nullptr;
  const std::int8_t* w = nullptr;
  const float* x = nullptr;
};

/// One product or quantization, prepared: weights packed, buffers there, one thread.
class peer_product {
 public:
  virtual ~peer_product() = default;
  virtual void run() = 0;
  /// Element (i, j) of the last result.
  [[nodiscard]] virtual double at(std::size_t i, std::size_t j) const = 0;
};

struct peer {
  std::string name;  ///< with its version
  /// "s8s8s32", exact; "u8s8s32", exact, of activations that are moved up by 128 (at() moves back);
  /// "s8s8s8", the exact ones requantized; "f32", the same numbers as floats; "q8_0" and "q4_0", floats
  /// in and out, the activations quantized in the call, the weights of 8 or 4 bits in blocks of 32.
  /// These two are exact where each block of the codes holds its largest code: every scale is 1.
  /// "f32s8", floats in and out, weights of int8 by output channel with the scale 1, as "f32".
  /// "quantize", x to int8 with the scale quantization_step, exact; "quantize_q8_0", x to int8 in
  /// blocks of 32 with a scale each in float16: at() is the value that the code stands for.
  std::string mode;
  std::function<std::unique_ptr<peer_product>(const peer_problem&)> make;
};

/// What "s8s8s8" multiplies sums of k products of uniform codes by, to even: a power of two, exact
/// in any order of scales, that brings about 4 standard deviations, 73^2 sqrt(k) each, to 127.
[[nodiscard]] inline float requantization_multiplier(std::size_t k) {
  return std::exp2(
      std::floor(std::log2(127.0f / (4 * 73 * 73 * std::sqrt(static_cast<float>(k))))));
}

/// A power of two, so that dividing by it and multiplying by its inverse round alike.
inline constexpr float quantization_step = 1.0f / 32;

/// What could be loaded, fastest kind first.
[[nodiscard]] const std::vector<peer>& peers();
/// "name: how to get it", or why it does not run here, one for each that is not among them.
[[nodiscard]] const std::vector<std::string>& missing_peers();

}  // namespace bench

/// What a module exports: adds its peers to the list, or tells why they, or those of some mode, do not
/// run here. Null: all added.
extern "C" __attribute__((visibility("default"))) const char* zp_peers(
    std::vector<bench::peer>& list);
