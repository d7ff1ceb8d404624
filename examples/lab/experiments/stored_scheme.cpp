// The same config, layers and unquantized weights, or a refusal.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/stored_scheme.hpp>
#include <lab/models/weights_hash.hpp>

#include <algorithm>

namespace lab {

scheme_layers load_stored_scheme(const std::filesystem::path& folder, const transformer& natural) {
  quantized_checkpoint stored = load_quantized(folder, float_weights::dropped);
  const auto linears = stored.model.linears(), expected = natural.linears();
  const bool same = identity(stored.model.config) == identity(natural.config) &&
                    unquantized_hash(stored.model) == unquantized_hash(natural) &&
                    std::equal(linears.begin(), linears.end(), expected.begin(), expected.end(),
                               [](const dense* a, const dense* b) {
                                 return a->name == b->name && a->out == b->out && a->in == b->in;
                               });
  const std::string shown = printable(folder.string(), 300);
  if (!same) throw input_error("--quantized: " + shown + " is not of this --model");
  stored.layers.name += " of " + shown;
  stored.layers.model = std::make_shared<const transformer>(std::move(stored.model));
  return std::move(stored.layers);
}

void require_float_model(const std::filesystem::path& model) {
  if (!is_quantized(model)) return;
  throw input_error("--model: " + printable(model.string(), 300) +
                    " is quantized; expected the float model, and this folder as --quantized");
}

}  // namespace lab
