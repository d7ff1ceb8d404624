// The comparison of frameworks: values whose codes are known by hand, and a loop of its own over a
// model.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/report/frameworks.hpp>
#include <nlohmann/json.hpp>

#include <set>
#include <sstream>

namespace {

lab::dense layer(std::size_t out, std::size_t in, std::vector<float> weight) {
  lab::dense d;
  d.name = "h.0";
  d.out = out;
  d.in = in;
  d.weight = std::move(weight);
  return d;
}

std::vector<lab::framework_difference> compared(const lab::dense& d) {
  const lab::dense* one = &d;
  return lab::compare_frameworks(std::span(&one, 1));
}

const lab::framework_difference& find(const std::vector<lab::framework_difference>& all,
                                      const std::string& name, std::size_t group, int bits) {
  for (const auto& f : all) {
    if (f.name == name && f.group == group && f.bits == bits) return f;
  }
  FAIL("no framework " << name);
  return all.front();
}

/// differ, by range, by saturation, by rounding
std::array<std::uint64_t, 4> counts(const lab::framework_difference& f) {
  return {f.differ, f.by_range, f.by_saturation, f.by_rounding};
}
using four = std::array<std::uint64_t, 4>;
constexpr std::size_t row = 0, tensor = 1;

}  // namespace

TEST_CASE("values whose codes are known by hand") {
  // Scale 1 in this library: ties at 2.5 and -0.5. torch's is 127 / 127.5: 2.5 becomes 2.51 -> 3,
  // -0.5 becomes -0.502 -> -1, 127 becomes 127.5 -> 128, which saturates at 127 again.
  const auto all = compared(layer(1, 4, {127.0f, 2.5f, -0.5f, 0.25f}));
  for (const std::size_t group : {row, tensor}) {
    CHECK(counts(find(all, "torch", group, 8)) == four{2, 3, 1, 0});
    CHECK(counts(find(all, "onnxruntime", group, 8)) == four{0, 0, 0, 0});
  }
  CHECK(counts(find(all, "torch -127..127", row, 8)) == four{0, 0, 0, 0});
  CHECK(counts(find(all, "tflite", row, 8)) == four{2, 0, 0, 2});
  CHECK(counts(find(all, "compressed-tensors", row, 8)) == four{2, 3, 1, 0});
  // -127 alone: torch gives it -128, for once a code more.
  const auto negative = compared(layer(1, 2, {-127.0f, 0.0f}));
  CHECK(counts(find(negative, "torch", row, 8)) == four{1, 1, 0, 0});
  CHECK(find(negative, "torch", row, 8).values == 2);
}

TEST_CASE("ggml: rows of whole blocks, a scale of fp16, a grid that may be mirrored") {
  std::vector<float> w(32, 0.0f);
  w[0] = 8.0f, w[1] = -7.0f, w[2] = 0.5f, w[3] = -0.5f;
  const auto all = compared(layer(1, 32, w));
  // Ours: scale 8 / 7. q4_0: scale 1, the grid -7 .. 8; halves go away from the extreme: 0.5 -> 0,
  // -0.5 -> -1; ours 0 and 0. 8 -> 8 and not 7, -7 -> -7 and not -6.
  const auto& q4 = find(all, "ggml q4_0", 32, 4);
  CHECK(counts(q4) == four{3, 2, 0, 1});
  CHECK(q4.error == 0.5 * 0.5 + 0.5 * 0.5);
  const auto& q8 = find(all, "ggml q8_0", 32, 8);
  CHECK(counts(q8) == four{0, 0, 0, 0});
  CHECK(q8.error != q8.own_error);  // 8 / 127 is no fp16
  const auto short_rows = compared(layer(2, 16, w));
  CHECK(find(short_rows, "ggml q8_0", 32, 8).values == 0);
  CHECK(find(short_rows, "torch", row, 8).values == 32);
  CHECK(test::contains(lab::text_of(short_rows), "no layer fits the format"));
}

TEST_CASE("all zeros, and nothing at all") {
  for (const auto& f : compared(layer(2, 32, std::vector<float>(64, 0.0f)))) {
    CAPTURE(f.name, f.bits);
    CHECK(f.values == 64);
    CHECK(f.differ + f.by_range + f.by_saturation + f.by_rounding == 0);
    CHECK(f.error + f.own_error == 0);
  }
  for (const auto& f : lab::compare_frameworks({})) CHECK(f.values == 0);
}

TEST_CASE("a model: torch per channel by a loop of its own, onnxruntime exactly as ours") {
  const lab::transformer model = lab::load_model(test::golden / "gpt2_tied");
  const auto layers = model.linears();
  const auto all = lab::compare_frameworks(layers);
  std::uint64_t differ = 0, values = 0;
  double signal = 0, error = 0;
  for (const lab::dense* d : layers) {
    for (std::size_t i = 0; i < d->out; ++i) {
      const float* w = d->weight.data() + i * d->in;
      float most = 0;
      for (std::size_t j = 0; j < d->in; ++j) most = std::fmax(most, std::fabs(w[j]));
      const float theirs = most / 127.5f, ours = most / 127.0f;
      for (std::size_t j = 0; j < d->in; ++j, ++values) {
        const double code =
            std::fmin(std::nearbyint(static_cast<double>(w[j] * (1 / theirs))), 127);
        differ += code != std::nearbyint(static_cast<double>(w[j] / ours)) ? 1 : 0;
        signal += static_cast<double>(w[j]) * static_cast<double>(w[j]);
        error += std::pow(static_cast<double>(w[j]) - code * static_cast<double>(theirs), 2);
      }
    }
  }
  const auto& torch = find(all, "torch", row, 8);
  CHECK(torch.values == values);
  CHECK(torch.differ == differ);
  CHECK(torch.differ > values / 10);
  CHECK(torch.sqnr_db() == Approx(10 * std::log10(signal / error)).epsilon(1e-9));
  for (const std::size_t group : {row, tensor}) {
    const auto& onnx = find(all, "onnxruntime", group, 8);
    CHECK(counts(onnx) == four{0, 0, 0, 0});
    CHECK(onnx.sqnr_db() == onnx.own_sqnr_db());
  }
  const auto written = nlohmann::json::parse(lab::json_of("m", all));
  CHECK(written["model"] == "m");
  REQUIRE(written["frameworks"].size() == all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(written["frameworks"][i]["different_codes"] == all[i].differ);
    CHECK(test::contains(lab::text_of(all), "\n" + all[i].name + " "));
  }
  std::istringstream lines(lab::text_of(all));
  std::set<std::size_t> lengths;
  for (std::string line; std::getline(lines, line);) {
    if (!test::contains(line, "no layer fits")) lengths.insert(line.size());
  }
  CHECK(lengths.size() == 1);  // columns under one another
}
