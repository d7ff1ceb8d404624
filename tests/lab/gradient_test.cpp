// The backward pass against central differences of the loss, which float logits give to about 1e-6 of
// the loss, summed in double; and the drawn labels against the distribution they come from.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/models/gradient.hpp>

using zeropoint::matrix_view;

namespace {

constexpr const char* models[] = {"gpt2_tied", "gpt2_untied", "opt_pre_norm", "opt_post_norm",
                                  "opt_untied"};

/// The float layer, its output moved by `step` [tokens, out].
class moved_linear final : public lab::linear {
 public:
  moved_linear(const lab::dense& d, const std::vector<float>& step) : inner_(d), step_(&step) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    inner_.apply(x, y);
    for (std::size_t i = 0; i < y.rows() && !step_->empty(); ++i) {
      for (std::size_t j = 0; j < y.cols(); ++j) y(i, j) += (*step_)[i * y.cols() + j];
    }
  }

 private:
  lab::float_linear inner_;
  const std::vector<float>* step_;
};

/// log p [V] of a row of logits.
std::vector<double> log_probabilities(std::span<const float> logits) {
  double sum = 0;
  for (const float v : logits) sum += std::exp(static_cast<double>(v));
  std::vector<double> all;
  for (const float v : logits) all.push_back(static_cast<double>(v) - std::log(sum));
  return all;
}

/// The loss of the last `scored` tokens when layer i of the model is moved.
double moved_loss(const lab::transformer& m, std::span<const std::uint32_t> ids, std::size_t scored,
                  std::size_t i, const std::vector<float>& step) {
  const std::vector<float> none;
  lab::linear_set layers;
  for (const lab::dense* d : m.linears()) {
    layers.push_back(std::make_unique<moved_linear>(*d, layers.size() == i ? step : none));
  }
  const auto logits = test::logits_of(m, layers, ids);
  const std::size_t V = m.config.vocab;
  double loss = 0;
  for (std::size_t t = ids.size() - 1 - scored; t + 1 < ids.size(); ++t) {
    loss -= log_probabilities({logits.data() + t * V, V})[ids[t + 1]];
  }
  return loss;
}

