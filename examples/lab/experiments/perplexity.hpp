// Loss and perplexity of a model under several schemes, token by token beside float32.
//
//   loss   mean of -log p(token) in nats        delta  mean over the same tokens of (loss - fp32 loss)
//   KL     mean of sum p log(p / q), p fp32     top-1  share of positions whose likeliest token is fp32's
//
// Windows are measured in batches; a batch goes through every scheme before the next begins, and the
// float logits of a position are computed once for all of them.
#pragma once

#include <lab/experiments/protocol.hpp>
#include <lab/models/transformer.hpp>

#include <functional>

namespace lab {

/// One way to compute the linear layers and attention; made by schemes.hpp.
struct scheme_layers {
  std::string name;
  linear_set layers;
  attention_kind attention = attention_kind::floats;
  std::unique_ptr<const linear> head;   ///< [V, E] in the place of the model's; null: that in float
  std::uint64_t head_memory_bytes = 0;  ///< of the weights that `head`, or the float head, reads
  /// The form of the model that the layers belong to: one whose norms a cure has changed, or that of
  /// a quantized checkpoint; null: the model as it is.
  std::shared_ptr<const transformer> model;
  std::uint64_t stored_bytes = 0;  ///< the linear layers' weights, scales and biases in a file
  std::uint64_t memory_bytes = 0;  ///< the same as they lie in memory
  std::vector<std::uint64_t> layer_bytes;  ///< stored_bytes by layer
  /// Layers change with what they see (watched ones): windows have to come one by one, in order.
  bool ordered = false;

  [[nodiscard]] const transformer& form_of(const transformer& natural) const noexcept {
    return model ? *model : natural;
  }
};

/// apply_head() and apply_head_on() of transformer.hpp, with the head of the scheme if it has one.
void apply_head(const transformer& model, const scheme_layers& scheme,
                zeropoint::matrix_view<const float> hidden, zeropoint::matrix_view<float> logits);
void apply_head_on(std::size_t threads, const transformer& model, const scheme_layers& scheme,
                   zeropoint::matrix_view<const float> hidden,
                   zeropoint::matrix_view<float> logits);

/// A row of the table.
struct measurement {
  std::string model, variant, scheme;
  double loss = 0;   ///< nats per token
  double delta = 0;  ///< loss - loss of fp32
  /// Standard error of delta from the differences of window means: tokens of a window are
  /// correlated, windows are taken as independent. NaN with fewer than two windows.
  double delta_se = 0;
  double ppl = 0;                  ///< exp(loss)
  double kl = 0;                   ///< nats per token
  double top1 = 0;                 ///< 0..1
  double clipped = 0;              ///< share of the quantized activations outside their grid, 0..1
  std::uint64_t weight_bytes = 0;  ///< scheme_layers::stored_bytes
  std::uint64_t weight_bytes_memory = 0;  ///< scheme_layers::memory_bytes
  std::size_t tokens = 0;                 ///< scored
  std::size_t demoted = 0;                ///< watched layers that gave up their calibrated range
  /// Wall time of the blocks under this scheme, plus this scheme's share of head and metrics: their
  /// time over all threads divided by the number of threads.
  double seconds = 0;
};

/// Measures every scheme; schemes[0] is the float32 reference. `windows` index into `ids`, all ids
/// below the vocabulary. No number but `seconds` depends on `threads`. `report`, when given, hears how
/// many of windows * schemes are done.
[[nodiscard]] std::vector<measurement> measure(const transformer& model,
                                               const std::vector<scheme_layers>& schemes,
                                               std::span<const std::uint32_t> ids,
                                               std::span<const window> windows, std::size_t threads,
                                               const std::function<void(std::size_t)>& report = {});

/// Sums over the scored tokens of one window.
struct window_sums {
  double loss = 0, reference_loss = 0, kl = 0;
  std::size_t tokens = 0, agreeing = 0;
  window_sums& operator+=(const window_sums& o);
};

/// Folds windows, in order, into loss, delta, delta_se, ppl, kl, top1 and tokens.
[[nodiscard]] measurement summarise(std::span<const window_sums> windows);

}  // namespace lab
