// The store of keys and values: attention over it is attention over the window, and what it takes.
#include <lab/models/kv_store.hpp>

#include "support/test.hpp"

#include <algorithm>

namespace {

using lab::attention_kind;

lab::model_config grouped_heads() {
  lab::model_config c;
  c.layers = 2, c.heads = 4, c.kv_heads = 2, c.head_width = 6, c.scale_attention = true;
  return c;
}

}  // namespace

TEST_CASE("Attention over the store is attention over the window, however it is divided") {
  const auto kind =
      GENERATE(attention_kind::floats, attention_kind::int8_cache, attention_kind::int8);
  const lab::model_config c = grouped_heads();
  const std::size_t T = GENERATE(as<std::size_t>(), 150, 600);  // sums of 256 terms join others
  const std::size_t Q = c.qkv_width(), C = c.q_width();
  test::generator g(test::seed(91));
  std::vector<float> qkv(T * Q), scratch(lab::attention_scratch(T, T, c.head_width)), whole(T * C);
  for (float& v : qkv) v = test::normal(g);
  auto input = qkv;
  lab::attend(c, 1, kind, {input.data(), T, Q}, scratch.data(), {whole.data(), T, C});
  for (const std::size_t piece : {std::size_t{1}, std::size_t{64}, std::size_t{70}, T}) {
    lab::key_value_store store(c, kind, T);
    input = qkv;
    std::vector<float> mixed(T * C, -7e30f);
    for (std::size_t t = 0; t < T; t += piece) {
      const std::size_t rows = std::min(piece, T - t);
      store.attend(1, {input.data() + t * Q, rows, Q}, 2, {mixed.data() + t * C, rows, C});
      store.advance(rows);
    }
    CHECK(store.tokens() == T);
    INFO("kind " << static_cast<int>(kind) << ", pieces of " << piece);
    // Float products do not see how queries are divided; scales of int8 are of one row and head.
    CHECK(std::ranges::all_of(mixed, [](float v) { return std::isfinite(v); }));
    CHECK(mixed == whole);
  }
}

TEST_CASE("A store says what it takes and how much fits") {
  const lab::model_config c = grouped_heads();
  std::vector<float> qkv(3 * c.qkv_width(), 0.5f), mixed(3 * c.q_width());
  for (const auto kind : {attention_kind::floats, attention_kind::int8}) {
    lab::key_value_store store(c, kind, 4);
    CHECK(store.bytes() == 0);
    const auto attend = [&](std::size_t rows) {
      for (std::size_t block = 0; block < c.layers; ++block) {
        store.attend(block, {qkv.data(), rows, c.qkv_width()}, 1,
                     {mixed.data(), rows, c.q_width()});
      }
      store.advance(rows);
    };
    attend(3);
    // 3 tokens, 2 blocks, 2 heads, keys and values of 6
    CHECK(store.bytes() == 3 * 2 * 2 * 2 * (kind == attention_kind::floats ? 6 * 4 : 6 + 4));
    CHECK_THROWS_AS(attend(2), zeropoint::error);
    attend(1);
    CHECK(store.tokens() == store.capacity());
  }
}
