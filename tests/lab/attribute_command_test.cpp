// zp-lab attribute from the command line to its table and its JSON.
#include "command.hpp"
#include "tiny_model.hpp"

#include <lab/report/attribution.hpp>

namespace {

using test::outcome;
using test::zp_lab;

std::string letters(std::size_t bytes, std::uint64_t seed) {
  test::generator g(test::seed(seed));
  std::string text;
  while (text.size() < bytes) text += static_cast<char>('a' + g() % 26);
  return text;
}

}  // namespace

TEST_CASE("Prediction, sweep and their JSON") {
  const test::scratch model, files;
  test::write_tiny_model(model, "gpt2");
  const auto text = files.write("text.txt", letters(400, 61)),
             other = files.write("other.txt", letters(400, 62));
  const std::string report = files.path() / "a.json";
  const outcome o = zp_lab({"attribute", "--model", model.path(), "--scheme", "w8a8-static",
                            "--text", text, "--calibration", other, "--samples", "20", "--seed",
                            "3", "--check", "--json", report, "--threads", "2"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(test::contains(
      o.out, "from other.txt: 372 tokens in 12 windows, 20 draws of labels each, seed 3"));
  CHECK(test::contains(o.out, "each quantized alone, on text.txt"));
  const auto j = nlohmann::json::parse(test::slurp(report));
  REQUIRE(j["layers"].size() == 8);
  REQUIRE(j["check"].size() == 9);
  for (std::size_t l = 0; l < 8; ++l) {
    const auto& kl = j["layers"][l]["kl"];
    INFO(kl.dump());
    CHECK(j["check"][l]["name"] == j["layers"][l]["name"]);
    double sum = 0;
    for (const char* source :
         {"weight_rounding", "weight_clipping", "input_rounding", "input_clipping"}) {
      sum += kl[source]["mean"].get<double>();
    }
    const double all = kl["all"]["mean"].get<double>();
    CHECK(sum == Approx(all));
    // sqrt(2 / (12 * 20)) is 9 % of it, and the texts differ.
    CHECK(all == Approx(j["check"][l]["kl"].get<double>()).epsilon(0.4));
    CHECK(kl["all"]["se"].get<double>() < 0.3 * all);
  }
}

TEST_CASE("Schemes and options that cannot be attributed") {
  const test::scratch model, files;
  test::write_tiny_model(model, "opt");
  const auto text = files.write("text.txt", letters(200, 63));
  const auto complaint = [&](const std::string& scheme, const std::string& samples) {
    const outcome o = zp_lab({"attribute", "--model", model.path(), "--scheme", scheme, "--text",
                              text, "--calibration", text, "--samples", samples});
    CHECK(o.code == 2);
    return o.err;
  };
  CHECK(test::contains(complaint("w8a8-static-watch", "8"), "watched layers change"));
  CHECK(test::contains(complaint("f16", "8"), "attribution of f16"));
  CHECK(test::contains(complaint("w4-bias", "8"), "-bias takes back a part"));
  CHECK(test::contains(complaint("w8", "0"), "--samples"));
  const outcome same = zp_lab({"attribute", "--model", model.path(), "--scheme", "w8", "--text",
                               text, "--calibration", "/no/such/file", "--same-text"});
  CHECK(same.code == 0);
  CHECK(test::contains(same.out, "predicted to second order from text.txt"));
}

TEST_CASE("The layers that make up a share of the damage") {
  const std::vector<double> damage = {1, 5, -2, 3, 1};
  CHECK(lab::largest_layers(damage, 0.8) == std::vector<std::size_t>{1, 3});
  CHECK(lab::largest_layers(damage, 0.5) == std::vector<std::size_t>{1});
  CHECK(lab::largest_layers(damage, 1) == std::vector<std::size_t>{1, 3, 0, 4});
  CHECK(lab::largest_layers(std::vector<double>{}, 0.8).empty());
  CHECK(lab::largest_layers(std::vector<double>{0, 0}, 0.8).empty());
}
