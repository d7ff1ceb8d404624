// From a scheme's name (scheme_name.hpp) to the objects that compute the linear layers of the blocks.
// Embeddings, norms, softmax and OPT-350m's projections stay float in all schemes, the head and the
// products of attention in those that do not name them.
#pragma once

#include <lab/experiments/calibration.hpp>
#include <lab/experiments/perplexity.hpp>
#include <lab/experiments/scheme_name.hpp>

#include <filesystem>
#include <map>

namespace lab {

/// The layers of one scheme. They may borrow the model's weights, so the model must stay. `seen` is
/// what calibration saw in front of these layers; only schemes that need it read it. Throws
/// zeropoint::error where a weight cannot be quantized.
[[nodiscard]] scheme_layers make_scheme(const scheme_name& name, const transformer& model,
                                        const calibration& seen);
[[nodiscard]] scheme_layers make_scheme(std::string_view name, const transformer& model,
                                        const calibration& seen);

/// Whether the layers follow from the weights alone, so that no other form of the model is needed.
[[nodiscard]] bool is_streamable(const scheme_name& name) noexcept;

/// A float model under this one scheme, which is streamable: the same bits as load_model() and
/// make_scheme(), but a layer's float32 weights go when the scheme has its own, and so does the head's;
/// an embedding that only looks up tokens stays in 16 bits when it comes in such. `model` is without
/// these weights afterwards, and has to stay.
[[nodiscard]] scheme_layers load_scheme(const std::filesystem::path& path, const scheme_name& name,
                                        transformer& model);

/// Makes schemes of one model. Calibrates when the first scheme needs it, once for all schemes that
/// quantize the same inputs: those of the model as it is, smoothed, rotated, or equalized.
class scheme_maker {
 public:
  /// So many windows of a calibration run are done.
  using listener = std::function<void(std::size_t windows)>;

  /// `names` are those that make() will be asked for. The model and the calibration text, cut into
  /// windows, must stay; no windows are fine as long as no scheme needs calibration. Throws
  /// input_error, before any work, when a cure does not apply to this model.
  scheme_maker(const transformer& model, std::span<const scheme_name> names,
               std::span<const std::uint32_t> ids, std::span<const window> windows,
               std::size_t threads, listener report = {});

  /// From now on what calibration saw comes from here, a calibration table, and not from the text.
  /// Throws input_error when a scheme needs Gram matrices, means or samples, which tables
  /// do not hold.
  void use(std::map<activation_cure, calibration> seen);

  [[nodiscard]] scheme_layers make(const scheme_name& name);
  /// What calibration sees in front of the layers of the model as it is.
  [[nodiscard]] const calibration& natural() { return seen(activation_cure::none); }
  /// The same behind a cure. Throws input_error when a table that is in use does not have it.
  const calibration& seen(activation_cure cure);

 private:
  /// The form of the model that the cure works on; null: as it is.
  const std::shared_ptr<const transformer>& form(activation_cure cure);

  const transformer& model_;
  std::span<const std::uint32_t> ids_;
  std::span<const window> windows_;
  std::size_t threads_;
  listener report_;
  bool gram_, means_, samples_, from_table_ = false;
  std::map<activation_cure, calibration> seen_;
  std::map<activation_cure, std::shared_ptr<const transformer>> forms_;
};

}  // namespace lab
