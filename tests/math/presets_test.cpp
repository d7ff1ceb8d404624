// Ours against numbers that the frameworks themselves made (tests/math/data/presets.py), all with ==.
#include <zeropoint/math/presets.hpp>

#include <nlohmann/json.hpp>

#include <fstream>
#include <functional>
#include <map>

#include "support/test.hpp"

namespace zp = zeropoint;
namespace presets = zp::presets;
using nlohmann::json;

namespace {

const json& golden() {
  static const json all = [] {
    std::ifstream file("tests/math/data/presets.json");  // tests run in the root of the repository
    REQUIRE(file);
    return json::parse(file);
  }();
  return all;
}

float real(const json& bits) {
  return std::bit_cast<float>(bits.get<std::uint32_t>());
}
std::vector<float> reals(const json& list) {
  std::vector<float> x;
  for (const json& bits : list) x.push_back(real(bits));
  return x;
}

const zp::scheme u8 = zp::affine.as_unsigned();

struct params_rule {
  std::function<zp::params(zp::value_range)> ours;
  zp::value_range codes;  // the grid
};
const std::map<std::string, params_rule> params_rules = {
    {"torch u8", {[](auto r) { return presets::torch::observed(r, u8); }, {0, 255}}},
    {"torch u7", {[](auto r) { return presets::torch::observed(r, u8.with_bits(7)); }, {0, 127}}},
    {"torch s8",
     {[](auto r) { return presets::torch::observed(r, zp::symmetric_full); }, {-128, 127}}},
    {"torch s8 127",
     {[](auto r) { return presets::torch::observed(r, zp::symmetric, presets::torch::eps_127); },
      {-127, 127}}},
    {"onnx s8", {[](auto r) { return presets::onnx::calibrated(r, zp::symmetric); }, {-127, 127}}},
    {"onnx affine s8",
     {[](auto r) { return presets::onnx::calibrated(r, zp::affine); }, {-128, 127}}},
    {"onnx affine u8", {[](auto r) { return presets::onnx::calibrated(r, u8); }, {0, 255}}},
    {"onnx u8",
     {[](auto r) { return presets::onnx::calibrated(r, zp::symmetric_full.as_unsigned()); },
      {0, 255}}},
    {"onnx dynamic", {[](auto r) { return presets::onnx::dynamic(r); }, {0, 255}}},
    {"ct s8",
     {[](auto r) { return presets::compressed_tensors::calculate_qparams(r, zp::symmetric_full); },
      {-128, 127}}},
    {"ct affine",
     {[](auto r) { return presets::compressed_tensors::calculate_qparams(r, zp::affine); },
      {-128, 127}}},
    {"ct s4",
     {[](auto r) {
        return presets::compressed_tensors::calculate_qparams(r, zp::symmetric_full.with_bits(4));
      },
      {-8, 7}}},
    {"tflite activation", {[](auto r) { return presets::tflite::activation(r); }, {-128, 127}}},
};

using code_of = std::function<std::int32_t(float, const zp::params&)>;
struct codes_rule {
  code_of ours;
  zp::value_range codes;
  int shift;  // of the recorded zero point
};
template <class Rounding>
code_of rounded() {
  return [](float x, const zp::params& p) { return zp::quantize(x, p, Rounding{}); };
}
const std::map<std::string, codes_rule> codes_rules = {
    {"torch tensor s8", {presets::torch::quantize, {-128, 127}, 0}},
    {"torch tensor u8", {presets::torch::quantize, {0, 255}, 128}},
    {"torch channel s8", {presets::torch::quantize_per_channel, {-128, 127}, 0}},
    {"torch channel u8", {presets::torch::quantize_per_channel, {0, 255}, 128}},
    {"onnx s8", {rounded<presets::onnx::rounding>(), {-128, 127}, 0}},
    {"onnx u8", {rounded<presets::onnx::rounding>(), {0, 255}, 128}},
    {"onnx weights", {rounded<presets::onnx::rounding>(), {-128, 127}, 0}},
    {"tflite", {rounded<presets::tflite::rounding>(), {-128, 127}, 0}},
    {"tflite optimized", {rounded<presets::tflite::optimized_rounding>(), {-128, 127}, 0}},
    {"ct", {presets::compressed_tensors::quantize, {-128, 127}, 0}},
};

zp::params grid(float scale, std::int32_t zero_point, zp::value_range codes) {
  return {scale, zero_point, static_cast<std::int32_t>(codes.min),
          static_cast<std::int32_t>(codes.max)};
}

}  // namespace

