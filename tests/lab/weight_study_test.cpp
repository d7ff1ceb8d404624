// zp-lab weights: its figures against sums by hand, both layouts, and what it refuses.
#include <lab/experiments/weight_study.hpp>
#include <lab/io/safetensors.hpp>
#include <zeropoint/math/quantize.hpp>

#include "command.hpp"
#include "scratch.hpp"

#include <nlohmann/json.hpp>

#include <cmath>

namespace {

using test::contains;
using test::zp_lab;

constexpr std::size_t rows = 48, cols = 64;

std::vector<float> values(std::uint64_t salt) {
  test::generator g(test::seed(salt));
  std::vector<float> w(rows * cols);
  for (float& v : w) v = 0.1f * test::normal(g);
  w[5 * cols + 7] = 4;  // row 5, column 7 stand out
  return w;
}

std::string write(const test::scratch& dir, const std::string& name, const std::vector<float>& w,
                  std::vector<std::uint64_t> shape = {rows, cols}) {
  const auto path = dir.path() / (name + ".safetensors");
  const std::vector<lab::tensor_source> tensors = {
      {name, lab::dtype::f32, std::move(shape), std::as_bytes(std::span(w))}};
  lab::write_safetensors(path, tensors, {});
  return path.string();
}

lab::weight_study study(const std::string& path, const std::string& schemes,
                        lab::weight_layout layout = lab::weight_layout::automatic) {
  auto names = lab::parse_schemes(schemes);
  names.erase(names.begin());
  return lab::study_weights(path, names, "", layout);
}

/// SQNR of int8 with a scale per row or per column.
double by_hand(const std::vector<float>& w, bool per_row) {
  double signal = 0, error = 0;
  for (std::size_t c = 0; c < (per_row ? rows : cols); ++c) {
    const auto at = [&](std::size_t i) { return per_row ? w[c * cols + i] : w[i * cols + c]; };
    float most = 0;
    for (std::size_t i = 0; i < (per_row ? cols : rows); ++i)
      most = std::max(most, std::fabs(at(i)));
    const zeropoint::params p = zeropoint::fit({-most, most}, zeropoint::symmetric);
    for (std::size_t i = 0; i < (per_row ? cols : rows); ++i) {
      const double v = static_cast<double>(at(i));
      const double back = static_cast<double>(p.scale) * zeropoint::quantize(at(i), p);
      signal += v * v, error += (v - back) * (v - back);
    }
  }
  return 10 * std::log10(signal / error);
}

}  // namespace

TEST_CASE("SQNR, bits and distribution by hand, in both layouts") {
  const test::scratch dir;
  const auto w = values(71);
  const auto linear = study(write(dir, "fc", w), "w8,w8-tensor,w4-g16-affine");
  REQUIRE(linear.matrices.size() == 1);
  const lab::weight_matrix& m = linear.matrices[0];
  CHECK(m.out == rows);
  CHECK_FALSE(m.conv1d);
  CHECK(m.damage[0].sqnr_db() == Approx(by_hand(w, true)).epsilon(1e-9));
  CHECK(linear.total(0).sqnr_db() == m.damage[0].sqnr_db());
  CHECK(linear.bits_per_weight(0) == Approx(8 + 32.0 / cols));
  CHECK(linear.bits_per_weight(1) == Approx(8 + 32.0 / (rows * cols)));
  CHECK(linear.bits_per_weight(2) == Approx(4 + 40.0 / 16));
  double second = 0;
  for (const float v : w) second += static_cast<double>(v) * static_cast<double>(v);
  CHECK(m.deviation == Approx(std::sqrt(second / static_cast<double>(w.size()))));
  CHECK(m.largest == Approx(4 / m.deviation));
  CHECK(m.kurtosis > 50);
  CHECK(m.channel_ratio > 8);

  const auto conv = study(write(dir, "h.0.attn.c_attn.weight", w), "w8");
  CHECK(conv.matrices[0].conv1d);
  CHECK(conv.matrices[0].out == cols);
  CHECK(conv.matrices[0].damage[0].sqnr_db() == Approx(by_hand(w, false)).epsilon(1e-9));
  const auto told = study(write(dir, "fc2", w), "w8", lab::weight_layout::conv1d);
  CHECK(told.matrices[0].damage[0].sqnr_db() == conv.matrices[0].damage[0].sqnr_db());
}

TEST_CASE("weights prints a line per matrix and scheme, and the same as JSON") {
  const test::scratch dir;
  const std::string path = write(dir, "fc", values(71)), json = dir.path() / "w.json";
  const auto result = zp_lab({"weights", path, "--json", json});
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  const auto j = nlohmann::json::parse(test::slurp(json));
  REQUIRE(j["schemes"].size() == lab::default_weight_schemes().size());
  for (const auto& s : j["schemes"]) {
    CHECK(contains(result.out, "\n" + s["scheme"].get<std::string>() + " "));
    CHECK(j["matrices"][0]["sqnr_db"][s["scheme"].get<std::string>()] == s["sqnr_db"]);
  }
}

TEST_CASE("weights refuses what it cannot study") {
  const test::scratch dir;
  auto w = values(71);
  const std::string good = write(dir, "fc", w);
  const auto refused = [](std::vector<std::string> more, const std::string& part) {
    more.insert(more.begin(), "weights");
    const auto o = zp_lab(more);
    INFO(o.err);
    CHECK(o.code == 2);
    CHECK(contains(o.err, part));
  };
  refused({good, "--schemes", "w4-gptq"}, "\"w4-gptq\" is no rounding");
  refused({good, "--schemes", "w8a8-static"}, "no rounding");
  refused({good, "--schemes", "w8-kv8"}, "\"w8-kv8\" is no rounding");
  refused({good, "--schemes", "fp32"}, "no scheme");
  refused({good, "--tensors", "zzz"}, "\"zzz\"");
  refused({write(dir, "wte", w)}, "no weight matrix");
  refused({write(dir, "small", std::vector<float>(31 * 64), {31, 64})}, "no weight matrix");
  refused({dir.path() / "missing.safetensors"}, "missing.safetensors");
  w[100] = std::numeric_limits<float>::quiet_NaN();
  refused({write(dir, "bad", w)}, "\"bad\" has weights that are not finite");
}
