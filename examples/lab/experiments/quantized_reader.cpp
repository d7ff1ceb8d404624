// From the two files of a quantized checkpoint to a model and its layers. Every number is checked
// against what the scheme in config.json allows before a layer is made of it.
#include <lab/experiments/compressed_tensors.hpp>
#include <lab/experiments/quantized_tensors.hpp>
#include <lab/io/file.hpp>
#include <lab/models/load.hpp>
#include <zeropoint/math/packed_int4.hpp>
#include <zeropoint/nn/static_linear.hpp>

#include <cmath>

namespace lab {
namespace {

json read_config(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  return parse_json(read_file(path, largest_config), path.string());
}

scheme_name scheme_of(const json_object& config) {
  const json_object q = config.object("quantization_config");
  if (q.maybe_text("quant_method").value_or("") != quantized_format::method)
    q.wrong("quant_method", "expected ", quantized_format::method);
  (void)q.integer("format_version", quantized_format::version, quantized_format::version);
  const auto text = q.maybe_text("scheme");
  if (!text) q.wrong("scheme", "is missing; expected the name of a scheme");
  try {
    scheme_name s = parse_scheme(*text);
    require_storable(s);
    return s;
  } catch (const input_error& problem) {
    q.wrong("scheme", problem.what());
  }
}

/// The tensors of linear layers.
class layer_reader {
 public:
  layer_reader(const safetensors& weights, const scheme_name& scheme)
      : tensors_(weights, scheme.text), scheme_(scheme) {}

  /// `name` with its prefix. Shapes are checked before anything is allocated for them.
  quantized_layer read(const std::string& name, std::size_t out, std::size_t in) const {
    const std::string codes = name + ".weight_codes";
    const bool packed = scheme_.weights.bits <= 4;
    tensors_.require(codes, packed ? dtype::u8 : dtype::i8,
                     {out, packed ? zeropoint::int4_row_bytes(in) : in});
    quantized_layer layer{zeropoint::quantized_matrix<std::int8_t>(table(name, out, in)), {}};
    read_codes(codes, layer.codes.values());
    if (scheme_.kind == arithmetic::calibrated) layer.inputs = input_range(name);
    return layer;
  }

 private:
  zeropoint::params_table table(const std::string& name, std::size_t out, std::size_t in) const {
    const auto shape = scales_shape(scheme_, out, in);
    const std::string scales_name = name + ".weight_scales",
                      zeros_name = name + ".weight_zero_points";
    const auto scales = tensors_.values<float>(scales_name, dtype::f32, shape);
    std::vector<std::int8_t> zeros;
    if (!scheme_.weights.is_symmetric())
      zeros = tensors_.values<std::int8_t>(zeros_name, dtype::i8, shape);
    zeropoint::params_table result(out, in, block_of(scheme_, out, in), scheme_.weights);
    tensors_.fill(result, scales_name, scales, zeros_name, zeros);
    return result;
  }

  void read_codes(const std::string& name, zeropoint::matrix_view<std::int8_t> to) const {
    if (scheme_.weights.bits > 4) {
      const auto codes = tensors_.read_as<std::int8_t>(name);
      std::copy(codes.begin(), codes.end(), to.data());
    } else {
      const auto bytes = tensors_.read_as<std::uint8_t>(name);
      const std::size_t row = zeropoint::int4_row_bytes(to.cols());
      for (std::size_t j = 0; j < to.rows(); ++j) {
        const auto packed = std::span(bytes).subspan(j * row, row);
        const int unused = to.cols() % 2 != 0 ? packed.back() >> 4 : 0;
        if (unused != 0)
          tensors_.wrong(name, "the unused half byte of row ", j, " is ", unused, "; expected 0");
        zeropoint::unpack_int4(packed, to.row(j));
      }
    }
    tensors_.check_codes(name, to, scheme_.weights);
  }

