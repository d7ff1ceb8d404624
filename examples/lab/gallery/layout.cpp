// Which values share a scale: with the batch mates, along the wrong axis, over a whole row.
#include <lab/gallery/failures.hpp>
#include <lab/gallery/sample.hpp>
#include <lab/report/format.hpp>
#include <zeropoint/nn/dynamic_linear.hpp>
#include <zeropoint/nn/weight_only.hpp>

namespace lab::failures {
namespace {

namespace zp = zeropoint;

}  // namespace

// One row alone, and the same row beside one that is a hundred times larger.
gallery_entry batch_mates() {
  dice d(6);
  const sample alone = d.normals(1, 256), w = d.normals(64, 256);
  sample batch = d.normals(2, 256, 100.0f);
  std::copy(alone.values.begin(), alone.values.end(), batch.values.begin());
  const auto change = [&](zp::activation_granularity tokens) {
    const zp::dynamic_linear layer(zp::linear_weight{w.view()}, {}, {.tokens = tokens});
    sample beside = apply(layer, batch);
    beside.rows = 1, beside.values.resize(beside.cols);
    return relative_error(apply(layer, alone), beside);
  };
  const double naive = change(zp::per_tensor), cured = change(zp::per_token);
  return {.metric = "relative change of a row's output when a row joins",
          .naive = naive,
          .cured = cured,
          .shows = format("With one scale for the batch, the neighbour takes the grid and the row "
                          "changes by %.0f %%. With a scale per token its output has the same bits "
                          "alone and in company.",
                          100 * naive)};
}

// GPT-2 stores [in, out]. Outputs differ in size; a scale per row of that matrix mixes them.
gallery_entry conv1d_axis() {
  dice d(7);
  sample w = d.normals(256, 64);  // [in, out]
  for (std::size_t k = 0; k < w.rows; ++k) {
    for (std::size_t j = 0; j < w.cols; ++j) w(k, j) *= std::ldexp(1.0f, -static_cast<int>(j % 8));
  }
  const sample x = d.normals(64, 256);
  const auto outputs = [&](const sample& weight) {  // [out, tokens]
    return product(transposed(weight), x);
  };
  const sample exact = outputs(w);
  const auto error = [&](auto granularity) {
    const auto [q, damage] =
        zp::quantize<std::int8_t>(zp::conv1d_weight{w.view()}, granularity, zp::symmetric);
    return mean_row_error(exact, outputs(dequantized(q)));
  };
  const double naive = error(zp::per_row), cured = error(zp::per_output_channel);
  return {
      .metric = "mean over outputs of the relative error",
      .naive = naive,
      .cured = cured,
      .shows = format("A scale per row is a scale per output of a [out, in] weight, but per input "
                      "of GPT-2's [in, out]: small outputs drown beside large ones (%.0f times "
                      "the error), and an integer product cannot even apply such scales.",
                      naive / cured)};
}

// Two large weights in a row of 1024, four bits.
gallery_entry four_bit_groups() {
  dice d(8);
  sample w = d.normals(64, 1024);
  for (std::size_t j = 0; j < w.rows; ++j) {
    for (int i = 0; i < 2; ++i) w(j, d.below(w.cols)) = 12.0f * d.normal();
  }
  const sample x = d.normals(64, 1024), exact = product(x, w);
  const auto layer = [&](zp::weight_granularity g) {
    return zp::weight_only_linear(zp::linear_weight{w.view()}, {},
                                  {.granularity = g, .weights = zp::symmetric.with_bits(4)});
  };
  const auto whole = layer(zp::per_output_channel), groups = layer(zp::per_group{32});
  const auto zeros = [](const zp::weight_only_linear& l) {
    return 100 * underflow_fraction(l.weight_statistics());
  };
  const auto bits = [](const zp::weight_only_linear& l) {
    return 8 * static_cast<double>(l.stored_bytes()) / static_cast<double>(l.in() * l.out());
  };
  return {
      .metric = "relative output error, 4-bit weights",
      .naive = relative_error(exact, apply(whole, x)),
      .cured = relative_error(exact, apply(groups, x)),
      .shows = format("One scale per output has 15 levels for its largest weight: %.0f %% of the "
                      "weights become zero. A scale per 32 weights confines that to their "
                      "neighbours (%.0f %%), at %.2f bits a weight instead of %.2f.",
                      zeros(whole), zeros(groups), bits(groups), bits(whole))};
}

}  // namespace lab::failures
