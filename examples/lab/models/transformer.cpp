// The forward pass: plain loops over the float kernels and the replaceable linear layers.
#include <lab/io/memory.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/parallel.hpp>
#include <lab/models/rotary.hpp>
#include <lab/models/row_stages.hpp>
#include <lab/models/transformer.hpp>

#include <algorithm>

namespace lab {

using zeropoint::matrix_view;

namespace {

/// y = mlp(x); y may be x. apply(in, out) is the next linear layer.
template <class Apply>
void apply_mlp(const model_config& c, workspace& w, std::size_t threads, matrix_view<const float> x,
               matrix_view<float> y, stage_clock& time, Apply&& apply) {
  const matrix_view<float> inner(w.inner.data(), x.rows(), c.ffn);
  if (c.gated) {
    const matrix_view<float> gate(w.gate.data(), x.rows(), c.ffn);
    apply(x, gate);
    apply(x, inner);
    activate(c.act, threads, gate, inner);
  } else {
    apply(x, inner);
    activate(c.act, threads, inner);
  }
  time.lap(&stage_times::activation);
  apply(inner, y);
}

/// From the residual stream x to the input of the head; overwrites h.
void finish(const transformer& m, std::size_t threads, matrix_view<float> x, matrix_view<float> h,
            matrix_view<float> hidden) {
  const matrix_view<float> last = m.project_out ? h : hidden;
  if (m.final_norm) {
    normalise(m.config, *m.final_norm, threads, x, last);
  } else {
    for (std::size_t t = 0; t < x.rows(); ++t) {
      std::copy_n(x.row(t).data(), x.cols(), last.row(t).data());
    }
  }
  if (m.project_out) multiply(*m.project_out, m.project_out->weight.data(), last, hidden);
}

}  // namespace

void multiply(const dense& d, const float* weight, matrix_view<const float> x,
              matrix_view<float> y) {
  multiply_on(1, d.out, weight, d.bias.empty() ? nullptr : d.bias.data(), x, y);
}

void multiply_on(std::size_t threads, std::size_t out, const float* weight, const float* bias,
                 matrix_view<const float> x, matrix_view<float> y) {
  if (out == 0) return;
  // Columns of a task: multiples of every panel's width, and two tasks per thread, so that one that
  // was held up leaves the other to its neighbours.
  constexpr std::size_t step = 32;
  const std::size_t tasks = threads <= 1 ? 1 : 2 * threads, in = x.cols();
  const std::size_t block = ((out + tasks - 1) / tasks + step - 1) / step * step;
  parallel_for(threads, (out + block - 1) / block, [&](std::size_t i) {
    const std::size_t first = i * block, columns = std::min(block, out - first);
    best_float_kernels().multiply_nt(
        x.rows(), columns, in, x.data(), x.stride(), weight + first * in, in,
        bias == nullptr ? nullptr : bias + first, y.data() + first, y.stride());
  });
}

void float_linear::apply_on(std::size_t threads, matrix_view<const float> x,
                            matrix_view<float> y) const {
  const dense& d = *weights_;
  multiply_on(threads, d.out, d.weight.data(), d.bias.empty() ? nullptr : d.bias.data(), x, y);
}

void float_linear::apply(matrix_view<const float> x, matrix_view<float> y) const {
  multiply(*weights_, weights_->weight.data(), x, y);
}

namespace {

template <class Dense, class Block>
void append_linears(std::vector<Dense*>& all, Block& b) {
  for (Dense& d : b.qkv) all.push_back(&d);
  all.push_back(&b.attention_out);
  if (b.gate) all.push_back(&*b.gate);
  all.insert(all.end(), {&b.fc1, &b.fc2});
}

}  // namespace

std::vector<const dense*> transformer::linears() const {
  std::vector<const dense*> all;
  for (const block& b : blocks) append_linears(all, b);
  return all;
}

std::vector<dense*> linears_of(block& b) {
  std::vector<dense*> all;
  append_linears(all, b);
  return all;
}

std::size_t transformer::linear_parameters() const {
  std::size_t n = 0;
  for (const dense* d : linears()) n += d->weight.size() + d->bias.size();
  return n;
}

std::size_t transformer::parameters() const {
  std::size_t n = linear_parameters() + embedding.size() + positions.size() + head.size();
  if (short_embedding) n += short_embedding->size();
  for (const auto* p : {&project_in, &project_out}) {
    if (*p) n += (*p)->weight.size() + (*p)->bias.size();
  }
  for (const block& b : blocks) {
    n += b.attention_norm.gain.size() + b.attention_norm.bias.size();
    n += b.mlp_norm.gain.size() + b.mlp_norm.bias.size();
  }
  return n + (final_norm ? final_norm->gain.size() + final_norm->bias.size() : 0);
}

linear_set float_linears(const transformer& model) {
  linear_set all;
  for (const dense* d : model.linears()) all.push_back(std::make_unique<float_linear>(*d));
  return all;
}

workspace::workspace(const model_config& c, std::size_t tokens)
    : x(tokens * c.width),
      h(tokens * std::max(c.width, c.embed_width)),
      qkv(tokens * c.qkv_width()),
      mixed(tokens * c.q_width()),
      inner(tokens * c.ffn),
      gate(c.gated ? tokens * c.ffn : 0),
      scratch(attention_scratch(tokens, tokens, c.head_width)),
      rotary(c.rotary() ? tokens * c.head_width : 0) {}

void workspace::make_resident() noexcept {
  for (zeropoint::aligned_buffer<float>* b :
       {&x, &h, &qkv, &mixed, &inner, &gate, &scratch, &rotary}) {
    lab::make_resident(std::as_writable_bytes(b->span()));
  }
}

void check_window(const transformer& model, std::span<const std::uint32_t> ids) {
  if (ids.empty() || ids.size() > model.config.positions) {
    throw input_error("a window of " + std::to_string(ids.size()) +
                      " tokens: this model takes 1 to " + std::to_string(model.config.positions));
  }
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] >= model.config.vocab) {
      throw input_error("token " + std::to_string(t) + " has id " + std::to_string(ids[t]) +
                        ": this model has " + std::to_string(model.config.vocab) + " tokens");
    }
  }
}

