// From a scheme's name to objects that compute the linear layers.
#include <lab/experiments/schemes.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/base/float16.hpp>
#include <zeropoint/nn/linear.hpp>

#include <algorithm>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// Weights kept in 16 bits and widened for every window, which costs 1/T of the product.
template <class Half, Half (*Round)(float)>
class rounded_linear final : public linear {
 public:
  explicit rounded_linear(const dense& d) : exact_(&d), weight_(d.weight.size()) {
    std::transform(d.weight.begin(), d.weight.end(), weight_.begin(), Round);
  }
  void apply(matrix_view<const float> x, matrix_view<float> y) const override {
    auto scratch = scratch_.take([&] { return std::vector<float>(weight_.size()); });
    for (std::size_t i = 0; i < weight_.size(); ++i) (*scratch)[i] = to_float(weight_[i]);
    multiply(*exact_, scratch->data(), x, y);
    scratch_.give_back(std::move(scratch));
  }

 private:
  const dense* exact_;  ///< shape and bias
  std::vector<Half> weight_;
  mutable pool<std::vector<float>> scratch_;
};
using f16_linear = rounded_linear<zeropoint::float16, &zeropoint::to_float16>;
using bf16_linear = rounded_linear<zeropoint::bfloat16, &zeropoint::to_bfloat16>;

/// A layer of the library, on the calling thread.
template <class Layer>
class quantized_linear final : public linear {
 public:
  template <class... Arguments>
  explicit quantized_linear(Arguments&&... arguments)
      : layer_(std::forward<Arguments>(arguments)...) {}
  void apply(matrix_view<const float> x, matrix_view<float> y) const override { layer_(x, y); }
  clip_count clips() const override {
    if constexpr (requires { layer_.counts(); }) {
      return {layer_.counts().outside(), layer_.counts().count};
    }
    return {};
  }
  void check(const std::string& name, matrix_view<const float> x,
             zeropoint::parity_checker& checker) const override {
    checker.check(name, layer_, x);
  }
  const Layer& layer() const { return layer_; }

 private:
  Layer layer_;
};

class builder {
 public:
  builder(std::string_view name, const transformer& model) : model_(model) { result_.name = name; }

  template <class Layer>
  scheme_layers floats(std::size_t bytes_per_weight) {
    for (const dense* d : model_.linears()) {
      result_.layers.push_back(std::make_unique<Layer>(*d));
      account(*d, d->weight.size() * bytes_per_weight, d->weight.size() * bytes_per_weight);
    }
    return std::move(result_);
  }

  /// more(i) gives the constructor arguments of layer i behind weight and bias, as a tuple.
  template <class Layer, class More>
  scheme_layers quantized(More&& more) {
    const auto linears = model_.linears();
    for (std::size_t i = 0; i < linears.size(); ++i) {
      const dense& d = *linears[i];
      auto one = std::apply(
          [&](const auto&... m) {
            return std::make_unique<quantized_linear<Layer>>(zeropoint::linear_weight{d.view()},
                                                             std::span<const float>(d.bias), m...);
          },
          more(i));
      account(d, one->layer().stored_bytes(), one->layer().weight_bytes());
      result_.layers.push_back(std::move(one));
    }
    return std::move(result_);
  }

 private:
  void account(const dense& d, std::size_t stored, std::size_t memory) {
    const std::size_t bias = d.bias.size() * sizeof(float);
    result_.stored_bytes += stored + bias;
    result_.memory_bytes += memory + bias;
  }

  const transformer& model_;
  scheme_layers result_;
};

}  // namespace

const std::vector<std::string>& scheme_names() {
  static const std::vector<std::string> names = {"fp32",
                                                 "f16",
                                                 "bf16",
                                                 "w8",
                                                 "w8-tensor",
                                                 "w8a8-dynamic",
                                                 "w8a8-dynamic-token",
                                                 "w8a8-static",
                                                 "w8a8-static-p99.9"};
  return names;
}

std::vector<std::string> parse_schemes(std::string_view list) {
  if (list.empty()) return scheme_names();
  std::vector<std::string> chosen = {"fp32"};
  const auto& known = scheme_names();
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string name(list.substr(begin, end - begin));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string text = "--schemes: " + in_quotes(name) + " is not a scheme; expected some of ";
      for (const std::string& k : known) text += k + (&k == &known.back() ? "" : ",");
      throw input_error(text);
    }
    if (std::find(chosen.begin(), chosen.end(), name) == chosen.end()) chosen.push_back(name);
    begin = end + 1;
  }
  return chosen;
}

bool needs_calibration(std::string_view scheme) {
  return scheme.starts_with("w8a8-static");
}

scheme_layers make_scheme(std::string_view scheme, const transformer& model,
                          const calibration& ranges) {
  using namespace zeropoint;
  builder b(scheme, model);
  const auto fixed = [](const auto& options) {
    return [options](std::size_t) { return std::tuple(options); };
  };
  if (scheme == "fp32") return b.floats<float_linear>(4);
  if (scheme == "f16") return b.floats<f16_linear>(2);
  if (scheme == "bf16") return b.floats<bf16_linear>(2);
  if (scheme == "w8") return b.quantized<weight_only_linear>(fixed(weight_only_options{}));
  if (scheme == "w8-tensor") {
    return b.quantized<weight_only_linear>(fixed(weight_only_options{.granularity = per_tensor}));
  }
  if (scheme == "w8a8-dynamic") {
    return b.quantized<dynamic_linear>(fixed(dynamic_linear_options{.tokens = per_tensor}));
  }
  if (scheme == "w8a8-dynamic-token") {
    return b.quantized<dynamic_linear>(fixed(dynamic_linear_options{.tokens = per_token}));
  }
  ZP_REQUIRE(needs_calibration(scheme), "make_scheme: unknown scheme ", scheme);
  const auto& chosen = scheme == "w8a8-static" ? ranges.min_max : ranges.percentile;
  ZP_REQUIRE(chosen.size() == model.linears().size(), "make_scheme: calibration of ", chosen.size(),
             " layers, the model has ", model.linears().size());
  return b.quantized<static_linear>([&](std::size_t i) { return std::tuple(chosen[i]); });
}

}  // namespace lab
