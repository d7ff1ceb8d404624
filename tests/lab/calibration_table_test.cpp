// Calibration tables: what is written comes back, edits count, merges are one run, and whatever a
// hostile file says ends in one line.
#include <lab/experiments/calibration_table.hpp>
#include <lab/io/error.hpp>
#include <lab/models/load.hpp>
#include <lab/models/weights_hash.hpp>

#include "golden.hpp"
#include "lab/scratch.hpp"
#include "support/test.hpp"

namespace {

const lab::transformer& model() {
  static const lab::transformer m = lab::load_model(test::golden / "gpt2_tied");
  return m;
}

lab::calibration calibrated(std::span<const std::uint32_t> ids) {
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), 19, 19);
  return lab::calibrate(model(), ids, windows, 2);
}

std::vector<std::uint32_t> random_ids(std::size_t n, std::uint64_t seed) {
  test::generator g(test::seed(seed));
  std::vector<std::uint32_t> ids(n);
  for (auto& id : ids) id = static_cast<std::uint32_t>(g() % model().config.vocab);
  return ids;
}

lab::calibration_table table_of(std::span<const std::uint32_t> ids, const std::string& text) {
  lab::calibration_table t;
  t.model = "tiny \"model\"\n";
  t.variant = "natural";
  t.weights = lab::weights_hash(model());
  t.texts = {text};
  for (const lab::dense* d : model().linears()) t.layers.push_back(d->name);
  t.inputs[lab::activation_cure::none] = calibrated(ids);
  return t;
}

lab::calibration_table read(const std::string& text) {
  return lab::parse_calibration_table(text, "table.json");
}

void check_equal(const lab::calibration_table& a, const lab::calibration_table& b) {
  CHECK(a.model == b.model);
  CHECK(a.variant == b.variant);
  CHECK(a.weights == b.weights);
  CHECK(a.texts == b.texts);
  CHECK(a.layers == b.layers);
  REQUIRE(a.inputs.size() == b.inputs.size());
  for (const auto& [cure, c] : a.inputs) {
    const lab::calibration& other = b.inputs.at(cure);
    CHECK(c.tokens == other.tokens);
    CHECK(c.values == other.values);
    CHECK(c.ranges == other.ranges);
    CHECK(c.channel_absmax == other.channel_absmax);
  }
}

/// `text` with the first `from` replaced by `to`.
std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("A table comes back bit for bit, and fits the model it is of") {
  auto t = table_of(random_ids(190, 61), "a");
  t.inputs[lab::activation_cure::rotate] = calibrated(random_ids(95, 62));
  const std::string text = lab::json_of(t);
  const auto again = read(text);
  check_equal(again, t);
  CHECK(lab::json_of(again) == text);
  CHECK(again.edited_layer().empty());
  lab::require_fit(again, model(), "natural");
  const std::string shown = lab::text_of(again);
  CHECK(test::contains(shown, "rotate inputs"));
  CHECK(test::contains(shown, model().linears()[5]->name));

  const test::scratch dir;
  check_equal(lab::load_calibration_table(dir.write("t.json", text)), t);
}

TEST_CASE("An edited range counts") {
  const auto t = table_of(random_ids(190, 61), "a");
  std::string text = lab::json_of(t);
  const auto begin = text.find("\"mse\": ["), end = text.find(']', begin);
  text.replace(begin, end - begin, "\"mse\": [-0.5, 0.25");
  const auto edited = read(text);
  CHECK(edited.inputs.at(lab::activation_cure::none).ranges[0].mse ==
        zeropoint::value_range{-0.5f, 0.25f});
  CHECK(edited.edited_layer() == model().linears()[0]->name);
  auto other = table_of(random_ids(19, 62), "b");
  const auto merging = [&] { return lab::merge(other, edited), 0; };
  CHECK(test::contains(test::rejection(merging), "edited"));
}

TEST_CASE("Merged tables are one run over both texts") {
  const auto first = random_ids(95, 61), second = random_ids(190, 62);
  std::vector<std::uint32_t> both = first;
  both.insert(both.end(), second.begin(), second.end());
  auto a = table_of(first, "a");
  const auto b = table_of(second, "b");
  auto all = table_of(both, "a");
  all.texts.push_back("b");
  lab::merge(a, read(lab::json_of(b)));
  check_equal(a, all);

  const auto refused = [&](lab::calibration_table other) {
    return test::rejection([&] { return lab::merge(a, other), 0; });
  };
  CHECK(test::contains(refused(b), "both have seen \"b\""));
  auto other = table_of(second, "c");
  other.variant = "planted 4:8";
  CHECK(test::contains(refused(other), "planted 4:8"));
  other.variant = "natural";
  other.weights = "0123";
  CHECK(test::contains(refused(other), "different weights"));
  other.weights = a.weights;
  other.layers[3] = "x";
  CHECK(test::contains(refused(other), "different layers"));
  other = table_of(second, "c");
  other.inputs[lab::activation_cure::rotate] = other.inputs[lab::activation_cure::none];
  CHECK(test::contains(refused(other), "forms"));
  a.inputs[lab::activation_cure::smooth] = other.inputs[lab::activation_cure::smooth] =
      a.inputs[lab::activation_cure::none];
  other.inputs.erase(lab::activation_cure::rotate);
  CHECK(test::contains(refused(other), "smoothed"));
}

