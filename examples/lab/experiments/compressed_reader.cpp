// Files of others: each setting that would change a number and is not implemented is refused, and codes go
// down to the lowest of their bits, -128 or -8.
#include <lab/experiments/compressed_tensors.hpp>
#include <lab/experiments/quantized_tensors.hpp>

#include <algorithm>

namespace lab {
namespace {

void refuse_if_set(const json_object& object, const char* key) {
  const json* found = object.find(key);
  if (found != nullptr && !(found->is_object() && found->empty()))
    object.wrong(key, "is not supported; expected null");
}

/// Settings of weights and of activations alike.
void require_integers(const json_object& args, std::uint64_t low_bits) {
  (void)args.integer("num_bits", low_bits, 8);
  if (const auto type = args.maybe_text("type").value_or("int"); type != "int")
    args.wrong("type", "is ", in_quotes(type), ", which is not supported; expected int");
}

json_object only_group(const json_object& q) {
  constexpr const char* key = "config_groups";
  const json_object groups = q.object(key);
  if (groups.value().size() != 1)
    q.wrong(key, "has ", groups.value().size(), " groups; expected one");
  const json_object group = groups.object(groups.value().begin().key());
  const json& targets = group.array("targets");
  if (targets != json::array({"Linear"}))
    group.wrong("targets", "is not supported; expected [\"Linear\"]");
  refuse_if_set(group, "output_activations");
  return group;
}

/// Code i of a row or column of words that lie `stride` apart.
std::int8_t unpacked(const std::uint32_t* words, std::size_t stride, std::size_t i, int bits) {
  const std::size_t bit = i * static_cast<std::size_t>(bits);
  const std::uint32_t mask = (1u << bits) - 1;
  const auto code = static_cast<int>(words[bit / 32 * stride] >> (bit % 32) & mask);
  return static_cast<std::int8_t>(code - (1 << (bits - 1)));
}

std::size_t words_of(std::size_t codes, int bits) {
  return (codes * static_cast<std::size_t>(bits) + 31) / 32;
}

}  // namespace

compressed_reader::compressed_reader(const json_object& config, const safetensors& weights)
    : weights_(&weights) {
  const json_object q = config.object("quantization_config");
  const std::string format = q.text("format");
  packed_ = format == compressed_format::packed;
  if (!packed_ && format != compressed_format::plain && format != compressed_format::naive)
    q.wrong("format", "is ", in_quotes(format), ", which is not supported; expected ",
            compressed_format::packed, " or ", compressed_format::plain);
  if (const auto status = q.maybe_text("quantization_status"); status && *status != "compressed")
    q.wrong("quantization_status", "is ", in_quotes(*status), "; expected compressed");
  for (const char* key :
       {"kv_cache_scheme", "transform_config", "sparsity_config", "moe_sparsity_config"})
    refuse_if_set(q, key);
  const json_object group = only_group(q);
  if (const auto own = group.maybe_text("format"); own && *own != format)
    group.wrong("format", "is ", in_quotes(*own), "; expected ", in_quotes(format), " as above");
  read_weights(group);
  read_activations(group);
}

void compressed_reader::read_weights(const json_object& group) {
  const json_object w = group.object("weights");
  require_integers(w, 4);
  const auto bits = static_cast<int>(w.integer("num_bits", 4, 8));
  if (bits != 4 && bits != 8) w.wrong("num_bits", "is ", bits, "; expected 4 or 8");
  if (w.boolean("dynamic", false)) w.wrong("dynamic", "expected false");
  const bool symmetric = w.boolean("symmetric", true);
  scheme_.kind = arithmetic::weight_only;
  scheme_.weights = (symmetric ? zeropoint::symmetric_full : zeropoint::affine).with_bits(bits);
  scheme_.text = "w" + std::to_string(bits);
  const std::string strategy = w.text("strategy");
  per_tensor_ = strategy == "tensor";
  if (strategy == "group") {
    const std::uint64_t size = w.integer("group_size", 1, 1u << 20);
    scheme_.granularity = zeropoint::per_group{static_cast<std::size_t>(size)};
    scheme_.text += "-g" + std::to_string(size);
  } else if (per_tensor_) {
    scheme_.granularity = zeropoint::per_tensor;
    scheme_.text += "-tensor";
  } else if (strategy != "channel") {
    w.wrong("strategy", "is ", in_quotes(strategy),
            ", which is not supported; expected channel, group or tensor");
  }
  if (!symmetric) scheme_.text += "-affine";
}

void compressed_reader::read_activations(const json_object& group) {
  constexpr const char* key = "input_activations";
  if (group.find(key) == nullptr) return;
  const json_object a = group.object(key);
  require_integers(a, 8);
  if (!a.boolean("symmetric", true)) a.wrong("symmetric", "false is not supported; expected true");
  const std::string strategy = a.text("strategy");
  const bool dynamic = a.boolean("dynamic", false), token = strategy == "token";
  if (!(token && dynamic) && strategy != "tensor")
    a.wrong("strategy", "is ", in_quotes(strategy),
            ", which is not supported; expected token and dynamic, or tensor");
  if (scheme_.weights.bits == 4) {
    const std::size_t unit = block_of(scheme_, 1, 1u << 20).cols;
    if (!token || unit % 32 != 0)
      a.wrong("strategy",
              "4-bit weights have inputs in int8 per token, dynamic, and groups of a "
              "multiple of 32 here");
    scheme_.kind = arithmetic::int4;
    scheme_.per_token = true;
    scheme_.text.insert(2, "a8");
    return;
  }
  if (scheme_.granularity.is_grouped())
    a.wrong("strategy", "8-bit weights in groups have float inputs here; expected null");
  scheme_.kind = dynamic ? arithmetic::dynamic : arithmetic::calibrated;
  scheme_.per_token = token;
  scheme_.text = dynamic ? token ? "w8a8-dynamic-token" : "w8a8-dynamic" : "w8a8-static";
}

std::string compressed_reader::take(const std::string& name) {
  used_.insert(name);
  return name;
}

std::vector<float> compressed_reader::scales(const std::string& name,
                                             const std::vector<std::uint64_t>& shape) {
  const quantized_tensors tensors(*weights_, scheme_.text);
  const tensor_info& info = weights_->at(take(name));
  const bool real = info.type == dtype::f32 || info.type == dtype::f16 || info.type == dtype::bf16;
  const bool scalar = info.shape.empty() && shape == std::vector<std::uint64_t>{1};
  if (!real || (info.shape != shape && !scalar))
    tensors.wrong(name, printable(info.type_name, 16), " ", printable(shape_text(info.shape)),
                  "; expected F32, F16 or BF16 ", shape_text(shape), " for ", scheme_.text);
  return weights_->floats(name);
}

void compressed_reader::read_codes(const std::string& name,
                                   zeropoint::quantized_matrix<std::int8_t>& codes) {
  const quantized_tensors tensors(*weights_, scheme_.text);
  const std::uint64_t out = codes.rows(), in = codes.cols();
  const int bits = scheme_.weights.bits;
  if (!packed_) {
    const auto values = tensors.values<std::int8_t>(take(name + ".weight"), dtype::i8, {out, in});
    std::copy(values.begin(), values.end(), codes.values().data());
    return tensors.check_codes(name + ".weight", codes.values(), scheme_.weights);
  }
  const std::string shape_name = name + ".weight_shape";
  const auto shape = tensors.values<std::int64_t>(take(shape_name), dtype::i64, {2});
  if (shape[0] != static_cast<std::int64_t>(out) || shape[1] != static_cast<std::int64_t>(in))
    tensors.wrong(shape_name, shape[0], " x ", shape[1], "; expected ", out, " x ", in,
                  " as config.json says");
  const std::size_t across = words_of(codes.cols(), bits);
  const auto words =
      tensors.values<std::uint32_t>(take(name + ".weight_packed"), dtype::i32, {out, across});
  for (std::size_t j = 0; j < codes.rows(); ++j) {
    for (std::size_t k = 0; k < codes.cols(); ++k)
      codes.values()(j, k) = unpacked(words.data() + j * across, 1, k, bits);
  }
}

std::vector<std::int8_t> compressed_reader::zero_points(const std::string& name, std::size_t out,
                                                        std::size_t groups,
                                                        const std::vector<std::uint64_t>& shape) {
  const quantized_tensors tensors(*weights_, scheme_.text);
  const bool symmetric = scheme_.weights.is_symmetric();
  if (symmetric && !weights_->contains(name)) return {};
  if (symmetric || !packed_ || per_tensor_) {
    auto zeros = tensors.values<std::int8_t>(take(name), dtype::i8, shape);
    for (std::size_t b = 0; symmetric && b < zeros.size(); ++b)
      if (zeros[b] != 0)
        tensors.wrong(name, "element ", b, " is ", static_cast<int>(zeros[b]),
                      "; expected 0 in a symmetric scheme");
    return symmetric ? std::vector<std::int8_t>() : zeros;
  }
  const int bits = scheme_.weights.bits;
  const auto words =
      tensors.values<std::uint32_t>(take(name), dtype::i32, {words_of(out, bits), groups});
  std::vector<std::int8_t> zeros(out * groups);
  for (std::size_t j = 0; j < out; ++j) {
    for (std::size_t g = 0; g < groups; ++g)
      zeros[j * groups + g] = unpacked(words.data() + g, groups, j, bits);
  }
  return zeros;
}

void compressed_reader::read_inputs(const std::string& name, quantized_layer& layer) {
  const quantized_tensors tensors(*weights_, scheme_.text);
  const std::string scale_name = name + ".input_scale", zero_name = name + ".input_zero_point";
  const float scale = scales(scale_name, {1})[0];
  layer.input_grid = zeropoint::symmetric_full;
  tensors.check_scale(scale_name, 0, {scale, 0, layer.input_grid.qmin(), layer.input_grid.qmax()});
  layer.inputs = {-128 * scale, 0};  // its scale is this one, to the bit
  if (weights_->contains(zero_name) &&
      tensors.values<std::int8_t>(take(zero_name), dtype::i8, weights_->at(scale_name).shape)[0] !=
          0)
    tensors.wrong(zero_name, "is not 0; expected a symmetric grid");
}

quantized_layer compressed_reader::read(const std::string& name, std::size_t out, std::size_t in) {
  const quantized_tensors tensors(*weights_, scheme_.text);
  const zeropoint::block_shape block = block_of(scheme_, out, in);
  const std::size_t groups = in / block.cols;
  if (in % block.cols != 0)
    tensors.wrong(name, "groups of ", block.cols, " do not divide its ", in, " inputs");
  const std::string scale_name = name + ".weight_scale", zero_name = name + ".weight_zero_point";
  const std::vector<std::uint64_t> shape =
      per_tensor_ ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>{out, groups};
  const std::vector<float> factors = scales(scale_name, shape);
  zeropoint::params_table table(out, in, block, scheme_.weights);
  tensors.fill(table, scale_name, factors, zero_name, zero_points(zero_name, out, groups, shape));
  const std::uint64_t words = words_of(in, scheme_.weights.bits);
  packed_ ? tensors.require(name + ".weight_packed", dtype::i32, {out, words})
          : tensors.require(name + ".weight", dtype::i8, {out, in});
  quantized_layer layer{zeropoint::quantized_matrix<std::int8_t>(std::move(table)), {}};
  read_codes(name, layer.codes);
  if (scheme_.kind == arithmetic::calibrated) read_inputs(name, layer);
  return layer;
}

void compressed_reader::refuse_rest() const {
  for (const auto& [name, entry] : weights_->tensors()) {
    const std::size_t dot = name.rfind('.');
    const std::string_view last = std::string_view(name).substr(dot == name.npos ? 0 : dot + 1);
    const bool ours = last.starts_with("weight_") || last.starts_with("input_") ||
                      last.starts_with("output_") || last.ends_with("_scale");
    if (ours && !used_.contains(name))
      reject({weights_->path()}, "tensor ", in_quotes(name), " has no place in ", scheme_.text,
             " layers of the blocks, which are all that can be quantized here");
  }
}

}  // namespace lab
