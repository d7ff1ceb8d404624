// Which layers share a norm, and folding its factors.
#include <lab/models/norm_readers.hpp>
#include <lab/models/parallel.hpp>
#include <lab/models/smooth.hpp>
#include <zeropoint/nn/smooth.hpp>

namespace lab {

namespace {

using zeropoint::axis;

std::vector<zeropoint::linear_weight> weights_of(const norm_readers& r) {
  std::vector<zeropoint::linear_weight> weights;
  for (const dense* d : r.layers) weights.push_back({d->view()});
  return weights;
}

void smooth(const norm_readers& r, std::span<const float> absmax, double alpha) {
  const auto weights = weights_of(r);
  const auto most = zeropoint::input_absmax(std::span<const zeropoint::linear_weight>(weights));
  const auto s = zeropoint::smoothing_factors(absmax, most, {.alpha = alpha});
  zeropoint::divide_channels(std::span(r.before->gain), s.factors);
  if (!r.before->bias.empty()) zeropoint::divide_channels(std::span(r.before->bias), s.factors);
  for (dense* d : r.layers) {
    zeropoint::multiply_channels({d->weight.data(), d->out, d->in}, axis::columns, s.factors);
  }
}

void require_layers(const transformer& model, std::size_t calibrated) {
  ZP_REQUIRE(calibrated == model.linears().size(), "smoothing: calibration of ", calibrated,
             " layers, the model has ", model.linears().size());
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
                     std::span<const double> alphas) {
  require_smoothable(model);
  require_layers(model, channel_absmax.size());
  const auto readers = readers_of_norms(model);
  ZP_REQUIRE(alphas.size() == readers.size(), "smoothing: ", alphas.size(), " alphas for ",
             readers.size(), " norms");
  for (std::size_t i = 0; i < readers.size(); ++i) {
    smooth(readers[i], channel_absmax[readers[i].index], alphas[i]);
  }
}

void apply_smoothing(transformer& model, const std::vector<std::vector<float>>& channel_absmax,
                     double alpha) {
  const std::vector<double> alphas(2 * model.blocks.size(), alpha);
  apply_smoothing(model, channel_absmax, alphas);
}

std::vector<double> search_alphas(const transformer& model,
                                  const std::vector<std::vector<float>>& channel_absmax,
                                  std::span<const matrix> inputs, std::size_t threads) {
  require_layers(model, channel_absmax.size());
  require_layers(model, inputs.size());
  transformer copy = model;  // readers_of_norms() hands out what may be changed
  const auto readers = readers_of_norms(copy);
  std::vector<double> alphas(readers.size());
  parallel_for(threads, readers.size(), [&](std::size_t i) {
    const auto weights = weights_of(readers[i]);
    const std::size_t l = readers[i].index;
    alphas[i] = zeropoint::search_alpha(inputs[l].view(), channel_absmax[l],
                                        std::span<const zeropoint::linear_weight>(weights))
                    .alpha;
  });
  return alphas;
}

}  // namespace lab
