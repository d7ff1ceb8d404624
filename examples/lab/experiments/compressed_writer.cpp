// From quantized layers to tensors and the description of compressed-tensors.
#include <lab/experiments/compressed_tensors.hpp>
#include <zeropoint/nn/static_linear.hpp>

namespace lab {
namespace {

bool is_packed(const scheme_name& s) {
  return s.kind == arithmetic::weight_only;
}

const char* strategy_of(const scheme_name& s) {
  return s.granularity.visit([](const auto& g) {
    using granularity = std::decay_t<decltype(g)>;
    if constexpr (std::is_same_v<granularity, zeropoint::per_group>) return "group";
    if constexpr (std::is_same_v<granularity, zeropoint::per_tensor_t>) return "tensor";
    return "channel";
  });
}

/// `count` codes, `code(i)` each, in words of 32 / bits.
template <class Code>
std::vector<std::uint32_t> pack(std::size_t count, int bits, Code&& code) {
  const auto width = static_cast<std::size_t>(bits);
  std::vector<std::uint32_t> words((count * width + 31) / 32);
  for (std::size_t i = 0; i < count; ++i) {
    const auto shifted = static_cast<std::uint32_t>(code(i) + (1 << (bits - 1)));
    words[i * width / 32] |= shifted << (i * width % 32);
  }
  return words;
}

void add_codes(tensor_list& to, const std::string& name, const scheme_name& s,
               zeropoint::matrix_view<const std::int8_t> codes) {
  const std::uint64_t out = codes.rows(), in = codes.cols();
  if (!is_packed(s))
    return to.add(name + ".weight", dtype::i8, {out, in},
                  std::span<const std::int8_t>(codes.data(), codes.size()));
  std::vector<std::uint32_t> words;
  for (std::size_t j = 0; j < codes.rows(); ++j) {
    const auto row = pack(codes.cols(), s.weights.bits, [&](std::size_t k) { return codes(j, k); });
    words.insert(words.end(), row.begin(), row.end());
  }
  const std::int64_t shape[]{static_cast<std::int64_t>(out), static_cast<std::int64_t>(in)};
  to.add(name + ".weight_packed", dtype::i32, {out, words.size() / out},
         std::span<const std::uint32_t>(words));
  to.add(name + ".weight_shape", dtype::i64, {2}, std::span<const std::int64_t>(shape));
}

/// The zero points [out, groups] of a packed layer, packed along the outputs.
void add_packed_zero_points(tensor_list& to, const std::string& name, int bits, std::size_t out,
                            std::span<const std::int32_t> zeros) {
  const std::size_t groups = zeros.size() / out,
                    down = (out * static_cast<std::size_t>(bits) + 31) / 32;
  std::vector<std::uint32_t> words(down * groups);
  for (std::size_t g = 0; g < groups; ++g) {
    const auto column = pack(out, bits, [&](std::size_t j) { return zeros[j * groups + g]; });
    for (std::size_t i = 0; i < down; ++i) words[i * groups + g] = column[i];
  }
  to.add(name, dtype::i32, {down, groups}, std::span<const std::uint32_t>(words));
}

json quantization_args(int bits, bool symmetric, const char* strategy, bool dynamic) {
  return {{"num_bits", bits},
          {"type", "int"},
          {"symmetric", symmetric},
          {"strategy", strategy},
          {"group_size", nullptr},
          {"dynamic", dynamic},
          {"actorder", nullptr},
          {"block_structure", nullptr},
          {"observer", dynamic ? json(nullptr) : json("minmax")}};
}

json activations_of(const scheme_name& s) {
  if (s.kind == arithmetic::weight_only) return nullptr;
  const bool dynamic = s.kind != arithmetic::calibrated;
  const bool per_token = s.kind == arithmetic::int4 || s.per_token;
  return quantization_args(8, true, per_token ? "token" : "tensor", dynamic);
}

}  // namespace

void require_compressible(const scheme_name& s) {
  const int bits = s.weights.bits;
  const char* why = bits != 4 && bits != 8                  ? "expected 4 or 8 bits"
                    : s.attention != attention_kind::floats ? "attention stays in float there"
                    : s.head != head_kind::floats           ? "the head stays in float there"
                                                            : nullptr;
  if (why != nullptr) throw input_error(s.text + " has no place in compressed-tensors: " + why);
}

void require_compressible(const scheme_name& s, const transformer& model) {
  if (model.config.family == model_family::gpt2)
    throw input_error(
        "--format compressed-tensors: GPT-2's layers are Conv1D, and the format knows only Linear; "
        "expected a Llama or an OPT");
  if (!s.granularity.is_grouped()) return;
  for (const dense* d : model.linears()) {
    const std::size_t group = block_of(s, d->out, d->in).cols;
    if (d->in % group != 0)
      throw input_error(s.text + " has no place in compressed-tensors: groups of " +
                        std::to_string(group) + " do not divide the " + std::to_string(d->in) +
                        " inputs of " + d->name);
  }
}

void add_compressed_layer(tensor_list& to, const std::string& name, const scheme_name& s,
                          const quantized_layer& layer) {
  const auto& codes = layer.codes;
  add_codes(to, name, s, codes.values());
  const std::uint64_t out = codes.rows(), count = codes.scales().size();
  const bool one = std::string_view(strategy_of(s)) == "tensor";
  const std::vector<std::uint64_t> shape =
      one ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>{out, count / out};
  to.add(name + ".weight_scale", dtype::f32, shape, codes.scales());
  const std::string zeros_name = name + ".weight_zero_point";
  if (!codes.zero_points().empty() && is_packed(s) && !one) {
    add_packed_zero_points(to, zeros_name, s.weights.bits, codes.rows(), codes.zero_points());
  } else if (!codes.zero_points().empty()) {
    const std::vector<std::int8_t> zeros(codes.zero_points().begin(), codes.zero_points().end());
    to.add(zeros_name, dtype::i8, shape, std::span<const std::int8_t>(zeros));
  }
  if (s.kind != arithmetic::calibrated) return;
  const float scale =
      zeropoint::fit(layer.inputs, zeropoint::static_linear_options{}.activations).scale;
  to.add(name + ".input_scale", dtype::f32, {1}, std::span<const float>(&scale, 1));
}

json compressed_description(const scheme_name& s, const transformer& model) {
  json weights = quantization_args(s.weights.bits, s.weights.is_symmetric(), strategy_of(s), false);
  if (s.granularity.is_grouped()) weights["group_size"] = block_of(s, 1, 1).cols;
  json ignored = {"lm_head"};
  if (model.project_in) {
    for (const char* name : {"model.decoder.project_in", "model.decoder.project_out"})
      ignored.push_back(name);
  }
  const char* format = is_packed(s) ? compressed_format::packed : compressed_format::plain;
  const json group = {{"targets", {"Linear"}},
                      {"weights", weights},
                      {"input_activations", activations_of(s)},
                      {"output_activations", nullptr},
                      {"format", format}};
  return {{"quant_method", compressed_format::method},
          {"format", format},
          {"quantization_status", "compressed"},
          {"config_groups", {{"group_0", group}}},
          {"ignore", ignored},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

}  // namespace lab
