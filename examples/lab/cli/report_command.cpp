// zp-lab report: everything about one model on one page, for a browser, a terminal or a program.
#include <lab/cli/commands.hpp>
#include <lab/cli/workload_arguments.hpp>
#include <lab/report/page.hpp>

#include <algorithm>
#include <iostream>
#include <memory>

namespace lab::cli {
namespace {

constexpr const char* report_schemes =
    "fp32,w8,w4-g32,w8a8-dynamic,w8a8-dynamic-token,w8a8-static,w8a8-static-smooth,w8a8-outlier";

struct report_arguments : workload_arguments {
  report_arguments() { max_tokens = 8192; }
  std::string schemes, scheme = "w8a8-static", out, markdown, json;
  std::size_t examine_tokens = 2048;
};

/// One word of a command line, quoted where a shell would make something else of it.
std::string shell_word(const std::string& word) {
  const auto harmless = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("._-/,:+").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), harmless)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string command_of(const report_arguments& o, const page& p) {
  std::string text = "zp-lab report --model " + shell_word(p.study().model) + " --schemes ";
  for (const measurement& m : p.study().rows) {
    text += (m.scheme == "fp32" ? "" : ",") + m.scheme;
  }
  text += " --scheme " + p.diagnosis.scheme;
  const lab::protocol& how = p.study().protocol;
  text += " --text " + shell_word(how.text);
  if (!o.table.empty()) {
    text +=
        " --calibration-table " + shell_word(std::filesystem::path(o.table).filename().string());
  } else if (how.calibration_tokens > 0) {
    text += " --calibration " + shell_word(how.calibration) + " --calibration-tokens " +
            std::to_string(how.calibration_tokens);
  }
  text += " --max-tokens " + std::to_string(o.max_tokens) + " --examine-tokens " +
          std::to_string(o.examine_tokens);
  if (!o.planted.empty()) text += " --plant " + o.planted;
  return text + " -o report.html";
}

/// Schemes that were not asked for by name and that the model cannot have are left out.
std::vector<scheme_name> chosen_schemes(const report_arguments& o, const workload& w,
                                        std::vector<std::string>& notes) {
  if (!o.schemes.empty()) return parse_schemes(o.schemes);
  std::vector<scheme_name> chosen;
  for (const scheme_name& name : parse_schemes(report_schemes)) {
    try {
      scheme_maker maker = w.maker(std::span(&name, 1));
      if (w.table && name.needs_calibration()) (void)maker.seen(name.cure);
      chosen.push_back(name);
    } catch (const input_error& problem) {
      notes.push_back(std::string("Left out: ") + problem.what() + ".");
    }
  }
  return chosen;
}

void report(const report_arguments& o) {
  if (o.out.empty() && o.markdown.empty() && o.json.empty()) {
    throw input_error("report: nothing to write; expected --out, --markdown or --json");
  }
  page_wishes wishes;
  wishes.scheme = parse_scheme(o.scheme, "--scheme");
  wishes.examined_tokens = o.examine_tokens;
  wishes.threads = o.thread_count();
  auto asked = parse_schemes(o.schemes.empty() ? report_schemes : o.schemes);
  asked.push_back(wishes.scheme);
  const bool calibrated = std::any_of(asked.begin(), asked.end(),
                                      [](const scheme_name& n) { return n.needs_calibration(); });
  workload w = o.load(calibrated);
  std::vector<std::string> notes;
  wishes.schemes = chosen_schemes(o, w, notes);
  page p = make_page(w, wishes);
  p.notes.insert(p.notes.begin(), notes.begin(), notes.end());
  p.command = command_of(o, p);
  write_report(o.out, html_of(p));
  write_report(o.json, json_of(p));
  if (o.markdown == "-") {
    std::cout << markdown_of(p) << std::flush;
  } else {
    write_report(o.markdown, markdown_of(p));
  }
}

}  // namespace

void add_report(CLI::App& app) {
  auto* command = app.add_subcommand("report", "Everything about one model on one page");
  command->footer(
      std::string("Schemes by default: ") + report_schemes +
      "\nThe page is one file without scripts: it opens from disk, in light and dark, and "
      "prints.\n"
      "Example: zp-lab report --model gpt2 -o report.html --markdown -");
  auto o = std::make_shared<report_arguments>();
  o->add_to(*command, "score", "ranges");
  o->add_table_to(*command);
  add_output(*command, "-o,--out", o->out, "Write the page as HTML");
  command->add_option("--markdown", o->markdown, "Write it as Markdown; - is standard output")
      ->type_name("FILE")
      ->check([](const std::string& path) {
        if (path != "-") require_output("--markdown", path);
        return std::string();
      });
  add_output(*command, "--json", o->json, "Write all numbers as JSON");
  add_schemes(*command, "--schemes", o->schemes,
              "Schemes of the table, separated by commas (default: eight, see below)");
  command->add_option("--scheme", o->scheme, "The scheme that is looked at layer by layer")
      ->capture_default_str()
      ->type_name("NAME");
  command
      ->add_option("--examine-tokens", o->examine_tokens,
                   "Look at layers on the first N of these tokens, at least a window")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->callback([o] { report(*o); });
}

}  // namespace lab::cli
