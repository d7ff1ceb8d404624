// What crosses between zp-builds and a build of the library. Each build is a module of its own that
// exports one symbol, zp_build: no inline function of one compiler can stand in for another's, not
// even one of std. The library's types stay inside; only these cross.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace bench {

/// What the regimes of zp-builds run. All are serial and give the same bits in every build.
enum class work : std::uint8_t {
  product_s32,        ///< int8 [m, k] times int8 [n, k], to s32
  product_f32,        ///< to f32 with scales and bias
  product_int4,       ///< times 4 bits in groups of 32, to f32
  dynamic_layer,      ///< f32 [m, k] quantized on the fly times int8, to f32
  weight_only_layer,  ///< f32 [m, k] times int8, to f32
  quantize,           ///< f32 [m, k] to int8, one scale
  quantize_rows,      ///< f32 [m, k] to int8, a scale per row out of its values
  dequantize,         ///< int8 [m, k] to f32
};

struct job {
  work what;
  std::size_t m, k, n;
  bool cold;            ///< weights come from memory: copies take turns
  const float* values;  ///< of row loops: [m, k], the same memory for all builds
  std::int8_t* codes;   ///< likewise
  float* values_again;  ///< likewise
  float* scales;        ///< [m]
};

/// A job with its data; deleting it deletes that.
class task {
 public:
  task() = default;
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  virtual ~task() = default;
  virtual void run() = 0;
  /// Of the bits of the result of the last run.
  [[nodiscard]] virtual std::uint64_t hash() const = 0;
};

struct build {
  const char* compiler;
  const char* baseline;
  const char* kernel;
  std::unique_ptr<task> (*start)(const job&);
};

}  // namespace bench

extern "C" const bench::build* zp_build();
