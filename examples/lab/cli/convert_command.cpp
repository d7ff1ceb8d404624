// zp-lab convert: a model of llama2.c to the layout of HuggingFace.
#include <lab/cli/commands.hpp>
#include <lab/experiments/llama2c.hpp>
#include <lab/io/error.hpp>
#include <lab/report/format.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct convert_arguments {
  std::string model, tokenizer, out;
};

}  // namespace

void add_convert(CLI::App& app) {
  auto* command = app.add_subcommand(
      "convert", "Convert a model of llama2.c to safetensors and tokenizer.json");
  command->footer(
      "The numbers stay as they are, float32; rows of q and k change places.\n"
      "Example: zp-lab convert --model stories260K.bin --tokenizer tok512.bin -o stories260K");
  auto o = std::make_shared<convert_arguments>();
  command->add_option("--model", o->model, "The weights, version 0 of llama2.c's export")
      ->required()
      ->type_name("BIN");
  command->add_option("--tokenizer", o->tokenizer, "Its tokenizer")->required()->type_name("BIN");
  command->add_option("-o,--out", o->out, "Folder, made when it does not exist")
      ->required()
      ->type_name("DIR");
  command->callback([o] {
    const auto parameters = convert_llama2c(o->model, o->tokenizer, o->out);
    std::cout << printable(o->out, 300) << ": " << grouped(parameters)
              << " parameters in float32\n";
  });
}

}  // namespace lab::cli
