// Each step of the forward pass (transformer.cpp), in reverse order, on R stacked gradients.
#include <lab/models/attention_gradient.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/gradient.hpp>

#include <cmath>
#include <random>

namespace lab {

using zeropoint::aligned_buffer;
using zeropoint::matrix_view;

namespace {

/// dx [rows, in] = dy [rows, out] * W
void multiply_back(const dense& d, matrix_view<const float> dy, float* dx) {
  best_float_kernels().multiply_nn(dy.rows(), d.in, d.out, dy.data(), dy.stride(), d.weight.data(),
                                   d.in, dx, d.in);
}

/// y = n * gain + bias, n = (x - mean) / sigma:  with h = dy * gain,
/// dx = (h - mean(h) - n * mean(h n)) / sigma. g [R * T, C] is dy and becomes dx; x [T, C].
void norm_back(const norm& n, float epsilon, matrix_view<const float> x, matrix_view<float> g) {
  const std::size_t T = x.rows(), C = x.cols();
  const auto width = static_cast<double>(C);
  std::vector<double> normal(C);
  for (std::size_t t = 0; t < T; ++t) {
    double mean = 0, variance = 0;
    for (const float v : x.row(t)) mean += static_cast<double>(v) / width;
    for (std::size_t j = 0; j < C; ++j) {
      normal[j] = static_cast<double>(x(t, j)) - mean;
      variance += normal[j] * normal[j] / width;
    }
    const double scale = 1 / std::sqrt(variance + static_cast<double>(epsilon));
    for (double& v : normal) v *= scale;
    for (std::size_t row = t; row < g.rows(); row += T) {
      float* dy = g.row(row).data();
      double sum = 0, along = 0;
      for (std::size_t j = 0; j < C; ++j) {
        if (!n.gain.empty()) dy[j] *= n.gain[j];
        sum += static_cast<double>(dy[j]) / width;
        along += static_cast<double>(dy[j]) * normal[j] / width;
      }
      for (std::size_t j = 0; j < C; ++j) {
        dy[j] = static_cast<float>((static_cast<double>(dy[j]) - sum - normal[j] * along) * scale);
      }
    }
  }
}

float slope(activation a, float x) {
  switch (a) {
    case activation::relu:
      return x > 0 ? 1.0f : 0.0f;
    case activation::gelu_new: {
      constexpr float c = 0.79788456080286536f;  // sqrt(2 / pi)
      const float t = std::tanh(c * (x + 0.044715f * x * x * x));
      return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * c * (1 + 3 * 0.044715f * x * x);
    }
    case activation::silu: {
      const float s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    case activation::gelu:
      break;
  }
  constexpr float density = 0.39894228040143268f;  // 1 / sqrt(2 pi)
  return 0.5f * (1 + std::erf(x * 0.70710678118654752f)) + x * density * std::exp(-0.5f * x * x);
}

/// g [R * T, C] times the slope at x [T, C].
void activate_back(activation a, matrix_view<const float> x, matrix_view<float> g) {
  for (std::size_t t = 0; t < x.rows(); ++t) {
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const float s = slope(a, x(t, j));
      for (std::size_t row = t; row < g.rows(); row += x.rows()) g(row, j) *= s;
    }
  }
}

void require_differentiable(const model_config& c) {
  if (c.family == model_family::llama) {
    throw input_error("attribution: gradients are of the families gpt2 and opt, this is a llama");
  }
}

/// The label whose share of the cumulated p [V] holds u, 0 <= u < 1.
std::size_t draw(std::span<const float> p, double u) {
  double total = 0;
  for (const float v : p) total += static_cast<double>(v);
  double left = u * total;
  for (std::size_t i = 0; i + 1 < p.size(); ++i) {
    left -= static_cast<double>(p[i]);
    if (left < 0) return i;
  }
  return p.size() - 1;
}

}  // namespace

tape::tape(const transformer& model, std::span<const std::uint32_t> ids)
    : model_(&model), ids_(ids) {
  require_differentiable(model.config);
  const auto linears = model.linears();
  inputs_.resize(linears.size()), outputs_.resize(linears.size());
  linear_set layers;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    layers.push_back(std::make_unique<recorded_linear>(*linears[i], inputs_[i], outputs_[i]));
  }
  const std::size_t T = ids.size(), E = model.config.embed_width;
  workspace w(model.config, T);
  hidden_ = {std::vector<float>(T * E), T, E};
  forward(model, layers, ids, w, {hidden_.values.data(), T, E});
  keep_norm_inputs(w);
}

