// Collects the layers of a scheme, one per linear layer of the model, and counts their bytes.
#pragma once

#include <lab/experiments/perplexity.hpp>
#include <lab/experiments/quantized_linear.hpp>
#include <lab/experiments/scheme_name.hpp>
#include <lab/models/load.hpp>

#include <memory>
#include <utility>

namespace lab {

/// How a dynamic scheme's layers quantize their inputs.
[[nodiscard]] inline zeropoint::dynamic_linear_options dynamic_options(const scheme_name& name) {
  zeropoint::dynamic_linear_options options;
  if (!name.per_token) options.tokens = zeropoint::per_tensor;
  return options;
}

/// Reads a model, whose weights the taker hears of.
using weight_stream = std::function<void(const weight_taker& taker)>;

class scheme_builder {
 public:
  /// The model must stay while this lives. With a stream, layers are made as it reads the model, whose
  /// float weights go at once where the scheme has its own; else of the model as it is.
  scheme_builder(const scheme_name& name, const transformer& model, weight_stream stream = {})
      : model_(model), kind_(name.head), corrected_(name.corrected), stream_(std::move(stream)) {
    result_.name = name.text;
    result_.attention = name.attention;
  }

  template <class Layer>
  scheme_layers floats(std::size_t bytes_per_weight) {
    each([&](std::size_t, const dense& d) {
      const std::size_t bytes = d.weight.size() * bytes_per_weight;
      add(d, std::make_unique<Layer>(d), bytes, bytes);
    });
    return take();
  }

  /// make(i, dense) gives layer i, a layer of the library.
  template <class Make>
  scheme_layers quantized(Make&& make) {
    each([&](std::size_t i, const dense& d) {
      using layer = quantized_linear<decltype(make(i, d))>;
      place(d, std::make_unique<const layer>(make(i, d)));
    });
    return take();
  }
  template <class Layer>
  void place(const dense& d, std::unique_ptr<const Layer> layer) {
    const std::size_t stored = layer->stored_bytes(), memory = layer->memory_bytes();
    add(d, std::move(layer), stored, memory);
  }
  scheme_layers take() {
    if (!stream_) set_head(model_);
    return std::move(result_);
  }

 private:
  /// f(i, dense) for every layer, in order.
  template <class F>
  void each(F&& f) {
    std::size_t next = 0;
    if (!stream_) {
      for (const dense* d : model_.linears()) f(next++, *d);
      return;
    }
    weight_taker taker;
    taker.tables = [&](transformer& m) {
      set_head(m);
      release_tables(m);
    };
    taker.layer = [&](dense& d) {
      f(next++, d);
      d.weight = std::vector<float>();  // {} would keep the memory
    };
    stream_(taker);
  }
  /// A head of integers needs no floats, and what is no head is only looked up.
  void release_tables(transformer& m) const {
    const bool own = !m.head.empty();
    if (result_.head) m.head = std::vector<float>();
    if (!own && !result_.head) return;
    m.short_embedding = short_table::of(m.embedding);
    if (m.short_embedding) m.embedding = std::vector<float>();
  }
  void set_head(const transformer& m) {
    const std::size_t vocab = m.config.vocab, width = m.config.embed_width;
    const std::vector<float>& head = m.head.empty() ? m.embedding : m.head;
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
    const std::size_t bias = (corrected_ ? d.out : d.bias.size()) * sizeof(float);
    result_.layers.push_back(std::move(layer));
    result_.layer_bytes.push_back(stored + bias);
    result_.stored_bytes += stored + bias;
    result_.memory_bytes += memory + bias;
  }

  const transformer& model_;
  head_kind kind_;
  bool corrected_;
  weight_stream stream_;
  scheme_layers result_;
};

}  // namespace lab
