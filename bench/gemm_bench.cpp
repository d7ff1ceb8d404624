// zp-bench: products of 8-bit codes as fractions of their own limits.
//
//   zp-bench [--shapes=bench/shapes/gpt2.txt,...] [--m=1,4,8,16,32,128,512] [--weights=hot,cold]
//            [--kernels=avx512_vnni,...] [--outputs=s32,f32,s8,int4] [--threads=1]
//            [Google Benchmark's flags]
//
// Outputs s32, f32 and s8 are int8 x int8; int4 is int8 x 4-bit weights in groups of 32 with float16
// scales, to f32.
//
// Each round times the product and, right beside it, the peak loop of the kernel, a streaming read of
// as many bytes as the weights have (both on as many threads), and the steps of a layer. Counters are
// medians over rounds, ratios of times of one round:
//   GOPS         2 m n k / time
//   of_peak      fraction of the kernel's multiply-add peak
//   of_read      weight bytes per second as a fraction of the streaming read (M = 1 lives by this one)
//   of_limit     fraction of whichever limit takes longer; the label says which
//   of_int8      int4 only: how many times as fast as the int8 product to f32
//   pack_s       seconds of packing the weights, once, on one thread
//   quantize_s   of quantizing m x k floats to the codes that are multiplied, a scale per row
//   multiply_s   of the product alone, to s32
//   epilogue_s   of what the output takes beyond that: scales, bias and store. Not of int4, whose sums
//                become floats group by group: multiply_s is all of it
// One thread is timed by its processor time, so that neighbours on a shared machine cost noise, not
// truth. Cold weights: the calls walk through copies, 192 MB in all, so that they come from memory.
#include <benchmark/benchmark.h>
#include <zeropoint/math/quantize.hpp>

#include <map>

#include "measure.hpp"

namespace {

namespace zp = zeropoint;
using namespace bench;

/// f(an executor of that many threads).
template <class F>
void with_threads([[maybe_unused]] int threads, F&& f) {
#if defined(_OPENMP)
  if (threads != 1) return f(zp::openmp(threads));
#endif
  f(zp::serial{});
}

/// What is timed beside a product: its limits and the steps of a layer. Seconds of one call each.
class steps {
 public:
  steps(std::size_t m, const shape& s, const zp::kernels::kernel& kernel, output to, bool cold,
        int threads)
      : product_(m, s, kernel, to, cold),
        peak_(peak_of(kernel.name)),
        threads_(threads),
        slot_(cold ? 0.03 : 0.008),
        read_(product_.footprint()),
        in_(normal_floats(m * s.k)),
        codes_(m * s.k),
        scales_(m),
        k_(s.k) {
    std::fill(read_.begin(), read_.end(), std::byte{1});  // as in race.hpp
    loop_ = fastest_read([&](read_loop loop) { read(loop, zp::serial{}); });
    // What the output is compared with: f32 and s8 with the sums alone, 4-bit weights with 8 bits.
    if (to == output::f32 || to == output::s8)
      other_ = std::make_unique<product>(m, s, kernel, output::s32, cold);
    if (to == output::int4) other_ = std::make_unique<product>(m, s, kernel, output::f32, cold);
  }
  /// One round; returns the seconds of the product.
  double run() {
    const double seconds = add("product", slot_, [&](const auto& ex) { product_.run(ex); });
    if (other_) add("other", slot_, [&](const auto& ex) { other_->run(ex); });
    add("read", slot_, [&](const auto& ex) { read(loop_, ex); });
    if (peak_.run != nullptr) {
      const double rounds = 20'000;  // long beside what starting threads takes
      const double peak = timed_on_threads(slot_, [&](const auto& ex) {
        ex(ex.concurrency(), [&](std::size_t) { peak_.run(static_cast<std::size_t>(rounds)); });
      });
      const double rate = rounds * peak_.operations * threads_ / peak;
      seconds_["peak"].push_back(product_.operations() / rate);
    }
    add("quantize", slot_ / 4, [&](const auto& ex) {
      zp::quantize_into(zp::matrix_view<const float>(in_.data(), scales_.size(), k_), zp::per_token,
                        zp::symmetric,
                        zp::matrix_view<std::int8_t>(codes_.data(), scales_.size(), k_),
                        std::span<float>(scales_), {}, ex);
    });
    return seconds;
  }
  void report(benchmark::State& state, output to, const std::string& label) {
    auto& counters = state.counters;
    const auto one = [&](const char* name) { return median(seconds_[name]); };
    const auto by_product = [&](const char* name) {
      return over_rounds([&](std::size_t i) { return at(name, i) / at("product", i); });
    };
    const bool has_peak = peak_.run != nullptr;
    counters["GOPS"] = 1e-9 * product_.operations() / one("product");
    if (has_peak) counters["of_peak"] = by_product("peak");
    counters["of_read"] = by_product("read");
    counters["of_limit"] = over_rounds([&](std::size_t i) {
      return std::max(has_peak ? at("peak", i) : 0, at("read", i)) / at("product", i);
    });
    if (to == output::int4) counters["of_int8"] = by_product("other");
    if (has_peak) counters["peak_GOPS"] = 1e-9 * product_.operations() / one("peak");
    counters["read_GBps"] = 1e-9 * static_cast<double>(product_.bytes()) / one("read");
    counters["pack_s"] = product_.pack_seconds();
    counters["quantize_s"] = one("quantize");
    const bool apart = to == output::f32 || to == output::s8;
    counters["multiply_s"] = one(apart ? "other" : "product");
    if (to != output::int4) {
      counters["epilogue_s"] = over_rounds(
          [&](std::size_t i) { return apart ? at("product", i) - at("other", i) : 0.0; });
    }
    const bool compute = has_peak && one("peak") > one("read");
    state.SetLabel(label + ", limit " + (compute ? "compute" : "bandwidth"));
  }

