// Attention of whole models in int8: near float, blind to later tokens, measured beside the others.
#include "golden.hpp"
#include "support/test.hpp"

#include <lab/experiments/diagnosis.hpp>
#include <lab/experiments/schemes.hpp>

#include <algorithm>

namespace {

using lab::attention_kind;

constexpr attention_kind int8_kinds[] = {attention_kind::int8_cache, attention_kind::int8};

const char* const models[] = {"gpt2_tied",  "gpt2_untied",   "opt_pre_norm", "opt_post_norm",
                              "opt_untied", "llama_grouped", "llama_untied"};

lab::transformer golden_model(const std::string& name) {
  return lab::load_model(test::golden / name);
}

/// Root of the mean square of a - b.
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

/// Attention of one head as the formula says: softmax(q k^T scale) v over the tokens up to i, with
/// keys and values of `cache`, in double.
std::vector<double> plain_attention(const std::vector<float>& q, const std::vector<float>& k,
                                    const std::vector<float>& v, std::size_t T, std::size_t d,
                                    double scale) {
  std::vector<double> y(T * d);
  for (std::size_t i = 0; i < T; ++i) {
    std::vector<double> p(i + 1);
    double sum = 0;
    for (std::size_t j = 0; j <= i; ++j) {
      double s = 0;
      for (std::size_t c = 0; c < d; ++c) {
        s += static_cast<double>(q[i * d + c]) * static_cast<double>(k[j * d + c]);
      }
      sum += p[j] = std::exp(s * scale);
    }
    for (std::size_t j = 0; j <= i; ++j) {
      for (std::size_t c = 0; c < d; ++c) {
        y[i * d + c] += p[j] / sum * static_cast<double>(v[j * d + c]);
      }
    }
  }
  return y;
}

}  // namespace

TEST_CASE("Every kind of attention computes the formula, across blocks of queries") {
  const auto seed = test::seed(61);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  lab::model_config c;
  c.heads = 4, c.kv_heads = GENERATE(as<std::size_t>(), 1, 2, 4), c.head_width = 16;
  const std::size_t C = c.q_width(), Q = c.qkv_width(), d = c.head_width;
  for (const std::size_t T : {1u, 2u, 41u, 42u, 43u, 85u, 150u}) {
    std::vector<float> qkv(T * Q), scratch(lab::attention_scratch(T, T, d));
    for (float& x : qkv) x = test::normal(g);
    for (const auto kind :
         {attention_kind::floats, attention_kind::int8_cache, attention_kind::int8}) {
      std::vector<float> input = qkv, mixed(T * C, -7e30f);
      lab::attend(c, 0, kind, {input.data(), T, Q}, scratch.data(), {mixed.data(), T, C});
      double worst = 0;
      for (std::size_t h = 0; h < c.heads; ++h) {
        std::vector<float> part[3];
        const std::size_t group = h / (c.heads / c.kv_heads);
        const std::size_t first[] = {h * d, C + group * d, C + c.kv_width() + group * d};
        for (std::size_t t = 0; t < T; ++t) {
          for (std::size_t p = 0; p < 3; ++p) {
            const auto from = qkv.begin() + static_cast<std::ptrdiff_t>(t * Q + first[p]);
            part[p].insert(part[p].end(), from, from + static_cast<std::ptrdiff_t>(d));
          }
        }
        const auto y =
            plain_attention(part[0], part[1], part[2], T, d, 1 / std::sqrt(static_cast<double>(d)));
        for (std::size_t t = 0; t < T; ++t) {
          for (std::size_t j = 0; j < d; ++j) {
            worst = std::max(
                worst, std::fabs(static_cast<double>(mixed[t * C + h * d + j]) - y[t * d + j]));
          }
        }
      }
      INFO("T " << T << ", kind " << static_cast<int>(kind) << ", largest difference " << worst);
      // Values of up to 4 have steps of 0.03; weights have steps of at most 1/255 of the largest.
      CHECK(worst < (kind == attention_kind::floats ? 1e-5 : 0.06));
      CHECK((kind == attention_kind::floats || worst > 1e-4));
    }
  }
}

