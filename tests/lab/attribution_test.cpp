// The attribution against layers applied by hand, and against the exact damage of small errors.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/attribution.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/experiments/split.hpp>
#include <lab/models/gradient.hpp>

#include <numeric>

using lab::error_source;
using zeropoint::matrix_view;

namespace {

constexpr const char* schemes[] = {"w8",
                                   "w3-g4-affine",
                                   "w4-channel-gptq",
                                   "w4-g4-awq",
                                   "w8a8-dynamic",
                                   "w8a8-dynamic-token",
                                   "w8a8-static",
                                   "w8a8-static-p99.9",
                                   "w8a8-static-smooth",
                                   "w8a8-static-mse",
                                   "w8a8-dynamic-rotate",
                                   "w8a8-static-rotate"};

struct fixture {
  explicit fixture(const std::string& name)
      : model(lab::load_model(test::golden / name)), ids(test::golden_ids(name)) {
    const auto vocab = static_cast<std::uint32_t>(model.config.vocab);
    for (const auto id : test::golden_ids(name)) ids.push_back((id * 7 + 3) % vocab);
    windows = lab::cut(lab::window_rule::chunk, ids.size(), 10, 10);
  }
  lab::scheme_layers make(const std::string& text) const {
    const auto name = lab::parse_scheme(text);
    return lab::scheme_maker(model, std::span(&name, 1), ids, windows, 1).make(name);
  }
  lab::transformer model;
  std::vector<std::uint32_t> ids;
  std::vector<lab::window> windows;
};

double mean(const lab::estimate& e) {
  return e.mean;
}

double total(const std::array<lab::estimate, lab::error_sources>& parts) {
  return std::accumulate(parts.begin(), parts.end(), 0.0,
                         [](double sum, const lab::estimate& e) { return sum + e.mean; });
}

double part(const std::array<lab::estimate, lab::error_sources>& parts, error_source s) {
  return parts[static_cast<std::size_t>(s)].mean;
}

/// A float layer whose weights are wrong by `rounding`.
class noisy_linear final : public lab::linear {
 public:
  noisy_linear(const lab::dense& d, std::vector<float> rounding)
      : dense_(d), rounding_(std::move(rounding)) {
    for (std::size_t i = 0; i < rounding_.size(); ++i) dense_.weight[i] += rounding_[i];
  }
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    lab::multiply(dense_, dense_.weight.data(), x, y);
  }
  std::optional<lab::split_matrix> split_weights(const lab::dense& d) const override {
    return lab::split_matrix{d.weight, rounding_, {}};
  }

 private:
  lab::dense dense_;
  std::vector<float> rounding_;
};

}  // namespace

TEST_CASE("The sources of a layer sum to its damage, and first order is its real output error") {
  const std::string model = GENERATE("gpt2_tied", "opt_pre_norm");
  const std::string text = GENERATE(from_range(std::begin(schemes), std::end(schemes)));
  INFO(model << " " << text);
  const fixture f(model);
  const auto scheme = f.make(text);
  const std::span<const lab::window> one(f.windows.data(), 1);
  const auto all = lab::attribute(f.model, scheme, f.ids, one, 1);
  const lab::transformer& form = scheme.form_of(f.model);
  const auto ids = std::span<const std::uint32_t>(f.ids).subspan(0, 10);
  const lab::tape tape(form, ids);
  double shared = 0, largest = 0;
  tape.backward(tape.loss_gradients(9, 0, 1).view(), [&](std::size_t l, auto g) {
    const lab::dense& d = *form.linears()[l];
    REQUIRE(all[l].name == d.name);
    std::vector<float> y(10 * d.out);
    scheme.layers[l]->apply(tape.input(l), {y.data(), 10, d.out});
    double first = 0, size = 0;
    for (std::size_t t = 0; t < 10; ++t) {
      for (std::size_t j = 0; j < d.out; ++j) {
        const double error =
            static_cast<double>(g(t, j)) *
            (static_cast<double>(y[t * d.out + j]) - static_cast<double>(tape.output(l)(t, j)));
        first += error / 9;
        size += std::fabs(error) / 9;
      }
    }
    INFO(d.name << " " << first << " of " << size);
    CHECK(size > 0);
    CHECK(std::fabs(mean(all[l].total_loss) - mean(all[l].total_kl) - first) <= 2e-4 * size);
    CHECK(total(all[l].loss) == Approx(mean(all[l].total_loss)).margin(1e-9 * size));
    CHECK(total(all[l].kl) == Approx(mean(all[l].total_kl)));
    CHECK(mean(all[l].total_kl) > 0);
    CHECK(std::isnan(all[l].total_kl.se));
    shared += mean(all[l].shared_kl);
    largest = std::max(largest, mean(all[l].total_kl));
  });
  CHECK(shared > 0);
  CHECK(shared < 10 * static_cast<double>(all.size()) * largest);
}

