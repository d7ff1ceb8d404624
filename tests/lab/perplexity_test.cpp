// The experiment against a plain computation in doubles: loss, delta, KL, top-1, standard error; and
// its independence of threads and batches.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/schemes.hpp>

#include <numeric>

namespace {

const lab::transformer& model() {
  static const lab::transformer m = lab::load_model(test::golden / "gpt2_tied");
  return m;
}

std::vector<std::uint32_t> random_ids(std::size_t n, std::uint32_t vocab) {
  test::generator g(test::seed(21));
  std::vector<std::uint32_t> ids(n);
  for (auto& id : ids) id = static_cast<std::uint32_t>(g() % vocab);
  return ids;
}

std::vector<lab::scheme_layers> make_all(const lab::transformer& m,
                                         std::span<const std::uint32_t> ids) {
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), 19, 19);
  const lab::calibration ranges = lab::calibrate(m, ids, windows, 2);
  std::vector<lab::scheme_layers> all;
  for (const auto& name : lab::default_schemes()) all.push_back(lab::make_scheme(name, m, ranges));
  return all;
}

double log_softmax(std::span<const float> row, std::size_t j) {
  double sum = 0;
  for (const float x : row) sum += std::exp(static_cast<double>(x));
  return static_cast<double>(row[j]) - std::log(sum);
}

}  // namespace

TEST_CASE("Every number of every scheme agrees with a plain computation") {
  const auto rule = GENERATE(lab::window_rule::chunk, lab::window_rule::stride);
  const std::size_t V = model().config.vocab;
  const auto ids = random_ids(150, 53), seen = random_ids(60, 50);
  const auto schemes = make_all(model(), seen), again = make_all(model(), seen);
  const auto windows = lab::cut(rule, ids.size(), 19, 7);
  const auto rows = lab::measure(model(), schemes, ids, windows, 2);
  REQUIRE(rows.size() == schemes.size());
  for (std::size_t s = 0; s < schemes.size(); ++s) {
    INFO(schemes[s].name);
    double loss = 0, reference_loss = 0, kl = 0;
    std::size_t agree = 0, tokens = 0;
    std::vector<double> differences, counts;
    for (const lab::window& w : windows) {
      const std::span<const std::uint32_t> text(ids.data() + w.first, w.size);
      const auto ref = test::logits_of(model(), text);
      const auto got = test::logits_of(model(), again[s].layers, text);
      double difference = 0;
      for (std::size_t t = w.size - 1 - w.scored; t + 1 < w.size; ++t) {
        const std::span<const float> p(ref.data() + t * V, V), q(got.data() + t * V, V);
        const double l = -log_softmax(q, text[t + 1]), r = -log_softmax(p, text[t + 1]);
        loss += l;
        reference_loss += r;
        difference += l - r;
        for (std::size_t j = 0; j < V; ++j) {
          kl += std::exp(log_softmax(p, j)) * (log_softmax(p, j) - log_softmax(q, j));
        }
        agree += std::max_element(p.begin(), p.end()) - p.begin() ==
                         std::max_element(q.begin(), q.end()) - q.begin()
                     ? 1
                     : 0;
        ++tokens;
      }
      differences.push_back(difference);
      counts.push_back(static_cast<double>(w.scored));
    }
    const auto n = static_cast<double>(tokens);
    const double delta = (loss - reference_loss) / n;
    double squares = 0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      squares += std::pow(differences[i] - delta * counts[i], 2);
    }
    const auto count = static_cast<double>(windows.size());
    CHECK(rows[s].scheme == schemes[s].name);
    CHECK(rows[s].tokens == tokens);
    CHECK(rows[s].loss == Approx(loss / n).margin(1e-6));
    CHECK(rows[s].delta == Approx(delta).margin(1e-6));
    CHECK(rows[s].ppl == Approx(std::exp(loss / n)).epsilon(1e-6));
    CHECK(rows[s].kl == Approx(kl / n).margin(1e-6));
    CHECK(rows[s].top1 == Approx(static_cast<double>(agree) / n).epsilon(1e-12));
    CHECK(rows[s].delta_se ==
          Approx(std::sqrt(squares / (count * (count - 1))) * count / n).margin(1e-6));
    CHECK(rows[s].seconds > 0);
  }
  CHECK(rows[0].delta == 0);
  CHECK(rows[0].kl == 0);
  CHECK(rows[0].top1 == 1);
}

TEST_CASE("No number depends on the threads, nor on the batches that they make") {
  const auto ids = random_ids(2000, 53), seen = random_ids(60, 50);
  const auto windows = lab::cut(lab::window_rule::stride, ids.size(), 19, 11);
  std::vector<std::vector<lab::measurement>> results;
  for (const std::size_t threads : {1u, 2u, 3u, 7u}) {
    results.push_back(lab::measure(model(), make_all(model(), seen), ids, windows, threads));
  }
  for (std::size_t s = 0; s < results[0].size(); ++s) {
    for (const auto& r : results) {
      INFO(r[s].scheme);
      CHECK(r[s].loss == results[0][s].loss);
      CHECK(r[s].delta == results[0][s].delta);
      CHECK(r[s].delta_se == results[0][s].delta_se);
      CHECK(r[s].kl == results[0][s].kl);
      CHECK(r[s].top1 == results[0][s].top1);
      CHECK(r[s].clipped == results[0][s].clipped);
    }
  }
}

