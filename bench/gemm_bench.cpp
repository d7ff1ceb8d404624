// zp-bench: products of 8-bit codes as fractions of their own limits.
//
//   zp-bench [--shapes=bench/shapes/gpt2.txt,...] [--m=1,8,32,128,512] [--kernels=avx512_vnni,...]
//            [--outputs=s32,f32,int4] [--weights=hot,cold] [--threads=1] [Google Benchmark's flags]
//
// Outputs s32 and f32 are int8 x int8; int4 is int8 x 4-bit weights in groups of 32 with float16
// scales, to f32, and has a counter of its own:
//   of_int8   how many times as fast as the int8 product to f32 beside it
//
// Each round times the product and, right beside it, the peak loop of the kernel and a streaming
// read of as many bytes as the weights have; counters are medians of the ratios of one round:
//   GOPS      2 m n k / time
//   of_peak   fraction of the kernel's multiply-add peak (times the number of threads)
//   of_read   weight bytes per second as a fraction of the streaming read (M = 1 lives by this one)
// One thread is timed by its processor time, so that neighbours on a shared machine cost noise, not
// truth. Cold weights: the calls walk through copies, 192 MB in all, so that they come from memory.
#include <benchmark/benchmark.h>

#include "measure.hpp"

namespace {

namespace zp = zeropoint;
using namespace bench;

struct options {
  std::vector<std::string> shapes{"bench/shapes/gpt2.txt"}, kernels, weights{"hot"},
      outputs{"s32", "f32"};
  std::vector<std::string> m{"1", "8", "32", "128", "512"};
  int threads = 1;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

void measure(benchmark::State& state, std::size_t m, const shape& s,
             const zp::kernels::kernel& kernel, output to, bool cold, int threads) {
  product p(m, s, kernel, to, cold);
  std::unique_ptr<product> int8;  // what 4-bit weights are compared with
  if (to == output::int4) int8 = std::make_unique<product>(m, s, kernel, output::f32, cold);
  const bench::peak_loop peak = bench::peak_of(kernel.name);
  const bool zmm = zp::contains(zp::cpu_features(), zp::isa::avx512);
  zp::aligned_buffer<std::byte> buffer(p.footprint());
  const double slot = cold ? 0.03 : 0.008;
  auto* clock = threads == 1 ? &bench::thread_seconds : &bench::wall_seconds;
  std::size_t at = 0;
  std::vector<double> gops, of_peak, of_read, of_int8, read_rate, peak_rate;
  const auto seconds_of = [&](product& one) {
#if defined(_OPENMP)
    if (threads != 1) return timed(clock, slot, [&] { one.run(zp::openmp(threads)); });
#endif
    return timed(clock, slot, [&] { one.run(zp::serial{}); });
  };
  for (auto _ : state) {
    const double seconds = seconds_of(p);
    if (int8) of_int8.push_back(seconds_of(*int8) / seconds);
    // A read of the same number of bytes: all of them when hot, the next piece when cold.
    const double read = timed(clock, slot, [&] {
      const std::size_t piece = std::min(p.bytes(), buffer.size());
      if (at + piece > buffer.size()) at = 0;
      bench::read_all(buffer.data() + at, piece, zmm);
      at += piece;
    });
    gops.push_back(1e-9 * p.operations() / seconds);
    of_read.push_back(read / seconds);
    read_rate.push_back(1e-9 * static_cast<double>(p.bytes()) / read);
    if (peak.run != nullptr) {
      const double round = timed(clock, slot, [&] { peak.run(1000); }) / 1000;
      peak_rate.push_back(1e-9 * peak.operations / round);
      of_peak.push_back(p.operations() / seconds / (peak.operations / round) / threads);
    }
    state.SetIterationTime(seconds);
  }
  state.counters["GOPS"] = bench::median(gops);
  state.counters["of_peak"] = bench::median(of_peak);
  state.counters["of_read"] = bench::median(of_read);
  if (int8) state.counters["of_int8"] = bench::median(of_int8);
  state.counters["peak_GOPS"] = bench::median(peak_rate);
  state.counters["read_GBps"] = bench::median(read_rate);
}

void add_benchmarks(const options& o) {
  for (const auto* kernel : zp::kernels::all()) {
    const auto& names = o.kernels;
    const bool named = std::find(names.begin(), names.end(), kernel->name) != names.end();
    if (!zp::kernels::runs_here(*kernel) ||
        (names.empty() ? kernel != &zp::kernels::best() : !named))
      continue;
    for (const std::string& file : o.shapes) {
      for (const shape& s : read_shapes(file)) {
        for (const std::string& m : o.m) {
          for (const std::string& weights : o.weights) {
            for (const std::string& to_name : o.outputs) {
              const output to = output_of(to_name);
              const std::string name = "gemm/" + std::string(kernel->name) + "/" +
                                       (to == output::int4 ? "s8s4f32" : "s8s8" + to_name) + "/" +
                                       weights + "/m:" + m + "/k:" + std::to_string(s.k) +
                                       "/n:" + std::to_string(s.n);
              const std::size_t rows = std::stoul(m);
              benchmark::RegisterBenchmark(name.c_str(),
                                           [=](benchmark::State& state) {
                                             measure(state, rows, s, *kernel, to, weights == "cold",
                                                     o.threads);
                                           })
                  ->UseManualTime()
                  ->Iterations(15)
                  ->Unit(benchmark::kMicrosecond);
            }
          }
        }
      }
    }
  }
}

/// Takes our own flags out of argv.
options parse(int& argc, char** argv) {
  options o;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const auto value = [&](const char* flag) {
      const std::string prefix = std::string("--") + flag + "=";
      return arg.rfind(prefix, 0) == 0 ? std::make_unique<std::string>(arg.substr(prefix.size()))
                                       : nullptr;
    };
    if (auto v = value("shapes"))
      o.shapes = split(*v);
    else if (auto v2 = value("m"))
      o.m = split(*v2);
    else if (auto v3 = value("kernels"))
      o.kernels = split(*v3);
    else if (auto v4 = value("weights"))
      o.weights = split(*v4);
    else if (auto v5 = value("outputs"))
      o.outputs = split(*v5);
    else if (auto v6 = value("threads"))
      o.threads = std::stoi(*v6);
    else
      argv[kept++] = argv[i];
  }
  argc = kept;
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  const options o = parse(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("baseline", zp::baseline_name);
  benchmark::AddCustomContext("kernel", zp::kernels::best().name);
  benchmark::AddCustomContext("threads", std::to_string(o.threads));
  add_benchmarks(o);
  benchmark::RunSpecifiedBenchmarks();
}
