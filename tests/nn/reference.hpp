// What the tests of the layers share: matrices that own their values, executors that try to catch a
// dependence on threads, and the layers as plain loops over the formulas of docs/quantization.md.
#pragma once

#include <support/errors.hpp>
#include <support/executors.hpp>
#include <support/kernels.hpp>
#include <support/test.hpp>
#include <zeropoint/nn/linear.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace test {

namespace zp = zeropoint;

/// Row-major values with `padding` unused columns, so that stride != cols is the normal case.
struct matrix {
  std::size_t rows = 0, cols = 0, stride = 0;
  std::vector<float> values;

  matrix(std::size_t r, std::size_t c, float fill = 0, std::size_t padding = 3)
      : rows(r), cols(c), stride(c + padding), values(r * stride + 1, fill) {}
  float& operator()(std::size_t i, std::size_t j) { return values[i * stride + j]; }
  float operator()(std::size_t i, std::size_t j) const { return values[i * stride + j]; }
  [[nodiscard]] zp::matrix_view<const float> view() const {
    return {values.data(), rows, cols, stride};
  }
  [[nodiscard]] zp::matrix_view<float> view() { return {values.data(), rows, cols, stride}; }
  [[nodiscard]] matrix transposed() const {
    matrix t(cols, rows);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < cols; ++j) t(j, i) = (*this)(i, j);
    }
    return t;
  }
};

inline matrix normal_matrix(generator& g, std::size_t rows, std::size_t cols, float sigma = 1) {
  matrix m(rows, cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) m(i, j) = sigma * normal(g);
  }
  return m;
}
inline std::vector<float> normal_vector(generator& g, std::size_t n) {
  std::vector<float> v(n);
  for (float& x : v) x = normal(g);
  return v;
}

/// Same shape and the same bits, NaN included.
inline bool same_bits(const matrix& a, const matrix& b) {
  if (a.rows != b.rows || a.cols != b.cols) return false;
  for (std::size_t i = 0; i < a.rows; ++i) {
    if (std::memcmp(&a.values[i * a.stride], &b.values[i * b.stride], a.cols * sizeof(float)) != 0)
      return false;
  }
  return true;
}

/// y of a layer; starts as garbage that no result can be.
template <class Layer, class Executor = zp::serial>
matrix apply(const Layer& layer, const matrix& x, const Executor& ex = {}) {
  matrix y(x.rows, layer.out(), -7.25e30f);
  layer(x.view(), y.view(), ex);
  for (std::size_t i = 0; i < y.rows; ++i) {  // nothing is written beside the columns
    for (std::size_t j = y.cols; j < y.stride; ++j)
      REQUIRE(y.values[i * y.stride + j] == -7.25e30f);
  }
  return y;
}
template <class Layer>
matrix simulate(const Layer& layer, const matrix& x) {
  matrix y(x.rows, layer.out(), -7.25e30f);
  layer.simulate(x.view(), y.view());
  return y;
}

/// Real threads, each with every count-th task.
struct threads {
  std::size_t count;
  [[nodiscard]] std::size_t concurrency() const { return count; }
  template <class F>
  void operator()(std::size_t tasks, F&& f) const {
    std::vector<std::thread> running;
    for (std::size_t t = 0; t < count; ++t) {
      running.emplace_back([&, t] {
        for (std::size_t i = t; i < tasks; i += count) f(i);
      });
    }
    for (auto& thread : running) thread.join();
  }
};

// --- the formulas as plain loops ----------------------------------------------------------------

inline zp::params fit_to(const std::vector<float>& values, const zp::scheme& s) {
  zp::value_range r;
  for (const float v : values) {
    if (!std::isfinite(v)) continue;
    r.min = std::min(r.min, v);
    r.max = std::max(r.max, v);
  }
  return zp::fit(r, s);
}
/// The code of x: NaN is real zero, the rest is divided, clamped and rounded to even.
inline std::int64_t code_of(float x, const zp::params& p) {
  if (std::isnan(x)) return p.zero_point;
  const double q = std::nearbyint(static_cast<double>(x / p.scale)) + p.zero_point;
  return static_cast<std::int64_t>(std::min<double>(std::max<double>(q, p.qmin), p.qmax));
}

/// Integer codes of a matrix [rows, cols] with the params of each element's group.
struct coded {
  std::size_t cols = 0;
  std::vector<std::int64_t> code;
  std::vector<zp::params> by;  ///< one per element
  [[nodiscard]] std::int64_t steps(std::size_t i, std::size_t j) const {
    return code[i * cols + j] - by[i * cols + j].zero_point;
  }
};

inline coded code_by(const matrix& m, const std::vector<zp::params>& by) {
  coded c{m.cols, {}, by};
  for (std::size_t i = 0; i < m.rows; ++i) {
    for (std::size_t j = 0; j < m.cols; ++j) {
      c.code.push_back(code_of(m(i, j), by[i * m.cols + j]));
    }
  }
  return c;
}
/// Params shared by `height` x `width` blocks of m.
inline coded code_in_blocks(const matrix& m, std::size_t height, std::size_t width,
                            const zp::scheme& s) {
  std::vector<zp::params> by(m.rows * m.cols);
  for (std::size_t i = 0; i < m.rows; i += height) {
    for (std::size_t j = 0; j < m.cols; j += width) {
      const std::size_t i_end = std::min(m.rows, i + height), j_end = std::min(m.cols, j + width);
      std::vector<float> values;
      for (std::size_t r = i; r < i_end; ++r) {
        for (std::size_t c = j; c < j_end; ++c) values.push_back(m(r, c));
      }
      const zp::params p = fit_to(values, s);
      for (std::size_t r = i; r < i_end; ++r) {
        for (std::size_t c = j; c < j_end; ++c) by[r * m.cols + c] = p;
      }
    }
  }
  return code_by(m, by);
}

/// y = fma(float(sum of integer products), scale_x * scale_w, bias) with 64-bit sums.
inline matrix integer_product(const coded& x, std::size_t m, const coded& w, std::size_t out,
                              const std::vector<float>& bias) {
  matrix y(m, out);
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < out; ++j) {
      std::int64_t acc = 0;
      for (std::size_t k = 0; k < x.cols; ++k) acc += x.steps(i, k) * w.steps(j, k);
      const float scale = x.cols == 0 ? 1.0f : x.by[i * x.cols].scale * w.by[j * w.cols].scale;
      y(i, j) = std::fma(static_cast<float>(acc), scale, bias.empty() ? 0.0f : bias[j]);
    }
  }
  return y;
}

}  // namespace test
