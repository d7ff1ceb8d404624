// What a model card says, against the files beside it, the losses that zp-lab perplexity gives under
// the protocol that the card states, and the commands that it tells to type.
#include "lab/command.hpp"
#include "lab/tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <regex>

namespace {

using nlohmann::json;
using test::zp_lab;

/// What a pattern finds in the card, digits without their commas.
std::vector<std::string> found(const std::string& card, const std::string& pattern) {
  std::smatch m;
  INFO(pattern << "\n" << card);
  REQUIRE(std::regex_search(card, m, std::regex(pattern)));
  std::vector<std::string> parts(m.begin() + 1, m.end());
  for (std::string& p : parts) std::erase(p, ',');
  return parts;
}

/// The words of the line that begins with this one.
std::vector<std::string> row_of(const std::string& text, const std::string& first) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> row{std::istream_iterator<std::string>(words), {}};
    if (!row.empty() && row[0] == first) return row;
  }
  return {};
}

std::uint64_t weights_in(const std::filesystem::path& folder) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto kind = entry.path().extension();
    if (kind == ".safetensors" || kind == ".gguf") bytes += entry.file_size();
  }
  return bytes;
}

/// Half a unit of the digit that is printed last.
bool shows(const std::string& printed, double value) {
  const auto point = printed.find('.');
  REQUIRE(point != std::string::npos);
  const auto digits = static_cast<double>(printed.size() - point - 1);
  return std::fabs(std::stod(printed) - value) <= 0.5000001 * std::pow(10.0, -digits);
}

/// A tiny model, its texts, and a checkpoint of it with its card.
struct written {
  test::scratch model, dir;
  std::string format, scheme, text, calibration, folder, weights, card;

  written(const std::string& family, std::string f, std::string s)
      : format(std::move(f)),
        scheme(std::move(s)),
        text(dir.write("scored.txt", test::some_text(400)).string()),
        calibration(dir.write("calibrated.txt", test::some_text(400, 43)).string()),
        folder((dir.path() / "out").string()),
        weights(format == "gguf" ? folder + "/model.gguf" : folder) {
    test::write_tiny_model(model, family);
    const auto run = zp_lab({"quantize", "--model", model.path().string(), "--scheme", scheme,
                             "--format", format, "-o", folder, "--calibration", calibration,
                             "--evaluate-tokens", "100", "--text", text, "--threads", "1"});
    INFO(run.err);
    REQUIRE(run.code == 0);
    card = test::slurp(folder + "/README.md");
  }

  /// The rows of zp-lab perplexity under the protocol that the card states.
  [[nodiscard]] json rows(const std::string& from, const std::string& schemes) const {
    const auto said = found(card,
                            "protocol (\\w+): window (\\d+), stride (\\d+), (no BOS|BOS \\d+ once "
                            "before the text); ([\\d,]+) tokens\\s+scored in ([\\d,]+) windows");
    const std::size_t tokens = std::stoul(said[1]) * std::stoul(said[5]);
    CHECK(std::stoul(said[4]) == tokens - std::stoul(said[5]));  // a window's first is not scored
    CHECK(test::contains(card, "text scored.txt, "));
    const std::string file = (dir.path() / "rows.json").string();
    std::vector<std::string> all{"perplexity",
                                 "--model",
                                 from,
                                 "--protocol",
                                 said[0],
                                 "--window",
                                 said[1],
                                 "--max-tokens",
                                 std::to_string(tokens),
                                 "--text",
                                 text,
                                 "--calibration",
                                 calibration,
                                 "--json",
                                 file,
                                 "--threads",
                                 "1"};
    if (!schemes.empty()) all.insert(all.end(), {"--schemes", schemes});
    const auto run = zp_lab(all);
    INFO(run.err);
    REQUIRE(run.code == 0);
    return json::parse(test::slurp(file))["rows"];
  }

  void check_sizes() const {
    const auto sizes =
        found(card, "\\| weight files \\| ([\\d,]+) \\| ([\\d,]+) \\(([\\d.]+) times");
    CHECK(std::stoull(sizes[0]) == weights_in(model.path()));
    CHECK(std::stoull(sizes[1]) == weights_in(folder));
    CHECK(shows(sizes[2], std::stod(sizes[0]) / std::stod(sizes[1])));
    const auto counts = found(card, "\n\n([\\d,]+) parameters, ([\\d,]+) of them in the linear");
    const auto linear =
        found(card, "\\| linear layers of the blocks \\| ([\\d,]+) as float32 \\| ([\\d,]+) \\|");
    CHECK(std::stoull(linear[0]) == 4 * std::stoull(counts[1]));
    CHECK(std::stoull(linear[1]) < std::stoull(sizes[1]));
  }

