// Sums that do not fit, scales that divide by zero, and rounding that leans to one side.
#include <lab/gallery/failures.hpp>
#include <lab/gallery/sample.hpp>
#include <lab/report/format.hpp>
#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/gemm/saturating.hpp>
#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/weight_only.hpp>

#include <functional>
#include <limits>

namespace lab::failures {
namespace {

namespace zp = zeropoint;

/// The mean of (rounded - x) in steps, for codes made with `Ties`.
template <class Ties>
double bias_in_steps(const std::vector<float>& x, const zp::params& grid) {
  double sum = 0;
  for (const float v : x) {
    const std::int32_t code = zp::quantize(v, grid, zp::rounding<Ties>{});
    sum += (static_cast<double>(zp::dequantize(code, grid)) - static_cast<double>(v)) /
           static_cast<double>(grid.scale);
  }
  return sum / static_cast<double>(x.size());
}

/// Through naive scales absmax / 127 per row, as a framework in floats does it; 0 / 0 is NaN.
sample naively_rounded(const sample& x) {
  sample y(x.rows, x.cols);
  for (std::size_t i = 0; i < x.rows; ++i) {
    float largest = 0;
    for (const float v : x.view().row(i)) {
      largest = std::fabs(v) > largest || v != v ? std::fabs(v) : largest;
    }
    const float scale = largest / 127.0f;
    for (std::size_t j = 0; j < x.cols; ++j) y(i, j) = std::nearbyint(x(i, j) / scale) * scale;
  }
  return y;
}

}  // namespace

// uint8 activations, int8 weights, the way of vpmaddubsw and ours.
gallery_entry saturating_sums() {
  dice d(9);
  constexpr std::size_t k = 512, outputs = 64;
  std::vector<std::uint8_t> a(k);
  std::vector<std::int8_t> w(outputs * k);
  for (auto& v : a) v = static_cast<std::uint8_t>(d.below(256));
  for (auto& v : w) v = static_cast<std::int8_t>(static_cast<int>(d.below(255)) - 127);
  const zp::matrix_view<const std::uint8_t> row(a.data(), 1, k);
  const zp::matrix_view<const std::int8_t> weights(w.data(), outputs, k);
  std::vector<std::int32_t> ours(outputs), theirs(outputs);
  zp::gemm(row, zp::pack(weights), zp::matrix_view<std::int32_t>(ours.data(), 1, outputs));
  const zp::saturation_report clipped =
      zp::saturating_gemm(row, weights, zp::matrix_view<std::int32_t>(theirs.data(), 1, outputs),
                          zp::saturating_sequence::unsigned_by_signed);
  sample exact(1, outputs), saturated(1, outputs), cured(1, outputs);
  for (std::size_t j = 0; j < outputs; ++j) {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < k; ++i) sum += std::int64_t{a[i]} * weights(j, i);
    exact(0, j) = static_cast<float>(sum);
    saturated(0, j) = static_cast<float>(theirs[j]);
    cured(0, j) = static_cast<float>(ours[j]);
  }
  const double share =
      100 * static_cast<double>(clipped.events) / static_cast<double>(clipped.pairs);
  return {
      .metric = "relative error of the integer sums",
      .naive = relative_error(exact, saturated),
      .cured = relative_error(exact, cured),
      .shows = format("Two products of an unsigned and a signed byte may exceed 16 bits: AVX2's "
                      "byte product clips %.1f %% of the pairs here, and nobody is told. Every "
                      "kernel of this library is exact.",
                      share)};
}

// An output that pruning left all zeros, in the first of two layers.
gallery_entry zero_scale() {
  dice d(10);
  const sample x = d.normals(16, 64);
  sample first = d.normals(64, 64);
  const sample second = d.normals(64, 64);
  for (std::size_t k = 0; k < 64; ++k) first(17, k) = 0.0f;
  const sample naive = product(product(x, naively_rounded(first)), naively_rounded(second));
  const zp::weight_only_linear one(zp::linear_weight{first.view()}),
      two(zp::linear_weight{second.view()});
  const double before = share_not_finite(product(x, naively_rounded(first)));
  return {
      .metric = "share of outputs that are NaN or infinite",
      .naive = share_not_finite(naive),
      .cured = share_not_finite(apply(two, apply(one, x))),
      .shows = format("A row of zeros has the scale 0, and 0 / 0 is NaN: %.1f %% of the outputs "
                      "of the first layer, %.0f %% of the second's. A range of only zeros has "
                      "the scale 1 here.",
                      100 * before, 100 * share_not_finite(naive))};
}

// One NaN among the activations of 16 tokens.
gallery_entry nan_absmax() {
  dice d(11);
  sample x = d.normals(16, 64);
  x(3, 40) = std::numeric_limits<float>::quiet_NaN();
  const sample w = d.normals(64, 64);
  sample one_row = x;  // a scale per tensor
  one_row.rows = 1, one_row.cols = x.values.size();
  sample naive = naively_rounded(one_row);
  naive.rows = x.rows, naive.cols = x.cols;
  const zp::dynamic_linear layer(zp::linear_weight{w.view()}, {}, {.tokens = zp::per_tensor});
  const double cured = share_not_finite(apply(layer, x));
  return {
      .metric = "share of outputs that are NaN or infinite",
      .naive = share_not_finite(product(naive, w)),
      .cured = cured,
      .shows = format("A NaN in the largest |x| is a NaN scale for all. Here ranges skip what is "
                      "not finite, NaN becomes zero, and the layer counts it: %llu.",
                      static_cast<unsigned long long>(layer.counts().nan))};
}

// Activations behind a ReLU: a cast to int cuts off their fractions.
gallery_entry truncation() {
  dice d(12);
  std::vector<float> x(65536);
  for (float& v : x) v = std::fabs(d.normal());
  const auto grid = zp::fit({-5, 5}, zp::symmetric);
  double sum = 0;
  for (const float v : x) {
    const auto code = static_cast<std::int32_t>(std::min(v / grid.scale, 127.0f));
    sum += static_cast<double>(code) - static_cast<double>(v) / static_cast<double>(grid.scale);
  }
  const double truncated = sum / static_cast<double>(x.size());
  const double nearest = bias_in_steps<zp::ties_to_even>(x, grid);
  return {
      .metric = "|mean error| in steps",
      .naive = std::fabs(truncated),
      .cured = std::fabs(nearest),
      .shows = format("A cast to int truncates: every code loses half a step on average (%+.3f), "
                      "and a layer adds that up over all its inputs. Rounding to nearest: %+.5f.",
                      truncated, nearest)};
}

// Codes requantized to twice the scale: every odd one lies exactly between two.
gallery_entry ties_away() {
  dice d(13);
  std::vector<float> x(65536);
  for (float& v : x) v = static_cast<float>(d.below(254));
  const zp::params twice{2.0f, 0, -127, 127};
  const double away = bias_in_steps<zp::ties_away>(x, twice);
  const double even = bias_in_steps<zp::ties_to_even>(x, twice);
  const double ties = 100 *
                      static_cast<double>(std::count_if(
                          x.begin(), x.end(), [](float v) { return std::fmod(v, 2.0f) != 0.0f; })) /
                      static_cast<double>(x.size());
  return {
      .metric = "|mean error| in steps",
      .naive = std::fabs(away),
      .cured = std::fabs(even),
      .shows = format("Doubling the scale of integers makes %.0f %% of them ties. Away from zero "
                      "all go up, %+.3f steps on average; to even, half go down: %+.4f.",
                      ties, away, even)};
}

}  // namespace lab::failures
