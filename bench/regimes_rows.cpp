// Quantization of rows of 768 floats beside other libraries: with a known scale, and with one that is
// found in the values, ours for a row, theirs for a block of 32.
#include "against.hpp"
#include "regimes.hpp"

namespace bench {

namespace {

constexpr std::size_t columns = 768, block = 32;

/// What the code of a block stands for is half a step from the value, and what float16 does to the
/// scale: 2^-11 of up to 127 steps. A hundredth more for the floats in which all of it is computed.
void require_near(const peer& from, const peer_product& done, std::size_t i,
                  std::span<const float> row) {
  for (std::size_t first = 0; first < row.size(); first += block) {
    const double step = zp::elementwise::absmax(row.subspan(first, block)) / 127.0;
    for (std::size_t j = first; j < first + block; ++j) {
      expect_near(from, i, j, done.at(i, j), row[j], (0.5 + 127 * 0x1p-11) * 1.01 * step);
    }
  }
}

}  // namespace

void rows_against(const settings& o, findings& found) {
  if (!has_peers("quantize") && !has_peers("quantize_q8_0")) return;
  for (const bool in_cache : {true, false}) {
    const std::size_t rows = in_cache ? 21 : o.quick ? 21'000 : 84'000, n = rows * columns;
    const std::string size = in_cache ? "64 KB" : o.quick ? "64 MB" : "256 MB";
    const std::vector<float> x = normal_floats(n);  // within 2: no code beyond 64
    std::vector<std::int8_t> codes(n);
    std::vector<float> scales(rows);
    const zp::matrix_view<const float> in(x.data(), rows, columns);
    const zp::matrix_view<std::int8_t> to(codes.data(), rows, columns);
    const zp::params p{quantization_step, 0, -127, 127};
    zp::quantize_into(in, p, to);
    const std::vector<std::int8_t> expected = codes;
    const auto require_same = [&](const peer& from, const peer_product& done) {
      for (std::size_t i = 0; i < rows; i += in_cache ? 1 : 97) {
        if (from.mode != "quantize") require_near(from, done, i, in.row(i));
        for (std::size_t j = 0; from.mode == "quantize" && j < columns; ++j) {
          expect_near(from, i, j, done.at(i, j), expected[i * columns + j], 0);
        }
      }
    };
    race r(o, !in_cache);
    r.enter("static", [&] { zp::quantize_into(in, p, to); });
    r.enter("dynamic", [&] {
      zp::quantize_into(in, zp::per_token, zp::symmetric, to, std::span<float>(scales), {});
    });
    peer_problem problem{rows, columns};
    problem.x = x.data();
    const opponents others(r, problem, require_same,
                           {{"quantize", "static"}, {"quantize_q8_0", "dynamic"}});
    r.run();
    contests all;
    all.take(others.results(size, found));
    const double reorder = in_cache ? 3 : 1.15, blocks = in_cache ? 2.4 : 1.05;
    all.add_to(found, "quantize f32 to s8, " + size, "quantize", {{"oneDNN", reorder, reorder}});
    all.add_to(found, "dynamic quantization by row, " + size, "quantize_q8_0",
               {{"ggml", blocks, blocks}});
  }
}

}  // namespace bench
