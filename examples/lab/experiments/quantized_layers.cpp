// Between the layers of a scheme and what a file holds of them.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/scheme_builder.hpp>

namespace lab {

void require_storable(const scheme_name& s) {
  const bool coded = s.kind == arithmetic::weight_only || s.kind == arithmetic::int4 ||
                     s.kind == arithmetic::dynamic || s.kind == arithmetic::calibrated;
  const char* why = !coded                           ? "it has no integer weights of one grid"
                    : s.method == weight_method::awq ? "AWQ scales the inputs"
                    : s.cure != activation_cure::none
                        ? "-smooth, -rotate and -equalize change the model"
                    : s.corrected ? "-bias changes the biases"
                    : s.watched   ? "-watch changes while it runs"
                                  : nullptr;
  if (why == nullptr) return;
  throw input_error(s.text + " cannot be written as a checkpoint: " + why +
                    "; expected w2 to w8 or w2a8 to w4a8 [-tensor|-channel|-gN] [-affine] "
                    "[-gptq|-adaround], w8a8-dynamic[-token] or w8a8-static[-p99.9|-mse|-kl]");
}

zeropoint::block_shape block_of(const scheme_name& s, std::size_t out, std::size_t in) {
  return s.granularity.visit([&](const auto& g) -> zeropoint::block_shape {
    using granularity = std::decay_t<decltype(g)>;
    if constexpr (std::is_same_v<granularity, zeropoint::per_group>) return {1, g.size};
    if constexpr (std::is_same_v<granularity, zeropoint::per_tensor_t>) return {out, in};
    return {1, in};
  });
}

std::vector<std::uint64_t> scales_shape(const scheme_name& s, std::size_t out, std::size_t in) {
  const zeropoint::block_shape block = block_of(s, out, in);
  const std::uint64_t down = (out - 1) / block.rows + 1, across = (in - 1) / block.cols + 1;
  if (s.granularity.is_grouped()) return {down, across};
  return {down};
}

std::vector<quantized_layer> quantized_layers(const scheme_name& s, const scheme_layers& made,
                                              const transformer& model, const calibration& seen) {
  const auto linears = model.linears();
  std::vector<quantized_layer> result;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    auto codes = made.layers[i]->weight_codes(block_of(s, linears[i]->out, linears[i]->in));
    ZP_REQUIRE(codes.has_value(), "quantized_layers: ", linears[i]->name, " has no codes");
    result.push_back({std::move(*codes), {}});
    if (s.kind == arithmetic::calibrated) result.back().inputs = seen.ranges[i].of(s.range);
  }
  return result;
}

scheme_layers restore_scheme(const scheme_name& s, const transformer& model,
                             std::span<const quantized_layer> layers) {
  using namespace zeropoint;
  ZP_REQUIRE(layers.size() == model.linears().size(), "restore_scheme: ", layers.size(),
             " layers, the model has ", model.linears().size());
  const auto weight = [&](std::size_t i, const dense& d) {
    quantization_statistics unknown;  // what quantizing cost is not stored
    unknown.count = d.out * d.in;
    return quantized_weight(layers[i].codes, unknown);
  };
  scheme_builder b(s, model);
  switch (s.kind) {
    case arithmetic::weight_only:
      return b.quantized(
          [&](std::size_t i, const dense& d) { return weight_only_linear(weight(i, d), d.bias); });
    case arithmetic::int4:
      return b.quantized(
          [&](std::size_t i, const dense& d) { return int4_linear(weight(i, d), d.bias); });
    case arithmetic::dynamic:
      return b.quantized([&](std::size_t i, const dense& d) {
        return dynamic_linear(weight(i, d), d.bias, dynamic_options(s));
      });
    default:
      return b.quantized([&](std::size_t i, const dense& d) {
        static_linear_options options;
        options.activations = layers[i].input_grid;
        return static_linear(weight(i, d), d.bias, layers[i].inputs, options);
      });
  }
}

}  // namespace lab
