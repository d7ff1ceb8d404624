// SmoothQuant on whole models: another form of the model, the same function.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/calibration.hpp>
#include <lab/models/norm_readers.hpp>
#include <lab/models/plant.hpp>
#include <lab/models/smooth.hpp>
#include <zeropoint/nn/smooth.hpp>

using test::contains;

namespace {

lab::calibration calibrated(const lab::transformer& m, std::span<const std::uint32_t> ids) {
  const std::vector<lab::window> windows = {{0, ids.size(), ids.size() - 1}};
  return lab::calibrate(m, ids, windows, 1);
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, static_cast<double>(std::fabs(a[i] - b[i])));
  }
  return most;
}

}  // namespace

TEST_CASE("Smoothing leaves the float logits to rounding") {
  const std::string name = GENERATE("gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_untied",
                                    "llama_grouped", "llama_untied");
  const double alpha = GENERATE(0.0, 0.5, 1.0);
  const bool planted = GENERATE(false, true);
  INFO(name << " alpha " << alpha << " planted " << planted);
  lab::transformer m = lab::load_model(test::golden / name);
  if (planted) lab::apply_plant(m, {4, 8});
  const auto ids = test::golden_ids(name);
  const auto before = test::logits_of(m, ids);
  lab::transformer smoothed = m;
  lab::apply_smoothing(smoothed, calibrated(m, ids).channel_absmax, alpha);
  const auto after = test::logits_of(smoothed, ids);
  float size = 0;
  for (const float v : before) size = std::max(size, std::fabs(v));
  CHECK(largest_difference(before, after) <= 1e-5 * static_cast<double>(size));
  // And it did something: every gain and every layer behind a norm changed, no other layer.
  CHECK(smoothed.blocks[0].attention_norm.gain != m.blocks[0].attention_norm.gain);
  CHECK(smoothed.blocks[0].mlp_norm.gain != m.blocks[0].mlp_norm.gain);
  CHECK((m.config.rms_norm || smoothed.blocks[0].mlp_norm.bias != m.blocks[0].mlp_norm.bias));
  CHECK((!m.config.gated || smoothed.blocks[0].gate->weight != m.blocks[0].gate->weight));
  CHECK(smoothed.blocks[0].qkv.back().weight != m.blocks[0].qkv.back().weight);
  CHECK(smoothed.blocks[0].fc1.weight != m.blocks[0].fc1.weight);
  CHECK(smoothed.blocks[0].fc2.weight == m.blocks[0].fc2.weight);
  CHECK(smoothed.blocks[0].attention_out.weight == m.blocks[0].attention_out.weight);
}

TEST_CASE("Smoothing takes planted outliers out of the activations") {
  lab::transformer m = lab::load_model(test::golden / "opt_pre_norm");
  lab::apply_plant(m, {2, 10});
  const auto ids = test::golden_ids("opt_pre_norm");
  const auto seen = calibrated(m, ids);
  REQUIRE(seen.channel_ratio(0) > 100);
  lab::apply_smoothing(m, seen.channel_absmax);
  CHECK(calibrated(m, ids).channel_ratio(0) < 20);
}

TEST_CASE("Searched alphas are those of the library, norm by norm, on any number of threads") {
  const std::string name = GENERATE("opt_pre_norm", "llama_grouped");
  lab::transformer m = lab::load_model(test::golden / name);
  lab::apply_plant(m, {2, 10});
  const auto ids = test::golden_ids(name);
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), ids.size(), ids.size());
  const auto absmax = calibrated(m, ids).channel_absmax;
  const auto inputs = lab::sample_inputs(m, ids, windows, 1);
  REQUIRE(inputs.size() == m.linears().size());
  CHECK(inputs[0].rows == ids.size());
  const auto alphas = lab::search_alphas(m, absmax, inputs, 1);
  CHECK(alphas == lab::search_alphas(m, absmax, inputs, 3));
  const auto readers = lab::readers_of_norms(m);
  REQUIRE(alphas.size() == 2 * m.blocks.size());
  for (std::size_t i = 0; i < readers.size(); ++i) {
    std::vector<zeropoint::linear_weight> weights;
    for (const lab::dense* d : readers[i].layers) weights.push_back({d->view()});
    const std::size_t l = readers[i].index;
    CHECK(m.linears()[l] == readers[i].layers[0]);
    const auto found = zeropoint::search_alpha(inputs[l].view(), absmax[l],
                                               std::span<const zeropoint::linear_weight>(weights));
    CHECK(alphas[i] == found.alpha);
    CHECK(alphas[i] > 0);  // there are outliers to smooth
    CHECK(found.error <= found.unsmoothed_error);
  }
  // One alpha for all is the same as that alpha for each.
  lab::transformer one = m, each = m;
  lab::apply_smoothing(one, absmax, 0.25);
  lab::apply_smoothing(each, absmax, std::vector<double>(alphas.size(), 0.25));
  CHECK(one.blocks[1].fc1.weight == each.blocks[1].fc1.weight);
  CHECK(one.blocks[1].mlp_norm.gain == each.blocks[1].mlp_norm.gain);
}

TEST_CASE("What cannot be smoothed is refused, and the model stays as it was") {
  lab::transformer post = lab::load_model(test::golden / "opt_post_norm");
  const auto weights = post.blocks[0].fc1.weight;
  const auto seen = calibrated(post, test::golden_ids("opt_post_norm"));
  const auto smooth = [&] {
    lab::apply_smoothing(post, seen.channel_absmax);
    return 0;
  };
  CHECK(contains(test::rejection(smooth), "post-norm"));
  CHECK(post.blocks[0].fc1.weight == weights);
}
