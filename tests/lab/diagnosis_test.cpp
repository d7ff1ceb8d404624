// The diagnosis against what it is made of: single layers applied by hand, and the perplexity rows.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/schemes.hpp>
#include <lab/models/plant.hpp>
#include <lab/report/diagnosis.hpp>
#include <nlohmann/json.hpp>

namespace {

struct fixture {
  explicit fixture(const std::string& name)
      : model(lab::load_model(test::golden / name)), ids(test::golden_ids(name)) {
    for (const auto id : test::golden_ids(name)) ids.push_back(id);
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

}  // namespace

TEST_CASE("A float scheme has no error anywhere") {
  const fixture f("opt_pre_norm");
  for (const auto& l : lab::diagnose(f.model, f.make("fp32"), f.ids, f.windows, 2)) {
    INFO(l.name);
    CHECK(l.local.error == 0);
    CHECK(l.propagated.error == 0);
    CHECK(l.local.signal > 0);
    CHECK(l.weight.count == 0);
    CHECK(l.input.count == 0);
    CHECK(std::isinf(l.local.sqnr_db()));
  }
}

TEST_CASE("The first layer by hand: its error, its input, its weights") {
  const fixture f("gpt2_tied");
  const std::vector<lab::window> one(f.windows.begin(), f.windows.begin() + 1);
  const auto scheme = f.make("w8a8-static");
  const auto layers = lab::diagnose(f.model, scheme, f.ids, one, 1);
  REQUIRE(layers.size() == f.model.linears().size());
  const lab::dense& d = *f.model.linears()[0];
  CHECK(layers[0].name == d.name);

  // LayerNorm of embedding plus position is its input; the library's layer makes the output.
  std::vector<float> x(10 * 20), y(10 * d.out), exact(10 * d.out);
  for (std::size_t t = 0; t < 10; ++t) {
    std::vector<double> e(20);
    double mean = 0, variance = 0;
    for (std::size_t j = 0; j < 20; ++j) {
      e[j] = static_cast<double>(f.model.embedding[f.ids[t] * 20 + j]) +
             static_cast<double>(f.model.positions[t * 20 + j]);
      mean += e[j] / 20;
    }
    for (const double v : e) variance += (v - mean) * (v - mean) / 20;
    const lab::norm& n = f.model.blocks[0].attention_norm;
    for (std::size_t j = 0; j < 20; ++j) {
      x[t * 20 + j] = static_cast<float>((e[j] - mean) / std::sqrt(variance + 1e-5) *
                                             static_cast<double>(n.gain[j]) +
                                         static_cast<double>(n.bias[j]));
    }
  }
  scheme.layers[0]->apply({x.data(), 10, 20}, {y.data(), 10, d.out});
  lab::float_linear(d).apply({x.data(), 10, 20}, {exact.data(), 10, d.out});
  double signal = 0, error = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double a = static_cast<double>(exact[i]), b = a - static_cast<double>(y[i]);
    signal += a * a, error += b * b;
  }
  CHECK(layers[0].local.signal == Approx(signal).epsilon(1e-4));
  CHECK(layers[0].local.error == Approx(error).epsilon(0.05));  // codes at ties may differ
  CHECK(layers[0].propagated.error == layers[0].local.error);   // nothing came before it
  CHECK(layers[0].input.count == 200);
  CHECK(layers[0].weight.count == d.weight.size());

