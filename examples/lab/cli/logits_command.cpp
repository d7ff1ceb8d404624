// zp-lab logits: the logits of a float model, or of a quantized checkpoint, for a row of token ids.
#include <lab/cli/commands.hpp>
#include <lab/cli/options.hpp>
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/io/file.hpp>
#include <lab/io/text.hpp>
#include <lab/models/load.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

namespace lab::cli {
namespace {

struct logits_arguments {
  std::string model, ids, out;
};

void logits(const logits_arguments& o) {
  const std::vector<std::uint32_t> ids = read_ids(o.ids);
  std::optional<quantized_checkpoint> stored;
  if (is_quantized(o.model)) stored = load_quantized(o.model);
  const transformer natural = stored ? transformer{} : load_model(o.model);
  const transformer& m = stored ? stored->model : natural;
  const scheme_layers layers = stored ? std::move(stored->layers) : make_scheme("fp32", m, {});
  check_window(m, ids);
  const std::size_t T = ids.size(), E = m.config.embed_width, V = m.config.vocab;
  zeropoint::aligned_buffer<float> hidden(T * E), rows(std::min(T, head_block) * V);
  workspace w(m.config, T);
  const zeropoint::matrix_view<float> states(hidden.data(), T, E);
  forward(m, layers.layers, ids, w, states, layers.attention);
  output_file out(o.out);
  for (std::size_t t = 0; t < T; t += head_block) {
    const std::size_t count = std::min(head_block, T - t);
    apply_head(m, layers, states.rows_from(t, count), {rows.data(), count, V});
    out.write(std::as_bytes(std::span<const float>(rows.data(), count * V)));
  }
  out.finish();
  std::cout << T << " x " << V << " float32 logits\n";
}

}  // namespace

void add_logits(CLI::App& app) {
  auto* command = app.add_subcommand("logits", "Compute the logits of token ids as float32");
  command->footer(
      "Reads little-endian uint16 ids (zp-lab tokenize writes them) as one window, at most as many "
      "as the model\nhas positions; writes [tokens, vocabulary] little-endian float32, row-major. "
      "A "
      "BOS is not added.\nExample: zp-lab logits --model gpt2 --ids ids.u16 --out logits.f32");
  auto o = std::make_shared<logits_arguments>();
  command
      ->add_option("--model", o->model, "Folder with config.json and the weights, or a .gguf file")
      ->required()
      ->type_name("DIR_OR_GGUF");
  command->add_option("--ids", o->ids, "Token ids")->required()->type_name("FILE.u16");
  add_output(*command, "--out", o->out, "Where the logits go")->required()->type_name("FILE.f32");
  command->callback([o] { logits(*o); });
}

}  // namespace lab::cli
