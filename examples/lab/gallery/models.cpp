// Outlier channels between a norm and a layer, and two ways to make their cure a failure.
#include <lab/gallery/failures.hpp>
#include <lab/gallery/sample.hpp>
#include <lab/report/format.hpp>
#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/smooth.hpp>

namespace lab::failures {
namespace {

namespace zp = zeropoint;

constexpr std::size_t tokens = 128, width = 256;

std::vector<float> absmax_of(const sample& x) {
  zp::column_absmax seen(x.cols);
  seen.observe(x.view());
  return {seen.maxima().begin(), seen.maxima().end()};
}

/// x [tokens, width] and w [width, width]: the function of normal samples, with four channels that
/// are 2^power times larger in x and smaller in w.
struct planted {
  sample x, w;
};
planted plant_outliers(dice& d, int power) {
  planted p{d.normals(tokens, width), d.normals(width, width, 0.0625f)};
  for (const std::size_t j : {11u, 70u, 138u, 201u}) {
    for (std::size_t i = 0; i < tokens; ++i) p.x(i, j) = std::ldexp(p.x(i, j), power);
    for (std::size_t o = 0; o < width; ++o) p.w(o, j) = std::ldexp(p.w(o, j), -power);
  }
  return p;
}

std::vector<float> factors_for(const planted& p) {
  return zp::smoothing_factors(absmax_of(p.x), zp::input_absmax(zp::linear_weight{p.w.view()}))
      .factors;
}

/// x with its channels divided, w with its inputs multiplied.
planted smoothed(planted p, std::span<const float> factors) {
  zp::divide_channels(p.x.view(), zp::axis::columns, factors);
  zp::multiply_channels(p.w.view(), zp::axis::columns, factors);
  return p;
}

/// W8A8 with the range of p.x itself.
zp::static_linear static_layer(const planted& p) {
  zp::absmax seen;
  seen.observe(std::as_const(p.x).view());
  return zp::static_linear(zp::linear_weight{p.w.view()}, {}, seen.range());
}

}  // namespace

// One scale for all channels, four of which are 256 times larger.
gallery_entry static_outliers() {
  dice d(15);
  const planted p = plant_outliers(d, 8);
  const sample exact = product(p.x, p.w);
  const planted s = smoothed(p, factors_for(p));
  const zp::static_linear naive = static_layer(p), cured = static_layer(s);
  const double zeros = underflow_fraction(through(naive.activation_params(), p.x).damage);
  const sample per_token = apply(zp::dynamic_linear(zp::linear_weight{p.w.view()}), p.x);
  return {
      .metric = "relative output error",
      .naive = relative_error(exact, apply(naive, p.x)),
      .cured = relative_error(exact, apply(cured, s.x)),
      .shows = format("Four of %zu channels take the grid: nothing is clipped, and %.0f %% of "
                      "the values become zero. A scale per token helps little (%.2f): every "
                      "token has those channels. SmoothQuant moves the factor into the weights.",
                      width, 100 * zeros, relative_error(exact, per_token))};
}

// A post-norm block: the residual reads the norm's output as well, y = h + W h. Folding the factors
// into the norm changes what the residual carries; dividing at the layer's input does not.
gallery_entry smooth_post_norm() {
  dice d(16);
  const planted p = plant_outliers(d, 4);
  const planted s = smoothed(p, factors_for(p));
  const auto block = [](const sample& residual, const sample& x, const sample& w) {
    sample y = product(x, w);
    for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] += residual.values[i];
    return y;
  };
  const sample exact = block(p.x, p.x, p.w);
  const double naive = relative_error(exact, block(s.x, s.x, s.w)),
               cured = relative_error(exact, block(p.x, s.x, s.w));
  return {
      .metric = "relative change of the float output, nothing quantized",
      .naive = naive,
      .cured = cured,
      .shows = format("Behind a post-norm (OPT-350m) the residual reads the norm too: folding the "
                      "factors into it changes the model by %.0f %% before any quantization. "
                      "Dividing at the layer's input alone leaves rounding, %.1e.",
                      100 * naive, cured)};
}

// A channel that was always zero in calibration, then wakes up.
gallery_entry smooth_dead_channel() {
  dice d(17);
  planted p = plant_outliers(d, 4);
  for (std::size_t i = 0; i < tokens; ++i) p.x(i, 33) = 0.0f;
  const std::vector<float> good = factors_for(p);
  std::vector<float> bad = good;
  bad[33] = 1e-5f;  // max|X|^alpha = 0, raised to the bound of the reference implementation
  sample live = p.x;
  for (std::size_t i = 0; i < tokens; ++i) live(i, 33) = d.normal();
  const sample exact = product(live, p.w);
  float largest = 0;
  const auto error = [&](std::span<const float> factors) {
    const planted s = smoothed({live, p.w}, factors);
    largest = absmax_of(s.x)[33];
    return relative_error(exact, apply(zp::dynamic_linear(zp::linear_weight{s.w.view()}), s.x));
  };
  const double cured = error(good), naive = error(bad);
  return {
      .metric = "relative output error, int8 per token",
      .naive = naive,
      .cured = cured,
      .shows = format("The formula gives a channel without signal the factor 1e-5: when it wakes "
                      "up it is %.0f after the division and takes every token's grid. Factor 1 "
                      "for dead channels costs nothing.",
                      static_cast<double>(largest))};
}

}  // namespace lab::failures