TEST_CASE("Logits with int8 attention are near those of float, and not the same") {
  const std::string name = GENERATE(from_range(std::begin(models), std::end(models)));
  const auto m = golden_model(name);
  const auto ids = test::golden_ids(name);
  const auto layers = lab::float_linears(m);
  const auto exact = test::logits_of(m, ids);
  const double spread = distance(exact, std::vector<float>(exact.size()));
  for (const auto kind : int8_kinds) {
    const double d = distance(test::logits_of(m, layers, ids, kind), exact);
    INFO(name << ", kind " << static_cast<int>(kind) << ": " << d << " of " << spread);
    CHECK(d > 0);
    CHECK(d < 0.02 * spread);  // 0.3 to 0.7 %, for rotated keys up to 1.3 %
  }
}

TEST_CASE("A later token changes no bit of an earlier logit") {
  const std::string name = GENERATE("gpt2_tied", "opt_post_norm", "llama_grouped");
  const auto m = golden_model(name);
  const auto ids = test::golden_ids(name);
  const std::size_t T = ids.size(), V = m.config.vocab;
  for (const char* scheme : {"fp32-kv8", "fp32-attn8", "w8-kv8", "w8a8-dynamic-token-attn8"}) {
    INFO(name << " " << scheme);
    const auto made = lab::make_scheme(scheme, m, {});
    const auto before = test::logits_of(m, made.layers, ids, made.attention);
    for (const std::size_t t : {T - 1, T / 2}) {
      auto other = ids;
      other[t] = (other[t] + 1) % static_cast<std::uint32_t>(V);
      const auto after = test::logits_of(m, made.layers, other, made.attention);
      const auto here = static_cast<std::ptrdiff_t>(t * V);
      CHECK(std::equal(before.begin(), before.begin() + here, after.begin()));
      CHECK_FALSE(std::equal(before.begin() + here, before.end(), after.begin() + here));
    }
  }
}

TEST_CASE("measure() and the sensitivity use a scheme's attention, whatever the threads") {
  const auto m = golden_model("gpt2_tied");
  test::generator g(test::seed(62));
  std::vector<std::uint32_t> ids(190);
  for (auto& id : ids) id = static_cast<std::uint32_t>(g() % 53);
  const auto windows = lab::cut(lab::window_rule::chunk, ids.size(), 19, 19);
  std::vector<lab::scheme_layers> schemes;
  for (const char* name : {"fp32", "fp32-kv8", "fp32-attn8"}) {
    schemes.push_back(lab::make_scheme(name, m, {}));
    CHECK(schemes.back().name == name);
  }
  const auto one = lab::measure(m, schemes, ids, windows, 1),
             three = lab::measure(m, schemes, ids, windows, 3);
  for (std::size_t s = 1; s < 3; ++s) {
    CHECK(one[s].kl > 0);
    CHECK(one[s].kl < 1e-3);
    CHECK(one[s].loss == three[s].loss);
    CHECK(one[s].kl == three[s].kl);
  }
  CHECK(one[2].kl != one[1].kl);

  const std::size_t L = m.linears().size();
  const auto rows = lab::measure_sensitivity(m, schemes[2], ids, windows, 2);
  CHECK(rows[1].kl == 0);  // one float layer beside the others, and float attention
  CHECK(rows[1 + L].loss == one[2].loss);
  CHECK(rows.back().loss == one[2].loss);
  const auto layers = lab::diagnose(m, schemes[2], ids, windows, 2);
  CHECK(layers[0].propagated.error == 0);
  CHECK(layers[1].propagated.error > 0);  // behind the first attention
  CHECK(layers[1].local.error == 0);
}
