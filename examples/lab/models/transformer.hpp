// The one transformer that GPT-2, OPT and Llama checkpoints load into:
//
//   ids -> embedding (-> project_in) + positions -> blocks -> final norm (-> project_out) -> head
//
//   pre-norm block            x += out(attention(qkv(norm(x))));  x += mlp(norm(x))
//   post-norm (OPT-350m)      x = norm(x + out(attention(qkv(x)))); x = norm(x + mlp(x))
//
//   mlp(x) = fc2(act(fc1(x))), in Llama fc2(act(gate(x)) * fc1(x)). Llama's positions are rotary: they
//   turn q and k (rotary.hpp), nothing is added to the embedding.
//
// B windows, T tokens, C width, V vocabulary. Linear layers of the blocks are replaceable, attention
// can be in int8 (attention.hpp); embedding and norms are always float. The
// head here is float; that of a scheme is scheme_layers::head (experiments/perplexity.hpp).
#pragma once

#include <lab/models/kv_store.hpp>
#include <lab/models/linear.hpp>
#include <lab/models/short_table.hpp>
#include <lab/models/stage_times.hpp>
#include <zeropoint/base/aligned_buffer.hpp>

#include <optional>
#include <span>

namespace lab {

/// Gain and bias [C]; both empty in a norm without them, the bias in an RMSNorm.
struct norm {
  std::vector<float> gain, bias;
};

struct block {
  norm attention_norm, mlp_norm;
  /// What makes q | k | v: GPT-2's one fused layer, or q_proj, k_proj, v_proj.
  std::vector<dense> qkv;
  dense attention_out;
  std::optional<dense> gate;  ///< Llama's gate_proj; its up_proj is fc1, its down_proj fc2
  dense fc1, fc2;
};

struct transformer {
  model_config config;
  std::vector<float> embedding;                ///< [V, E], E = embed_width
  std::optional<short_table> short_embedding;  ///< in its place, where nothing but embed() reads it
  std::vector<float> positions;                ///< [positions + position_offset, C], or empty
  std::optional<dense> project_in, project_out;  ///< E -> C, C -> E, when E != C
  std::vector<block> blocks;
  std::optional<norm> final_norm;
  std::vector<float> head;  ///< [V, E]; empty when tied to the embedding

  /// The replaceable layers in the order of computation: per block qkv, attention_out, (gate,)
  /// fc1, fc2.
  [[nodiscard]] std::vector<const dense*> linears() const;
  [[nodiscard]] std::size_t parameters() const;
  /// Parameters of linears(): what a scheme can shrink.
  [[nodiscard]] std::size_t linear_parameters() const;
};

/// Of one block, in that order.
[[nodiscard]] std::vector<dense*> linears_of(block& b);

/// float_linear for each of model.linears().
[[nodiscard]] linear_set float_linears(const transformer& model);

/// Scratch memory of one thread, for windows of up to `tokens` tokens; reused from call to call.
struct workspace {
  workspace(const model_config& config, std::size_t tokens);
  void make_resident() noexcept;
  zeropoint::aligned_buffer<float> x, h, qkv, mixed, inner, gate, scratch, rotary;
};

/// What goes into the first block, x [T, C] without stride: tokens (through project_in) and
/// positions, those from `first` on. ids as check_window() wants them; overwrites w.h.
void embed(const transformer& model, std::span<const std::uint32_t> ids, workspace& w,
           zeropoint::matrix_view<float> x, std::size_t first = 0);

/// One window through embedding, blocks and final norm (and project_out): hidden [T, E], the input
/// of the head. T = ids.size() is 1..positions; ids are checked against the vocabulary. Runs on the
/// calling thread; equal inputs give equal bits, whatever runs beside it.
void forward(const transformer& model, const linear_set& layers, std::span<const std::uint32_t> ids,
             workspace& w, zeropoint::matrix_view<float> hidden,
             attention_kind attention = attention_kind::floats);

/// The next T tokens of a text whose earlier ones are in `past`, which takes them in: hidden [T, E].
/// T + past.tokens() is at most its capacity and the model's positions. On threads, whose number
/// changes no bit. Adds to `times`, when given, where the time went.
void extend(const transformer& model, const linear_set& layers, std::span<const std::uint32_t> ids,
            workspace& w, key_value_store& past, std::size_t threads,
            zeropoint::matrix_view<float> hidden, stage_times* times = nullptr);

/// logits [rows, V] = hidden [rows, E] * head^T, the same bits for a row whichever the others are:
/// callers take `head_block` rows at a time to bound what V columns take.
void apply_head(const transformer& model, zeropoint::matrix_view<const float> hidden,
                zeropoint::matrix_view<float> logits);
inline constexpr std::size_t head_block = 128;
/// The same on threads, whose number changes no bit.
void apply_head_on(std::size_t threads, const transformer& model,
                   zeropoint::matrix_view<const float> hidden,
                   zeropoint::matrix_view<float> logits);

/// Throws input_error unless 1 <= ids.size() <= positions and every id is below V.
void check_window(const transformer& model, std::span<const std::uint32_t> ids);

}  // namespace lab