TEST_CASE("Each source has what is its own") {
  const fixture f("opt_pre_norm");
  const auto attributed = [&](const char* text) {
    return lab::attribute(f.model, f.make(text), f.ids, f.windows, 2);
  };
  for (const auto& l : attributed("w4-channel")) {  // symmetric from absmax: nothing clips
    CHECK(part(l.kl, error_source::weight_rounding) == mean(l.total_kl));
    CHECK(l.total_kl.se > 0);
  }
  for (const auto& l : attributed("w8a8-static")) {  // calibrated on this very text
    CHECK(part(l.kl, error_source::input_rounding) != 0);
    CHECK(part(l.kl, error_source::input_clipping) == 0);
    CHECK(part(l.kl, error_source::weight_clipping) == 0);
  }
  double clipping = 0, all = 0;
  for (const auto& l : attributed("w8a8-static-p99.9")) {
    clipping += part(l.kl, error_source::input_clipping);
    all += mean(l.total_kl);
  }
  CHECK(clipping > 0);
  CHECK(clipping < 2 * all);
  double weights = 0;
  for (const auto& l : attributed("w3-g4-awq")) {
    weights += std::fabs(part(l.kl, error_source::weight_clipping));
    CHECK(part(l.kl, error_source::input_rounding) == 0);
  }
  CHECK(weights > 0);
}

TEST_CASE("Clipping and rounding have the energies that statistics count") {
  test::generator g(test::seed(81));
  const zeropoint::params p = zeropoint::fit({-1, 1.5f}, zeropoint::affine.with_bits(4));
  std::vector<float> x(1000);
  for (float& v : x) v = test::normal(g);
  const auto coded =
      zeropoint::quantize<std::int8_t>(matrix_view<const float>(x.data(), 1, 1000), p);
  lab::splitter s(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) s.add(x[i], coded.matrix.values()(0, i), p, 4);
  const auto split = s.take();
  const auto energy = [](const std::vector<float>& v) {
    return std::accumulate(v.begin(), v.end(), 0.0, [](double sum, float e) {
      return sum + static_cast<double>(e) * static_cast<double>(e);
    });
  };
  REQUIRE(coded.statistics.clipped() > 100);
  CHECK(energy(split.rounding) / 16 == Approx(coded.statistics.rounding_error).epsilon(1e-5));
  CHECK(energy(split.clipping) / 16 == Approx(coded.statistics.clipping_error).epsilon(1e-5));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float q = zeropoint::dequantize(coded.matrix.values()(0, i), p);
    CHECK(split.exact[i] + split.rounding[i] + split.clipping[i] == Approx(4 * q).margin(1e-5));
    CHECK((split.rounding[i] == 0 || split.clipping[i] == 0));
  }
  // A code that was moved on purpose: what the grid's end leaves is clipping, the move is rounding.
  lab::splitter moved(1);
  moved.add(2 * p.representable().max, p.qmax - 1, p);
  const auto one = moved.take();
  CHECK(one.clipping[0] == Approx(-p.representable().max));
  CHECK(one.rounding[0] == Approx(-p.scale));
}

