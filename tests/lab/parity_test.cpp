// The parity check over whole models: every scheme agrees with its float twins, and a wrong layer is
// found by name.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/parity.hpp>
#include <lab/experiments/schemes.hpp>

namespace {

/// A layer whose product is right but for one output, which is off by `error`; its twin is exact.
struct faulty_layer {
  const lab::dense* weights;
  float error;

  [[nodiscard]] std::size_t out() const { return weights->out; }
  [[nodiscard]] double rounding_units() const { return static_cast<double>(weights->in) + 2; }
  template <class Executor>
  void operator()(zeropoint::matrix_view<const float> x, zeropoint::matrix_view<float> y,
                  const Executor&) const {
    lab::float_linear(*weights).apply(x, y);
    y(3, 5) += error;
  }
  template <class Executor>
  void simulate(zeropoint::matrix_view<const float> x, const zeropoint::simulated& twin,
                const Executor& ex) const {
    zeropoint::detail::simulate_product(
        x, weights->bias,
        [&](std::size_t j, std::span<float> w) {
          std::copy_n(weights->weight.data() + j * weights->in, weights->in, w.data());
        },
        twin, ex);
  }
};

class faulty final : public lab::linear {
 public:
  faulty(const lab::dense& d, float error) : layer_{&d, error} {}
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    layer_(x, y, zeropoint::serial{});
  }
  void check(const std::string& name, zeropoint::matrix_view<const float> x,
             zeropoint::parity_checker& checker) const override {
    checker.check(name, layer_, x);
  }

 private:
  faulty_layer layer_;
};

lab::scheme_layers all_faulty(const lab::transformer& m, std::size_t wrong) {
  lab::scheme_layers s;
  const auto linears = m.linears();
  for (std::size_t i = 0; i < linears.size(); ++i) {
    s.layers.push_back(std::make_unique<faulty>(*linears[i], i < wrong ? 0.0f : 0.01f));
  }
  return s;
}

}  // namespace

TEST_CASE("Every quantized layer of both families agrees with its twin") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm",
                                    "opt_untied", "llama_grouped", "llama_untied");
  const lab::transformer m = lab::load_model(test::golden / name);
  const auto ids = test::golden_ids(name);
  const std::vector<lab::window> windows = {{0, 10, 9}};  // the rest lies partly outside the grid
  const lab::calibration ranges = lab::calibrate(m, ids, windows, 1);
  for (const std::string& scheme : lab::default_schemes()) {
    const auto checker = lab::check_parity(m, lab::make_scheme(scheme, m, ranges), ids);
    INFO(name << " " << lab::parity_text(scheme, checker));
    CHECK(checker.agrees());
    CHECK(checker.layers() == (scheme.starts_with("w8") ? m.linears().size() : 0));
    CHECK(checker.report().used <= 1);
  }
}

TEST_CASE("The first layer that differs is named, with its element") {
  const lab::transformer m = lab::load_model(test::golden / "gpt2_tied");
  const auto ids = test::golden_ids("gpt2_tied");
  const auto linears = m.linears();
  for (std::size_t wrong = 0; wrong < linears.size(); ++wrong) {
    const auto checker = lab::check_parity(m, all_faulty(m, wrong), ids);
    CHECK(!checker.agrees());
    CHECK(checker.report().layer == linears[wrong]->name);
    CHECK(checker.report().row == 3);
    CHECK(checker.report().col == 5);
    const std::string text = lab::parity_text("x", checker);
    CHECK(test::contains(text, linears[wrong]->name + " is the first layer that differs"));
    CHECK(test::contains(text, "row 3, column 5"));
  }
  CHECK(lab::check_parity(m, all_faulty(m, linears.size()), ids).agrees());
}
