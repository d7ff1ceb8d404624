// From quantized layers to the two files of a checkpoint.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/io/json.hpp>
#include <zeropoint/math/packed_int4.hpp>
#include <zeropoint/nn/static_linear.hpp>

#include <deque>
#include <set>

namespace lab {
namespace {

/// Tensors to write and the bytes they borrow.
class tensor_list {
 public:
  void add(std::string name, dtype type, std::vector<std::uint64_t> shape,
           std::vector<std::byte> bytes) {
    storage_.push_back(std::move(bytes));
    tensors_.push_back({std::move(name), type, std::move(shape), storage_.back()});
  }
  template <class T>
  void add(std::string name, dtype type, std::vector<std::uint64_t> shape,
           std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    add(std::move(name), type, std::move(shape), {bytes.begin(), bytes.end()});
  }
  [[nodiscard]] std::span<const tensor_source> all() const { return tensors_; }

 private:
  std::deque<std::vector<std::byte>> storage_;  // does not move what it holds
  std::vector<tensor_source> tensors_;
};

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
  if (s.kind != arithmetic::weight_only) {
    activations = {{"bits", 8},
                   {"symmetric", true},
                   {"dynamic", s.kind == arithmetic::dynamic},
                   {"granularity", s.per_token ? "token" : "tensor"}};
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
                              const transformer& model, std::span<const quantized_layer> layers) {
  const auto linears = model.linears();
  ZP_REQUIRE(layers.size() == linears.size(), "write_quantized: ", layers.size(),
             " layers, the model has ", linears.size());
  const std::string prefix = prefix_of(weights, model);
  tensor_list tensors;
  std::set<std::string> replaced;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const std::string name = prefix + linears[i]->name;
    replaced.insert(name + ".weight");
    add_layer(tensors, name, scheme, layers[i]);
  }
  for (const auto& [name, entry] : weights.tensors()) {
    if (replaced.contains(name) || is_ignored(name, model.config)) continue;
    tensors.add(name, entry.info.type, entry.info.shape, weights.bytes(name));
  }
  json tree = parse_json(read_file(config, largest_config), config.string());
  tree["quantization_config"] = description_of(scheme, layers.front());
  const auto file = out / "model.safetensors";
  write_safetensors(file, tensors.all(),
                    {{"format", "pt"},
                     {quantized_format::version_key, std::to_string(quantized_format::version)},
                     {quantized_format::scheme_key, scheme.text}});
  write_file(out / "config.json", tree.dump(2) + "\n");
  return std::filesystem::file_size(file);
}

}  // namespace lab
