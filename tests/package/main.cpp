// The program of all consumers: a matrix is quantized, packed and multiplied with itself.
#include <zeropoint/zeropoint.hpp>

#include <iostream>
#include <vector>

namespace zp = zeropoint;

int main() {
  const std::vector<float> w = {1.0f, -0.5f, 0.25f, 0.0f, 2.0f, 1.0f};
  const auto [wq, damage] = zp::quantize<std::int8_t>(zp::matrix_view<const float>(w.data(), 2, 3),
                                                      zp::per_row, zp::symmetric);
  std::vector<std::int32_t> c(4);
  zp::gemm(wq.values(), zp::pack(wq.values()), zp::matrix_view<std::int32_t>(c.data(), 2, 2));
  std::cout << "zeropoint " << ZP_VERSION_MAJOR << '.' << ZP_VERSION_MINOR << '.'
            << ZP_VERSION_PATCH << ", kernel " << zp::kernels::best().name << ": " << c[0] << ' '
            << c[1] << ' ' << c[2] << ' ' << c[3] << ", " << damage.sqnr_db() << " dB\n";
  // Rows 127 -64 32 (ties go to even) and 0 127 64: squares and products of integers.
  return c == std::vector<std::int32_t>{21249, -6080, -6080, 20225} ? 0 : 1;
}
