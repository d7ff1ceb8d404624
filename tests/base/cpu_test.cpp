#include <zeropoint/base/cpu.hpp>

#include "support/test.hpp"

namespace zp = zeropoint;

TEST_CASE("isa: a set of bits") {
  constexpr zp::isa both = zp::isa::avx2_fma | zp::isa::avx_vnni;
  STATIC_REQUIRE(zp::contains(both, zp::isa::avx2_fma));
  STATIC_REQUIRE(zp::contains(both, both));
  STATIC_REQUIRE(zp::contains(both, zp::isa::baseline));
  STATIC_REQUIRE(zp::contains(zp::isa::baseline, zp::isa::baseline));
  STATIC_REQUIRE_FALSE(zp::contains(zp::isa::avx2_fma, both));
  STATIC_REQUIRE_FALSE(zp::contains(zp::isa::baseline, zp::isa::avx512));
}

TEST_CASE("cpu_features: asked once, never more than the processor has") {
  REQUIRE(zp::cpu_features() == zp::detect_cpu());
  const zp::isa have = zp::cpu_features();
#if ZP_X86
  // The compiler's own detection, where it knows the name (it also asks the operating system).
  __builtin_cpu_init();
  REQUIRE(zp::contains(have, zp::isa::avx2_fma) ==
          (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0));
  REQUIRE(zp::contains(have, zp::isa::sse41) == (__builtin_cpu_supports("sse4.1") != 0));
  const bool avx512 =
      __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  REQUIRE(zp::contains(have, zp::isa::avx512) == avx512);
  REQUIRE(zp::contains(have, zp::isa::avx512_vnni) ==
          (avx512 && __builtin_cpu_supports("avx512vnni") != 0));
  REQUIRE_FALSE(zp::contains(have, zp::isa::neon_dot));
  REQUIRE_FALSE(zp::contains(have, zp::isa::neon_i8mm));
#else
  REQUIRE_FALSE(zp::contains(have, zp::isa::avx2_fma));
  REQUIRE_FALSE(zp::contains(have, zp::isa::avx512));
  REQUIRE_FALSE(zp::contains(have, zp::isa::sse41));
#endif
}

TEST_CASE("what orders memory accesses") {
#if ZP_X86
  __builtin_cpu_init();
  if (__builtin_cpu_is("intel")) REQUIRE_FALSE(zp::made_by_amd());
  if (__builtin_cpu_is("amd")) REQUIRE(zp::made_by_amd());
#else
  REQUIRE_FALSE(zp::made_by_amd());
#endif
  REQUIRE(zp::last_level_cache() >= (std::size_t{256} << 10));
  REQUIRE(zp::last_level_cache() < (std::size_t{8} << 30));
}
