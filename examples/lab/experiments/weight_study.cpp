// Tensor by tensor, scheme by scheme.
#include <lab/experiments/weight_study.hpp>
#include <lab/io/safetensors.hpp>
#include <zeropoint/nn/weight.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

using zeropoint::matrix_view;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_matrix(const tensor_info& t, const std::string& filter) {
  const bool floats = t.type == dtype::f32 || t.type == dtype::f16 || t.type == dtype::bf16;
  return floats && t.shape.size() == 2 && t.shape[0] >= 32 && t.shape[1] >= 32 &&
         has(t.name, filter) && !has(t.name, "wte") && !has(t.name, "wpe") && !has(t.name, "embed");
}

bool is_conv1d(const std::string& name, weight_layout layout) {
  if (layout != weight_layout::automatic) return layout == weight_layout::conv1d;
  return has(name, "attn.c_attn") || has(name, "attn.c_proj") || has(name, "mlp.c_fc") ||
         has(name, "mlp.c_proj");
}

void describe(weight_matrix& m, std::span<const float> w) {
  double second = 0, fourth = 0, most = 0;
  std::vector<double> channels(m.out, 0.0);
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double v = static_cast<double>(w[i]), square = v * v;
    second += square, fourth += square * square, most = std::max(most, std::fabs(v));
    double& channel = channels[m.conv1d ? i % m.out : i / m.in];
    channel = std::max(channel, std::fabs(v));
  }
  const double n = static_cast<double>(w.size());
  m.deviation = std::sqrt(second / n);
  m.largest = m.deviation > 0 ? most / m.deviation : 0;
  m.kurtosis = second > 0 ? fourth * n / (second * second) : 0;
  std::sort(channels.begin(), channels.end());
  const double median = channels[channels.size() / 2];
  m.channel_ratio = median > 0 ? channels.back() / median : 0;
}

template <class Weight>
void quantize_all(weight_matrix& m, const Weight& w, const std::vector<scheme_name>& schemes) {
  for (const scheme_name& s : schemes) {
    const zeropoint::quantized_weight coded(w, s.granularity, s.weights);
    m.damage.push_back(coded.statistics());
    m.bytes.push_back(coded.stored_bytes());
  }
}

weight_matrix study_one(const safetensors& file, const tensor_info& t, bool conv1d,
                        const std::vector<scheme_name>& schemes) {
  const std::vector<float> w = file.floats(t.name);
  const auto rows = static_cast<std::size_t>(t.shape[0]),
             cols = static_cast<std::size_t>(t.shape[1]);
  if (zeropoint::elementwise::count_non_finite(w) > 0) {
    throw input_error(file.path() + ": " + in_quotes(t.name) + " has weights that are not finite");
  }
  weight_matrix m;
  m.name = printable(t.name);
  m.conv1d = conv1d;
  m.out = conv1d ? cols : rows, m.in = conv1d ? rows : cols;
  describe(m, w);
  const matrix_view<const float> view(w.data(), rows, cols);
  if (conv1d) {
    quantize_all(m, zeropoint::conv1d_weight{view}, schemes);
  } else {
    quantize_all(m, zeropoint::linear_weight{view}, schemes);
  }
  return m;
}

}  // namespace

zeropoint::quantization_statistics weight_study::total(std::size_t scheme) const {
  zeropoint::quantization_statistics all;
  for (const weight_matrix& m : matrices) all.merge(m.damage[scheme]);
  return all;
}

double weight_study::bits_per_weight(std::size_t scheme) const {
  double bytes = 0, weights = 0;
  for (const weight_matrix& m : matrices) {
    bytes += static_cast<double>(m.bytes[scheme]);
    weights += static_cast<double>(m.out) * static_cast<double>(m.in);
  }
  return 8 * bytes / weights;
}

const std::vector<std::string>& default_weight_schemes() {
  static const std::vector<std::string> names = {
      "w8-tensor",    "w8",      "w8-g128", "w8-g32",        "w4-tensor",
      "w4-channel",   "w4-g128", "w4-g64",  "w4-g32",        "w4-g32-affine",
      "w3-channel",   "w3-g128", "w3-g32",  "w3-g32-affine", "w2-g32",
      "w2-g32-affine"};
  return names;
}

weight_study study_weights(const std::filesystem::path& checkpoint,
                           const std::vector<scheme_name>& schemes, const std::string& filter,
                           weight_layout layout) {
  for (const scheme_name& s : schemes) {
    if (s.kind == arithmetic::weight_only && s.method == weight_method::nearest &&
        s.cure == activation_cure::none && !s.corrected && s.attention == attention_kind::floats) {
      continue;
    }
    throw input_error("weights: " + in_quotes(s.text) +
                      " is no rounding of weights; expected wB[-tensor|-channel|-gN][-affine]");
  }
  if (schemes.empty()) throw input_error("weights: no scheme but fp32");
  const safetensors file(checkpoint);
  weight_study study;
  study.checkpoint = file.path();
  for (const scheme_name& s : schemes) study.schemes.push_back(s.text);
  for (const auto& [name, entry] : file.tensors()) {
    if (!is_matrix(entry.info, filter)) continue;
    study.matrices.push_back(study_one(file, entry.info, is_conv1d(name, layout), schemes));
  }
  if (study.matrices.empty()) {
    throw input_error(file.path() + ": no weight matrix of at least 32 x 32" +
                      (filter.empty() ? "" : " with " + in_quotes(filter) + " in its name"));
  }
  return study;
}

}  // namespace lab
