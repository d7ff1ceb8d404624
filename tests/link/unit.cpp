// One translation unit of link_test, compiled twice with ZP_UNIT naming which.
#include "unit.hpp"

#include <zeropoint/zeropoint.hpp>

#include <algorithm>
#include <vector>

namespace zp = zeropoint;

link_unit::report link_unit::ZP_UNIT::answer() {
  report r{ZP_HAS_EIGEN != 0, {}, {}};
  std::vector<float> x(answers);
  for (std::size_t i = 0; i < answers; ++i) x[i] = static_cast<float>(i * i % 997) * 0.37f - 100;
  const auto [q, damage] = zp::quantize<std::int8_t>(
      zp::matrix_view<const float>(x.data(), answers / 10, 10), zp::per_row, zp::affine);
  std::copy_n(q.values().data(), answers, r.codes);
  for (std::size_t i = 0; i < answers / 10; ++i) r.scales[i] = q.params_at(i, 0).scale;
  return r;
}
