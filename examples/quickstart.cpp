// The library on one page: a number, a matrix, a product and a layer in 8 bits.
#include <zeropoint/zeropoint.hpp>

#include <iostream>
#include <random>
#include <vector>

namespace zp = zeropoint;

int main() {
  constexpr std::size_t tokens = 4, in = 256, out = 64;
  std::mt19937 random(1);
  const auto values = [&](std::size_t n) {  // uniform in [-1, 1)
    std::vector<float> v(n);
    for (float& f : v) f = static_cast<float>(random() >> 8) * 0x1p-23f - 1;
    return v;
  };
  const std::vector<float> weights = values(out * in), activations = values(tokens * in);
  std::vector<float> result(tokens * out);
  const zp::matrix_view<const float> w(weights.data(), out, in);
  const zp::matrix_view<const float> x(activations.data(), tokens, in);
  const zp::matrix_view<float> y(result.data(), tokens, out);

  // One number: real = scale * (q - zero_point). The whole theory in two lines.
  const zp::params p = zp::fit({-1, 1}, zp::symmetric);
  const std::int32_t q = zp::quantize(0.37f, p);
  std::cout << "0.37 is " << q << " steps of " << p.scale << " = " << zp::dequantize(q, p) << "\n";

  // One matrix: a scale per row, and the damage as numbers. Every quantization reports it.
  const auto [wq, damage] = zp::quantize<std::int8_t>(w, zp::per_row, zp::symmetric);
  std::cout << "weights: " << damage.sqnr_db() << " dB, " << damage.clipped() << " clipped, "
            << wq.bytes() << " bytes instead of " << weights.size() * sizeof(float) << "\n";

  // One product: pack once for this machine, multiply for ever. Exact in 32 bits, then real again.
  const auto [xq, noise] = zp::quantize<std::int8_t>(x, zp::per_token, zp::symmetric);
  const zp::packed_weights packed = zp::pack(wq.values());
  zp::gemm(xq.values(), packed, {.row_scales = xq.scales(), .column_scales = wq.scales()}, y);
  std::cout << "product: y(0, 0) = " << y(0, 0) << " by kernel " << packed.kernel().name
            << ", x at " << noise.sqnr_db() << " dB\n";

  // One layer: the same three steps behind y = x * W^T, its rows quantized on the way in.
  const zp::dynamic_linear layer(zp::linear_weight{w});
  layer(x, y);
  std::cout << "layer:   y(0, 0) = " << y(0, 0) << " by kernel " << layer.kernel().name << "\n";

  // Does it compute what it claims? Every layer has a float twin to be compared with.
  const zp::parity_report parity = zp::compare_with_twin("layer", layer, x);
  std::cout << "parity:  " << (parity.agrees ? "agrees" : "DIFFERS") << ", at most " << parity.used
            << " of the tolerance\n";
  return parity.agrees ? 0 : 1;
}