/// The residual stream in front of every norm: sums of what the layers made.
void tape::keep_norm_inputs(workspace& w) {
  const transformer& m = *model_;
  const std::size_t T = ids_.size(), C = m.config.width;
  matrix x{std::vector<float>(T * C), T, C};
  embed(m, ids_, w, {x.values.data(), T, C});
  const auto add = [&](std::size_t layer) {
    best_float_kernels().add(T * C, outputs_[layer].values.data(), x.values.data());
  };
  std::size_t next = 0;
  for (const block& b : m.blocks) {
    const std::size_t out = next + b.qkv.size(), fc1 = out + 1, fc2 = out + 2;
    if (m.config.pre_norm) {
      norm_inputs_.push_back(x);
      add(out);
      norm_inputs_.push_back(x);
      add(fc2);
    } else {  // the input of a half block is the output of the norm before it
      x = inputs_[next];
      add(out);
      norm_inputs_.push_back(x);
      x = inputs_[fc1];
      add(fc2);
      norm_inputs_.push_back(x);
    }
    next = fc2 + 1;
  }
  norm_inputs_.push_back(std::move(x));
}

matrix tape::loss_gradients(std::size_t scored, std::size_t samples, std::uint64_t seed) const {
  const transformer& m = *model_;
  const std::size_t T = ids_.size(), E = m.config.embed_width, V = m.config.vocab;
  ZP_REQUIRE(scored < T, "loss_gradients: ", scored, " scored tokens of ", T);
  const float_kernels& k = best_float_kernels();
  const float* head = m.head.empty() ? m.embedding.data() : m.head.data();
  matrix all{std::vector<float>((1 + samples) * T * E), (1 + samples) * T, E};
  aligned_buffer<float> logits(head_block * V), p(head_block * V), mean(head_block * E);
  std::mt19937_64 bits(seed);
  for (std::size_t begin = T - 1 - scored; begin < T - 1; begin += head_block) {
    const std::size_t rows = std::min(head_block, T - 1 - begin);
    apply_head(m, hidden_.view().rows_from(begin, rows), {logits.data(), rows, V});
    for (std::size_t i = 0; i < rows; ++i) {
      static_cast<void>(k.reference_row(V, logits.data() + i * V, p.data() + i * V));
    }
    k.multiply_nn(rows, E, V, p.data(), V, head, E, mean.data(), E);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t r = 0; r <= samples; ++r) {
        const std::size_t label =
            r == 0 ? ids_[begin + i + 1]
                   : draw({p.data() + i * V, V}, static_cast<double>(bits() >> 11) * 0x1p-53);
        float* g = all.values.data() + (r * T + begin + i) * E;
        for (std::size_t j = 0; j < E; ++j) g[j] = mean.data()[i * E + j] - head[label * E + j];
      }
    }
  }
  return all;
}

/// The stacked gradients on their way back, in what the names of the forward pass hold.
struct tape::stack {
  stack(const model_config& c, std::size_t rows)
      : x(rows, c.width),
        h(rows, c.width),
        part(rows, c.width),
        mixed(rows, c.width),
        qkv(rows, 3 * c.width),
        inner(rows, c.ffn) {}

  struct buffer {
    buffer(std::size_t rows, std::size_t cols)
        : memory(rows * cols), view(memory.data(), rows, cols) {}
    aligned_buffer<float> memory;
    matrix_view<float> view;
  };
  buffer x;  ///< in the residual stream
  buffer h;  ///< in the input of a half block
  buffer part, mixed, qkv, inner;
};

