// The forward pass: plain loops over the float kernels and the replaceable linear layers.
#include <lab/models/float_kernels.hpp>
#include <lab/models/transformer.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

using zeropoint::matrix_view;

namespace {

void normalise(const norm& n, float epsilon, matrix_view<const float> x, matrix_view<float> y) {
  best_float_kernels().layer_norm(
      x.rows(), x.cols(), x.data(), x.stride(), n.gain.empty() ? nullptr : n.gain.data(),
      n.bias.empty() ? nullptr : n.bias.data(), epsilon, y.data(), y.stride());
}

void activate(activation a, std::span<float> x) {
  const float_kernels& k = best_float_kernels();
  switch (a) {
    case activation::gelu_new:
      return k.gelu_tanh(x.size(), x.data());
    case activation::relu:
      return k.relu(x.size(), x.data());
    case activation::gelu:
      for (float& v : x) v = 0.5f * v * (1.0f + std::erf(v * 0.70710678118654752f));
  }
}

}  // namespace

void multiply(const dense& d, const float* weight, matrix_view<const float> x,
              matrix_view<float> y) {
  constexpr std::size_t row_block = 256;
  const float* bias = d.bias.empty() ? nullptr : d.bias.data();
  for (std::size_t i = 0; i < x.rows(); i += row_block) {
    const std::size_t rows = std::min(row_block, x.rows() - i);
    best_float_kernels().multiply_nt(rows, d.out, d.in, x.row(i).data(), x.stride(), weight, d.in,
                                     bias, y.row(i).data(), y.stride());
  }
}

void float_linear::apply(matrix_view<const float> x, matrix_view<float> y) const {
  multiply(*weights_, weights_->weight.data(), x, y);
}

std::vector<const dense*> transformer::linears() const {
  std::vector<const dense*> all;
  for (const block& b : blocks) {
    for (const dense& d : b.qkv) all.push_back(&d);
    all.insert(all.end(), {&b.attention_out, &b.fc1, &b.fc2});
  }
  return all;
}

std::size_t transformer::linear_parameters() const {
  std::size_t n = 0;
  for (const dense* d : linears()) n += d->weight.size() + d->bias.size();
  return n;
}

std::size_t transformer::parameters() const {
  std::size_t n = linear_parameters() + embedding.size() + positions.size() + head.size();
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
      qkv(tokens * 3 * c.width),
      mixed(tokens * c.width),
      inner(tokens * c.ffn),
      scores(attention_block * tokens) {}

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
           matrix_view<float> x) {
  const model_config& c = m.config;
  const std::size_t T = ids.size(), E = c.embed_width;
  const matrix_view<float> tokens = m.project_in ? matrix_view<float>(w.h.data(), T, E) : x;
  for (std::size_t t = 0; t < T; ++t) {
    std::copy_n(m.embedding.data() + ids[t] * E, E, tokens.row(t).data());
  }
  if (m.project_in) multiply(*m.project_in, m.project_in->weight.data(), tokens, x);
  best_float_kernels().add(T * c.width, m.positions.data() + c.position_offset * c.width, x.data());
}

void forward(const transformer& m, const linear_set& layers, std::span<const std::uint32_t> ids,
             workspace& w, matrix_view<float> hidden, attention_kind attention) {
  check_window(m, ids);
  const model_config& c = m.config;
  const std::size_t T = ids.size(), C = c.width;
  ZP_REQUIRE(hidden.rows() == T && hidden.cols() == c.embed_width, "forward: hidden is ",
             hidden.rows(), " x ", hidden.cols(), ", expected ", T, " x ", c.embed_width);
  ZP_REQUIRE(w.x.size() >= T * C, "forward: workspace for ", w.x.size() / C, " tokens, window of ",
             T);
  const matrix_view<float> x(w.x.data(), T, C), h(w.h.data(), T, C), mixed(w.mixed.data(), T, C);
  const matrix_view<float> inner(w.inner.data(), T, c.ffn);
  embed(m, ids, w, x);
  std::size_t next = 0;
  for (std::size_t layer = 0; layer < m.blocks.size(); ++layer) {
    const block& b = m.blocks[layer];
    if (c.pre_norm) normalise(b.attention_norm, c.norm_eps, x, h);
    std::size_t column = 0;
    for (const dense& d : b.qkv) {
      layers[next++]->apply(c.pre_norm ? h : x,
                            matrix_view<float>(w.qkv.data() + column, T, d.out, 3 * C));
      column += d.out;
    }
    attend(c, layer, attention, {w.qkv.data(), T, 3 * C}, w.scores.data(), mixed);
    layers[next++]->apply(mixed, h);
    best_float_kernels().add(T * C, h.data(), x.data());
    if (!c.pre_norm) normalise(b.attention_norm, c.norm_eps, x, x);

    if (c.pre_norm) normalise(b.mlp_norm, c.norm_eps, x, h);
    layers[next++]->apply(c.pre_norm ? h : x, inner);
    activate(c.act, {inner.data(), inner.size()});
    layers[next++]->apply(inner, h);
    best_float_kernels().add(T * C, h.data(), x.data());
    if (!c.pre_norm) normalise(b.mlp_norm, c.norm_eps, x, x);
  }
  const matrix_view<float> last = m.project_out ? h : hidden;
  if (m.final_norm) {
    normalise(*m.final_norm, c.norm_eps, x, last);
  } else {
    for (std::size_t t = 0; t < T; ++t) std::copy_n(x.row(t).data(), C, last.row(t).data());
  }
  if (m.project_out) multiply(*m.project_out, m.project_out->weight.data(), last, hidden);
}

void apply_head(const transformer& m, matrix_view<const float> hidden, matrix_view<float> logits) {
  const float* head = m.head.empty() ? m.embedding.data() : m.head.data();
  best_float_kernels().multiply_nt(hidden.rows(), m.config.vocab, m.config.embed_width,
                                   hidden.data(), hidden.stride(), head, m.config.embed_width,
                                   nullptr, logits.data(), logits.stride());
}

}  // namespace lab
