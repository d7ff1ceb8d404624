// zp-builds: what the compiler and -march are worth. The library, compiled by GCC and Clang, each
// without -march and with -march=native, runs the same regimes in one process.
//
//   zp-builds [--quick] [--only TEXT] [--markdown FILE] [--json FILE]
//
// In every round all builds take a slot in turn; a number is the median over rounds of the ratio
// within one round, of the processor time of one thread. Exit code 1 when two builds give different
// bits: they may differ in speed only.
#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <limits>
#include <random>

#include "../race.hpp"
#include "build.hpp"
#include "table.hpp"

namespace {

using namespace bench;

struct loaded {
  std::string name;     ///< "GCC portable"
  const build* module;  ///< null: not there
};

struct regime {
  std::string name;
  job what;
};

/// The build in this file, or null with the reason in `why`.
const build* load(const std::string& file, std::string& why) {
  if (!std::filesystem::exists(file)) {
    why = "the compiler is missing or does not know -march=native";
    return nullptr;
  }
  void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const start = handle == nullptr ? nullptr : dlsym(handle, "zp_build");
  if (start == nullptr) {
    const char* const error = dlerror();
    why = error != nullptr ? error : file + ": zp_build is null";
    return nullptr;
  }
  return reinterpret_cast<decltype(&zp_build)>(start)();
}

/// The modules that CMake could build (bench/CMakeLists.txt), in the order of the table.
std::vector<loaded> load_builds(build_ratios& found) {
  std::vector<loaded> builds;
  for (const char* compiler : {"GCC", "Clang"}) {
    for (const char* march : {"portable", "native"}) {
      const std::string name = std::string(compiler) + ' ' + march;
      const std::string file = std::string(ZP_BUILDS) + '/' + compiler + '-' + march + ".so";
      std::string why;
      const build* const module = load(file, why);
      if (module != nullptr) {
        found.builds.push_back(name + ": " + module->compiler + ", baseline " + module->baseline +
                               ", kernel " + module->kernel);
      } else {
        found.skipped.push_back(name + " (" + why + ')');
      }
      builds.push_back({name, module});
    }
  }
  return builds;
}

/// What the row loops of all builds read and write, so that no build has the better memory.
struct row_memory {
  static constexpr std::size_t columns = 768;
  explicit row_memory(std::size_t rows)
      : values(normal_floats(rows * columns)),
        back(values.size()),
        scales(rows),
        codes(values.size()) {
    std::mt19937_64 g(3);
    for (auto& code : codes) code = static_cast<std::int8_t>(g() % 255 - 127);
  }
  std::vector<float> values, back, scales;
  std::vector<std::int8_t> codes;
};

void add_products(std::vector<regime>& regimes) {
  const auto add = [&](const std::string& name, work what, std::size_t m, const shape& s,
                       bool cold) {
    regimes.push_back({name + ", M = " + std::to_string(m) + ", " + s.name +
                           (cold ? ", weights from memory" : ""),
                       {what, m, s.k, s.n, cold, nullptr, nullptr, nullptr, nullptr}});
  };
  const shape qkv{"qkv", 768, 2304}, down{"down", 3072, 768};
  for (const shape& s : {qkv, down}) {
    add("int8 to f32", work::product_f32, 1, s, true);
    for (const std::size_t m : {8u, 128u}) {
      add("int8 to s32", work::product_s32, m, s, false);
      add("int8 to f32", work::product_f32, m, s, false);
    }
  }
  add("int4 g32 to f32", work::product_int4, 1, qkv, true);
  add("int4 g32 to f32", work::product_int4, 32, qkv, false);
  add("dynamic W8A8 layer", work::dynamic_layer, 32, qkv, false);
  add("W8 layer, f32 activations", work::weight_only_layer, 1, qkv, true);
  add("W8 layer, f32 activations", work::weight_only_layer, 32, qkv, false);
}

void add_row_loops(std::vector<regime>& regimes, row_memory& memory, const std::string& size,
                   bool cold) {
  const std::size_t columns = row_memory::columns, rows = memory.values.size() / columns;
  const auto add = [&](const char* name, work what) {
    regimes.push_back({name + (", " + size),
                       {what, rows, columns, 0, cold, memory.values.data(), memory.codes.data(),
                        memory.back.data(), memory.scales.data()}});
  };
  add("quantize f32 to s8", work::quantize);
  add("dynamic quantization by row", work::quantize_rows);
  add("dequantize s8 to f32", work::dequantize);
}

using tasks = std::vector<std::pair<std::string, std::unique_ptr<task>>>;

/// A task of each build, and "again": a second one of the first, the same code on other memory.
/// `turn` says who comes first, for memory as well as in the rounds.
tasks start_all(const job& what, const std::vector<loaded>& builds, std::size_t turn) {
  std::vector<loaded> there;
  for (const loaded& b : builds) {
    if (b.module != nullptr) there.push_back(b);
  }
  there.push_back({"again", there.at(0).module});
  tasks all;
  for (std::size_t i = 0; i < there.size(); ++i) {
    const loaded& b = there[(i + turn) % there.size()];
    all.emplace_back(b.name, b.module->start(what));
  }
  return all;
}

/// Overwrites what a row loop is about to write with values that none writes: the builds share that
/// memory, and one that wrote nothing would pass with the output of the one before it.
void poison(const job& what) {
  const std::size_t size = what.m * what.k;
  if (what.what == work::dequantize) {
    std::fill_n(what.values_again, size, std::numeric_limits<float>::quiet_NaN());
  } else if (what.what == work::quantize || what.what == work::quantize_rows) {
    std::fill_n(what.codes, size, std::int8_t{-128});  // outside the symmetric grid
    std::fill_n(what.scales, what.m, -1.0f);
  }
}

/// Runs each once: all must give the same bits.
void require_same(const regime& r, const tasks& all) {
  std::vector<std::uint64_t> hashes;
  for (const auto& [name, one] : all) {
    poison(r.what);
    one->run();
    hashes.push_back(one->hash());
    if (hashes.back() != hashes.front()) {
      throw std::runtime_error(r.name + ": " + name + " and " + all.front().first +
                               " give different bits");
    }
  }
}

/// Ratios of one regime: of three heats, each with data in another place, the median.
ratio_row measure(const regime& r, const settings& o, const std::vector<loaded>& builds) {
  using names = std::pair<std::string, std::string>;
  const names columns[] = {{"GCC portable", "GCC native"},
                           {"Clang portable", "Clang native"},
                           {"Clang portable", "GCC portable"},
                           {"again", ""}};
  std::vector<double> ratios[std::size(columns)];
  for (const std::size_t heat : {0u, 2u, 3u}) {
    const tasks all = start_all(r.what, builds, heat);
    require_same(r, all);
    race competition(o, r.what.cold);
    for (const auto& [name, one] : all) competition.enter(name, [p = one.get()] { p->run(); });
    competition.run();
    const auto there = [&](const std::string& name) {
      return std::any_of(all.begin(), all.end(), [&](auto& t) { return t.first == name; });
    };
    const std::string first = there("GCC portable") ? "GCC portable" : "Clang portable";
    for (std::size_t c = 0; c < std::size(columns); ++c) {
      const std::string over = columns[c].second.empty() ? first : columns[c].second;
      if (there(columns[c].first) && there(over)) {
        ratios[c].push_back(competition.ratio(over, columns[c].first));
      }
    }
  }
  ratio_row row{r.name, {}};
  for (const auto& heats : ratios) {
    row.ratios.push_back(heats.empty() ? std::nan("") : median(heats));
  }
  return row;
}

template <class Write>
void write_file(const std::string& path, const build_ratios& found, Write write) {
  if (path.empty()) return;
  std::ofstream out(path);
  write(out, found);
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) try {
  settings o;
  std::string json, markdown, only;
  CLI::App app("The same regimes, compiled by GCC and Clang, portable and with -march=native");
  app.add_flag("--quick", o.quick, "fewer rounds");
  app.add_option("--only", only, "only regimes whose name contains this text");
  app.add_option("--json", json, "write the ratios to this file");
  app.add_option("--markdown", markdown, "write the table to this file");
  CLI11_PARSE(app, argc, argv);

  build_ratios found;
  found.processor = cpu_name();
  const std::vector<loaded> builds = load_builds(found);
  for (const std::string& one : found.skipped) std::cerr << "skipped " << one << '\n';
  if (found.builds.empty()) throw std::runtime_error("no build of the library in " ZP_BUILDS);
  const double none = std::numeric_limits<double>::infinity();
  found.columns = {{"portable/native, GCC", 0.97, none},
                   {"portable/native, Clang", 0.97, none},
                   {"Clang/GCC, portable", 0.95, 1.05},
                   {"one build/itself", 0, none}};
  row_memory small(21), large(21'000);
  std::vector<regime> regimes;
  add_products(regimes);
  add_row_loops(regimes, small, "64 KB", false);
  add_row_loops(regimes, large, "64 MB", true);
  for (const regime& r : regimes) {
    if (r.name.find(only) != std::string::npos) found.rows.push_back(measure(r, o, builds));
  }

  write_table(std::cout, found);
  write_file(markdown, found, [](auto& out, auto& all) { write_markdown(out, all); });
  write_file(json, found, [](auto& out, auto& all) { write_json(out, all); });
} catch (const std::exception& problem) {
  std::cerr << "zp-builds: " << problem.what() << '\n';
  return 1;
}
