// zp-lab merge: the shards of an evaluation become the tables of the whole.
#include <lab/cli/commands.hpp>
#include <lab/cli/defaults.hpp>
#include <lab/experiments/shard.hpp>
#include <lab/report/diagnosis.hpp>

#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

struct merge_arguments {
  std::vector<std::string> files;
  std::string json, csv;
};

/// What zp-lab diagnose --sensitivity has beside its layers.
void show_sensitivity(const merge_arguments& o, const std::vector<shard_study>& merged) {
  if (merged.size() != 1 || !o.csv.empty()) {
    throw input_error("shards of zp-lab diagnose: expected one study, and no --csv");
  }
  const study s = merged[0].complete();
  const diagnosis d{s, merged[0].sensitivity_of, {}, s.rows};
  std::cout << heading_of(s) << sensitivity_text_of(d) << std::flush;
  write_report(o.json, json_of(d));
}

void merge_files(const merge_arguments& o) {
  constexpr std::uint64_t largest = std::uint64_t{1} << 30;
  std::vector<named_shard> shards;
  for (const std::string& file : o.files) {
    shards.push_back({file, parse_shard(read_file(file, largest), file)});
  }
  const auto merged = merge_shards(std::move(shards));
  if (!merged[0].sensitivity_of.empty()) return show_sensitivity(o, merged);
  std::vector<study> studies;
  for (const shard_study& one : merged) {
    const study& s = studies.emplace_back(one.complete());
    std::cout << (studies.size() == 1 ? "" : "\n") << text_of(s) << "\n" << findings_of(s);
  }
  std::cout << std::flush;
  write_report(o.json, json_of(studies));
  write_report(o.csv, csv_of(studies));
}

}  // namespace

void add_merge(CLI::App& app) {
  auto* command = app.add_subcommand(
      "merge", "Put shards of zp-lab perplexity or diagnose together, to the bits of one run");
  command->footer(
      "Takes all N shards of a run, in any order, and writes what zp-lab perplexity without "
      "--shard does. Loss, delta,\n"
      "standard error, KL and top-1 have the bits of the single run whatever N; seconds are "
      "added up. Of\n"
      "zp-lab diagnose --sensitivity it is the table of sensitivities. Shards of another\n"
      "model, text, protocol or list of schemes, a shard that is missing or there twice, and a "
      "file that was changed are refused.\n"
      "Example: zp-lab merge shard-*.json --json whole.json");
  auto o = std::make_shared<merge_arguments>();
  command->add_option("files", o->files, "What --shard wrote")->required()->type_name("FILE");
  add_output(*command, "--json", o->json, "Also write the numbers as JSON");
  add_output(*command, "--csv", o->csv, "Also write the numbers as CSV");
  command->callback([o] { merge_files(*o); });
}

}  // namespace lab::cli
