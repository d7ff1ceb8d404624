// Weights in few bits.
#include <lab/gallery/failures.hpp>
#include <lab/gallery/sample.hpp>
#include <lab/report/format.hpp>
#include <zeropoint/nn/gptq.hpp>

namespace lab::failures {
namespace {

namespace zp = zeropoint;

/// scale * (code - zero point + shift).
sample read_with(const zp::quantized_matrix<std::uint8_t>& q, int shift) {
  sample w(q.rows(), q.cols());
  for (std::size_t i = 0; i < w.rows; ++i) {
    for (std::size_t j = 0; j < w.cols; ++j) {
      zp::params p = q.params_at(i, j);
      p.zero_point -= shift;
      w(i, j) = zp::dequantize(q.values()(i, j), p);
    }
  }
  return w;
}

}  // namespace

// The first GPTQ file format stores zero points minus one; this reader does not know.
gallery_entry gptq_zero() {
  dice d(14);
  const sample w = d.normals(64, 256);
  sample x = d.normals(64, 256);
  for (float& v : x.values) v = std::max(v, 0.0f);  // behind a ReLU
  const auto [q, damage] = zp::quantize<std::uint8_t>(zp::linear_weight{w.view()},
                                                      zp::per_group{32}, zp::affine.with_bits(4));
  const sample exact = product(x, w);
  const double naive = relative_error(exact, product(x, read_with(q, 1)));
  const double cured = relative_error(exact, product(x, read_with(q, 0)));
  return {
      .metric = "relative output error, 4-bit weights",
      .naive = naive,
      .cured = cured,
      .shows = format("Zero points stored minus one and read as they are move every weight by a "
                      "whole step, the same way: %.0f times the error of the 4 bits themselves. "
                      "The codes look right; only outputs tell.",
                      naive / cured)};
}

// Two ways to three bits: each weight to the nearest code, or GPTQ. Inputs are correlated, as in
// every real layer.
gallery_entry local_mse() {
  dice d(18);
  const sample mixing = d.normals(192, 24), w = d.normals(64, 192);
  sample x = product(d.normals(512, 24), mixing);
  for (float& v : x.values) v += 0.3f * d.normal();
  const sample exact = product(x, w);
  const zp::linear_weight weights{w.view()};
  zp::gram_matrix seen(w.cols);
  seen.observe(x.view());
  const zp::scheme bits = zp::symmetric.with_bits(3);
  const auto [nearest, nearest_damage] =
      zp::quantize<std::int8_t>(weights, zp::per_output_channel, bits);
  const zp::gptq_result gptq = zp::gptq(weights, seen, {.weights = bits});
  const double nearest_error = relative_error(exact, product(x, dequantized(nearest))),
               gptq_error = relative_error(exact, product(x, dequantized(gptq.codes)));
  const double nearest_mse = nearest_damage.mse(), gptq_mse = gptq.statistics.mse();
  const bool misled = nearest_mse < gptq_mse;
  return {.metric = "relative output error of the method chosen, 3 bits",
          .naive = misled ? nearest_error : gptq_error,
          .cured = std::min(nearest_error, gptq_error),
          .shows = format("By the error of the weights rounding to nearest wins (mean square %.4f, "
                          "GPTQ %.4f); by the error of the outputs it loses (%.3f, GPTQ %.3f). "
                          "Methods are compared by outputs.",
                          nearest_mse, gptq_mse, nearest_error, gptq_error)};
}

}  // namespace lab::failures