void tape::norm_before(const norm& n, std::size_t which, matrix_view<float> g) const {
  norm_back(n, model_->config.norm_eps, norm_inputs_[which].view(), g);
}

/// g.h, in the input of a half block, joins g.x, which came past it.
void tape::join(const norm& n, std::size_t which, stack& g) const {
  if (model_->config.pre_norm) norm_before(n, which, g.h.view);
  best_float_kernels().add(g.h.memory.size(), g.h.memory.data(), g.x.memory.data());
}

void tape::backward_mlp(std::size_t layer, std::size_t fc1, stack& g, const visitor& visit) const {
  const block& b = model_->blocks[layer];
  if (!model_->config.pre_norm) norm_before(b.mlp_norm, 2 * layer + 1, g.x.view);
  visit(fc1 + 1, g.x.view);
  multiply_back(b.fc2, g.x.view, g.inner.memory.data());
  activate_back(model_->config.act, output(fc1), g.inner.view);
  visit(fc1, g.inner.view);
  multiply_back(b.fc1, g.inner.view, g.h.memory.data());
  join(b.mlp_norm, 2 * layer + 1, g);
}

void tape::backward_attention(std::size_t layer, std::size_t first, stack& g,
                              const visitor& visit) const {
  const block& b = model_->blocks[layer];
  const std::size_t T = ids_.size(), row = g.qkv.view.cols(), out = first + b.qkv.size();
  if (!model_->config.pre_norm) norm_before(b.attention_norm, 2 * layer, g.x.view);
  visit(out, g.x.view);
  multiply_back(b.attention_out, g.x.view, g.mixed.memory.data());
  std::vector<float> qkv(T * row);
  for (std::size_t i = first, column = 0; i < out; column += output(i++).cols()) {
    for (std::size_t t = 0; t < T; ++t) {
      std::copy_n(output(i).row(t).data(), output(i).cols(), qkv.data() + t * row + column);
    }
  }
  attend_back(model_->config, layer, {qkv.data(), T, row}, input(out), g.mixed.view, g.qkv.view);
  for (std::size_t i = first, column = 0; i < out; column += output(i++).cols()) {
    const matrix_view<const float> part(g.qkv.memory.data() + column, g.qkv.view.rows(),
                                        output(i).cols(), row);
    visit(i, part);
    auto& into = i == first ? g.h : g.part;
    multiply_back(b.qkv[i - first], part, into.memory.data());
    if (i == first) continue;
    best_float_kernels().add(into.memory.size(), into.memory.data(), g.h.memory.data());
  }
  join(b.attention_norm, 2 * layer, g);
}

void tape::backward(matrix_view<const float> d_hidden, const visitor& visit) const {
  const transformer& m = *model_;
  const std::size_t T = ids_.size(), N = d_hidden.rows();
  ZP_REQUIRE(d_hidden.cols() == m.config.embed_width && N % T == 0, "backward: gradients of ", N,
             " x ", d_hidden.cols(), " for a window of ", T, " x ", m.config.embed_width);
  stack g(m.config, N);
  if (m.project_out) {
    multiply_back(*m.project_out, d_hidden, g.x.memory.data());
  } else {
    for (std::size_t i = 0; i < N; ++i) {
      std::copy_n(d_hidden.row(i).data(), d_hidden.cols(), g.x.view.row(i).data());
    }
  }
  if (m.final_norm) norm_before(*m.final_norm, norm_inputs_.size() - 1, g.x.view);
  std::size_t next = inputs_.size();
  for (std::size_t layer = m.blocks.size(); layer-- > 0;) {
    next -= 2;
    backward_mlp(layer, next, g, visit);
    next -= m.blocks[layer].qkv.size() + 1;
    backward_attention(layer, next, g, visit);
  }
}

}  // namespace lab