void embed(const transformer& m, std::span<const std::uint32_t> ids, workspace& w,
           matrix_view<float> x, std::size_t first) {
  const model_config& c = m.config;
  const std::size_t T = ids.size(), E = c.embed_width;
  const matrix_view<float> tokens = m.project_in ? matrix_view<float>(w.h.data(), T, E) : x;
  for (std::size_t t = 0; t < T; ++t) {
    if (m.short_embedding) {
      m.short_embedding->read(ids[t] * E, tokens.row(t));
    } else {
      std::copy_n(m.embedding.data() + ids[t] * E, E, tokens.row(t).data());
    }
  }
  if (m.project_in) multiply(*m.project_in, m.project_in->weight.data(), tokens, x);
  if (m.positions.empty()) return;
  best_float_kernels().add(T * c.width, m.positions.data() + (first + c.position_offset) * c.width,
                           x.data());
}

namespace {

/// Tokens from position `first` on through all blocks: hidden from ids. apply(layer, in, out) is a
/// linear layer, mix(block, qkv, mixed) attention.
template <class Apply, class Mix>
void run(const transformer& m, const linear_set& layers, std::span<const std::uint32_t> ids,
         std::size_t first, workspace& w, std::size_t threads, matrix_view<float> hidden,
         stage_times* times, Apply&& apply, Mix&& mix) {
  stage_clock time(times);
  const model_config& c = m.config;
  const std::size_t T = ids.size(), C = c.width, Q = c.qkv_width();
  ZP_REQUIRE(hidden.rows() == T && hidden.cols() == c.embed_width, "forward: hidden is ",
             hidden.rows(), " x ", hidden.cols(), ", expected ", T, " x ", c.embed_width);
  ZP_REQUIRE(w.x.size() >= T * C, "forward: workspace for ", w.x.size() / C, " tokens, window of ",
             T);
  const matrix_view<float> x(w.x.data(), T, C), h(w.h.data(), T, C), qkv(w.qkv.data(), T, Q);
  const matrix_view<float> mixed(w.mixed.data(), T, c.q_width());
  embed(m, ids, w, x, first);
  if (c.rotary()) rotary_table(c, first, {w.rotary.data(), T, c.head_width});
  std::size_t next = 0;
  const auto apply_next = [&](matrix_view<const float> in, matrix_view<float> out) {
    apply(*layers[next++], in, out);
    time.lap(&stage_times::linears);
  };
  if (c.pre_norm && !m.blocks.empty()) normalise(c, m.blocks[0].attention_norm, threads, x, h);
  const matrix_view<float> input = c.pre_norm ? h : x;  // of the next linear layer
  time.lap(&stage_times::others);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const block& b = m.blocks[i];
    std::size_t column = 0;
    for (const dense& d : b.qkv) {
      apply_next(input, {qkv.data() + column, T, d.out, Q});
      column += d.out;
    }
    if (c.rotary()) {
      rotate({w.rotary.data(), T, c.head_width}, {qkv.data(), T, c.q_width() + c.kv_width(), Q});
    }
    time.lap(&stage_times::others);
    mix(i, qkv, mixed);
    time.lap(&stage_times::attention);
    apply_next(mixed, h);
    add_and_normalise(c, c.pre_norm ? &b.mlp_norm : &b.attention_norm, threads, h, x, input);
    time.lap(&stage_times::others);
    apply_mlp(c, w, threads, input, h, time, apply_next);
    const block* next_block = i + 1 < m.blocks.size() ? &m.blocks[i + 1] : nullptr;
    const norm* before_next = next_block == nullptr ? nullptr : &next_block->attention_norm;
    add_and_normalise(c, c.pre_norm ? before_next : &b.mlp_norm, threads, h, x, input);
    time.lap(&stage_times::others);
  }
  finish(m, threads, x, h, hidden);
  time.lap(&stage_times::others);
}

}  // namespace

