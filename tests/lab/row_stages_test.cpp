// Norms, sums and activation functions of a block: the kernels over all rows at once, whatever the
// threads and the number of rows.
#include "support/test.hpp"

#include <lab/models/float_kernels.hpp>
#include <lab/models/row_stages.hpp>

namespace {

using zeropoint::matrix_view;

constexpr std::size_t cols = 20, most_rows = 75;

struct fixture {
  fixture() {
    test::generator g(test::seed(16));
    for (float& v : x) v = test::normal(g);
    for (float& v : h) v = test::normal(g);
    for (std::size_t j = 0; j < cols; ++j) {
      n.gain.push_back(test::normal(g));
      n.bias.push_back(test::normal(g));
    }
    config.norm_eps = 1e-5f;
  }
  lab::model_config config;
  lab::norm n;
  std::vector<float> x = std::vector<float>(most_rows * cols), h = x;
};

}  // namespace

TEST_CASE("Norms and sums by rows are those of all rows") {
  const fixture f;
  const bool rms = GENERATE(false, true);
  const std::size_t rows = GENERATE(as<std::size_t>(), 1, 7, 8, 9, 33, most_rows);
  const std::size_t threads = GENERATE(as<std::size_t>(), 1, 2, 3);
  INFO(rows << " rows, " << threads << " threads, " << (rms ? "RMSNorm" : "LayerNorm"));
  lab::model_config c = f.config;
  c.rms_norm = rms;
  const lab::float_kernels& k = lab::best_float_kernels();
  std::vector<float> sum = f.x, expected = f.x;
  k.add(rows * cols, f.h.data(), sum.data());
  const auto norm_of = [&](const std::vector<float>& from) {
    if (rms) {
      k.rms_norm(rows, cols, from.data(), cols, f.n.gain.data(), 1e-5f, expected.data(), cols);
    } else {
      k.layer_norm(rows, cols, from.data(), cols, f.n.gain.data(), f.n.bias.data(), 1e-5f,
                   expected.data(), cols);
    }
  };

  std::vector<float> x = f.x, h = f.h, y = f.x;
  const matrix_view<float> to_x(x.data(), rows, cols), to_h(h.data(), rows, cols),
      to_y(y.data(), rows, cols);
  norm_of(f.x);
  lab::normalise(c, f.n, threads, to_x, to_y);
  CHECK(y == expected);
  lab::add_and_normalise(c, nullptr, threads, to_h, to_x, to_h);
  CHECK(x == sum);
  CHECK(h == f.h);

  norm_of(sum);
  x = f.x;
  lab::add_and_normalise(c, &f.n, threads, to_h, to_x, to_x);  // norms behind: in place of the sum
  CHECK(x == expected);
  x = f.x;
  std::copy_n(expected.begin(), rows * cols, y.begin());
  lab::add_and_normalise(c, &f.n, threads, to_h, to_x, to_h);  // before: in place of what was added
  CHECK(x == sum);
  CHECK(std::equal(h.begin(), h.begin() + static_cast<std::ptrdiff_t>(rows * cols), y.begin()));
}

TEST_CASE("Activation functions by rows are those of all rows") {
  const fixture f;
  const std::size_t rows = GENERATE(as<std::size_t>(), 1, 8, 9, most_rows);
  const std::size_t threads = GENERATE(as<std::size_t>(), 1, 2, 3);
  INFO(rows << " rows, " << threads << " threads");
  const lab::float_kernels& k = lab::best_float_kernels();
  std::vector<float> x = f.x, gate = f.h, expected = f.x, gated = f.h;
  k.gelu_tanh(rows * cols, expected.data());
  lab::activate(lab::activation::gelu_new, threads, {x.data(), rows, cols});
  CHECK(x == expected);

  x = expected = f.x;
  k.silu(rows * cols, gated.data());
  k.scale_by(rows * cols, gated.data(), expected.data());
  lab::activate(lab::activation::silu, threads, {gate.data(), rows, cols}, {x.data(), rows, cols});
  CHECK(x == expected);
}
