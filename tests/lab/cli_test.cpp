// The command line through run(), which is all that main() calls: good runs, and a table of bad
// ones that each end with exit code 2 and exactly one line naming the thing.
#include <lab/io/text.hpp>

#include "lab/command.hpp"
#include "lab/safetensors_bytes.hpp"
#include "lab/scratch.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using test::zp_lab;

const std::string gpt2 = (test::data / "gpt2").string();
const std::string reference = (test::data / "reference.safetensors").string();

}  // namespace

TEST_CASE("--help and --version") {
  const auto help = zp_lab({"--help"});
  CHECK(help.code == 0);
  CHECK(help.err.empty());
  for (const char* name : {"perplexity", "generate", "compare", "random", "tokenize", "logits",
                           "inspect", "gallery", "Exit codes"})
    CHECK(test::contains(help.out, name));
  for (const char* name : {"perplexity", "generate", "compare", "random", "tokenize", "logits",
                           "inspect", "gallery"}) {
    const auto one = zp_lab({name, "--help"});
    CHECK(one.code == 0);
    CHECK(one.err.empty());
    CHECK(one.out.size() > 100);
  }
  CHECK(test::contains(zp_lab({"tokenize", "--help"}).out, "--hf-lines"));
  CHECK(zp_lab({"--version"}).out.rfind("zp-lab ", 0) == 0);
  CHECK(zp_lab({"--version"}).code == 0);
}

TEST_CASE("tokenize writes the ids") {
  const test::scratch dir;
  const std::string text = dir.write("t", " \nHello world\n").string();
  const std::string ids = (dir.path() / "ids.u16").string();
  const auto plain = zp_lab({"tokenize", "--model", gpt2, "--text", text, "--out", ids});
  CHECK(plain.code == 0);
  CHECK(plain.err.empty());
  CHECK(test::contains(plain.out, "5 tokens from 14 bytes"));
  CHECK(lab::read_ids(ids) == std::vector<std::uint32_t>{220, 198, 15496, 995, 198});
  const auto joined =
      zp_lab({"tokenize", "--model", gpt2, "--text", text, "--hf-lines", "--out", ids});
  CHECK(joined.code == 0);
  CHECK(lab::read_ids(ids) == std::vector<std::uint32_t>{198, 198, 15496, 995, 198});
}

TEST_CASE("inspect lists tensors and totals from the header") {
  const auto one = zp_lab({"inspect", reference});
  CHECK(one.code == 0);
  CHECK(one.err.empty());
  CHECK(test::contains(one.out, "reference.safetensors: 1011 bytes\n"));
  CHECK(test::contains(one.out, "metadata format: pt\n"));
  CHECK(test::contains(one.out, "  i8            I8     [2, 2]             4\n"));
  CHECK(test::contains(one.out, "name \"\xC3\xA9\\\\x0a"));  // the newline is escaped
  CHECK(test::contains(one.out, "F32    3 tensors, 7 elements, 28 bytes\n"));
  CHECK(test::contains(one.out, "total  15 tensors, 33 elements, 99 bytes\n"));
  CHECK(zp_lab({"inspect", reference}).out == one.out);

  const test::scratch dir;
  std::filesystem::copy(reference, dir.path() / "model.safetensors");
  CHECK(test::contains(zp_lab({"inspect", dir.path().string()}).out, "total  15 tensors"));
}

TEST_CASE("inspect reads no data: a sparse file of a terabyte takes no time") {
  const test::scratch dir;
  const std::string size = "1099511627776";
  const auto path = dir.write(
      "big.safetensors",
      test::framed(
          R"({"w":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}}", ""));
  const auto header = std::filesystem::file_size(path);
  std::error_code cannot;
  std::filesystem::resize_file(path, header + 1099511627776u, cannot);
  if (cannot) return;  // a file system without sparse files of that size
  const auto result = zp_lab({"inspect", path.string()});
  CHECK(result.code == 0);
  CHECK(test::contains(result.out, "total  1 tensors, 1099511627776 elements"));
}

