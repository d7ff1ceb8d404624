// Angles, and turning by them.
#include <lab/models/rotary.hpp>
#include <zeropoint/base/error.hpp>

#include <cmath>

namespace lab {

using zeropoint::matrix_view;

void rotary_table(const model_config& c, std::size_t first, matrix_view<float> table) {
  const std::size_t pairs = c.head_width / 2;
  ZP_REQUIRE(table.cols() == 2 * pairs, "rotary_table: ", table.cols(), " columns, expected ",
             2 * pairs);
  for (std::size_t j = 0; j < pairs; ++j) {
    const double power = static_cast<double>(2 * j) / static_cast<double>(c.head_width);
    const float frequency = 1.0f / static_cast<float>(std::pow(c.rope_theta, power));
    for (std::size_t t = 0; t < table.rows(); ++t) {
      const float angle = static_cast<float>(first + t) * frequency;
      table(t, j) = std::cos(angle);
      table(t, pairs + j) = std::sin(angle);
    }
  }
}

void rotate(matrix_view<const float> table, matrix_view<float> x) {
  const std::size_t d = table.cols(), pairs = d / 2;
  ZP_REQUIRE(table.rows() == x.rows() && x.cols() % d == 0, "rotate: ", x.rows(), " x ", x.cols(),
             " values, a table of ", table.rows(), " x ", d);
  for (std::size_t t = 0; t < x.rows(); ++t) {
    const float *cosine = table.row(t).data(), *sine = cosine + pairs;
    for (std::size_t head = 0; head < x.cols(); head += d) {
      float *low = x.row(t).data() + head, *high = low + pairs;
      for (std::size_t j = 0; j < pairs; ++j) {
        const float a = low[j], b = high[j];
        low[j] = a * cosine[j] - b * sine[j];
        high[j] = b * cosine[j] + a * sine[j];
      }
    }
  }
}

}  // namespace lab