TEST_CASE("Calibration does not depend on the threads, and sees what it is shown") {
  const auto ids = random_ids(190, 53);
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), 19, 19);
  const auto one = lab::calibrate(model(), ids, windows, 1);
  const auto four = lab::calibrate(model(), ids, windows, 4);
  CHECK(one.ranges == four.ranges);
  CHECK(one.values == four.values);
  CHECK(one.channel_absmax == four.channel_absmax);
  CHECK(one.tokens == 190);
  REQUIRE(one.ranges.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(one.ranges[i].percentile.max <= one.ranges[i].min_max.max);
    CHECK(one.ranges[i].percentile.min >= one.ranges[i].min_max.min);
  }
  // The first linear layer reads LayerNorm outputs: their largest value, computed by hand.
  const lab::transformer& m = model();
  float low = 0, high = 0;
  std::vector<float> channel(20);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    std::vector<double> x(20);
    for (std::size_t j = 0; j < 20; ++j) {
      x[j] = static_cast<double>(m.embedding[ids[i] * 20 + j]) +
             static_cast<double>(m.positions[i % 19 * 20 + j]);
    }
    const double mean = std::accumulate(x.begin(), x.end(), 0.0) / 20;
    double variance = 0;
    for (const double v : x) variance += (v - mean) * (v - mean) / 20;
    for (std::size_t j = 0; j < 20; ++j) {
      const auto y =
          static_cast<float>((x[j] - mean) / std::sqrt(variance + 1e-5) *
                                 static_cast<double>(m.blocks[0].attention_norm.gain[j]) +
                             static_cast<double>(m.blocks[0].attention_norm.bias[j]));
      low = std::min(low, y);
      high = std::max(high, y);
      channel[j] = std::max(channel[j], std::fabs(y));
    }
  }
  CHECK(one.ranges[0].min_max.min == Approx(low).epsilon(1e-5));
  CHECK(one.ranges[0].min_max.max == Approx(high).epsilon(1e-5));
  std::sort(channel.begin(), channel.end());
  CHECK(one.channel_ratio(0) == Approx(channel[19] / channel[10]).epsilon(1e-5));
}

TEST_CASE("Schemes: bytes, clipping, rounding") {
  const auto ids = random_ids(190, 53);
  const auto schemes = make_all(model(), std::span(ids).first(38));
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), 19, 19);
  const auto rows = lab::measure(model(), schemes, ids, windows, 2);
  const auto row = [&](std::string_view name) {
    for (const auto& r : rows) {
      if (r.scheme == name) return r;
    }
    throw std::runtime_error("no row");
  };
  std::size_t weights = 0, outs = 0;
  for (const lab::dense* d : model().linears()) {
    weights += d->weight.size();
    outs += d->out;
  }
  CHECK(row("fp32").weight_bytes == 4 * (weights + outs));
  CHECK(row("f16").weight_bytes == 2 * weights + 4 * outs);
  CHECK(row("bf16").weight_bytes_memory == 2 * weights + 4 * outs);
  CHECK(row("w8").weight_bytes == weights + 4 * outs + 4 * outs);  // codes, scales, biases
  CHECK(row("w8-tensor").weight_bytes == weights + 4 * 8 + 4 * outs);
  CHECK(row("w8a8-static").weight_bytes == row("w8").weight_bytes);
  CHECK(row("w8").weight_bytes_memory >= row("w8").weight_bytes);

  CHECK(row("w8a8-dynamic").clipped == 0);  // the scale is the maximum's
  CHECK(row("w8a8-dynamic-token").clipped == 0);
  CHECK(row("w8a8-static-p99.9").clipped > row("w8a8-static").clipped);
  CHECK(row("w8a8-static-p99.9").clipped < 0.02);
  // Finer grids are closer to float.
  CHECK(row("f16").kl < row("bf16").kl);
  CHECK(row("bf16").kl < row("w8-tensor").kl);
  CHECK(row("w8").kl < row("w8a8-dynamic-token").kl);
}

TEST_CASE("f16 of weights that are f16 already is float32, bit for bit") {
  lab::transformer m = model();
  for (lab::block& b : m.blocks) {
    for (lab::dense* d : {&b.qkv[0], &b.attention_out, &b.fc1, &b.fc2}) {
      for (float& w : d->weight) w = std::round(w * 256) / 256;
    }
  }
  const auto ids = test::golden_ids("gpt2_tied");
  const auto f16 = lab::make_scheme("f16", m, {});
  CHECK(test::logits_of(m, f16.layers, ids) == test::logits_of(m, ids));
}

TEST_CASE("Per-tensor dynamic scales belong to a window, not to a batch") {
  const auto ids = test::golden_ids("opt_pre_norm");
  const lab::transformer m = lab::load_model(test::golden / "opt_pre_norm");
  // The same window beside others, and alone.
  std::vector<std::uint32_t> text(ids.begin(), ids.end());
  const auto others = random_ids(19 * 6, 53);
  text.insert(text.end(), others.begin(), others.end());
  std::vector<lab::scheme_layers> schemes;
  schemes.push_back(lab::make_scheme("fp32", m, {}));
  schemes.push_back(lab::make_scheme("w8a8-dynamic", m, {}));
  const std::vector<lab::window> all = lab::cut(lab::window_rule::chunk, text.size(), 19, 19);
  double sum = 0;
  for (const lab::window& w : all) {
    sum += lab::measure(m, schemes, text, std::span(&w, 1), 1)[1].loss / 7;
  }
  CHECK(lab::measure(m, schemes, text, all, 3)[1].loss == Approx(sum).epsilon(1e-14));
}

TEST_CASE("One window has no standard error") {
  const auto ids = test::golden_ids("gpt2_tied");
  const auto schemes = make_all(model(), ids);
  const std::vector<lab::window> one = {{0, 19, 18}};
  const auto rows = lab::measure(model(), schemes, ids, one, 2);
  CHECK(std::isnan(rows[3].delta_se));
  CHECK(std::isfinite(rows[3].delta));
}
