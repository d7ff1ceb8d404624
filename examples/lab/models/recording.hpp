// Float layers that leave their input and output behind for whoever wants to look at them.
#pragma once

#include <lab/models/linear.hpp>

#include <algorithm>

namespace lab {

/// A dense copy of a view.
struct matrix {
  std::vector<float> values;
  std::size_t rows = 0, cols = 0;

  void assign(zeropoint::matrix_view<const float> m) {
    rows = m.rows(), cols = m.cols();
    values.resize(rows * cols);
    for (std::size_t i = 0; i < rows; ++i) {
      std::copy_n(m.row(i).data(), cols, values.data() + i * cols);
    }
  }
  [[nodiscard]] zeropoint::matrix_view<const float> view() const {
    return {values.data(), rows, cols};
  }
};

/// Applies d and copies x and y; for one window at a time.
class recorded_linear final : public linear {
 public:
  recorded_linear(const dense& d, matrix& x, matrix& y) : inner_(d), x_(&x), y_(&y) {}
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    inner_.apply(x, y);
    x_->assign(x);
    y_->assign(y);
  }

 private:
  float_linear inner_;
  matrix *x_, *y_;
};

}  // namespace lab