TEST_CASE("A small error of one layer costs what second order predicts") {
  const std::string name = GENERATE("gpt2_tied", "opt_pre_norm", "opt_post_norm", "opt_untied");
  const std::uint64_t seed = test::seed(82);
  INFO(name << " " << test::seed_text(seed));
  test::generator g(seed);
  const fixture f(name);
  const auto linears = f.model.linears();
  for (std::size_t noisy = 0; noisy < linears.size(); noisy += 3) {
    std::vector<lab::scheme_layers> three(3);
    three[0].name = "fp32", three[0].layers = lab::float_linears(f.model);
    three[1].name = "noise", three[2].name = "the opposite";
    for (std::size_t i = 0; i < linears.size(); ++i) {
      std::vector<float> error(i == noisy ? linears[i]->weight.size() : 0);
      for (float& e : error) e = 1e-3f * test::normal(g);
      three[1].layers.push_back(std::make_unique<noisy_linear>(*linears[i], error));
      for (float& e : error) e = -e;
      three[2].layers.push_back(std::make_unique<noisy_linear>(*linears[i], error));
    }
    lab::attribution_options options;
    options.samples = 1500;
    options.seed = seed;
    const auto all = lab::attribute(f.model, three[1], f.ids, f.windows, 2, {}, options);
    const auto measured = lab::measure(f.model, three, f.ids, f.windows, 2);
    const lab::layer_attribution& l = all[noisy];
    // What is odd in the error is first order, and has no noise. The even part of the loss is not
    // compared: the labels of the text, which are not these random models' own, add to its curvature.
    const double first = l.total_loss.mean - l.total_kl.mean;
    const double odd = (measured[1].delta - measured[2].delta) / 2;
    INFO(l.name << " KL " << l.total_kl.mean << " measured " << measured[1].kl << ", first order "
                << first << " measured " << odd);
    // Samples leave sqrt(2 / (windows * 1500)), 2 %: five of them.
    CHECK(l.total_kl.mean == Approx(measured[1].kl).epsilon(0.1));
    // The kinks of ReLU make a first order of their own: some 3 % of it at this size of error.
    if (f.model.config.act != lab::activation::relu) {
      CHECK(odd == Approx(first).epsilon(0.01).margin(0.1 * l.total_kl.mean));
    }
    CHECK(l.shared_kl.mean == l.total_kl.mean);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i != noisy) CHECK(all[i].total_kl.mean == 0);
    }
  }
}

TEST_CASE("The attribution depends on the seed, not on the threads") {
  const fixture f("gpt2_tied");
  const auto scheme = f.make("w8a8-static-p99.9");
  std::size_t heard = 0;
  const auto one = lab::attribute(f.model, scheme, f.ids, f.windows, 1);
  const auto three =
      lab::attribute(f.model, scheme, f.ids, f.windows, 3, [&](std::size_t n) { heard = n; });
  lab::attribution_options other;
  other.seed = 7;
  const auto reseeded = lab::attribute(f.model, scheme, f.ids, f.windows, 1, {}, other);
  CHECK(heard == f.windows.size());
  for (std::size_t l = 0; l < one.size(); ++l) {
    for (std::size_t c = 0; c < lab::error_sources; ++c) {
      CHECK(one[l].kl[c].mean == three[l].kl[c].mean);
      CHECK(one[l].kl[c].se == three[l].kl[c].se);
      CHECK(one[l].loss[c].mean == three[l].loss[c].mean);
    }
    CHECK(one[l].shared_kl.se == three[l].shared_kl.se);
    CHECK(one[l].total_kl.mean != reseeded[l].total_kl.mean);
    // First order has nothing drawn in it.
    CHECK(one[l].total_loss.mean - one[l].total_kl.mean ==
          Approx(reseeded[l].total_loss.mean - reseeded[l].total_kl.mean).margin(1e-12));
  }
}

TEST_CASE("What has no one error is refused") {
  const fixture f("gpt2_tied");
  const auto refusal = [&](const char* text) {
    const auto scheme = f.make(text);
    return test::rejection(
        [&] { return lab::attribute(f.model, scheme, f.ids, f.windows, 1).size(); });
  };
  CHECK(test::contains(refusal("w8a8-static-watch"), "watched layers change"));
  CHECK(test::contains(refusal("w8a8-outlier"), "no one grid"));
  CHECK(test::contains(refusal("w8a8-channel-simulated"), "no one grid"));
  CHECK(test::contains(refusal("bf16"), "attribution of bf16"));
}
