// Collects the layers of a scheme, one per linear layer of the model, and counts their bytes.
#pragma once

#include <lab/experiments/perplexity.hpp>
#include <lab/experiments/quantized_linear.hpp>
#include <lab/experiments/scheme_name.hpp>

#include <memory>
#include <utility>

namespace lab {

/// How a dynamic scheme's layers quantize their inputs.
[[nodiscard]] inline zeropoint::dynamic_linear_options dynamic_options(const scheme_name& name) {
  zeropoint::dynamic_linear_options options;
  if (!name.per_token) options.tokens = zeropoint::per_tensor;
  return options;
}

class scheme_builder {
 public:
  /// The model must stay while this lives.
  scheme_builder(const scheme_name& name, const transformer& model)
      : model_(model), kind_(name.head), linears_(model.linears()) {
    result_.name = name.text;
    result_.attention = name.attention;
  }

  template <class Layer>
  scheme_layers floats(std::size_t bytes_per_weight) {
    for (const dense* d : linears_) {
      const std::size_t bytes = d->weight.size() * bytes_per_weight;
      add(*d, std::make_unique<Layer>(*d), bytes, bytes);
    }
    return take();
  }

  /// make(i, dense) gives layer i, a layer of the library.
  template <class Make>
  scheme_layers quantized(Make&& make) {
    for (std::size_t i = 0; i < linears_.size(); ++i) {
      using layer = quantized_linear<decltype(make(i, *linears_[i]))>;
      place(*linears_[i], std::make_unique<const layer>(make(i, *linears_[i])));
    }
    return take();
  }
  template <class Layer>
  void place(const dense& d, std::unique_ptr<const Layer> layer) {
    const std::size_t stored = layer->stored_bytes(), memory = layer->memory_bytes();
    add(d, std::move(layer), stored, memory);
  }
  scheme_layers take() {
    set_head();
    return std::move(result_);
  }

 private:
  void set_head() {
    const std::size_t vocab = model_.config.vocab, width = model_.config.embed_width;
    const std::vector<float>& head = model_.head.empty() ? model_.embedding : model_.head;
    result_.head_memory_bytes = vocab * width * sizeof(float);
    const zeropoint::linear_weight w{{head.data(), vocab, width}};
    if (kind_ == head_kind::int8) place_head(zeropoint::weight_only_linear(w));
    if (kind_ == head_kind::int4) place_head(zeropoint::int4_linear(w));
  }
  template <class Layer>
  void place_head(Layer layer) {
    auto made = std::make_unique<const quantized_linear<Layer>>(std::move(layer));
    result_.head_memory_bytes = made->memory_bytes();
    result_.head = std::move(made);
  }
  void add(const dense& d, std::unique_ptr<const linear> layer, std::size_t stored,
           std::size_t memory) {
    const std::size_t bias = d.bias.size() * sizeof(float);
    result_.layers.push_back(std::move(layer));
    result_.layer_bytes.push_back(stored + bias);
    result_.stored_bytes += stored + bias;
    result_.memory_bytes += memory + bias;
  }

  const transformer& model_;
  head_kind kind_;
  std::vector<const dense*> linears_;
  scheme_layers result_;
};

}  // namespace lab
