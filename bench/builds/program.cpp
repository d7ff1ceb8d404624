// zp-builds: what the compiler and -march are worth. The library, compiled by GCC and Clang, each
// without -march and with -march=native, runs the same regimes in one process.
//
//   zp-builds [--quick] [--markdown FILE] [--json FILE]
//
// In every round all builds take a slot in turn; a number is the median over rounds of the ratio
// within one round, of the processor time of one thread. Exit code 1 when two builds give different
// bits: they may differ in speed only.
#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <limits>

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

/// The modules that CMake could build (bench/CMakeLists.txt), in the order of the table.
std::vector<loaded> load_builds(build_ratios& found) {
  std::vector<loaded> builds;
  for (const char* compiler : {"GCC", "Clang"}) {
    for (const char* march : {"portable", "native"}) {
      const std::string name = std::string(compiler) + ' ' + march;
      const std::string file = std::string(ZP_BUILDS) + '/' + compiler + '-' + march + ".so";
      const build* module = nullptr;
      if (void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        module = reinterpret_cast<decltype(&zp_build)>(dlsym(handle, "zp_build"))();
        found.builds.push_back(name + ": " + module->compiler + ", baseline " + module->baseline +
                               ", kernel " + module->kernel);
      } else {
        found.skipped.push_back(name + " (the compiler is missing or does not know -march=native)");
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
        codes(values.size()) {}
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

/// Ratios of one regime. "again" is a second task of the first build there is.
ratio_row measure(const regime& r, const settings& o, const std::vector<loaded>& builds) {
  std::vector<std::pair<std::string, std::unique_ptr<task>>> tasks;
  for (const loaded& b : builds) {
    if (b.module != nullptr) tasks.emplace_back(b.name, b.module->start(r.what));
  }
  tasks.emplace_back("again", builds.front().module->start(r.what));
  race competition(o, r.what.cold);
  std::uint64_t first = 0;
  for (auto& [name, one] : tasks) {
    one->run();
    if (&one == &tasks.front().second) first = one->hash();
    if (one->hash() != first) {
      throw std::runtime_error(r.name + ": " + name + " and " + tasks.front().first +
                               " give different bits");
    }
    competition.enter(name, [p = one.get()] { p->run(); });
  }
  for (int i = 0; i < 3; ++i) competition.run();  // ratios near 1 need more rounds than a table
  const auto speed = [&](const std::string& of, const std::string& over) {
    const auto there = [&](const std::string& name) {
      return std::any_of(tasks.begin(), tasks.end(), [&](auto& t) { return t.first == name; });
    };
    return there(of) && there(over) ? competition.ratio(over, of) : std::nan("");
  };
  return {r.name,
          {speed("GCC portable", "GCC native"), speed("Clang portable", "Clang native"),
           speed("Clang portable", "GCC portable"), speed("again", tasks.front().first)}};
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
  std::string json, markdown;
  CLI::App app("The same regimes, compiled by GCC and Clang, portable and with -march=native");
  app.add_flag("--quick", o.quick, "fewer rounds");
  app.add_option("--json", json, "write the ratios to this file");
  app.add_option("--markdown", markdown, "write the table to this file");
  CLI11_PARSE(app, argc, argv);

  build_ratios found;
  found.processor = cpu_name();
  const std::vector<loaded> builds = load_builds(found);
  for (const std::string& one : found.skipped) std::cerr << "skipped " << one << '\n';
  const double none = std::numeric_limits<double>::infinity();
  found.columns = {{"portable/native, GCC", 0.97, none},
                   {"portable/native, Clang", 0.97, none},
                   {"Clang/GCC, portable", 0.95, 1.05},
                   {"GCC/itself", 0, none}};
  row_memory small(21), large(21'000);
  std::vector<regime> regimes;
  add_products(regimes);
  add_row_loops(regimes, small, "64 KB", false);
  add_row_loops(regimes, large, "64 MB", true);
  for (const regime& r : regimes) found.rows.push_back(measure(r, o, builds));

  write_table(std::cout, found);
  write_file(markdown, found, [](auto& out, auto& all) { write_markdown(out, all); });
  write_file(json, found, [](auto& out, auto& all) { write_json(out, all); });
} catch (const std::exception& problem) {
  std::cerr << "zp-builds: " << problem.what() << '\n';
  return 1;
}
