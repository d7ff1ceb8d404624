// zp-lab quantize: a float checkpoint to quantized ones on disk.
#include <lab/cli/calibration_arguments.hpp>
#include <lab/cli/commands.hpp>
#include <lab/experiments/quantize.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct quantize_arguments : calibration_arguments {
  std::string model, schemes, out, format = "zeropoint", text = default_text;
  std::size_t evaluate_tokens = 0;
  bool force = false;
};

void quantize(const quantize_arguments& o) {
  quantize_options wanted;
  wanted.model = o.model;
  wanted.out = o.out;
  wanted.text = o.text;
  wanted.calibration = o.calibration;
  wanted.format = checkpoint_format_named(o.format);
  wanted.schemes = storable_schemes(o.schemes, wanted.format);
  wanted.calibration_tokens = o.calibration_tokens;
  wanted.evaluate_tokens = o.evaluate_tokens;
  wanted.threads = o.thread_count();
  wanted.force = o.force;
  quantize_checkpoints(wanted, [](const std::filesystem::path& folder, const model_card& card) {
    std::cout << printable(folder.string(), 300) << ": " << card.scheme.text << ", "
              << card.bytes_before << " bytes of weights to " << card.bytes_after;
    if (card.evaluation) std::cout << "\n" << text_of(*card.evaluation);
    std::cout << std::endl;
  });
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto* command = app.add_subcommand("quantize", "Write a quantized checkpoint");
  command->footer(
      "Writes model.safetensors (codes, scales, zero points), config.json, the files of the "
      "tokenizer and a model card,\nREADME.md. zp-lab perplexity, generate and logits take the "
      "folder as --model and give\nwhat the scheme gives in memory, bit for bit.\n"
      "Schemes: w2 to w8 or w2a8 to w4a8 [-tensor|-channel|-gN] [-affine] [-gptq|-adaround],\n"
      "w8a8-dynamic[-token], w8a8-static[-p99.9|-mse|-kl], each perhaps with -kv8 or -attn8 and "
      "then -head8 or -head4\n(the file has the float head, which becomes integers when it is "
      "loaded). "
      "With several, each goes into a folder\nof its name in OUT.\n"
      "--format compressed-tensors: the same folder as vLLM and the Python package of that name "
      "read it; Llama\nand OPT, 4 or 8 bits, groups that divide the inputs.\n"
      "--format gguf: OUT/model.gguf as llama.cpp reads it; GPT-2 and Llama, schemes q8_0 and "
      "q4_0 (blocks of 32;\nembedding and head Q8_0). zp-lab takes the file as --model.\n"
      "Example: zp-lab quantize --model gpt2 --scheme w8,w4-g32 -o gpt2-quantized\n"
      "         zp-lab quantize --model gpt2 --format gguf --scheme q8_0 -o gpt2-q8_0");
  auto o = std::make_shared<quantize_arguments>();
  command->add_option("--model", o->model, "Folder of a float model")->required()->type_name("DIR");
  command->add_option("--scheme", o->schemes, "Schemes, separated by commas")
      ->required()
      ->type_name("A,B,...");
  command->add_option("--format", o->format, "zeropoint, compressed-tensors or gguf")
      ->capture_default_str()
      ->type_name("FORMAT");
  command->add_option("-o,--out", o->out, "Folder to write, new or empty")
      ->required()
      ->type_name("OUT");
  o->add_calibration_to(*command, "the ranges of static schemes and for GPTQ and AdaRound");
  command->add_option("--evaluate-tokens", o->evaluate_tokens,
                      "Measure the loss of what was written on so many tokens, one window at "
                      "least, for the model card (default: do not)");
  command->add_option("--text", o->text, "Text to measure on (default: WikiText-2 raw test)")
      ->type_name("FILE");
  command->add_flag("--force", o->force, "Overwrite the files of a folder that is not empty");
  o->add_threads_to(*command);
  command->callback([o] { quantize(*o); });
}

}  // namespace lab::cli