  double second = 0, fourth = 0;
  float most = 0;
  for (const float v : x) {
    const double square = static_cast<double>(v) * static_cast<double>(v);
    second += square, fourth += square * square;
    most = std::max(most, std::fabs(v));
  }
  CHECK(layers[0].shape.kurtosis() == Approx(fourth * 200 / (second * second)).epsilon(1e-4));
  CHECK(layers[0].shape.largest_token == Approx(static_cast<double>(most)).epsilon(1e-4));
  CHECK(layers[0].shape.tokens == 10);
}

TEST_CASE("No number depends on the threads") {
  const fixture f("opt_pre_norm");
  for (const char* scheme : {"w8a8-static", "w8a8-dynamic-rotate", "w8a8-static-smooth"}) {
    const auto one = lab::diagnose(f.model, f.make(scheme), f.ids, f.windows, 1);
    const auto four = lab::diagnose(f.model, f.make(scheme), f.ids, f.windows, 4);
    for (std::size_t l = 0; l < one.size(); ++l) {
      INFO(scheme << " " << one[l].name);
      CHECK(one[l].local.error == four[l].local.error);
      CHECK(one[l].propagated.error == four[l].propagated.error);
      CHECK(one[l].input == four[l].input);
      CHECK(one[l].shape.fourth == four[l].shape.fourth);
      CHECK(one[l].input.count == one[l].shape.tokens * one[l].in);
    }
  }
}

TEST_CASE("Planted channels are found, and only behind norms") {
  fixture f("gpt2_tied");
  lab::apply_plant(f.model, {2, 8});
  auto planted = lab::planted_channels(20, 2);
  for (const auto& l : lab::diagnose(f.model, f.make("w8a8-static"), f.ids, f.windows, 2)) {
    INFO(l.name);
    auto found = l.shape.outlier_channels(2);
    std::sort(found.begin(), found.end());
    const bool behind_norm = l.name.ends_with("c_attn") || l.name.ends_with("c_fc");
    CHECK((found == planted) == behind_norm);
    CHECK((l.shape.channel_ratio() > 50) == behind_norm);
  }
}

TEST_CASE("Dead channels and flat inputs") {
  lab::input_shape s;
  CHECK(s.channel_ratio() == 0);
  CHECK(s.token_ratio() == 0);
  CHECK(s.kurtosis() == 0);
  CHECK(s.outlier_channels(4).empty());
  s.channel_absmax = {0, 1, 2, 12, 0, 2, 2};
  CHECK(s.dead_channels() == 2);
  CHECK(s.channel_ratio() == 6);
  CHECK(s.outlier_channels(4) == std::vector<std::size_t>{3});
}

TEST_CASE("Sensitivity rows are those of the perplexity experiment") {
  const fixture f("gpt2_tied");
  const auto scheme = f.make("w4-channel");
  const std::size_t L = scheme.layers.size();
  const auto rows = lab::measure_sensitivity(f.model, scheme, f.ids, f.windows, 2);
  REQUIRE(rows.size() == 2 * L + 2);
  std::vector<lab::scheme_layers> both;
  both.push_back(f.make("fp32"));
  both.push_back(f.make("w4-channel"));
  const auto whole = lab::measure(f.model, both, f.ids, f.windows, 2);
  CHECK(rows[0].delta == 0);
  CHECK(rows.back().loss == whole[1].loss);
  CHECK(rows.back().kl == whole[1].kl);
  for (std::size_t l = 0; l < L; ++l) {
    CHECK(rows[1 + l].scheme == "only " + f.model.linears()[l]->name);
    CHECK(rows[1 + l].kl > 0);
    CHECK(rows[1 + L + l].loss != whole[1].loss);
  }
  const auto watched = f.make("w8a8-static-watch");
  CHECK(test::contains(test::rejection([&] {
                         return lab::measure_sensitivity(f.model, watched, f.ids, f.windows, 1);
                       }),
                       "watched layers change"));
  // Smoothed, too: the reference stays the model as it is.
  const auto smooth = f.make("w8a8-static-smooth");
  CHECK(lab::measure_sensitivity(f.model, smooth, f.ids, f.windows, 2)[0].delta == 0);
}

TEST_CASE("Text and JSON say the same") {
  const fixture f("opt_pre_norm");
  lab::diagnosis d;
  d.study.model = "m";
  d.scheme = "w8a8-static";
  const auto scheme = f.make(d.scheme);
  d.layers = lab::diagnose(f.model, scheme, f.ids, f.windows, 1);
  d.sensitivity = lab::measure_sensitivity(f.model, scheme, f.ids, f.windows, 1);
  const auto j = nlohmann::json::parse(lab::json_of(d));
  REQUIRE(j["layers"].size() == d.layers.size());
  REQUIRE(j["sensitivity"].size() == 2 * d.layers.size() + 2);
  CHECK(j["layers"][0]["output_sqnr_db_local"].get<double>() == d.layers[0].local.sqnr_db());
  CHECK(j["layers"][0]["input_clipped"].get<double>() == 0);
  const std::string text = lab::text_of(d);
  for (const auto& l : d.layers) CHECK(test::contains(text, l.name + " "));
  CHECK(test::contains(text, "sensitivity: this layer alone under w8a8-static"));
}
