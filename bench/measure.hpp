// What the programs of this folder share: products with everything they need, and time.
#pragma once

#include <zeropoint/gemm/int4.hpp>

#include <cmath>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "input.hpp"
#include "peaks.hpp"

namespace bench {

/// Weights of `bytes` bytes come from memory when as many copies take turns: no cache holds them all.
inline constexpr std::size_t cold_bytes = 192u << 20;
constexpr std::size_t cold_copies(std::size_t bytes) {
  return cold_bytes / bytes + 1;
}

/// One product with everything it needs; cold weights are several copies.
class product {
 public:
  product(std::size_t m, shape s, const zp::kernels::kernel& kernel, output to, bool cold)
      : m_(m), shape_(s), to_(to), a_(m * s.k), w_(s.n * s.k), scales_(m + 2 * s.n, 0.01f) {
    std::mt19937_64 g(1);
    for (auto& x : a_) x = static_cast<std::int8_t>(g() % 255 - 127);
    const unsigned codes = to == output::int4 ? 15 : 255;
    double start = 0;
    for (auto& x : w_)
      x = static_cast<std::int8_t>(static_cast<int>(g() % codes) - static_cast<int>(codes / 2));
    if (to == output::int4) {
      start = thread_seconds();
      const zp::packed_int4_weights packed(
          s.n, s.k, 32, [&](std::size_t j, std::size_t k) { return w_[j * s.k + k]; },
          [](std::size_t, std::size_t) {
            return zp::params{0.5f, 0, -7, 7};
          },
          kernel);
      pack_seconds_ = thread_seconds() - start;
      int4_.assign(copies_for(cold, packed.bytes()), packed);
    } else {
      start = thread_seconds();
      const auto packed = zp::pack(zp::matrix_view<const std::int8_t>(w_.data(), s.n, s.k), kernel);
      pack_seconds_ = thread_seconds() - start;
      int8_.assign(copies_for(cold, packed.bytes()), packed);
    }
    if (to == output::u8_s32) {
      for (const std::int8_t x : a_) raised_.push_back(static_cast<std::uint8_t>(x + 128));
    }
    const bool sums = to == output::s32 || to == output::u8_s32;
    out_ = zp::aligned_buffer<std::int32_t>(sums ? m * s.n : 0);
    float_out_ = zp::aligned_buffer<float>(to == output::f32 || to == output::int4 ? m * s.n : 0);
    codes_out_ = zp::aligned_buffer<std::int8_t>(to == output::s8 ? m * s.n : 0);
  }

  template <class Executor>
  void run(const Executor& ex) {
    const std::size_t at = next_++;
    const zp::matrix_view<const std::int8_t> a(a_.data(), m_, shape_.k);
    const std::span<const float> all(scales_);
    if (to_ == output::s32) {
      zp::gemm(a, int8_[at % int8_.size()], result(), ex);
    } else if (to_ == output::u8_s32) {
      const zp::matrix_view<const std::uint8_t> raised(raised_.data(), m_, shape_.k);
      zp::gemm(raised, int8_[at % int8_.size()], result(), ex);
    } else if (to_ == output::f32) {
      const zp::dequantization d{all.first(m_), all.subspan(m_, shape_.n),
                                 all.subspan(m_ + shape_.n, shape_.n)};
      zp::gemm(a, int8_[at % int8_.size()], d, y(), ex);
    } else if (to_ == output::s8) {
      const zp::dequantization d{all.first(m_), all.subspan(m_, shape_.n)};
      const zp::matrix_view<std::int8_t> codes(codes_out_.data(), m_, shape_.n);
      zp::gemm(a, int8_[at % int8_.size()], d, zp::params{0.01f, 0, -128, 127}, codes, ex);
    } else {
      const zp::int4_dequantization d{all.first(m_), all.subspan(m_, shape_.n)};
      zp::gemm(a, int4_[at % int4_.size()], d, y(), ex);
    }
  }
  [[nodiscard]] double operations() const {
    return 2.0 * static_cast<double>(m_) * static_cast<double>(shape_.k * shape_.n);
  }
  /// What packing the weights took, once, with the pages that it touched first.
  [[nodiscard]] double pack_seconds() const { return pack_seconds_; }
  /// What one call reads of the weights, and the bytes a fair streaming read cycles through.
  [[nodiscard]] std::size_t bytes() const {
    return to_ == output::int4 ? int4_[0].bytes() : shape_.k * shape_.n;
  }
  [[nodiscard]] std::size_t copies() const { return int8_.size() + int4_.size(); }
  /// The codes [m, k] and [n, k], and the integers of the last s32 product.
  [[nodiscard]] const std::int8_t* a() const { return a_.data(); }
  [[nodiscard]] const std::int8_t* w() const { return w_.data(); }
  [[nodiscard]] zp::matrix_view<std::int32_t> result() {
    return {out_.data(), out_.size() / shape_.n, shape_.n};
  }
  /// The integers or the floats of the last product; nothing of the other.
  [[nodiscard]] std::span<const std::int32_t> sums() const { return out_.span(); }
  [[nodiscard]] std::span<const float> floats() const { return float_out_.span(); }
  [[nodiscard]] std::size_t footprint() const { return copies() == 1 ? bytes() : cold_bytes; }