TEST_CASE("A table of another model is refused") {
  const auto good = table_of(random_ids(38, 61), "a");
  const auto refused = [&](const lab::calibration_table& t, const std::string& variant) {
    return test::rejection([&] { return lab::require_fit(t, model(), variant), 0; });
  };
  CHECK(test::contains(refused(good, "planted 4:8"), "planted 4:8"));
  auto t = good;
  t.weights = "0123";
  CHECK(test::contains(refused(t, "natural"), "weights 0123, this one has " + good.weights));
  t = good;
  t.layers[2] = "other";
  CHECK(test::contains(refused(t, "natural"), "\"other\""));
  t.layers.pop_back();
  CHECK(test::contains(refused(t, "natural"), "7 layers"));
  t = good;
  t.inputs[lab::activation_cure::none].channel_absmax[1].push_back(0);
  CHECK(test::contains(refused(t, "natural"), model().linears()[1]->name));
}

TEST_CASE("A hostile table ends in one line that names the member") {
  const std::string good = lab::json_of(table_of(random_ids(38, 61), "a"));
  const auto refused = [&](const std::string& from, const std::string& to) {
    const std::string bad = with(good, from, to);
    return test::rejection([&] { return read(bad), 0; });
  };
  CHECK(test::contains(refused("\"model\"", "\"modal\""), "model"));
  CHECK(test::contains(refused("\"natural\": {", "\"unnatural\": {"), "no layer"));
  CHECK(test::contains(refused("\"tokens\": ", "\"tokens\": -"), "tokens"));
  CHECK(test::contains(refused("\"min-max\": [", "\"min-max\": [1e39, "), "min-max"));
  CHECK(test::contains(refused("\"mse\": [-", "\"mse\": [9"), "mse"));
  CHECK(test::contains(refused("\"kl\": [", "\"kl\": [\"a\", "), "kl"));
  CHECK(test::contains(refused("\"p99.9\": [", "\"p99.9\": {}, \"q\": ["), "p99.9"));
  CHECK(test::contains(refused("\"count\": ", "\"count\": 1"), "layers[0]"));
  CHECK(test::contains(refused("\"zeros\": ", "\"zeros\": 9"), "zeros"));
  CHECK(test::contains(refused("\"bin_exponent\": ", "\"bin_exponent\": 1e9, \"q\": "),
                       "bin_exponent"));
  CHECK(test::contains(refused("\"bin_exponent\": ", "\"bin_exponent\": 500, \"q\": "), "500"));
  CHECK(test::contains(refused("\"bin_exponent\": ", "\"bin_exponent\": 9, \"q\": "),
                       "distribution: extremes"));
  CHECK(test::contains(refused("\n     \"min-max\": [", "\n     \"min-max\": [0, 0], \"q\": ["),
                       "seen: distribution: extremes 0 and 0, but the bins with values go from "));
  CHECK(test::contains(refused("\"first_bin\": ", "\"first_bin\": 8192, \"q\": "), "first_bin"));
  CHECK(test::contains(refused("\"first_bin\": ", "\"first_bin\": 8191, \"q\": "), "bins"));
  CHECK(test::contains(refused("\"bins\": [", "\"bins\": [-1,"), "bins"));
  CHECK(test::contains(refused("\"bins\": [", "\"bins\": [18446744073709551615,"), "64 bits"));
  CHECK(test::contains(refused("\"channel_absmax\": [", "\"channel_absmax\": [-1,"),
                       "channel_absmax"));
  CHECK(test::contains(refused("\"seen\": {", "\"seen\": 3, \"q\": {"), "seen"));
  CHECK(test::contains(refused("{\"model\"", "{\"layers\": [}"), "table.json"));
  for (std::size_t size = 0; size + 2 < good.size(); size += 997) {
    const std::string cut = good.substr(0, size);
    CHECK_FALSE(test::rejection([&] { return read(cut), 0; }).empty());
  }
}
