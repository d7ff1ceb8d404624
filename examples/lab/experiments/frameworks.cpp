// One function per framework, then one loop for all of them.
#include <lab/experiments/frameworks.hpp>
#include <zeropoint/math/presets.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace lab {

namespace {

namespace zp = zeropoint;
namespace presets = zp::presets;
using values = std::span<const float>;
using codes = std::span<std::int32_t>;

/// Their grid around 0 with the scale that rounding used, and the scale that is stored.
struct grid {
  zp::params params;
  float stored;
};

zp::value_range range_of(values x) {
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  return {*low, *high};
}

template <class Quantize>
grid each(values x, codes q, const zp::params& p, const Quantize& quantize) {
  std::transform(x.begin(), x.end(), q.begin(), [&](float v) { return quantize(v, p); });
  return {p, p.scale};
}
template <class Rounding>
std::int32_t rounded(float x, const zp::params& p) {
  return zp::quantize(x, p, Rounding{});
}

grid torch_tensor(values x, codes q) {
  return each(x, q, presets::torch::observed(range_of(x), zp::symmetric_full),
              presets::torch::quantize);
}
grid torch_channel(values x, codes q) {
  return each(x, q, presets::torch::observed(range_of(x), zp::symmetric_full),
              presets::torch::quantize_per_channel);
}
grid torch_channel_127(values x, codes q) {
  return each(x, q, presets::torch::observed(range_of(x), zp::symmetric, presets::torch::eps_127),
              presets::torch::quantize_per_channel);
}
grid onnx(values x, codes q) {
  return each(x, q, presets::onnx::calibrated(range_of(x), zp::symmetric),
              rounded<presets::onnx::rounding>);
}
grid tflite(values x, codes q) {
  return each(x, q, presets::tflite::weight(range_of(x)),
              rounded<presets::tflite::weight_rounding>);
}
grid ggml_blocks_of_8_bits(values x, codes q) {
  std::array<std::int8_t, presets::ggml::block> made{};
  const zp::float16 d = presets::ggml::quantize_q8_0(x.first<presets::ggml::block>(), made);
  std::copy(made.begin(), made.end(), q.begin());
  return {zp::fit(range_of(x), zp::symmetric), zp::to_float(d)};
}
/// Codes 0 .. 15 with real = d * (code - 8): for a negative d the grid is the mirror image.
grid ggml_blocks_of_4_bits(values x, codes q) {
  std::array<std::uint8_t, presets::ggml::block> made{};
  const float d = zp::to_float(presets::ggml::quantize_q4_0(x.first<presets::ggml::block>(), made));
  const bool mirrored = std::signbit(d);
  std::transform(made.begin(), made.end(), q.begin(),
                 [&](int code) { return mirrored ? 8 - code : code - 8; });
  const zp::value_range r = range_of(x);
  const float absmax = std::fmax(-r.min, r.max);
  const zp::params p{absmax / 8 > 0 ? absmax / 8 : 1.0f, 0, mirrored ? -7 : -8, mirrored ? 8 : 7};
  return {p, std::fabs(d)};
}
template <int Bits>
grid compressed_tensors(values x, codes q) {
  const zp::scheme s = zp::symmetric_full.with_bits(Bits);
  return each(x, q, presets::compressed_tensors::calculate_qparams(range_of(x), s),
              presets::compressed_tensors::quantize);
}

constexpr std::size_t row = 0, tensor = 1;
struct framework {
  const char* name;
  std::size_t group;
  int bits;
  grid (*quantize)(values, codes);
};
constexpr framework frameworks[] = {
    {"torch", tensor, 8, torch_tensor},
    {"torch", row, 8, torch_channel},
    {"torch -127..127", row, 8, torch_channel_127},
    {"onnxruntime", tensor, 8, onnx},
    {"onnxruntime", row, 8, onnx},
    {"tflite", row, 8, tflite},
    {"compressed-tensors", row, 8, compressed_tensors<8>},
    {"compressed-tensors", 128, 4, compressed_tensors<4>},
    {"ggml q8_0", presets::ggml::block, 8, ggml_blocks_of_8_bits},
    {"ggml q4_0", presets::ggml::block, 4, ggml_blocks_of_4_bits},
};

/// One run of values that share a scale. `theirs` is as long as x.
void compare(const framework& f, values x, codes theirs, framework_difference& result) {
  const zp::params own = zp::fit(range_of(x), zp::symmetric.with_bits(f.bits));
  const auto [p, stored] = f.quantize(x, theirs);
  const auto squared = [](double e) { return e * e; };
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int32_t a = zp::quantize(x[i], own);
    const auto b = static_cast<std::int32_t>(std::nearbyint(x[i] / p.scale));
    const std::int32_t c = std::clamp(b, p.qmin, p.qmax), d = theirs[i];
    result.differ += d != a ? 1 : 0;
    result.by_range += b != a ? 1 : 0;
    result.by_saturation += c != b ? 1 : 0;
    result.by_rounding += d != c ? 1 : 0;
    const double real = x[i];
    result.signal += squared(real);
    result.error += squared(real - static_cast<double>(stored) * d);
    result.own_error += squared(real - static_cast<double>(own.scale) * a);
  }
  result.values += x.size();
}

double decibels(double signal, double error) {
  return 10 * std::log10(signal / error);
}

}  // namespace

double framework_difference::sqnr_db() const {
  return decibels(signal, error);
}
double framework_difference::own_sqnr_db() const {
  return decibels(signal, own_error);
}

std::vector<framework_difference> compare_frameworks(std::span<const dense* const> layers) {
  std::vector<framework_difference> results;
  for (const framework& f : frameworks) {
    framework_difference& result = results.emplace_back();
    result.name = f.name;
    result.group = f.group;
    result.bits = f.bits;
    for (const dense* layer : layers) {
      // ggml has no shorter block: rows of another length stay as they are.
      if (f.group == presets::ggml::block && layer->in % f.group != 0) continue;
      const values all = layer->weight;
      std::vector<std::int32_t> theirs(f.group == tensor ? all.size() : layer->in);
      if (f.group == tensor && !all.empty()) compare(f, all, theirs, result);
      for (std::size_t i = 0; i < layer->out && f.group != tensor; ++i) {
        const values channel = all.subspan(i * layer->in, layer->in);
        const std::size_t length = f.group == row ? layer->in : f.group;
        for (std::size_t j = 0; j < layer->in; j += length) {
          const std::size_t n = std::min(length, layer->in - j);
          compare(f, channel.subspan(j, n), codes(theirs).first(n), result);
        }
      }
    }
  }
  return results;
}

}  // namespace lab
