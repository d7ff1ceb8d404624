// The builders behind the names.
#include <lab/experiments/scheme_builder.hpp>
#include <lab/experiments/schemes.hpp>
#include <lab/models/equalize.hpp>
#include <lab/models/fold.hpp>
#include <lab/models/load.hpp>
#include <lab/models/smooth.hpp>
#include <zeropoint/nn/activation_methods.hpp>
#include <zeropoint/nn/bias_correction.hpp>
#include <zeropoint/nn/weight_methods.hpp>

namespace lab {

using zeropoint::matrix_view;

namespace {

using floats = std::span<const float>;

/// The rotation in front of layers with `in` inputs, the same for all of them.
zeropoint::hadamard_rotation rotation_of(std::size_t in) {
  return zeropoint::hadamard_rotation(in);
}

/// Layers made by make(i, weight, bias), behind a rotation of their inputs when that is the cure.
template <class Make>
scheme_layers perhaps_rotated(const scheme_name& name, const transformer& model, Make&& make,
                              const weight_stream& stream = {}) {
  scheme_builder b(name, model, stream);
  if (name.cure != activation_cure::rotate) {
    return b.quantized([&](std::size_t i, const dense& d) {
      return make(i, zeropoint::linear_weight{d.view()}, d.bias);
    });
  }
  return b.quantized([&](std::size_t i, const dense& d) {
    const zeropoint::hadamard_rotation r = rotation_of(d.in);
    const zeropoint::rotated_weight w(zeropoint::linear_weight{d.view()}, r);
    return zeropoint::rotated_linear(r, make(i, w.get(), d.bias));
  });
}

/// Throws input_error unless the cure applies to this model.
void require_cure(const scheme_name& name, const transformer& model) {
  try {
    if (name.is_smooth()) require_smoothable(model);
    if (name.cure == activation_cure::equalize) require_equalizable(model);
  } catch (const input_error& problem) {
    throw input_error(name.text + ": " + problem.what());
  }
  if (name.cure != activation_cure::rotate) return;
  for (const dense* d : model.linears()) {
    if (zeropoint::hadamard_rotation::supports(d->in)) continue;
    throw input_error(name.text + ": " + d->name + " has " + std::to_string(d->in) +
                      " inputs, for which there is no Hadamard matrix here");
  }
}

/// The bias of layer i, of codes q, corrected if the name says so. The means are those of the inputs
/// before they are quantized.
std::vector<float> bias_of(const scheme_name& name, const calibration& seen, std::size_t i,
                           const zeropoint::linear_weight& w, const zeropoint::quantized_weight& q,
                           floats bias) {
  if (!name.corrected) return {bias.begin(), bias.end()};
  return zeropoint::corrected_bias(w, q, bias, seen.means[i]);
}

/// make(codes, bias) gives the layer of a weight that is quantized as the name says.
template <class Make>
scheme_layers make_coded(const scheme_name& name, const transformer& model, const calibration& seen,
                         const weight_stream& stream, Make&& make) {
  using namespace zeropoint;
  return scheme_builder(name, model, stream).quantized([&](std::size_t i, const dense& d) {
    const linear_weight w{d.view()};
    const auto made = [&](const quantized_weight& q) {
      return make(q, bias_of(name, seen, i, w, q, d.bias));
    };
    if (name.method == weight_method::gptq) {
      const auto chosen =
          gptq(w, seen.gram[i], {.weights = name.weights, .granularity = name.granularity});
      return made(quantized_weight(chosen.codes, chosen.statistics));
    }
    if (name.method == weight_method::adaround) {
      const auto chosen =
          adaround(w, seen.gram[i], {.weights = name.weights, .granularity = name.granularity});
      return made(quantized_weight(chosen.codes, chosen.statistics));
    }
    return made(name.kind == arithmetic::int4
                    ? quantized_weight::with_half_scales(w, name.granularity, name.weights)
                    : quantized_weight(w, name.granularity, name.weights));
  });
}

scheme_layers make_weight_only(const scheme_name& name, const transformer& model,
                               const calibration& seen, const weight_stream& stream) {
  using namespace zeropoint;
  if (name.method != weight_method::awq) {
    return make_coded(name, model, seen, stream, [](const quantized_weight& w, floats bias) {
      return weight_only_linear(w, bias);
    });
  }
  return scheme_builder(name, model).quantized([&](std::size_t i, const dense& d) {
    const auto chosen = awq(linear_weight{d.view()}, seen.gram[i],
                            awq_options{.weights = name.weights, .granularity = name.granularity});
    return scaled_linear(
        weight_only_linear(quantized_weight(chosen.codes, chosen.statistics), d.bias),
        chosen.scale.factors);
  });
}

scheme_layers make_dynamic(const scheme_name& name, const transformer& model,
                           const calibration& seen, const weight_stream& stream) {
  using namespace zeropoint;
  const dynamic_linear_options options = dynamic_options(name);
  const auto make = [&](std::size_t i, const linear_weight& w, floats bias) {
    const quantized_weight q(w, options.granularity, options.weights);
    return dynamic_linear(q, bias_of(name, seen, i, w, q, bias), options);
  };
  return perhaps_rotated(name, model, make, stream);
}

scheme_layers make_static(const scheme_name& name, const transformer& model,
                          const calibration& seen) {
  using namespace zeropoint;
  const auto range = [&](std::size_t i) { return seen.ranges[i].of(name.range); };
  const static_linear_options options;
  if (!name.watched) {
    return perhaps_rotated(name, model, [&](std::size_t i, const linear_weight& w, floats bias) {
      const quantized_weight q(w, options.granularity, options.weights);
      return static_linear(q, bias_of(name, seen, i, w, q, bias), range(i), options);
    });
  }
  scheme_layers made =
      perhaps_rotated(name, model, [&](std::size_t i, const linear_weight& w, floats bias) {
        return watched_linear(w, bias, range(i));
      });
  made.ordered = true;
  return made;
}

/// make_scheme(), of layers as `stream` reads them when there is one.
scheme_layers make_any(const scheme_name& name, const transformer& model, const calibration& seen,
                       const weight_stream& stream) {
  scheme_builder b(name, model, stream);
  const bool needs_ranges =
      name.kind == arithmetic::calibrated || name.kind == arithmetic::channel_simulated;
  ZP_REQUIRE(!needs_ranges || seen.ranges.size() == model.linears().size(),
             "make_scheme: calibration of ", seen.ranges.size(), " layers, the model has ",
             model.linears().size());
  ZP_REQUIRE(!name.needs_gram() || seen.gram.size() == model.linears().size(),
             "make_scheme: ", name.text,
             " needs Gram matrices, which calibration was not asked for");
  ZP_REQUIRE(!name.corrected || seen.means.size() == model.linears().size(),
             "make_scheme: ", name.text, " needs means, which calibration was not asked for");
  switch (name.kind) {
    case arithmetic::fp32:
      return b.floats<float_linear>(4);
    case arithmetic::f16:
      return b.floats<f16_linear>(2);
    case arithmetic::bf16:
      return b.floats<bf16_linear>(2);
    case arithmetic::weight_only:
      return make_weight_only(name, model, seen, stream);
    case arithmetic::int4:
      return make_coded(name, model, seen, stream,
                        [](const zeropoint::quantized_weight& w, floats bias) {
                          return zeropoint::int4_linear(w, bias);
                        });
    case arithmetic::dynamic:
      return make_dynamic(name, model, seen, stream);
    case arithmetic::calibrated:
      return make_static(name, model, seen);
    case arithmetic::outlier:
      return b.quantized([&](std::size_t, const dense& d) {
        return zeropoint::outlier_linear(zeropoint::linear_weight{d.view()}, d.bias);
      });
    case arithmetic::channel_simulated:
      break;
  }
  for (std::size_t i = 0; i < model.linears().size(); ++i) {
    const dense& d = *model.linears()[i];
    b.place(d, std::make_unique<const channel_simulated_linear>(d, seen.channel_absmax[i]));
  }
  return b.take();
}

}  // namespace

scheme_layers make_scheme(const scheme_name& name, const transformer& model,
                          const calibration& seen) {
  return make_any(name, model, seen, {});
}

scheme_layers make_scheme(std::string_view name, const transformer& model,
                          const calibration& seen) {
  return make_scheme(parse_scheme(name), model, seen);
}

bool is_streamable(const scheme_name& name) noexcept {
  return name.kind != arithmetic::fp32 && name.cure == activation_cure::none &&
         !name.needs_calibration();
}

scheme_layers load_scheme(const std::filesystem::path& path, const scheme_name& name,
                          transformer& model) {
  ZP_REQUIRE(is_streamable(name), "load_scheme: ", name.text,
             " needs more of the model than its weights");
  return make_any(name, model, {},
                  [&](const weight_taker& taker) { model = load_model(path, taker); });
}

scheme_maker::scheme_maker(const transformer& model, std::span<const scheme_name> names,
                           std::span<const std::uint32_t> ids, std::span<const window> windows,
                           std::size_t threads, listener report)
    : model_(model),
      ids_(ids),
      windows_(windows),
      threads_(threads),
      report_(std::move(report)),
      gram_(std::any_of(names.begin(), names.end(),
                        [](const scheme_name& n) { return n.needs_gram(); })),
      means_(std::any_of(names.begin(), names.end(),
                         [](const scheme_name& n) { return n.corrected; })),
      samples_(std::any_of(names.begin(), names.end(), [](const scheme_name& n) {
        return n.cure == activation_cure::smooth_search;
      })) {
  for (const scheme_name& n : names) require_cure(n, model);
}

const std::shared_ptr<const transformer>& scheme_maker::form(activation_cure cure) {
  const auto found = forms_.find(cure);
  if (found != forms_.end()) return found->second;
  std::shared_ptr<transformer> changed;
  if (cure == activation_cure::smooth || cure == activation_cure::smooth_search) {
    changed = std::make_shared<transformer>(model_);
    const auto& absmax = natural().channel_absmax;
    if (cure == activation_cure::smooth) {
      apply_smoothing(*changed, absmax);
    } else {
      constexpr std::size_t samples = 512;  // tokens
      apply_smoothing(
          *changed, absmax,
          search_alphas(model_, absmax, sample_inputs(model_, ids_, windows_, samples), threads_));
    }
  } else if (cure == activation_cure::equalize) {
    changed = std::make_shared<transformer>(model_);
    apply_equalization(*changed);
  } else if (cure == activation_cure::rotate && model_.config.pre_norm) {
    changed = std::make_shared<transformer>(model_);
    fold_norms(*changed);
  }
  return forms_[cure] = std::move(changed);
}

const calibration& scheme_maker::seen(activation_cure cure) {
  const auto found = seen_.find(cure);
  if (found != seen_.end()) return found->second;
  if (from_table_) {
    throw input_error(std::string("the calibration table has no ") +
                      (cure == activation_cure::smooth     ? "smoothed"
                       : cure == activation_cure::rotate   ? "rotated"
                       : cure == activation_cure::equalize ? "equalized"
                                                           : "natural") +
                      " inputs; make it with zp-lab calibrate --schemes");
  }
  const auto& changed = form(cure);
  calibration_wishes wishes;
  wishes.gram = gram_ && cure == activation_cure::none;
  wishes.means = means_;
  if (cure == activation_cure::rotate) {
    wishes.change = [](matrix_view<float> x) { rotation_of(x.cols()).apply(x); };
  }
  return seen_[cure] =
             calibrate(changed ? *changed : model_, ids_, windows_, threads_, wishes, report_);
}

void scheme_maker::use(std::map<activation_cure, calibration> seen) {
  if (gram_) {
    throw input_error(
        "GPTQ, AWQ and AdaRound need the calibration text: a table has no Gram matrices");
  }
  if (means_) {
    throw input_error("-bias needs the calibration text: a table has no means of the inputs");
  }
  if (samples_) {
    throw input_error("-smooth-search needs the calibration text: a table has no samples");
  }
  seen_ = std::move(seen);
  from_table_ = true;
}

scheme_layers scheme_maker::make(const scheme_name& name) {
  static const calibration nothing;
  const std::shared_ptr<const transformer>& changed = form(name.cure);
  const bool reads = name.kind == arithmetic::calibrated ||
                     name.kind == arithmetic::channel_simulated || name.needs_gram() ||
                     name.corrected;
  scheme_layers made =
      make_scheme(name, changed ? *changed : model_, reads ? seen(name.cure) : nothing);
  made.model = changed;
  return made;
}

}  // namespace lab
