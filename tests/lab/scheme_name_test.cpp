// Every name of the grammar, and what is none.
#include "scratch.hpp"
#include "support/test.hpp"

#include <lab/experiments/scheme_name.hpp>

#include <cstring>

namespace {

using namespace lab;

bool grouped_by(const scheme_name& s, std::size_t size) {
  return s.granularity.is_grouped() && s.granularity.visit([&](const auto& g) {
    if constexpr (requires { g.size; }) return g.size == size;
    return false;
  });
}

}  // namespace

TEST_CASE("Lists of schemes") {
  const auto texts = [](const char* list) {
    std::vector<std::string> all;
    for (const auto& s : parse_schemes(list)) all.push_back(s.text);
    return all;
  };
  CHECK(texts("") == default_schemes());
  CHECK(default_schemes().size() == 9);
  CHECK(texts("w8,fp32,w8") == std::vector<std::string>{"fp32", "w8"});
  CHECK(texts("w8a8-static-p99.9,w8") ==
        std::vector<std::string>{"fp32", "w8a8-static-p99.9", "w8"});
}

TEST_CASE("Weights") {
  CHECK(parse_scheme("fp32").kind == arithmetic::fp32);
  CHECK(parse_scheme("f16").kind == arithmetic::f16);
  CHECK(parse_scheme("bf16").kind == arithmetic::bf16);
  const auto w8 = parse_scheme("w8");
  CHECK(w8.kind == arithmetic::weight_only);
  CHECK(w8.weights == zeropoint::symmetric);
  CHECK_FALSE(w8.needs_calibration());
  for (int bits = 2; bits <= 8; ++bits) {
    CHECK(parse_scheme("w" + std::to_string(bits) + "-channel").weights.bits == bits);
  }
  CHECK(grouped_by(parse_scheme("w4-g32"), 32));
  CHECK(grouped_by(parse_scheme("w3-g128-affine"), 128));
  CHECK_FALSE(parse_scheme("w4-tensor").granularity.is_grouped());
  const auto all = parse_scheme("w3-g64-affine-gptq");
  CHECK(all.weights == zeropoint::affine.with_bits(3));
  CHECK(grouped_by(all, 64));
  CHECK(all.method == weight_method::gptq);
  CHECK(all.needs_calibration());
  CHECK(all.needs_gram());
  CHECK_FALSE(all.quantizes_activations());
  const auto packed = parse_scheme("w4a8-g32-affine-gptq");
  CHECK(packed.kind == arithmetic::int4);
  CHECK(packed.weights == zeropoint::affine.with_bits(4));
  CHECK(grouped_by(packed, 32));
  CHECK(packed.method == weight_method::gptq);
  CHECK(packed.quantizes_activations());
  CHECK(parse_scheme("w2a8").weights.bits == 2);
  CHECK(parse_scheme("w4-awq").method == weight_method::awq);
  CHECK(parse_scheme("w4-tensor-adaround").method == weight_method::adaround);
  const auto equalized = parse_scheme("w4-tensor-equalize");
  CHECK(equalized.cure == activation_cure::equalize);
  CHECK_FALSE(equalized.needs_calibration());
  CHECK_FALSE(equalized.corrected);
  for (const char* text : {"w8-bias", "w4-g32-affine-gptq-bias", "w4-tensor-equalize-bias",
                           "w4a8-g32-adaround-bias"}) {
    INFO(text);
    CHECK(parse_scheme(text).corrected);
    CHECK(parse_scheme(text).needs_calibration());
  }
  CHECK_FALSE(parse_scheme("w8-bias").needs_gram());
}

TEST_CASE("Activations") {
  const auto dynamic = parse_scheme("w8a8-dynamic");
  CHECK(dynamic.kind == arithmetic::dynamic);
  CHECK_FALSE(dynamic.per_token);
  CHECK_FALSE(dynamic.needs_calibration());
  CHECK(dynamic.quantizes_activations());
  CHECK(parse_scheme("w8a8-dynamic-token").per_token);
  const auto rotated = parse_scheme("w8a8-dynamic-token-rotate");
  CHECK(rotated.cure == activation_cure::rotate);
  CHECK_FALSE(rotated.needs_calibration());
  CHECK(parse_scheme("w8a8-dynamic-smooth").needs_calibration());
  const auto fixed = parse_scheme("w8a8-static");
  CHECK(fixed.kind == arithmetic::calibrated);
  CHECK(fixed.range == range_rule::min_max);
  CHECK(fixed.needs_calibration());
  CHECK_FALSE(fixed.needs_gram());
  CHECK(parse_scheme("w8a8-static-p99.9").range == range_rule::percentile);
  CHECK(parse_scheme("w8a8-static-kl-smooth-search-watch").cure == activation_cure::smooth_search);
  CHECK(parse_scheme("w8a8-dynamic-smooth-search").is_smooth());
  CHECK(parse_scheme("w8a8-static-mse").range == range_rule::mse);
  CHECK(parse_scheme("w8a8-static-equalize-watch").cure == activation_cure::equalize);
  CHECK_FALSE(parse_scheme("w8a8-dynamic-equalize").needs_calibration());
  CHECK(parse_scheme("w8a8-dynamic-token-rotate-bias").corrected);
  CHECK(parse_scheme("w8a8-static-p99.9-smooth-search-bias-kv8").corrected);
  const auto all = parse_scheme("w8a8-static-kl-smooth-watch");
  CHECK(all.range == range_rule::entropy);
  CHECK(all.cure == activation_cure::smooth);
  CHECK(all.watched);
  CHECK(parse_scheme("w8a8-outlier").kind == arithmetic::outlier);
  CHECK(parse_scheme("w8a8-channel-simulated").kind == arithmetic::channel_simulated);
  CHECK(parse_scheme("w8a8-channel-simulated").needs_calibration());
}

