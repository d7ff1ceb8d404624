// From quantized layers to the two files of a checkpoint.
#include <lab/experiments/compressed_tensors.hpp>
#include <zeropoint/math/packed_int4.hpp>
#include <zeropoint/nn/static_linear.hpp>

#include <set>

namespace lab {
namespace {

std::vector<std::byte> packed(const zeropoint::quantized_matrix<std::int8_t>& codes) {
  const zeropoint::packed_int4_matrix<std::int8_t> packed(codes);
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < packed.rows(); ++i) {
    const auto row = std::as_bytes(packed.row(i));
    bytes.insert(bytes.end(), row.begin(), row.end());
  }
  return bytes;
}

void add_layer(tensor_list& to, const std::string& name, const scheme_name& s,
               const quantized_layer& layer) {
  const auto& codes = layer.codes;
  const std::uint64_t out = codes.rows(), in = codes.cols();
  if (s.weights.bits <= 4) {
    to.add(name + ".weight_codes", dtype::u8, {out, zeropoint::int4_row_bytes(codes.cols())},
           packed(codes));
  } else {
    to.add(name + ".weight_codes", dtype::i8, {out, in},
           std::span<const std::int8_t>(codes.values().data(), codes.rows() * codes.cols()));
  }
  const auto shape = scales_shape(s, codes.rows(), codes.cols());
  to.add(name + ".weight_scales", dtype::f32, shape, codes.scales());
  if (!codes.zero_points().empty()) {
    const std::vector<std::int8_t> zeros(codes.zero_points().begin(), codes.zero_points().end());
    to.add(name + ".weight_zero_points", dtype::i8, shape, std::span(zeros));
  }
  if (s.kind != arithmetic::calibrated) return;
  const zeropoint::params grid =
      zeropoint::fit(layer.inputs, zeropoint::static_linear_options{}.activations);
  const auto zero = static_cast<std::int8_t>(grid.zero_point);
  const float range[]{layer.inputs.min, layer.inputs.max};
  to.add(name + ".input_scale", dtype::f32, {1}, std::span<const float>(&grid.scale, 1));
  to.add(name + ".input_zero_point", dtype::i8, {1}, std::span<const std::int8_t>(&zero, 1));
  to.add(name + ".input_range", dtype::f32, {2}, std::span<const float>(range));
}

/// What stands before the short names of layers in this file.
std::string prefix_of(const safetensors& weights, const transformer& model) {
  const std::string suffix = model.linears().front()->name + ".weight";
  for (const auto& [name, entry] : weights.tensors()) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - suffix.size());
  }
  reject({weights.path()}, "no tensor ", in_quotes(suffix));
}

/// What transformers calls it, which is not what every older file does.
std::string usual_prefix(model_family family) {
  return family == model_family::opt ? "model.decoder." : "model.";
}

/// Tensors that are never read: the attention masks of old GPT-2 files, and a head that is tied.
bool is_ignored(std::string_view name, const model_config& c) {
  if (name == "lm_head.weight") return c.tied_head;
  return c.family == model_family::gpt2 &&
         (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

json description_of(const scheme_name& s, const quantized_layer& first) {
  const zeropoint::block_shape block = first.codes.block();
  json weights = {{"bits", s.weights.bits},
                  {"symmetric", s.weights.is_symmetric()},
                  {"granularity", s.granularity.is_grouped() ? "group"
                                  : block.rows > 1           ? "tensor"
                                                             : "channel"},
                  {"packed", s.weights.bits <= 4}};
  if (s.granularity.is_grouped()) weights["group_size"] = block.cols;
  json activations;
  const bool per_token = s.per_token || s.kind == arithmetic::int4;
  if (s.kind != arithmetic::weight_only) {
    activations = {{"bits", 8},
                   {"symmetric", true},
                   {"dynamic", s.kind != arithmetic::calibrated},
                   {"granularity", per_token ? "token" : "tensor"}};
  }
  return {{"quant_method", quantized_format::method},
          {"format_version", quantized_format::version},
          {"scheme", s.text},
          {"weights", weights},
          {"activations", activations}};
}

}  // namespace

std::uint64_t write_quantized(const std::filesystem::path& out, const scheme_name& scheme,
                              const std::filesystem::path& config, const safetensors& weights,
                              const transformer& model, std::span<const quantized_layer> layers,
                              checkpoint_format format) {
  const auto linears = model.linears();
  ZP_REQUIRE(layers.size() == linears.size(), "write_quantized: ", layers.size(),
             " layers, the model has ", linears.size());
  const bool ours = format == checkpoint_format::zeropoint;
  if (!ours) require_compressible(scheme, model);
  const std::string prefix = prefix_of(weights, model),
                    written = ours ? prefix : usual_prefix(model.config.family);
  tensor_list tensors;
  std::set<std::string> replaced;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    replaced.insert(prefix + linears[i]->name + ".weight");
    (ours ? add_layer : add_compressed_layer)(tensors, written + linears[i]->name, scheme,
                                              layers[i]);
  }
  for (const auto& [name, entry] : weights.tensors()) {
    if (replaced.contains(name) || is_ignored(name, model.config)) continue;
    const bool below = name != "lm_head.weight" && name.starts_with(prefix);
    tensors.add(below ? written + name.substr(prefix.size()) : name, entry.info.type,
                entry.info.shape, weights.bytes(name));
  }
  json tree = parse_json(read_file(config, largest_config), config.string());
  tree["quantization_config"] =
      ours ? description_of(scheme, layers.front()) : compressed_description(scheme, model);
  std::map<std::string, std::string> metadata{{"format", "pt"}};
  if (ours) {
    metadata[quantized_format::version_key] = std::to_string(quantized_format::version);
    metadata[quantized_format::scheme_key] = scheme.text;
  }
  const auto file = out / "model.safetensors";
  write_safetensors(file, tensors.all(), metadata);
  write_file(out / "config.json", tree.dump(2) + "\n");
  return std::filesystem::file_size(file);
}

}  // namespace lab
