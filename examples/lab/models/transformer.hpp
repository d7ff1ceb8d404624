// The one transformer that GPT-2 and OPT checkpoints load into:
//
//   ids -> embedding (-> project_in) + positions -> blocks -> final norm (-> project_out) -> head
//
//   pre-norm block            x += out(attention(qkv(norm(x))));  x += fc2(act(fc1(norm(x))))
//   post-norm (OPT-350m)      x = norm(x + out(attention(qkv(x)))); x = norm(x + fc2(act(fc1(x))))
//
// B windows, T tokens, C width, V vocabulary. Linear layers of the blocks are replaceable, attention
// can be in int8 (attention.hpp); embedding, norms and head are always float.
#pragma once

#include <lab/models/attention.hpp>
#include <lab/models/linear.hpp>
#include <zeropoint/base/aligned_buffer.hpp>

#include <optional>
#include <span>

namespace lab {

/// Gain and bias [C]; both empty in a norm without them.
struct norm {
  std::vector<float> gain, bias;
};

struct block {
  norm attention_norm, mlp_norm;
  /// What makes q | k | v, 3C columns: GPT-2's one fused layer, or OPT's q_proj, k_proj, v_proj.
  std::vector<dense> qkv;
  dense attention_out, fc1, fc2;
};

struct transformer {
  model_config config;
  std::vector<float> embedding;                  ///< [V, E], E = embed_width
  std::vector<float> positions;                  ///< [positions + position_offset, C]
  std::optional<dense> project_in, project_out;  ///< E -> C, C -> E, when E != C
  std::vector<block> blocks;
  std::optional<norm> final_norm;
  std::vector<float> head;  ///< [V, E]; empty when tied to the embedding

  /// The replaceable layers in the order of computation: per block qkv, attention_out, fc1, fc2.
  [[nodiscard]] std::vector<const dense*> linears() const;
  [[nodiscard]] std::size_t parameters() const;
  /// Parameters of linears(): what a scheme can shrink.
  [[nodiscard]] std::size_t linear_parameters() const;
};

/// float_linear for each of model.linears().
[[nodiscard]] linear_set float_linears(const transformer& model);

/// Scratch memory of one thread, for windows of up to `tokens` tokens; reused from call to call.
struct workspace {
  workspace(const model_config& config, std::size_t tokens);
  zeropoint::aligned_buffer<float> x, h, qkv, mixed, inner, scores;
};

/// What goes into the first block, x [T, C] without stride: tokens (through project_in) and
/// positions. ids as check_window() wants them; overwrites w.h.
void embed(const transformer& model, std::span<const std::uint32_t> ids, workspace& w,
           zeropoint::matrix_view<float> x);

/// One window through embedding, blocks and final norm (and project_out): hidden [T, E], the input
/// of the head. T = ids.size() is 1..positions; ids are checked against the vocabulary. Runs on the
/// calling thread; equal inputs give equal bits, whatever runs beside it.
void forward(const transformer& model, const linear_set& layers, std::span<const std::uint32_t> ids,
             workspace& w, zeropoint::matrix_view<float> hidden,
             attention_kind attention = attention_kind::floats);

/// logits [rows, V] = hidden [rows, E] * head^T. Callers cut rows into blocks of `head_block` from
/// the window's first row, so that bits do not depend on which rows they want.
void apply_head(const transformer& model, zeropoint::matrix_view<const float> hidden,
                zeropoint::matrix_view<float> logits);
inline constexpr std::size_t head_block = 128;

/// Throws input_error unless 1 <= ids.size() <= positions and every id is below V.
void check_window(const transformer& model, std::span<const std::uint32_t> ids);

}  // namespace lab