  zeropoint::value_range input_range(const std::string& name) const {
    const std::string range_name = name + ".input_range", scale_name = name + ".input_scale";
    const auto ends = tensors_.values<float>(range_name, dtype::f32, {2});
    if (!std::isfinite(ends[0]) || !std::isfinite(ends[1]) || ends[0] > ends[1])
      tensors_.wrong(range_name, ends[0], " .. ", ends[1], "; expected a finite range");
    const zeropoint::value_range range{ends[0], ends[1]};
    const zeropoint::params grid =
        zeropoint::fit(range, zeropoint::static_linear_options{}.activations);
    const std::string zero_name = name + ".input_zero_point";
    const float scale = tensors_.values<float>(scale_name, dtype::f32, {1})[0];
    const int zero = tensors_.values<std::int8_t>(zero_name, dtype::i8, {1})[0];
    if (scale != grid.scale)
      tensors_.wrong(scale_name, scale, "; expected ", grid.scale,
                     ", which follows from the range");
    if (zero != grid.zero_point)
      tensors_.wrong(zero_name, zero, "; expected ", grid.zero_point,
                     ", which follows from the range");
    return range;
  }

  quantized_tensors tensors_;
  const scheme_name& scheme_;
};

void check_metadata(const safetensors& weights, const scheme_name& scheme) {
  const safetensors_file& file = weights.files().front();
  const auto check = [&](const char* key, const std::string& expected) {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end() || found->second != expected)
      reject({file.path()}, "metadata ", key, " is ",
             found == file.metadata().end() ? "missing" : in_quotes(found->second), "; expected ",
             in_quotes(expected), " as config.json says");
  };
  check(quantized_format::version_key, std::to_string(quantized_format::version));
  check(quantized_format::scheme_key, scheme.text);
}

std::string method_of(const json_object& config) {
  return config.object("quantization_config").maybe_text("quant_method").value_or("");
}

/// read(name, out, in) gives the codes of a layer.
template <class Read>
quantized_checkpoint assemble(const model_config& config, const safetensors& weights,
                              const scheme_name& scheme, float_weights floats, Read&& read) {
  quantized_checkpoint result;
  result.scheme = scheme;
  std::vector<quantized_layer> layers;
  std::vector<std::string> names;
  result.model =
      load_model(config, weights, [&](const std::string& name, std::size_t out, std::size_t in) {
        layers.push_back(read(name, out, in));
        names.push_back(name);
        if (floats == float_weights::dropped) return std::vector<float>();
        std::vector<float> values(out * in);
        layers.back().codes.dequantize({values.data(), out, in});
        return values;
      });
  const auto linears = result.model.linears();
  for (std::size_t i = 0; i < linears.size(); ++i) {
    if (i < names.size() && names[i].ends_with(linears[i]->name)) continue;
    reject({weights.path()}, "layer ", in_quotes(linears[i]->name),
           " has float weights in a quantized checkpoint");
  }
  if (scheme.kind == arithmetic::calibrated) {
    for (const quantized_layer& l : layers) result.input_ranges.push_back(l.inputs);
  }
  result.layers = restore_scheme(scheme, result.model, layers);
  return result;
}

}  // namespace

bool is_quantized(const std::filesystem::path& folder) {
  try {
    const json tree = read_config(folder);
    const auto method = method_of(json_object(tree, ""));
    return method == quantized_format::method || method == compressed_format::method;
  } catch (const input_error&) {
    return false;
  }
}

quantized_checkpoint load_quantized(const std::filesystem::path& folder, float_weights floats) {
  const json tree = read_config(folder);
  const std::string file = (folder / "config.json").string();
  const json_object described(tree, file);
  json natural = tree;
  natural.erase("quantization_config");  // the rest is a float model's
  model_config config = parse_config(natural.dump(), file);
  read_generation_config(folder, config);
  if (method_of(described) != compressed_format::method) {
    const scheme_name scheme = scheme_of(described);
    const safetensors weights(folder);
    check_metadata(weights, scheme);
    const layer_reader reader(weights, scheme);
    return assemble(config, weights, scheme, floats,
                    [&](const auto&... layer) { return reader.read(layer...); });
  }
  const safetensors weights(folder);
  compressed_reader reader(described, weights);
  auto result = assemble(config, weights, reader.scheme(), floats,
                         [&](const auto&... layer) { return reader.read(layer...); });
  reader.refuse_rest();
  return result;
}

}  // namespace lab