TEST_CASE("gallery prints experiments and writes them as JSON") {
  const test::scratch dir;
  const std::string json = (dir.path() / "gallery.json").string();
  const auto result = zp_lab({"gallery", "--only", "ties-away,batch-mates", "--json", json});
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  CHECK(result.out.find("\nbatch-mates ") < result.out.find("\nties-away "));
  CHECK(!test::contains(result.out, "static-outliers"));
  const std::string written = test::slurp(json);
  CHECK(written.rfind("[\n {\n  \"name\": \"batch-mates\",\n", 0) == 0);
  CHECK(test::contains(written, "\"name\": \"ties-away\""));
}

TEST_CASE("frameworks: a table, and the same as JSON") {
  const test::scratch dir;
  const std::string json = (dir.path() / "frameworks.json").string();
  const std::string model = (test::data / "golden/gpt2_tied").string();
  const auto result = zp_lab({"frameworks", "--model", model, "--json", json});
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  CHECK(test::contains(result.out, "\ntorch "));
  CHECK(test::contains(result.out, "\nggml q4_0 "));
  CHECK(test::contains(test::slurp(json), "\"name\": \"compressed-tensors\""));
  CHECK(zp_lab({"frameworks"}).code == 2);
}

TEST_CASE("bad input: exit code 2 and one line that names the thing") {
  const test::scratch dir;
  const std::string folder = dir.path().string();
  const std::string none = (dir.path() / "none").string();
  const std::string text = dir.write("text", "some text").string();
  const std::string ids = dir.write("ids", "ab").string();
  const std::string empty = dir.write("empty", "").string();
  const std::string out = (dir.path() / "out").string();
  const std::string cut =
      dir.write("cut.safetensors", test::slurp(reference).substr(0, 700)).string();
  const std::string picture =
      dir.write("a.png", "\x89PNG\r\n\x1a\n........................").string();
  std::filesystem::create_directory(dir.path() / "bert");
  dir.write("bert/config.json", R"({"model_type":"bert"})");
  const std::string bert = (dir.path() / "bert").string();
  struct bad {
    std::vector<std::string> arguments;
    std::string expected;
  };
  for (const auto& [arguments, expected] : std::vector<bad>{
           {{}, "no subcommand; expected one of perplexity"},
           {{"frobnicate"}, "frobnicate"},
           {{"--frobnicate"}, "--frobnicate"},
           {{"inspect"}, "path"},
           {{"inspect", reference, "more"}, "more"},
           {{"inspect", "--deep", reference}, "--deep"},
           {{"inspect", none}, none + ": cannot be opened: No such file"},
           {{"inspect", folder}, folder + ": holds neither model.safetensors nor"},
           {{"inspect", empty}, empty + ": byte offset 0: the file has 0 bytes"},
           {{"inspect", cut}, cut + ": byte offset 0: the header would have"},
           {{"inspect", picture}, picture + ": byte offset 0: the header would have"},
           {{"inspect", text}, text + ": byte offset 0: the header would have"},
           {{"inspect", "/dev/null"}, "/dev/null: is not a regular file"},
           {{"inspect", ""}, "No such file"},
           {{"inspect", std::string(5000, 'x')}, "File name too long"},
           {{"inspect", "a\nb\x1b[2J"}, "a\\x0ab\\x1b[2J"},
           {{"tokenize"}, "--model"},
           {{"tokenize", "--model", gpt2, "--text", text}, "--out"},
           {{"tokenize", "--model", gpt2, "--text"}, "--text"},
           {{"tokenize", "--model", none, "--text", text, "--out", out},
            none + ": is not a folder"},
           {{"tokenize", "--model", text, "--text", text, "--out", out},
            text + ": is not a folder"},
           {{"tokenize", "--model", folder, "--text", text, "--out", out},
            folder + ": holds neither tokenizer.json"},
           {{"tokenize", "--model", gpt2, "--text", none, "--out", out},
            none + ": cannot be opened"},
           {{"tokenize", "--model", gpt2, "--text", empty, "--out", out}, empty + ": is empty"},
           {{"tokenize", "--model", gpt2, "--text", folder, "--out", out},
            folder + ": is a folder"},
           {{"tokenize", "--model", gpt2, "--text", text, "--out", folder},
            folder + ": is a folder"},
           {{"tokenize", "--model", gpt2, "--text", text, "--out", none + "/x"},
            none + "/x: cannot be written"},
           {{"tokenize", "--model", gpt2, "--text", text, "--out", out, "--fast"}, "--fast"},
           {{"logits"}, "--model"},
           {{"logits", "--model", none, "--ids", ids, "--out", out}, "none"},
           {{"logits", "--model", bert, "--ids", ids, "--out", out}, "\"bert\" is not supported"},
           {{"generate"}, "--model"},
           {{"generate", "--model", folder}, "--prompt or --prompt-tokens is required"},
           {{"generate", "--model", folder, "--prompt", "x", "--prompt-tokens", "3"}, "excludes"},
           {{"generate", "--model", folder, "--prompt", "x"}, "holds neither tokenizer.json"},
           {{"generate", "--model", none, "--prompt-tokens", "3"}, "none"},
           {{"generate", "--model", bert, "--prompt-tokens", "3"}, "\"bert\" is not supported"},
           {{"generate", "--model", folder, "--prompt-tokens", "0"}, "--prompt-tokens"},
           {{"generate", "--model", folder, "--prompt", "x", "--scheme", "w9"}, "\"w9\""},
           {{"generate", "--model", folder, "--prompt", "x", "--temperature", "-1"},
            "--temperature: expected a number from 0"},
           {{"generate", "--model", folder, "--prompt", "x", "--temperature", "nan"},
            "--temperature: expected a number from 0"},
           {{"generate", "--model", folder, "--prompt", "x", "--top-p", "0"}, "--top-p: expected"},
           {{"generate", "--model", folder, "--prompt", "x", "--top-p", "1.1"},
            "--top-p: expected"},
           {{"generate", "--model", folder, "--prompt", "x", "--top-k", "-1"}, "--top-k"},
           {{"generate", "--model", folder, "--prompt", "x", "--runs", "0"}, "--runs"},
           {{"compare", "--model", folder, "--prompt", "x"}, "--schemes"},
           {{"compare", "--model", folder, "--schemes", "w8"}, "--prompt"},
           {{"compare", "--model", folder, "--prompt", "x", "--schemes", "w9"}, "\"w9\""},
           {{"random", "--like", "gpt5", "-o", out}, "no shape \"gpt5\"; there are: gpt2"},
           {{"random", "--like", "gpt2"}, "--out"},
           {{"random", "--like", "gpt2", "-o", text + "/x"}, "cannot be made"},
           {{"random", "--like", "gpt2", "-o", out, "--seed", "-1"}, "--seed: expected a whole"},
           {{"compare", "--model", folder, "--prompt", "x", "--schemes", ""},
            "--schemes: is empty"},
           {{"generate", "--model", folder, "--prompt", "x", "--scheme", ""}, "--scheme: is empty"},
           {{"generate", "--model", folder, "--prompt", "x", "--seed", "-1"},
            "--seed: expected a whole number of at most 2^64 - 1 in decimal digits, not \"-1\""},
           {{"generate", "--model", folder, "--prompt", "x", "--seed", "18446744073709551616"},
            "--seed: expected a whole"},
           {{"generate", "--model", folder, "--prompt", "x", "--seed", "010"}, "not \"010\""},
           {{"generate", "--model", folder, "--prompt", "x", "--seed", "0x1"}, "not \"0x1\""},
           {{"generate", "--model", folder, "--prompt", "x", "--seed", "+1"}, "not \"+1\""},
           {{"generate", "--model", folder, "--prompt", "x", "--seed", ""}, "--seed"},
           {{"generate", "--model", folder, "--prompt", "x", "--top-k", "3"},
            "--top-k: expected a --temperature above 0 with it"},
           {{"generate", "--model", folder, "--prompt", "x", "--top-p", "0.5", "--temperature",
             "0"},
            "--top-p: expected a --temperature above 0 with it"},
           {{"generate", "--model", none, "--prompt-tokens", "3", "--scheme", "w8,w4"},
            "--scheme: \"w8,w4\" is not a scheme"},
           {{"quantize"}, "--model"},
           {{"quantize", "--model", folder, "--scheme", "w8"}, "--out"},
           {{"quantize", "--model", folder, "-o", out}, "--scheme"},
           {{"quantize", "--model", none, "--scheme", "w8", "-o", out}, "none"},
           {{"quantize", "--model", bert, "--scheme", "w8", "-o", out}, "bert"},
           {{"quantize", "--model", folder, "--scheme", "w8", "-o", out, "--evaluate-tokens", "-1"},
            "--evaluate-tokens: expected a whole"},
           {{"quantize", "--model", folder, "--scheme", "w8", "-o", out, "--format", "onnx"},
            "\"onnx\" is not a format"},
           {{"quantize", "--model", folder, "--scheme", "q8_0", "-o", out}, "--format gguf"},
           {{"quantize", "--model", none, "--scheme", "w8", "-o", text + "/x"}, "cannot be made"},
           {{"bench"}, "--model"},
           {{"bench", "--model", none}, "none"},
           {{"bench", "--model", bert}, "\"bert\" is not supported"},
           {{"bench", "--model", none, "--schemes", ""}, "--schemes: is empty"},
           {{"bench", "--model", bert, "--schemes", "w9"}, "--schemes: \"w9\" is not a scheme"},
           {{"bench", "--model", none, "--runs", "0"}, "--runs"},
           {{"bench", "--model", none, "--max-tokens", "-1"}, "--max-tokens"},
           {{"bench", "--model", none, "--json", none + "/x"}, none + "/x: cannot be written"},
           {{"merge"}, "files"},
           {{"merge", none}, none + ": cannot be opened"},
           {{"merge", text}, text + ": "},
           {{"merge", none, "--json", none + "/x"}, none + "/x: cannot be written"},
           {{"merge", none, "--csv", folder}, folder + ": is a folder"},
           {{"calibrate"}, "--out"},
           {{"calibrate", "--out", out}, "expected either --model or --merge"},
           {{"calibrate", "--model", none, "--out", out}, "none"},
           {{"calibrate", "--model", none, "--out", none + "/x"}, none + "/x: cannot be written"},
           {{"calibrate", "--merge", text, "--out", out}, text + ": "},
           {{"calibrate", "--model", none, "--out", out, "--calibration-tokens", "-5"},
            "--calibration-tokens"},
           {{"calibrate", "--model", none, "--out", out, "--schemes", ""}, "--schemes: is empty"},
           {{"budget"}, "--model"},
           {{"budget", "--model", none}, "Exactly 1 option from [--bytes-per-weight"},
           {{"budget", "--model", none, "--kl", "0.1", "--megabytes", "3"}, "2 were given"},
           {{"budget", "--model", none, "--kl", "-1"}, "--kl"},
           {{"budget", "--model", none, "--kl", "0.1"}, "none"},
           {{"budget", "--model", none, "--kl", "0.1", "--schemes", "fp32"}, "nothing to choose"},
           {{"budget", "--model", none, "--kl", "0.1", "--json", none + "/x"},
            none + "/x: cannot be written"},
           {{"report", "--model", none}, "nothing to write"},
           {{"report", "--model", none, "-o", out}, "none"},
           {{"report", "--model", none, "-o", none + "/x"}, none + "/x: cannot be written"},
           {{"report", "--model", none, "--markdown", none + "/x"}, none + "/x: cannot be written"},
           {{"report", "--model", none, "-o", out, "--scheme", "w9"},
            "--scheme: \"w9\" is not a scheme"},
           {{"report", "--model", none, "-o", out, "--schemes", "w9"},
            "--schemes: \"w9\" is not a scheme"},
           {{"report", "--model", none, "-o", out, "--examine-tokens", "-1"}, "--examine-tokens"},
           {{"weights"}, "path"},
           {{"weights", none}, "none"},
           {{"weights", text}, text + ": byte offset 0"},
           {{"weights", none, "--schemes", "w9"}, "--schemes: \"w9\" is not a scheme"},
           {{"weights", none, "--schemes", ""}, "--schemes: is empty"},
           {{"weights", none, "--layout", "round"}, "round"},
           {{"weights", none, "--json", ""}, "--json: is empty"},
           {{"convert"}, "--model"},
           {{"convert", "--model", text, "-o", out}, "--tokenizer"},
           {{"convert", "--model", none, "--tokenizer", none, "-o", out},
            none + ": cannot be opened"},
           {{"convert", "--model", text, "--tokenizer", text, "-o", out}, text + ": "},
           {{"attribute", "--model", none, "--samples", "-1"}, "--samples"},
           {{"attribute", "--model", none, "--seed", "-1"}, "--seed: expected a whole"},
           {{"attribute", "--model", none, "--scheme", "w9"}, "--scheme: \"w9\" is not a scheme"},
           {{"frameworks", "--model", none, "--json", folder}, folder + ": is a folder"},
           {{"gallery", "--only", "nope"}, "no experiment \"nope\"; there are: static-outliers"},
           {{"gallery", "--only", "a\nb"}, "no experiment \"a\\x0ab\""},
           {{"gallery", "--only", "ties-away", "--json", none + "/x"},
            none + "/x: cannot be written"},
           {{"gallery", "--only", "ties-away", "--json", folder}, folder + ": is a folder"},
           {{"gallery", "more"}, "more"},
           {{"diagnose"}, "--model"},
           {{"diagnose", "--model", none}, "none"},
           {{"diagnose", "--model", bert}, "\"bert\" is not supported"},
           {{"diagnose", "--model", folder, "--scheme", "w9"}, "--scheme: \"w9\" is not a scheme"},
           {{"diagnose", "--model", none, "--json", none + "/x"}, none + "/x: cannot be written"},
           {{"diagnose", "--model", folder, "--scheme", "w8,w4"}, "\"w8,w4\" is not a scheme"},
           {{"diagnose", "--model", folder, "--plant", "4:99"}, "4:99"},
           {{"diagnose", "--model", folder, "--max-tokens", "0"}, "--max-tokens"},
           {{"perplexity"}, "--model"},
           {{"perplexity", "--model", none}, "none"},
           {{"perplexity", "--model", folder}, "config.json: cannot be opened"},
           {{"perplexity", "--model", bert}, "\"bert\" is not supported"},
           {{"perplexity", "--model", folder, "--window", "x"}, "--window"},
           {{"perplexity", "--model", folder, "--protocol", "guess"}, "guess"},
           {{"perplexity", "--model", folder, "--schemes", "w9"}, "w9"},
           {{"perplexity", "--model", folder, "--plant", "x"}, "plant"},
           {{"perplexity", "--model", folder, "--schemes", ""}, "--schemes: is empty"},
           {{"perplexity", "--model", folder, "--window", "-1"}, "--window"},
           {{"perplexity", "--model", folder, "--json", none + "/x"},
            none + "/x: cannot be written"},
           {{"perplexity", "--model", folder, "--csv", folder}, folder + ": is a folder"},
           {{"perplexity", "--model", folder, "--csv", ""}, "--csv: is empty"},
       }) {
    const auto result = zp_lab(arguments);
    CAPTURE(result.err, expected);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.rfind("zp-lab: ", 0) == 0);
    CHECK(test::contains(result.err, expected));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.back() == '\n');
    CHECK(!std::filesystem::exists(out));
  }
}