TEST_CASE("scale and zero point of every range, as the frameworks choose them") {
  const json& rules = golden()["params"];
  REQUIRE(rules.size() == params_rules.size());
  for (const auto& [rule, rows] : rules.items()) {
    const params_rule& r = params_rules.at(rule);
    CHECK(rows.size() >= 40);
    for (const json& row : rows) {
      const zp::value_range range{real(row[0]), real(row[1])};
      CAPTURE(rule, range.min, range.max);
      zp::params expected = grid(real(row[2]), row[3], r.codes);
      if (rule == "tflite activation") {  // raised, as the header says
        expected.scale = std::fmax(expected.scale, std::numeric_limits<float>::min());
      }
      const zp::params ours = r.ours(range);
      CAPTURE(ours.scale, expected.scale, ours.zero_point, expected.zero_point);
      REQUIRE(ours == expected);
    }
  }
}

TEST_CASE("codes of ties, near ties, zeros, denormals and huge values") {
  std::map<std::string, int> seen;
  for (const json& set : golden()["codes"]) {
    const std::vector<float> x = reals(set["x"]);
    for (const auto& [rule, codes] : set["codes"].items()) {
      const codes_rule& r = codes_rules.at(rule);
      const zp::params p =
          grid(real(set["scale"]), set["zero_point"].get<int>() + r.shift, r.codes);
      CAPTURE(rule, p.scale, p.zero_point);
      seen[rule] += static_cast<int>(codes.size());
      REQUIRE(codes.size() + 4 >= x.size());  // some leave out the wildest, at the end
      for (std::size_t i = 0; i < codes.size(); ++i) {
        CAPTURE(i, x[i]);
        REQUIRE(r.ours(x[i], p) == codes[i].get<int>());
      }
    }
  }
  REQUIRE(seen.size() == codes_rules.size());
  for (const auto& [rule, count] : seen) CHECK(count > 700);
}

TEST_CASE("the roundings differ from each other on the recorded values") {
  std::map<std::string, int> differs;  // from ONNX
  for (const json& set : golden()["codes"]) {
    for (const auto& [rule, codes] : set["codes"].items()) {
      const json& onnx = set["codes"][rule.ends_with("u8") ? "onnx u8" : "onnx s8"];
      for (std::size_t i = 0; i < codes.size(); ++i) differs[rule] += codes[i] != onnx[i] ? 1 : 0;
    }
  }
  for (const char* other : {"torch tensor s8", "torch channel u8", "tflite", "ct"}) {
    CAPTURE(other);
    CHECK(differs.at(other) > 20);
  }
  CHECK(differs.at("onnx weights") == 0);
  CHECK(differs.at("tflite optimized") > 0);  // by its reciprocal alone
}

TEST_CASE("ggml: codes, fp16 scales and the reals they stand for") {
  for (const json& row : golden()["blocks"]) {
    const std::vector<float> x = reals(row["x"]);
    const presets::ggml::values values(x.data(), presets::ggml::block);
    std::array<std::int8_t, 32> s{};
    std::array<std::uint8_t, 32> u{};
    const auto matches = [&](const char* type, const auto& codes,
                             std::initializer_list<zp::float16> scales, float offset) {
      CAPTURE(type, x[0], x[1]);
      const json& want = row[type];
      std::size_t n = 0;
      for (const zp::float16 h : scales) REQUIRE(h.bits == want["scales"][n++].get<int>());
      REQUIRE(n == want["scales"].size());
      const float d = zp::to_float(*scales.begin());
      const float m = n == 2 ? zp::to_float(scales.begin()[1]) : 0.0f;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        REQUIRE(codes[i] == want["codes"][i].get<int>());
        const float product = d * (static_cast<float>(codes[i]) - offset);
        REQUIRE(product + m == Approx(real(want["real"][i])).epsilon(1e-6).margin(1e-12));
      }
    };
    const zp::float16 d8 = presets::ggml::quantize_q8_0(values, s);
    matches("Q8_0", s, {d8}, 0);
    const zp::float16 d4 = presets::ggml::quantize_q4_0(values, u);
    matches("Q4_0", u, {d4}, 8);
    const auto [d, m] = presets::ggml::quantize_q4_1(values, u);
    matches("Q4_1", u, {d, m}, 0);
  }
}