  /// fp32 and the checkpoint, measured again: the same loss and the same difference.
  void check_loss() const {
    const json floats = rows(model.path().string(), "fp32").back();
    const json codes = rows(weights, format == "gguf" ? "fp32" : "").back();
    const auto reference = row_of(card, "fp32"), row = row_of(card, scheme);
    INFO(card);
    REQUIRE(reference.size() == 11);
    REQUIRE(row.size() == 11);
    CHECK(shows(reference[1], floats["loss"]));
    CHECK(shows(row[1], codes["loss"]));
    CHECK(shows(row[4], codes["ppl"]));
    CHECK(shows(row[2], codes["loss"].get<double>() - floats["loss"].get<double>()));
    if (format != "zeropoint") return;  // the scheme in memory has its bits, and so all of the row
    const json memory = rows(model.path().string(), scheme).back();
    CHECK(shows(row[2], memory["delta"]));
    CHECK(shows(row[3], memory["delta_se"]));
    CHECK(shows(row[5], memory["kl"]));
    CHECK(shows(row[6], 100 * memory["top1"].get<double>()));
  }

  /// The commands of zp-lab in the first block of code below "Loading", as words.
  [[nodiscard]] std::vector<std::vector<std::string>> commands() const {
    std::vector<std::vector<std::string>> all;
    std::istringstream lines(card.substr(card.find("\n## Loading\n")));
    std::size_t fences = 0;
    for (std::string line; fences < 2 && std::getline(lines, line);) {
      fences += line == "```" ? 1 : 0;
      if (!line.starts_with("zp-lab ")) continue;
      std::istringstream words(line.substr(7));
      all.emplace_back(std::istream_iterator<std::string>(words),
                       std::istream_iterator<std::string>());
    }
    return all;
  }

  /// Each as it stands, names filled in; behind it what makes 32 positions and a short text enough.
  void check_commands(std::size_t expected) const {
    const std::string ids = dir.write("ids.u16", std::string("\7\0\1\0", 4)).string(),
                      logits = (dir.path() / "logits.f32").string();
    const std::vector<std::pair<std::string, std::string>> names{
        {"DIR", folder},       {"model.gguf", weights}, {"FLOAT", model.path().string()},
        {"TEXT", "ab"},        {"FILE", text},          {"IDS.u16", ids},
        {"LOGITS.f32", logits}};
    const std::vector<std::pair<std::string, std::vector<std::string>>> limits{
        {"generate", {"--max-new-tokens", "4"}},
        {"compare", {"--max-new-tokens", "4"}},
        {"perplexity", {}},
        {"logits", {}},
        {"bench", {"--runs", "1", "--text", text, "--calibration", calibration}}};
    const auto lines = commands();
    CHECK(lines.size() == expected);
    for (std::vector<std::string> words : lines) {
      for (const auto& [name, value] : names) std::replace(words.begin(), words.end(), name, value);
      const auto more = std::find_if(limits.begin(), limits.end(),
                                     [&](const auto& l) { return l.first == words[0]; });
      REQUIRE(more != limits.end());
      words.insert(words.end(), more->second.begin(), more->second.end());
      const auto run = zp_lab(words);
      CAPTURE(words, run.err);
      CHECK(run.code == 0);
    }
    CHECK(std::filesystem::exists(logits) == (format != "gguf"));
  }
};

}  // namespace

TEST_CASE("What a card says of a checkpoint of our own is so") {
  const std::string scheme = GENERATE("w8", "w4-g8-affine-gptq", "w8a8-static-mse");
  const std::string family = GENERATE("gpt2", "opt", "llama");
  const written w(family, "zeropoint", scheme);
  CAPTURE(family, scheme);
  CHECK(test::contains(w.card, ", quantized with " + scheme + "\n"));
  CHECK(test::contains(w.card, "- format: zeropoint\n"));
  w.check_sizes();
  w.check_loss();
  w.check_commands(5);
}

TEST_CASE("What a card says of a compressed-tensors folder is so") {
  const std::string scheme = GENERATE("w4-g8", "w8a8-dynamic-token");
  const std::string family = GENERATE("opt", "llama");
  const written w(family, "compressed-tensors", scheme);
  CAPTURE(family, scheme);
  CHECK(test::contains(w.card, ", quantized with " + scheme + "\n"));
  CHECK(test::contains(w.card, "- format: compressed-tensors\n"));
  w.check_sizes();
  w.check_loss();
  w.check_commands(5);
}

TEST_CASE("What a card says of a GGUF file is so") {
  const std::string scheme = GENERATE("q8_0", "q4_0");
  const written w("gpt2", "gguf", scheme);  // the tiny Llama has no layer of whole blocks
  CAPTURE(scheme);
  CHECK(test::contains(w.card, ", quantized with " + scheme + "\n"));
  CHECK(test::contains(w.card, "- format: gguf\n"));
  w.check_sizes();
  w.check_loss();
  w.check_commands(3);
}
