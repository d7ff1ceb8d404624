// A tile of 256-bit byte products (vpdpbusd), written once for the instruction's two encodings: VEX
// (AVX-VNNI: avx_vnni.hpp, which includes this) and EVEX (AVX-512), in which the tests compile the
// page once more, to run it where there is no AVX-VNNI. No shared template can do that: it has one
// target. The includer defines
//
//   ZP_ISA     the target attribute
//   ZP_DPBUSD  the intrinsic
//
// includes what is used here, and includes this in a namespace of its own under kernels; without the
// macros the page is empty. Tiles of 6 x 16 outputs: 12 sums, 2 registers of b, 1 broadcast of a.
#if defined(ZP_DPBUSD)

using ymm::lanes;

template <class Rows, class Vectors>
struct tile;

template <std::size_t... R, std::size_t... V>
struct tile<std::index_sequence<R...>, std::index_sequence<V...>> {
  using shared = ymm::tile_sums<std::index_sequence<R...>, std::index_sequence<V...>>;
  using sums = typename shared::sums;
  static constexpr std::size_t rows = shared::rows, vectors = shared::vectors;
  /// As in avx512_vnni.hpp, fewer than 10 independent sums leave the multiplier waiting; more than 12
  /// leave no registers for the rest.
  static constexpr std::size_t in_tile = rows * vectors;
  static constexpr std::size_t chains = in_tile > 6 ? 1 : in_tile > 3 ? 2 : 4;
  static constexpr std::size_t group_bytes = 32 * vectors;  // of b per 4 k

  ZP_ISA ZP_ALWAYS_INLINE static void dot_row(lanes (&acc)[vectors], const std::uint8_t* a,
                                              const lanes (&w)[vectors]) {
    std::int32_t four;
    std::memcpy(&four, a, 4);
    const __m256i x = _mm256_set1_epi32(four);
    ((acc[V] = reinterpret_cast<lanes>(
          ZP_DPBUSD(reinterpret_cast<__m256i>(acc[V]), x, reinterpret_cast<__m256i>(w[V])))),
     ...);
  }
  ZP_ISA ZP_ALWAYS_INLINE static void group(sums& acc, const std::uint8_t* const (&a)[rows],
                                            std::size_t k, const std::int8_t* b) {
    const lanes w[] = {reinterpret_cast<lanes>(
        _mm256_load_si256(reinterpret_cast<const __m256i*>(b + 32 * V)))...};
    (dot_row(acc[R], a[R] + k, w), ...);
  }

  /// Rows first .. first + rows of the job.
  ZP_ISA static void run(const panel_job& job, std::size_t first) {
    const auto* base = static_cast<const std::uint8_t*>(job.a) + first * job.a_stride;
    const std::uint8_t* const a[] = {base + R * job.a_stride...};
    const std::int8_t* b = job.b;

    sums acc[chains];
    shared::fill(acc[0], job);
    for (std::size_t s = 1; s < chains; ++s) shared::clear(acc[s]);
    const std::size_t ahead = shared::fetch_distance(job, first);
    std::size_t k = 0;
    for (; k + 16 <= job.k; k += 16, b += 4 * group_bytes) {
#pragma GCC unroll 8
      for (std::size_t line = 0; line < 4 * group_bytes; line += 64) {
        __builtin_prefetch(b + ahead + line);
      }
      group(acc[0], a, k, b);
      group(acc[1 % chains], a, k + 4, b + group_bytes);
      group(acc[2 % chains], a, k + 8, b + 2 * group_bytes);
      group(acc[3 % chains], a, k + 12, b + 3 * group_bytes);
    }
    for (; k < job.k; k += 4, b += group_bytes) group(acc[0], a, k, b);
    if constexpr (chains == 4) shared::add(acc[2], acc[3]);
    if constexpr (chains == 4) shared::add(acc[0], acc[2]);
    if constexpr (chains >= 2) shared::add(acc[0], acc[1]);
    shared::finish(acc[0], job, first);
  }
};

template <std::size_t Vectors, std::size_t... R>
inline void multiply_rows(const panel_job& job, std::index_sequence<R...>) {
  static constexpr void (*of_height[])(const panel_job&, std::size_t) = {
      &tile<std::make_index_sequence<R + 1>, std::make_index_sequence<Vectors>>::run...};
  by_row_blocks(job, of_height);
}
template <std::size_t Vectors, std::size_t Mr>
inline void multiply(const panel_job& job) {
  multiply_rows<Vectors>(job, std::make_index_sequence<Mr>{});
}

inline void prepare(const prepare_job& job) {
  ymm::prepare_bytes(job, operand_shift(operand::u8, job.is_signed));
}

inline constexpr panel_format formats[] = {{6, 16, &multiply<2, 6>}};

#endif