TEST_CASE("an output that cannot be written is a failure, not a silence") {
  std::ostringstream err;
  auto* old = std::cerr.rdbuf(err.rdbuf());
  std::cout.setstate(std::ios::badbit);  // as /dev/full would leave it
  const char* argv[] = {"zp-lab", "--version"};
  const int code = lab::cli::run(2, argv);
  std::cout.clear();
  std::cerr.rdbuf(old);
  CHECK(code == 1);
  CHECK(err.str() == "zp-lab: standard output cannot be written\n");
}

TEST_CASE("Kernels that there are not are refused by whatever computes, and by nothing else") {
  const char* const before = std::getenv("ZP_KERNEL");
  const std::string old = before == nullptr ? "" : before;
  ::setenv("ZP_KERNEL", "nope", 1);
  const auto refused = zp_lab({"generate", "--model", "none", "--prompt", "x"});
  const auto gallery = zp_lab({"gallery", "--only", "ties-away"});
  const auto help = zp_lab({"generate", "--help"});
  const auto inspect = zp_lab({"inspect", reference});
  before == nullptr ? ::unsetenv("ZP_KERNEL") : ::setenv("ZP_KERNEL", old.c_str(), 1);
  for (const auto& run : {refused, gallery}) {
    CAPTURE(run.err);
    CHECK(run.code == 2);
    CHECK(run.out.empty());
    CHECK(run.err.rfind("zp-lab: ZP_KERNEL: no kernel \"nope\"; there are: ", 0) == 0);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  }
  CHECK(help.code == 0);
  CHECK(inspect.code == 0);
}
