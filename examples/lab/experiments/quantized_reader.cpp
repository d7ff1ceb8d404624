// From the two files of a quantized checkpoint to a model and its layers. Every number is checked
// against what the scheme in config.json allows before a layer is made of it.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/io/file.hpp>
#include <lab/io/json.hpp>
#include <lab/models/load.hpp>
#include <zeropoint/math/packed_int4.hpp>
#include <zeropoint/nn/static_linear.hpp>

#include <cmath>
#include <cstring>
#include <limits>

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
      : weights_(weights), scheme_(scheme) {}

  /// `name` with its prefix. Shapes are checked before anything is allocated for them.
  quantized_layer read(const std::string& name, std::size_t out, std::size_t in) const {
    const std::string codes = name + ".weight_codes";
    const bool packed = scheme_.weights.bits <= 4;
    require(codes, packed ? dtype::u8 : dtype::i8,
            {out, packed ? zeropoint::int4_row_bytes(in) : in});
    quantized_layer layer{zeropoint::quantized_matrix<std::int8_t>(table(name, out, in)), {}};
    read_codes(codes, layer.codes.values());
    if (scheme_.kind == arithmetic::calibrated) layer.inputs = input_range(name);
    return layer;
  }

 private:
  void require(const std::string& name, dtype type, const std::vector<std::uint64_t>& shape) const {
    const tensor_info& info = weights_.at(name);
    if (info.type != type || info.shape != shape)
      wrong(name, printable(info.type_name, 16), " ", printable(shape_text(info.shape)),
            "; expected ", lab::name(type), " ", shape_text(shape), " for ", scheme_.text);
  }
  template <class T>
  std::vector<T> read_as(const std::string& name) const {
    const std::vector<std::byte> bytes = weights_.bytes(name);
    std::vector<T> result(bytes.size() / sizeof(T));
    std::memcpy(result.data(), bytes.data(), bytes.size());  // never empty: sizes are at least 1
    return result;
  }
  template <class T>
  std::vector<T> values(const std::string& name, dtype type,
                        const std::vector<std::uint64_t>& shape) const {
    require(name, type, shape);
    return read_as<T>(name);
  }
  template <class... Parts>
  [[noreturn]] void wrong(const std::string& name, const Parts&... parts) const {
    reject({weights_.path()}, "tensor ", in_quotes(name), ": ", parts...);
  }

  zeropoint::params_table table(const std::string& name, std::size_t out, std::size_t in) const {
    const auto shape = scales_shape(scheme_, out, in);
    const std::string scales_name = name + ".weight_scales";
    const auto scales = values<float>(scales_name, dtype::f32, shape);
    std::vector<std::int8_t> zeros;
    const std::string zeros_name = name + ".weight_zero_points";
    if (!scheme_.weights.is_symmetric()) zeros = values<std::int8_t>(zeros_name, dtype::i8, shape);
    zeropoint::params_table result(out, in, block_of(scheme_, out, in), scheme_.weights);
    for (std::size_t b = 0; b < scales.size(); ++b) {
      zeropoint::params p = result[b];
      p.scale = scales[b];
      if (!zeros.empty()) p.zero_point = zeros[b];
      if (p.zero_point < p.qmin || p.zero_point > p.qmax)
        wrong(zeros_name, "element ", b, " is ", p.zero_point, "; expected ", p.qmin, " .. ",
              p.qmax);
      check_scale(scales_name, b, p);
      result.set(b, p);
    }
    return result;
  }

  /// As fit() makes them: normal, positive, and no end of the grid infinite.
  void check_scale(const std::string& name, std::size_t b, const zeropoint::params& p) const {
    const auto ends = p.representable();
    if (std::isnormal(p.scale) && p.scale > 0 && std::isfinite(ends.min) && std::isfinite(ends.max))
      return;
    wrong(name, "element ", b, " is ", p.scale, "; expected a scale above ",
          std::numeric_limits<float>::min(), " with a finite grid");
  }

  void read_codes(const std::string& name, zeropoint::matrix_view<std::int8_t> to) const {
    if (scheme_.weights.bits > 4) {
      const auto codes = read_as<std::int8_t>(name);
      std::copy(codes.begin(), codes.end(), to.data());
    } else {
      const auto bytes = read_as<std::uint8_t>(name);
      const std::size_t row = zeropoint::int4_row_bytes(to.cols());
      for (std::size_t j = 0; j < to.rows(); ++j) {
        const auto packed = std::span(bytes).subspan(j * row, row);
        const int unused = to.cols() % 2 != 0 ? packed.back() >> 4 : 0;
        if (unused != 0)
          wrong(name, "the unused half byte of row ", j, " is ", unused, "; expected 0");
        zeropoint::unpack_int4(packed, to.row(j));
      }
    }
    for (std::size_t j = 0; j < to.rows(); ++j) {
      for (std::size_t k = 0; k < to.cols(); ++k) {
        const int code = to(j, k), low = scheme_.weights.qmin(), high = scheme_.weights.qmax();
        if (code < low || code > high)
          wrong(name, "the code of output ", j, ", input ", k, " is ", code, "; expected ", low,
                " .. ", high);
      }
    }
  }

  zeropoint::value_range input_range(const std::string& name) const {
    const std::string range_name = name + ".input_range", scale_name = name + ".input_scale";
    const auto ends = values<float>(range_name, dtype::f32, {2});
    if (!std::isfinite(ends[0]) || !std::isfinite(ends[1]) || ends[0] > ends[1])
      wrong(range_name, ends[0], " .. ", ends[1], "; expected a finite range");
    const zeropoint::value_range range{ends[0], ends[1]};
    const zeropoint::params grid =
        zeropoint::fit(range, zeropoint::static_linear_options{}.activations);
    const std::string zero_name = name + ".input_zero_point";
    const float scale = values<float>(scale_name, dtype::f32, {1})[0];
    const int zero = values<std::int8_t>(zero_name, dtype::i8, {1})[0];
    if (scale != grid.scale)
      wrong(scale_name, scale, "; expected ", grid.scale, ", which follows from the range");
    if (zero != grid.zero_point)
      wrong(zero_name, zero, "; expected ", grid.zero_point, ", which follows from the range");
    return range;
  }

  const safetensors& weights_;
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

}  // namespace

bool is_quantized(const std::filesystem::path& folder) {
  try {
    const json tree = read_config(folder);
    const json_object config(tree, "");
    return config.object("quantization_config").maybe_text("quant_method") ==
           quantized_format::method;
  } catch (const input_error&) {
    return false;
  }
}

quantized_checkpoint load_quantized(const std::filesystem::path& folder, float_weights floats) {
  json tree = read_config(folder);
  const std::string file = (folder / "config.json").string();
  quantized_checkpoint result;
  result.scheme = scheme_of(json_object(tree, file));
  tree.erase("quantization_config");  // the rest is a float model's
  const model_config config = parse_config(tree.dump(), file);
  const safetensors weights(folder);
  check_metadata(weights, result.scheme);

  const layer_reader reader(weights, result.scheme);
  std::vector<quantized_layer> layers;
  std::vector<std::string> names;
  result.model =
      load_model(config, weights, [&](const std::string& name, std::size_t out, std::size_t in) {
        layers.push_back(reader.read(name, out, in));
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
  if (result.scheme.kind == arithmetic::calibrated) {
    for (const quantized_layer& l : layers) result.input_ranges.push_back(l.inputs);
  }
  result.layers = restore_scheme(result.scheme, result.model, layers);
  return result;
}

}  // namespace lab
