// A token that is decoded asks the heap for nothing, once the first few have made room.
#include <lab/experiments/generation.hpp>
#include <lab/experiments/schemes.hpp>

#include "golden.hpp"
#include "support/memory.hpp"
#include "support/test.hpp"

TEST_CASE("Decoding a token allocates nothing") {
  if (test::allocator_keeps_memory) return;
  const std::string model = GENERATE("gpt2_tied", "opt_pre_norm", "llama_grouped");
  const std::string scheme =
      GENERATE("fp32", "f16", "w8", "w4-g4", "w8-head8", "w8a8-dynamic", "w8a8-dynamic-token",
               "w8a8-static", "w4a8-g32", "w4a8-g32-head4", "w4-awq", "w8a8-outlier",
               "w8a8-static-rotate", "fp32-kv8", "w8a8-dynamic-token-attn8");
  const lab::transformer m = lab::load_model(test::golden / model);
  const auto ids = test::golden_ids(model);
  const lab::scheme_name names[] = {lab::parse_scheme(scheme)};
  const std::vector<lab::window> windows = {{0, ids.size(), ids.size() - 1}};
  const auto made = lab::scheme_maker(m, names, ids, windows, 1).make(names[0]);
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    lab::decoder d(m, made, ids.size(), threads);
    constexpr std::size_t first = 4;
    for (std::size_t t = 0; t < first; ++t) static_cast<void>(d.feed({&ids[t], 1}));
    INFO(model << ' ' << scheme << ", " << threads << " threads, " << ids.size() - first
               << " tokens");
    const std::size_t before = test::allocations();
    for (std::size_t t = first; t < ids.size(); ++t) static_cast<void>(d.feed({&ids[t], 1}));
    const std::size_t made_meanwhile = test::allocations() - before;
    CHECK(before > 0);
    CHECK(made_meanwhile == 0);
  }
}
