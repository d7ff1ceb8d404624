// The command line through run(), which is all that main() calls: good runs, and a table of bad
// ones that each end with exit code 2 and exactly one line naming the thing.
#include <lab/io/text.hpp>

#include "lab/command.hpp"
#include "lab/safetensors_bytes.hpp"
#include "lab/scratch.hpp"

#include <algorithm>

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
           {{"gallery", "--only", "nope"}, "no experiment \"nope\"; there are: static-outliers"},
           {{"gallery", "--only", "a\nb"}, "no experiment \"a\\x0ab\""},
           {{"gallery", "--only", "ties-away", "--json", none + "/x"},
            none + "/x: cannot be written"},
           {{"gallery", "--only", "ties-away", "--json", folder}, folder + ": is a folder"},
           {{"gallery", "more"}, "more"},
           {{"diagnose"}, "--model"},
           {{"diagnose", "--model", none}, "none"},
           {{"diagnose", "--model", bert}, "\"bert\" is not supported"},
           {{"diagnose", "--model", folder, "--scheme", "w9"}, "\"w9\" is not a scheme"},
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
