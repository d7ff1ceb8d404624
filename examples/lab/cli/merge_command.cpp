// zp-lab merge: the shards of an evaluation become the tables of the whole.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/experiments/shard.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct merge_arguments {
  std::vector<std::string> files;
  std::string json, csv;
};

void merge_files(const merge_arguments& o) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 30;
  std::vector<named_shard> shards;
  for (const std::string& file : o.files) {
    shards.push_back({file, parse_shard(read_file(file, largest), file)});
  }
  const auto studies = merge_shards(std::move(shards));
  for (std::size_t i = 0; i < studies.size(); ++i) {
    std::cout << (i == 0 ? "" : "\n") << text_of(studies[i]) << "\n" << findings_of(studies[i]);
  }
  std::cout << std::flush;
  write_report(o.json, json_of(studies));
  write_report(o.csv, csv_of(studies));
}

}  // namespace

void add_merge(CLI::App& app) {
  auto* command = app.add_subcommand(
      "merge", "Put the shards of zp-lab perplexity --shard together, to the bits of one run");
  command->footer(
      "Takes all N shards of a run, in any order, and writes what zp-lab perplexity without "
      "--shard "
      "does. Loss, delta,\nstandard error, KL and top-1 have the bits of the single run whatever "
      "N; "
      "seconds are added up. Shards of another\nmodel, text, protocol or list of schemes, a shard "
      "that is missing or there twice, and a file that was changed are refused.\n"
      "Example: zp-lab merge shard-*.json --json whole.json");
  auto o = std::make_shared<merge_arguments>();
  command->add_option("files", o->files, "What zp-lab perplexity --shard wrote")
      ->required()
      ->type_name("FILE");
  command->add_option("--json", o->json, "Also write the numbers as JSON")->type_name("FILE");
  command->add_option("--csv", o->csv, "Also write the numbers as CSV")->type_name("FILE");
  command->callback([o] { merge_files(*o); });
}

}  // namespace lab::cli
