// The builders behind the names.
#include <lab/experiments/quantized_linear.hpp>
#include <lab/experiments/schemes.hpp>

namespace lab {

namespace {

class builder {
 public:
  builder(const scheme_name& name, const transformer& model) : linears_(model.linears()) {
    result_.name = name.text;
  }

  template <class Layer>
  scheme_layers floats(std::size_t bytes_per_weight) {
    for (const dense* d : linears_) {
      const std::size_t bytes = d->weight.size() * bytes_per_weight;
      add(*d, std::make_unique<Layer>(*d), bytes, bytes);
    }
    return std::move(result_);
  }

  /// make(i, dense) gives layer i as a unique_ptr to something with layer().
  template <class Make>
  scheme_layers quantized(Make&& make) {
    for (std::size_t i = 0; i < linears_.size(); ++i) {
      auto one = make(i, *linears_[i]);
      const std::size_t stored = one->layer().stored_bytes(), memory = one->layer().weight_bytes();
      add(*linears_[i], std::move(one), stored, memory);
    }
    return std::move(result_);
  }

 private:
  void add(const dense& d, std::unique_ptr<const linear> layer, std::size_t stored,
           std::size_t memory) {
    const std::size_t bias = d.bias.size() * sizeof(float);
    result_.layers.push_back(std::move(layer));
    result_.stored_bytes += stored + bias;
    result_.memory_bytes += memory + bias;
  }

  std::vector<const dense*> linears_;
  scheme_layers result_;
};

template <class Layer, class... More>
std::unique_ptr<const quantized_linear<Layer>> layer_of(const dense& d, const More&... more) {
  return std::make_unique<const quantized_linear<Layer>>(zeropoint::linear_weight{d.view()},
                                                         std::span<const float>(d.bias), more...);
}

const std::vector<zeropoint::value_range>& ranges_of(range_rule rule, const calibration& seen) {
  switch (rule) {
    case range_rule::min_max:
      return seen.min_max;
    case range_rule::percentile:
      return seen.percentile;
    case range_rule::mse:
    case range_rule::entropy:
      break;
  }
  return seen.min_max;
}

scheme_layers make_weight_only(const scheme_name& name, const transformer& model) {
  const zeropoint::weight_only_options options{.granularity = name.granularity,
                                               .weights = name.weights};
  return builder(name, model).quantized([&](std::size_t, const dense& d) {
    return layer_of<zeropoint::weight_only_linear>(d, options);
  });
}

scheme_layers make_static(const scheme_name& name, const transformer& model,
                          const calibration& seen) {
  const auto& ranges = ranges_of(name.range, seen);
  return builder(name, model).quantized([&](std::size_t i, const dense& d) {
    return layer_of<zeropoint::static_linear>(d, ranges[i]);
  });
}

}  // namespace

scheme_layers make_scheme(const scheme_name& name, const transformer& model,
                          const calibration& seen) {
  builder b(name, model);
  ZP_REQUIRE(!name.needs_calibration() || seen.min_max.size() == model.linears().size(),
             "make_scheme: calibration of ", seen.min_max.size(), " layers, the model has ",
             model.linears().size());
  switch (name.kind) {
    case arithmetic::fp32:
      return b.floats<float_linear>(4);
    case arithmetic::f16:
      return b.floats<f16_linear>(2);
    case arithmetic::bf16:
      return b.floats<bf16_linear>(2);
    case arithmetic::weight_only:
      return make_weight_only(name, model);
    case arithmetic::dynamic: {
      zeropoint::dynamic_linear_options options;
      options.tokens = zeropoint::per_token;
      if (!name.per_token) options.tokens = zeropoint::per_tensor;
      return b.quantized([&](std::size_t, const dense& d) {
        return layer_of<zeropoint::dynamic_linear>(d, options);
      });
    }
    case arithmetic::calibrated:
      return make_static(name, model, seen);
    case arithmetic::channel_simulated:
      return b.quantized([&](std::size_t i, const dense& d) {
        return std::make_unique<const channel_simulated_linear>(d, seen.channel_absmax[i]);
      });
    case arithmetic::outlier:
      break;
  }
  zeropoint::fail("make_scheme: ", name.text, " cannot be made");
}

scheme_layers make_scheme(std::string_view name, const transformer& model,
                          const calibration& seen) {
  return make_scheme(parse_scheme(name), model, seen);
}

scheme_maker::scheme_maker(const transformer& model, std::span<const std::uint32_t> ids,
                           std::span<const window> windows, std::size_t threads, listener report)
    : model_(model), ids_(ids), windows_(windows), threads_(threads), report_(std::move(report)) {}

const std::shared_ptr<const transformer>& scheme_maker::smoothed() {
  return smoothed_;
}

const calibration& scheme_maker::seen(activation_cure cure) {
  const auto found = seen_.find(cure);
  if (found != seen_.end()) return found->second;
  const transformer& form = cure == activation_cure::smooth ? *smoothed() : model_;
  return seen_[cure] = calibrate(form, ids_, windows_, threads_, report_);
}

scheme_layers scheme_maker::make(const scheme_name& name) {
  static const calibration nothing;
  const transformer& form = name.cure == activation_cure::smooth ? *smoothed() : model_;
  scheme_layers made =
      make_scheme(name, form, name.needs_calibration() ? seen(name.cure) : nothing);
  if (name.cure == activation_cure::smooth) made.model = smoothed();
  return made;
}

}  // namespace lab
