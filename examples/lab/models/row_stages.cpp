// The float kernels over blocks of rows.
#include <lab/models/float_kernels.hpp>
#include <lab/models/parallel.hpp>
#include <lab/models/row_stages.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// f(first row, rows): few enough for two matrices of 768 columns in the first-level cache.
template <class F>
void over_blocks(std::size_t threads, std::size_t rows, F&& f) {
  constexpr std::size_t block = 8;
  if (rows <= block) return f(std::size_t{0}, rows);
  const std::size_t tasks = threads <= 1 ? 1 : 2 * threads;
  const std::size_t share = (rows + tasks * block - 1) / (tasks * block) * block;
  parallel_for(threads, (rows + share - 1) / share, [&](std::size_t i) {
    const std::size_t end = std::min(rows, (i + 1) * share);
    for (std::size_t t = i * share; t < end; t += block) f(t, std::min(block, end - t));
  });
}

void normalise_rows(const model_config& c, const norm& n, matrix_view<const float> x,
                    matrix_view<float> y) {
  const float_kernels& k = best_float_kernels();
  if (c.rms_norm) {
    return k.rms_norm(x.rows(), x.cols(), x.data(), x.stride(), n.gain.data(), c.norm_eps, y.data(),
                      y.stride());
  }
  k.layer_norm(x.rows(), x.cols(), x.data(), x.stride(), n.gain.empty() ? nullptr : n.gain.data(),
               n.bias.empty() ? nullptr : n.bias.data(), c.norm_eps, y.data(), y.stride());
}

void activate_some(activation a, std::span<float> x) {
  const float_kernels& k = best_float_kernels();
  switch (a) {
    case activation::gelu_new:
      return k.gelu_tanh(x.size(), x.data());
    case activation::relu:
      return k.relu(x.size(), x.data());
    case activation::silu:
      return k.silu(x.size(), x.data());
    case activation::gelu:
      for (float& v : x) v = 0.5f * v * (1.0f + std::erf(v * 0.70710678118654752f));
  }
}

std::span<float> elements(matrix_view<float> x, std::size_t first, std::size_t rows) {
  return {x.row(first).data(), rows * x.cols()};
}

}  // namespace

void normalise(const model_config& c, const norm& n, std::size_t threads,
               matrix_view<const float> x, matrix_view<float> y) {
  over_blocks(threads, x.rows(), [&](std::size_t first, std::size_t rows) {
    normalise_rows(c, n, x.rows_from(first, rows), y.rows_from(first, rows));
  });
}

void add_and_normalise(const model_config& c, const norm* n, std::size_t threads,
                       matrix_view<const float> h, matrix_view<float> x, matrix_view<float> y) {
  over_blocks(threads, x.rows(), [&](std::size_t first, std::size_t rows) {
    for (std::size_t t = first; t < first + rows; ++t) {
      best_float_kernels().add(x.cols(), h.row(t).data(), x.row(t).data());
    }
    if (n != nullptr) normalise_rows(c, *n, x.rows_from(first, rows), y.rows_from(first, rows));
  });
}

void activate(activation a, std::size_t threads, matrix_view<float> x) {
  over_blocks(threads, x.rows(), [&](std::size_t first, std::size_t rows) {
    activate_some(a, elements(x, first, rows));
  });
}

void activate(activation a, std::size_t threads, matrix_view<float> gate, matrix_view<float> x) {
  over_blocks(threads, x.rows(), [&](std::size_t first, std::size_t rows) {
    const std::span<float> g = elements(gate, first, rows), to = elements(x, first, rows);
    activate_some(a, g);
    best_float_kernels().scale_by(to.size(), g.data(), to.data());
  });
}

}  // namespace lab