TEST_CASE("Attention") {
  const auto attention = [](const std::string& text) { return parse_scheme(text).attention; };
  for (const char* plain :
       {"fp32", "f16", "bf16", "w8", "w4-g32-affine-gptq", "w3-awq", "w8a8-dynamic",
        "w8a8-dynamic-token-rotate", "w8a8-static", "w8a8-static-kl-smooth-watch", "w8a8-outlier",
        "w8a8-channel-simulated"}) {
    INFO(plain);
    CHECK(attention(plain) == attention_kind::floats);
    CHECK(attention(std::string(plain) + "-kv8") == attention_kind::int8_cache);
    const auto s = parse_scheme(std::string(plain) + "-attn8"), without = parse_scheme(plain);
    CHECK(s.attention == attention_kind::int8);
    CHECK(s.kind == without.kind);
    CHECK(s.method == without.method);
    CHECK(s.cure == without.cure);
    CHECK(s.watched == without.watched);
    CHECK(s.needs_calibration() == without.needs_calibration());
  }
}

TEST_CASE("The head") {
  CHECK(parse_scheme("w8-kv8").head == head_kind::floats);
  for (const char* text : {"fp32-head8", "w4a8-g32-head8", "w8a8-static-p99.9-watch-attn8-head8"}) {
    INFO(text);
    CHECK(parse_scheme(text).head == head_kind::int8);
    const std::string four = std::string(text).replace(std::strlen(text) - 1, 1, "4");
    CHECK(parse_scheme(four).head == head_kind::int4);
  }
  CHECK(parse_scheme("w8-kv8-head8").attention == attention_kind::int8_cache);
}

TEST_CASE("What is not a scheme is refused with the grammar") {
  for (const char* bad : {"w9",
                          "w1",
                          "w",
                          "w08",
                          "W8",
                          " w8",
                          "w8 ",
                          "w8-",
                          "-w8",
                          "w8--g32",
                          "w4-g",
                          "w4-g0",
                          "w4-g032",
                          "w4-g99999999",
                          "w4-g32x",
                          "w4-gptq-g32",
                          "w4-gptq-awq",
                          "w4-gptq-adaround",
                          "w4-gptq-equalize",
                          "w4-equalize-equalize",
                          "w4-awq-bias",
                          "w4-bias-gptq",
                          "w4a8-equalize-g32",
                          "fp32-bias",
                          "w8a8-outlier-bias",
                          "w8a8-outlier-equalize",
                          "w8a8-static-bias-watch",
                          "w8a8-static-watch-bias",
                          "w8a8-static-rotate-equalize",
                          "w8a8-static-search",
                          "w8a8-static-smooth-search-rotate",
                          "w4-affine-affine",
                          "w4-tensor-awq",
                          "w4-smooth",
                          "w5a8",
                          "w1a8",
                          "w4a8-g48",
                          "w4a8-g32-awq",
                          "w4a8-dynamic",
                          "fp32-g32",
                          "w8a8",
                          "w8a8-",
                          "w8a8-static-token",
                          "w8a8-dynamic-mse",
                          "w8a8-static-p99",
                          "w8a8-static-mse-kl",
                          "w8a8-dynamic-watch",
                          "w8a8-channel",
                          "w8a8-outlier-smooth",
                          "w8,",
                          ",w8",
                          "w8,,f16",
                          "w8a8-static-smooth-rotate",
                          "kv8",
                          "attn8",
                          "fp32-kv4",
                          "fp32-kv8-attn8",
                          "fp32-attn8-attn8",
                          "w8a8-dynamic-attn8-token",
                          "w8-kv8-gptq",
                          "head8",
                          "w8-head8-kv8",
                          "w8-head8-head8",
                          "w8-head4-head8",
                          "w8-head4-attn8",
                          "w8-head2",
                          "head4",
                          "w8a8-attn8"}) {
    INFO(bad);
    const auto text = test::rejection([&] { return parse_schemes(bad); });
    CHECK(test::contains(text, "--schemes: "));
    CHECK(test::contains(text, "is not a scheme; expected fp32, f16, bf16, wB[-tensor|"));
  }
}