TEST_CASE("tflite: weights of the converter") {
  const json& w = golden()["weights"];
  const std::vector<float> x = reals(w["x"]);
  const std::size_t rows = w["rows"], cols = x.size() / rows;
  std::vector<std::int8_t> codes(cols);
  for (std::size_t i = 0; i < rows; ++i) {
    CAPTURE(i);
    const auto row = std::span(x).subspan(i * cols, cols);
    const auto [low, high] = std::minmax_element(row.begin(), row.end());
    const zp::params p = presets::tflite::weight({*low, *high});
    const float scale = real(w["scales"][i]);
    REQUIRE(p.scale == (scale == 0 ? 1.0f : scale));
    zp::quantize_row(row, p, std::span(codes), presets::tflite::weight_rounding{});
    for (std::size_t j = 0; j < cols; ++j) {
      CAPTURE(j, row[j]);
      REQUIRE(codes[j] == w["codes"][i * cols + j].get<int>());
    }
  }
}

TEST_CASE("tflite: three ways to requantize in one package, and gemmlowp's is a fourth") {
  int gemmlowp_differs = 0;
  for (const json& set : golden()["requantized"]) {
    const std::vector<float> s = reals(set["scales"]);
    const zp::fixed_point m = presets::tflite::multiplier(s[0], s[1], s[2]);
    const float real_multiplier = s[0] * s[1] / s[2];
    const zp::params out{s[2], set["zero_point"], -128, 127};
    const json& codes = set["codes"];
    for (std::size_t i = 0; i < set["acc"].size(); ++i) {
      const std::int32_t acc = set["acc"][i];
      CAPTURE(s[0], s[1], s[2], acc);
      REQUIRE(presets::tflite::requantize_once(acc, m, out) == codes["reference"][i].get<int>());
      REQUIRE(presets::tflite::requantize_twice_up(acc, m, out) ==
              codes["optimized"][i].get<int>());
      REQUIRE(zp::requantize(acc, real_multiplier, out) == codes["default"][i].get<int>());
      const int two = zp::requantize(acc, m, out), one = codes["reference"][i];
      REQUIRE(std::abs(two - one) <= 1);
      gemmlowp_differs += two != one ? 1 : 0;
    }
  }
  CHECK(gemmlowp_differs > 0);
}

TEST_CASE("what no framework defines is defined here") {
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  const zp::params p{1.0f, 3, -128, 127}, flat{infinity, 3, -128, 127}, none{0.0f, 3, -128, 127};
  for (const code_of& code :
       {code_of(presets::torch::quantize), code_of(presets::torch::quantize_per_channel),
        code_of(presets::compressed_tensors::quantize)}) {
    CHECK(code(nan, p) == 3);
    CHECK(code(infinity, p) == 127);
    CHECK(code(-infinity, p) == -128);
    CHECK(code(5.0f, flat) == 3);
    CHECK_THROWS_AS(code(1.0f, none), zp::error);
  }
  for (const auto& [rule, r] : params_rules) {
    CAPTURE(rule);
    CHECK_THROWS_AS(r.ours({0, infinity}), zp::error);
    CHECK_THROWS_AS(r.ours({nan, 1}), zp::error);
    CHECK_THROWS_AS(r.ours({1, -1}), zp::error);
  }
  std::array<float, 32> x{};
  std::array<std::int8_t, 32> s{};
  std::array<std::uint8_t, 32> u{};
  for (const float bad : {nan, infinity, -infinity}) {
    x[7] = bad;
    CHECK_THROWS_AS(presets::ggml::quantize_q8_0(x, s), zp::error);
    CHECK_THROWS_AS(presets::ggml::quantize_q4_0(x, u), zp::error);
    CHECK_THROWS_AS(presets::ggml::quantize_q4_1(x, u), zp::error);
  }
  x.fill(1e-40f);  // 1 / d is no float: all codes real zero, d = 0
  CHECK(presets::ggml::quantize_q8_0(x, s).bits == 0);
  CHECK((presets::ggml::quantize_q4_0(x, u).bits & 0x7fff) == 0);
  CHECK(std::ranges::all_of(u, [](int code) { return code == 8; }));
}