void forward(const transformer& m, const linear_set& layers, std::span<const std::uint32_t> ids,
             workspace& w, matrix_view<float> hidden, attention_kind attention) {
  check_window(m, ids);
  run(
      m, layers, ids, 0, w, 1, hidden, nullptr,
      [](const linear& layer, matrix_view<const float> in, matrix_view<float> out) {
        layer.apply(in, out);
      },
      [&](std::size_t block, matrix_view<float> qkv, matrix_view<float> mixed) {
        attend(m.config, block, attention, qkv, w.scratch.data(), mixed);
      });
}

void extend(const transformer& m, const linear_set& layers, std::span<const std::uint32_t> ids,
            workspace& w, key_value_store& past, std::size_t threads, matrix_view<float> hidden,
            stage_times* times) {
  check_window(m, ids);
  ZP_REQUIRE(past.tokens() + ids.size() <= m.config.positions, "extend: ", ids.size(),
             " tokens after ", past.tokens(), ", the model has ", m.config.positions, " positions");
  run(
      m, layers, ids, past.tokens(), w, threads, hidden, times,
      [&](const linear& layer, matrix_view<const float> in, matrix_view<float> out) {
        layer.apply_on(threads, in, out);
      },
      [&](std::size_t block, matrix_view<float> qkv, matrix_view<float> mixed) {
        past.attend(block, qkv, threads, mixed);
      });
  past.advance(ids.size());
}

void apply_head(const transformer& m, matrix_view<const float> hidden, matrix_view<float> logits) {
  const float* head = m.head.empty() ? m.embedding.data() : m.head.data();
  best_float_kernels().multiply_nt(hidden.rows(), m.config.vocab, m.config.embed_width,
                                   hidden.data(), hidden.stride(), head, m.config.embed_width,
                                   nullptr, logits.data(), logits.stride());
}

void apply_head_on(std::size_t threads, const transformer& m, matrix_view<const float> hidden,
                   matrix_view<float> logits) {
  const float* head = m.head.empty() ? m.embedding.data() : m.head.data();
  multiply_on(threads, m.config.vocab, head, nullptr, hidden, logits);
}

}  // namespace lab
