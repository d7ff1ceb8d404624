// The backward pass of the float transformer: how a window's loss changes with the output of every
// replaceable linear layer. No gradients of weights.
//
//   loss = sum over scored positions of -log p(label),   d loss / d logits = p - onehot(label)
//
// Several sets of labels share one forward pass: their gradients are stacked, R sets of T tokens,
// row r * T + t, and go back through the same matrix products.
#pragma once

#include <lab/models/recording.hpp>
#include <lab/models/transformer.hpp>

#include <functional>

namespace lab {

/// One window's forward pass, with what the backward pass reads.
class tape {
 public:
  /// Runs the float layers; model and ids (as check_window() wants them) have to stay. Throws
  /// input_error for a Llama: RMSNorm, rotary positions, shared keys and gates have no way back here.
  tape(const transformer& model, std::span<const std::uint32_t> ids);

  /// Of layer i of transformer::linears(): [T, in] and [T, out].
  [[nodiscard]] zeropoint::matrix_view<const float> input(std::size_t i) const {
    return inputs_[i].view();
  }
  [[nodiscard]] zeropoint::matrix_view<const float> output(std::size_t i) const {
    return outputs_[i].view();
  }

  /// Gradients [(1 + samples) * T, E] in the input of the head, of the loss of the window's last
  /// `scored` tokens: first with the text's own labels, then with labels that are drawn from the
  /// model's distribution at each position, independently, by a generator with this seed.
  [[nodiscard]] matrix loss_gradients(std::size_t scored, std::size_t samples,
                                      std::uint64_t seed) const;

  /// gradient [R * T, out] in the output of layer i; the view ends with the call.
  using visitor = std::function<void(std::size_t i, zeropoint::matrix_view<const float> gradient)>;
  /// From gradients [R * T, E] in the input of the head to those of all layers, the last layer first.
  void backward(zeropoint::matrix_view<const float> d_hidden, const visitor& visit) const;

 private:
  struct stack;

  void keep_norm_inputs(workspace& w);
  void norm_before(const norm& n, std::size_t which, zeropoint::matrix_view<float> g) const;
  void join(const norm& n, std::size_t which, stack& g) const;
  void backward_mlp(std::size_t layer, std::size_t fc1, stack& g, const visitor& visit) const;
  void backward_attention(std::size_t layer, std::size_t first, stack& g,
                          const visitor& visit) const;

  const transformer* model_;
  std::span<const std::uint32_t> ids_;
  std::vector<matrix> inputs_, outputs_;
  std::vector<matrix> norm_inputs_;  ///< per block attention_norm, mlp_norm; then the final norm
  matrix hidden_;                    ///< [T, E]
};

}  // namespace lab
