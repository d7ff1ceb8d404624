// zp-lab tokenize: text to token ids.
#include <lab/cli/commands.hpp>
#include <lab/cli/options.hpp>
#include <lab/io/progress.hpp>
#include <lab/io/text.hpp>
#include <lab/io/tokenizer.hpp>

#include <iostream>
#include <memory>
#include <string>

namespace lab::cli {
namespace {

struct tokenize_arguments {
  std::string model, text, out;
  bool hf_lines = false;
};

void tokenize(const tokenize_arguments& o) {
  const tokenizer tokens(o.model);
  std::string text = read_text(o.text);
  if (o.hf_lines) text = join_lines_as_huggingface(text);
  progress shown("tokenize", text.size());
  const auto ids =
      tokens.encode(text, special_tokens::as_text, [&](std::size_t bytes) { shown.at(bytes); });
  write_ids(o.out, ids);
  std::cout << ids.size() << " tokens from " << text.size() << " bytes, hash of the text "
            << text_hash(text) << "\n";
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto* command = app.add_subcommand("tokenize", "Turn a text into token ids");
  command->footer(
      "Writes little-endian uint16 ids, without a BOS; special tokens in the text are read as "
      "text.\nExample: zp-lab tokenize --model gpt2 --text wiki.test.raw --hf-lines --out ids.u16");
  auto o = std::make_shared<tokenize_arguments>();
  command
      ->add_option("--model", o->model, "Folder with the files of the tokenizer, or a .gguf file")
      ->required()
      ->type_name("DIR_OR_GGUF");
  command->add_option("--text", o->text, "The text, UTF-8")->required()->type_name("FILE");
  command->add_flag("--hf-lines", o->hf_lines,
                    "Join the lines as the HuggingFace dataset does: blank lines become empty, "
                    "two newlines between lines");
  add_output(*command, "--out", o->out, "Where the ids go")->required()->type_name("FILE.u16");
  command->callback([o] { tokenize(*o); });
}

}  // namespace lab::cli
