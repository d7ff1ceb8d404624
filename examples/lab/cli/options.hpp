// Options that many subcommands have, and checks of all of them. A check runs while the command line
// is read, so that nobody waits for an evaluation whose result has nowhere to go.
#pragma once

#include <lab/io/file.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <string>

namespace lab::cli {

/// Throws input_error when `path`, the value of `option`, is no file that can be written.
inline void require_output(const std::string& option, const std::string& path) {
  if (path.empty()) throw input_error(option + ": is empty; expected the name of a file");
  require_writable(path);
}

/// Adds an option that names a file to write.
inline CLI::Option* add_output(CLI::App& command, const std::string& names, std::string& path,
                               const std::string& text) {
  CLI::Option* option = command.add_option(names, path, text)->type_name("FILE");
  return option->check([option](const std::string& value) {
    require_output(option->get_name(), value);
    return std::string();
  });
}

/// Adds an option that names schemes; left out it means a default, but an empty name means nothing.
inline CLI::Option* add_schemes(CLI::App& command, const std::string& names, std::string& schemes,
                                const std::string& text) {
  CLI::Option* option = command.add_option(names, schemes, text)->type_name("A,B,...");
  return option->check([option](const std::string& value) {
    if (value.empty()) {
      throw input_error(option->get_name() + ": is empty; expected the name of a scheme");
    }
    return std::string();
  });
}

/// Lets the options of a subcommand that are unsigned take decimal digits only. By itself CLI11 makes
/// 2^64 - 1 of -1 and of everything too large, and 8 of 010.
inline void require_whole_numbers(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_type_name().rfind("UINT", 0) != 0) continue;
    option->check([](const std::string& value) {
      std::uint64_t number = 0;
      const char* end = value.data() + value.size();
      const auto [stop, problem] = std::from_chars(value.data(), end, number);
      const bool plain = value == "0" || value[0] != '0';
      if (problem == std::errc{} && stop == end && plain) return std::string();
      return "expected a whole number of at most 2^64 - 1 in decimal digits, not " +
             in_quotes(value);
    });
  }
}

}  // namespace lab::cli