double norm_of(std::span<const float> v) {
  double sum = 0;
  for (const float x : v) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("A llama has no gradients here, and says so") {
  const auto m = lab::load_model(test::golden / "llama_grouped");
  const auto ids = test::golden_ids("llama_grouped");
  CHECK(test::contains(test::rejection([&] { return lab::tape(m, ids), 0; }), "this is a llama"));
}

TEST_CASE("Gradients in the output of every layer are those of central differences") {
  const std::string name = GENERATE(from_range(std::begin(models), std::end(models)));
  const std::uint64_t seed = test::seed(71);
  INFO(name << " " << test::seed_text(seed));
  test::generator g(seed);
  const lab::transformer m = lab::load_model(test::golden / name);
  const auto ids = test::golden_ids(name);
  const std::size_t T = ids.size(), scored = T - 3;
  const lab::tape tape(m, ids);
  const auto d_hidden = tape.loss_gradients(scored, 0, 1);
  std::size_t visited = m.linears().size();
  std::vector<lab::matrix> gradients(visited);
  tape.backward(d_hidden.view(), [&](std::size_t i, matrix_view<const float> gradient) {
    if (i + 1 == visited) --visited;  // q, k, v come in their order
    gradients[i].assign(gradient);
  });
  for (std::size_t i = 0; i < m.linears().size(); ++i) {
    const auto& exact = gradients[i].values;
    REQUIRE(exact.size() == T * m.linears()[i]->out);
    const double size = norm_of(exact);
    REQUIRE(size > 0);
    // Along the gradient itself, then in random directions.
    for (int trial = 0; trial < 4; ++trial) {
      std::vector<float> v = exact;
      if (trial > 0) {
        for (float& x : v) x = test::normal(g);
      }
      // Small enough for ReLU's kinks, large enough for float: 1e-3 of the gradient are left to them.
      const double step = 0.005 / size, length = norm_of(v);
      double expected = 0;
      for (std::size_t k = 0; k < v.size(); ++k) {
        v[k] *= static_cast<float>(step / length);
        expected += static_cast<double>(v[k]) * static_cast<double>(exact[k]) / step;
      }
      const double up = moved_loss(m, ids, scored, i, v);
      for (float& x : v) x = -x;
      const double down = moved_loss(m, ids, scored, i, v);
      INFO(m.linears()[i]->name << " trial " << trial << " expected " << expected);
      CHECK(std::fabs((up - down) / (2 * step) - expected) <= 2e-3 * size);
    }
  }
}

TEST_CASE("Stacked gradients are those of one set of labels each") {
  const std::string name = GENERATE("gpt2_tied", "opt_pre_norm", "opt_post_norm");
  const lab::transformer m = lab::load_model(test::golden / name);
  const auto ids = test::golden_ids(name);
  const std::size_t T = ids.size(), sets = 3;
  const lab::tape tape(m, ids);
  const auto all = tape.loss_gradients(T - 1, sets - 1, 5);
  REQUIRE(all.rows == sets * T);
  std::vector<lab::matrix> stacked(m.linears().size());
  tape.backward(all.view(),
                [&](std::size_t i, matrix_view<const float> g) { stacked[i].assign(g); });
  for (std::size_t r = 0; r < sets; ++r) {
    tape.backward(all.view().rows_from(r * T, T), [&](std::size_t i, matrix_view<const float> g) {
      const auto part = stacked[i].view().rows_from(r * T, T);
      double difference = 0, size = 0;
      for (std::size_t t = 0; t < T; ++t) {
        for (std::size_t j = 0; j < g.cols(); ++j) {
          difference = std::max(difference, std::fabs(static_cast<double>(g(t, j) - part(t, j))));
          size = std::max(size, std::fabs(static_cast<double>(g(t, j))));
        }
      }
      CHECK(size > 0);
      CHECK(difference <= 1e-5 * size);
    });
  }
}

TEST_CASE("Labels are drawn from the model's distribution, for scored tokens only") {
  const std::string name = "opt_untied";
  const std::uint64_t seed = test::seed(72);
  INFO(test::seed_text(seed));
  const lab::transformer m = lab::load_model(test::golden / name);
  const auto ids = test::golden_ids(name);
  const std::size_t T = ids.size(), E = m.config.embed_width, V = m.config.vocab;
  const std::size_t samples = 20000, scored = 2;
  const lab::tape tape(m, ids);
  const auto all = tape.loss_gradients(scored, samples, seed);
  const auto logits = test::logits_of(m, ids);
  for (const float v : all.view().row(T - 1)) CHECK(v == 0);
  for (const float v : all.view().row(T - 4)) CHECK(v == 0);
  // A gradient is the mean row of the head less the label's row: two of them tell the label.
  const std::size_t t = T - 2;
  const auto text = all.view().row(t);
  std::vector<double> seen(V);
  for (std::size_t r = 1; r <= samples; ++r) {
    const auto g = all.view().row(r * T + t);
    std::size_t label = V;
    for (std::size_t v = 0; v < V && label == V; ++v) {
      bool same = true;
      for (std::size_t j = 0; j < E && same; ++j) {
        const float moved = m.head[ids[t + 1] * E + j] - m.head[v * E + j];
        same = std::fabs(g[j] - text[j] - moved) < 1e-5f;
      }
      if (same) label = v;
    }
    REQUIRE(label < V);
    seen[label] += 1;
  }
  const auto log_p = log_probabilities({logits.data() + t * V, V});
  double chi_square = 0;
  for (std::size_t v = 0; v < V; ++v) {
    const double expected = samples * std::exp(log_p[v]);
    chi_square += (seen[v] - expected) * (seen[v] - expected) / expected;
  }
  const auto freedom = static_cast<double>(V - 1);
  CHECK(chi_square < freedom + 5 * std::sqrt(2 * freedom));
  CHECK(tape.loss_gradients(scored, 3, seed).values == tape.loss_gradients(scored, 3, seed).values);
  CHECK(tape.loss_gradients(scored, 3, seed).values !=
        tape.loss_gradients(scored, 3, seed + 1).values);
}