 private:
  template <class F>
  double timed_on_threads(double slot, F&& f) {
    auto* const clock = threads_ == 1 ? &thread_seconds : &wall_seconds;
    double seconds = 0;
    with_threads(threads_, [&](const auto& ex) { seconds = timed(clock, slot, [&] { f(ex); }); });
    return seconds;
  }
  template <class F>
  double add(const char* name, double slot, F&& f) {
    seconds_[name].push_back(timed_on_threads(slot, f));
    return seconds_[name].back();
  }
  /// As many bytes as the weights: all of them when hot, the next piece when cold; a part each thread.
  template <class Executor>
  void read(read_loop loop, const Executor& ex) {
    const std::size_t piece = std::min(product_.bytes(), read_.size());
    if (at_ + piece > read_.size()) at_ = 0;
    const std::size_t part = piece / ex.concurrency();
    ex(ex.concurrency(), [&](std::size_t i) { loop(read_.data() + at_ + i * part, part); });
    at_ += piece;
  }
  [[nodiscard]] double at(const char* name, std::size_t round) { return seconds_[name][round]; }
  template <class F>
  double over_rounds(F&& f) {
    std::vector<double> all(seconds_["product"].size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = f(i);
    return median(all);
  }
  product product_;
  std::unique_ptr<product> other_;
  peak_loop peak_;
  int threads_;
  double slot_;
  zp::aligned_buffer<std::byte> read_;
  std::size_t at_ = 0;
  std::vector<float> in_;
  std::vector<std::int8_t> codes_;
  std::vector<float> scales_;
  std::size_t k_;
  read_loop loop_ = nullptr;
  std::map<std::string, std::vector<double>> seconds_;
};

void measure(benchmark::State& state, std::size_t m, const shape& s,
             const zp::kernels::kernel& kernel, output to, bool cold, int threads) {
  steps all(m, s, kernel, to, cold, threads);
  for (auto _ : state) state.SetIterationTime(all.run());
  all.report(state, to, std::string(kernel.name) + (cold ? ", cold" : ", hot") + " weights");
}

/// Those that were named, or the best one.
std::vector<const zp::kernels::kernel*> chosen_kernels(const options& o) {
  std::vector<const zp::kernels::kernel*> all;
  for (const std::string& name : o.kernels) {
    try {
      all.push_back(&zp::kernels::named(name));
    } catch (const zp::error& problem) {
      throw input_error(std::string("--kernels: ") + problem.what());
    }
  }
  if (all.empty()) all.push_back(&zp::kernels::best());
  return all;
}

void add_benchmarks(const options& o, const zp::kernels::kernel& kernel, const shape& s) {
  for (const std::size_t m : o.m) {
    for (const std::string& weights : o.weights) {
      for (const std::string& to_name : o.outputs) {
        const output to = output_of(to_name);
        const std::string name = "gemm/" + std::string(kernel.name) + "/" +
                                 (to == output::int4 ? "s8s4f32" : "s8s8" + to_name) + "/" +
                                 weights + "/m:" + std::to_string(m) + "/k:" + std::to_string(s.k) +
                                 "/n:" + std::to_string(s.n);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=, &kernel](benchmark::State& state) {
                                       measure(state, m, s, kernel, to, weights == "cold",
                                               static_cast<int>(o.threads));
                                     })
            ->UseManualTime()
            ->Iterations(15)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

/// Takes our own flags out of argv.
options parse(int& argc, char** argv) {
  options o;
  o.shapes = {ZP_BENCH_SHAPES "/gpt2.txt"};
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (!o.take(argv[i])) argv[kept++] = argv[i];
  }
  argc = kept;
#if !defined(_OPENMP)
  if (o.threads != 1) throw input_error("--threads: this build has no OpenMP, expected 1");
#endif
  return o;
}

void print_help() {
  std::cout << "zp-bench [--shapes=FILE,...] [--m=1,4,8,16,32,128,512] [--weights=hot,cold]\n"
               "         [--kernels=NAME,...] [--outputs=s32,f32,s8,int4] [--threads=1]\n";
  benchmark::PrintDefaultHelp();
}

}  // namespace

int main(int argc, char** argv) try {
  const options o = parse(argc, argv);
  benchmark::Initialize(&argc, argv, &print_help);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("cpu", cpu_name());
  benchmark::AddCustomContext("compiler", compiler);
  benchmark::AddCustomContext("baseline", zp::baseline_name);
  benchmark::AddCustomContext("kernel", zp::kernels::best().name);
  benchmark::AddCustomContext("threads", std::to_string(o.threads));
  for (const auto* kernel : chosen_kernels(o)) {
    for (const std::string& file : o.shapes) {
      for (const shape& s : read_shapes(file)) add_benchmarks(o, *kernel, s);
    }
  }
  return benchmark::RunSpecifiedBenchmarks() == 0 ? 2 : 0;  // it says that nothing matched
} catch (const std::bad_alloc&) {
  std::cerr << "zp-bench: a product of this size does not fit memory\n";
  return 2;
} catch (const std::exception& problem) {
  std::cerr << "zp-bench: " << problem.what() << '\n';
  return 2;
}
