// Histograms in steps against values counted by hand.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/distribution.hpp>
#include <lab/experiments/schemes.hpp>

#include <numeric>

using lab::grid_histogram;

namespace {

std::uint64_t sum(const std::vector<std::uint64_t>& v) {
  return std::accumulate(v.begin(), v.end(), std::uint64_t{0});
}

/// Values over a grid with the scale 0.5 and the codes -7 .. 7.
grid_histogram counted(const std::vector<float>& x, const std::vector<bool>& ordinary) {
  const zeropoint::matrix_view<const float> m(x.data(), x.size() / ordinary.size(),
                                              ordinary.size());
  grid_histogram h;
  h.add(m, zeropoint::quantize<std::int8_t>(m, zeropoint::params{0.5f, 0, -7, 7}).matrix, ordinary);
  return h;
}

}  // namespace

TEST_CASE("Every value is in the bin of its position and at the code it becomes") {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto h = counted({0.0f, 0.2f, -0.2f, 3.5f, 3.6f, 4.0f, -100.0f, infinity, std::nanf("")},
                         {true, false, true});
  CHECK(h.qmin == -7);
  CHECK(h.qmax == 7);
  CHECK(h.smallest_step == 0.5f);
  CHECK(h.before.size() == 8 * (15 + 16));
  CHECK(sum(h.before) == 7);
  CHECK(sum(h.after) == 7);
  CHECK(h.after[7] == 3);  // 0, 0.4 and -0.4 steps
  CHECK(h.after[14] == 3);
  CHECK(h.after[0] == 1);
  CHECK(h.after_ordinary[7] == 2);
  CHECK(h.before_at(0) == 3);
  CHECK(h.before_at(7) == 2);  // 7 and 7.2 steps
  CHECK(h.before_at(8) == 1);
  CHECK(h.before.front() == 1);  // far outside
  CHECK(h.clipped_low() == Approx(1.0 / 7));
  CHECK(h.clipped_high() == Approx(1.0 / 7));
  CHECK(h.before_at(100) == 0);
}

TEST_CASE("Merging adds up, and an empty histogram changes nothing") {
  const auto a = counted({1, 2, 3}, {true}), b = counted({-1, 2}, {true});
  auto both = a;
  both.merge(b);
  CHECK(both == counted({1, 2, 3, -1, 2}, {true}));
  both.merge({});
  CHECK(both == counted({1, 2, 3, -1, 2}, {true}));
  grid_histogram none;
  none.merge(a);
  CHECK(none == a);
  CHECK(grid_histogram().clipped_low() == 0);
}

TEST_CASE("Distributions of a model: all values counted, float sides empty, threads all the same") {
  const auto model = lab::load_model(test::golden / "gpt2_tied");
  const auto ids = test::golden_ids("gpt2_tied");
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), 5, 5);
  const std::vector<lab::layer_choice> chosen = {{1, {}}, {2, {0, 3}}};
  const auto linears = model.linears();
  for (const char* text : {"fp32", "w4-g32", "w8", "w3-affine", "w8a8-dynamic", "w8a8-static",
                           "w8a8-dynamic-rotate", "w8a8-outlier"}) {
    INFO(text);
    const auto name = lab::parse_scheme(text);
    const auto scheme = lab::scheme_maker(model, std::span(&name, 1), ids, windows, 1).make(name);
    const auto d = lab::distributions(model, name, scheme, chosen, ids, windows, 1);
    REQUIRE(d.size() == 2);
    for (std::size_t c = 0; c < 2; ++c) {
      const lab::dense& layer = *linears[chosen[c].layer];
      CHECK(d[c].name == layer.name);
      const bool weights = name.kind >= lab::arithmetic::weight_only;
      CHECK(sum(d[c].weights.after) == (weights ? layer.weight.size() : 0));
      CHECK(sum(d[c].weights.before) == sum(d[c].weights.after));
      const bool inputs = name.quantizes_activations() && name.kind != lab::arithmetic::outlier;
      CHECK(sum(d[c].inputs.after) == (inputs ? windows.size() * 5 * layer.in : 0));
      if (inputs && name.cure == lab::activation_cure::none) {
        const std::size_t marked = chosen[c].outliers.size();
        CHECK(sum(d[c].inputs.after_ordinary) == windows.size() * 5 * (layer.in - marked));
      }
    }
    const auto threads = lab::distributions(model, name, scheme, chosen, ids, windows, 3);
    for (std::size_t c = 0; c < 2; ++c) {
      CHECK(d[c].inputs == threads[c].inputs);
      CHECK(d[c].weights == threads[c].weights);
    }
  }
}
