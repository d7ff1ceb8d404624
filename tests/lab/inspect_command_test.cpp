// zp-lab inspect on GGUF files; cli_test.cpp has it on safetensors.
#include "lab/command.hpp"
#include "lab/scratch.hpp"

namespace {

const std::filesystem::path sample = test::data / "gguf" / "sample.gguf";

}  // namespace

TEST_CASE("inspect lists a GGUF file") {
  const auto result = test::zp_lab({"inspect", sample.string()});
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  CHECK(test::contains(result.out,
                       "sample.gguf: " + std::to_string(std::filesystem::file_size(sample)) +
                           " bytes\n  GGUF version 3, alignment 32\n"));
  CHECK(test::contains(result.out, "  metadata test.words: [\"a\", \"\", "));
  CHECK(test::contains(result.out, "  block.q8_0  Q8_0   [2, 352]            748\n"));
  CHECK(test::contains(result.out, "  plain.f16   F16    [2, 3, 4]            48\n"));
  CHECK(test::contains(result.out, "total  7 tensors, 5685 elements, "));
  CHECK(test::contains(test::zp_lab({"inspect", "none.gguf"}).err, "cannot be opened"));
  CHECK(test::zp_lab({"inspect", "none.gguf"}).code == 2);
}
