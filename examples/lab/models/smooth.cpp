// Which layers share a norm, and folding its factors.
#include <lab/models/smooth.hpp>
#include <zeropoint/nn/smooth.hpp>

namespace lab {

namespace {

using zeropoint::axis;

void fold(norm& before, std::span<dense* const> layers, std::span<const float> absmax,
          double alpha) {
  std::vector<zeropoint::linear_weight> weights;
  for (const dense* d : layers) weights.push_back({d->view()});
  const auto most = zeropoint::input_absmax(std::span<const zeropoint::linear_weight>(weights));
  const auto s = zeropoint::smoothing_factors(absmax, most, {.alpha = alpha});
  zeropoint::divide_channels(std::span(before.gain), s.factors);
  zeropoint::divide_channels(std::span(before.bias), s.factors);
  for (dense* d : layers) {
    zeropoint::multiply_channels({d->weight.data(), d->out, d->in}, axis::columns, s.factors);
  }
}

}  // namespace

void require_smoothable(const transformer& model) {
  if (!model.config.pre_norm) {
    throw input_error(
        "smoothing: this model is post-norm (do_layer_norm_before is false): its norms also feed "
        "the residual stream, so dividing them would change the function");
  }
  if (!model.config.norm_affine) {
    throw input_error("smoothing: this model's norms have no gain to fold the factors into");
  }
}

void apply_smoothing(transformer& model, const std::vector<std::vector<float>>& channel_absmax,
                     double alpha) {
  require_smoothable(model);
  ZP_REQUIRE(channel_absmax.size() == model.linears().size(), "smoothing: calibration of ",
             channel_absmax.size(), " layers, the model has ", model.linears().size());
  std::size_t next = 0;  // in the order of linears()
  for (block& b : model.blocks) {
    std::vector<dense*> qkv;
    for (dense& d : b.qkv) qkv.push_back(&d);
    fold(b.attention_norm, qkv, channel_absmax[next], alpha);  // q, k and v see the same input
    next += qkv.size() + 1;
    dense* const fc1[] = {&b.fc1};
    fold(b.mlp_norm, fc1, channel_absmax[next], alpha);
    next += 2;
  }
}

}  // namespace lab