 private:
  zp::matrix_view<float> y() { return {float_out_.data(), m_, shape_.n}; }
  static std::size_t copies_for(bool cold, std::size_t bytes) {
    return cold ? cold_copies(bytes) : 1;
  }
  std::size_t m_;
  shape shape_;
  output to_;
  std::vector<std::int8_t> a_, w_;
  std::vector<std::uint8_t> raised_;
  std::vector<float> scales_;
  std::vector<zp::packed_weights> int8_;
  std::vector<zp::packed_int4_weights> int4_;
  zp::aligned_buffer<std::int32_t> out_;
  zp::aligned_buffer<float> float_out_;
  zp::aligned_buffer<std::int8_t> codes_out_;
  std::size_t next_ = 0;
  double pack_seconds_ = 0;
};

/// Sums of four uniform numbers around 0: nearly normal, standard deviation 0.58.
inline std::vector<float> normal_floats(std::size_t n) {
  std::mt19937_64 g(2);
  std::vector<float> x(n);
  for (float& v : x) {
    v = 0;
    for (int i = 0; i < 4; ++i) v += static_cast<float>(g() >> 40) * 0x1p-24f - 0.5f;
  }
  return x;
}

/// Seconds per call of f, called until a slot of `slot` seconds is full.
template <class Clock, class F>
double timed(Clock clock, double slot, F&& f) {
  std::size_t calls = 0, batch = 1;
  const double start = clock();
  double now = start;
  while (now - start < slot) {
    for (std::size_t i = 0; i < batch; ++i) f();
    calls += batch;
    now = clock();
    if (now - start < slot / 16) batch *= 2;
  }
  return (now - start) / static_cast<double>(calls);
}

/// The loop that reads fastest: `read(loop)` reads the bytes in question, the next ones each time where
/// they are to come from memory.
template <class F>
read_loop fastest_read(F&& read) {
  const std::vector<read_loop> loops = read_loops();
  std::vector<std::vector<double>> seconds(loops.size());
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < loops.size(); ++i) {
      seconds[i].push_back(timed(&thread_seconds, 0.003, [&] { read(loops[i]); }));
    }
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i < loops.size(); ++i) {
    if (median(seconds[i]) < median(seconds[best])) best = i;
  }
  return loops[best];
}

inline std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

#if defined(__clang__)
inline constexpr const char* compiler =  // __clang_version__ ends in a space
    "Clang " ZP_STRINGIFY(__clang_major__) "." ZP_STRINGIFY(__clang_minor__) "." ZP_STRINGIFY(
        __clang_patchlevel__);
#else
inline constexpr const char* compiler = "GCC " __VERSION__;
#endif

/// Of positive numbers; 0 of none.
inline double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += std::log(v);
  return values.empty() ? 0 : std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace bench
