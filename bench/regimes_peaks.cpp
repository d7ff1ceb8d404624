// The limits themselves, in absolute numbers: a fraction says nothing where its peak is too low.
#include "regimes.hpp"

namespace bench {

void peaks(const settings& o, limits& limit, findings& found) {
  const std::vector<named_peak> loops = all_peaks();
  const std::size_t rounds = 10'000;
  race r(o, false);
  for (const named_peak& one : loops) {
    r.enter(one.name, [run = one.loop.run] { run(rounds); });
  }
  // What the caches of the first, second and third level hold.
  const std::vector<std::pair<std::string, std::size_t>> sizes = {
      {"32 KB", 32u << 10}, {"512 KB", 512u << 10}, {"8 MB", 8u << 20}};
  for (const auto& [name, bytes] : sizes) limit.enter_read(r, bytes, false, name);
  r.run();
  for (const named_peak& one : loops) {
    const bool floats = std::string_view(one.name).substr(0, 3) == "f32";
    found.peaks.push_back(
        {one.name, 1e-9 * static_cast<double>(rounds) * one.loop.operations / r.seconds(one.name),
         floats ? "GFLOPS" : "GOPS"});
  }
  // Twice with execution units of 512 bits, once where they take a zmm in halves.
  for (const std::string kind : {"8-bit dot product", "f32 FMA"}) {
    const std::string zmm = kind + ", zmm", ymm = kind + ", ymm";
    const auto find = [&](const std::string& name) {
      return std::find_if(loops.begin(), loops.end(),
                          [&](const named_peak& one) { return name == one.name; });
    };
    const auto wide = find(zmm), narrow = find(ymm);
    if (wide == loops.end() || narrow == loops.end()) continue;
    found.peaks.push_back({kind + ", zmm over ymm",
                           r.ratio(ymm, zmm) * wide->loop.operations / narrow->loop.operations,
                           "x"});
  }
  for (const auto& [name, bytes] : sizes) {
    found.peaks.push_back(
        {"read of " + name, 1e-9 * static_cast<double>(bytes) / r.seconds(name), "GB/s"});
  }
  const std::size_t piece = 16u << 20;  // of 192 MB
  race memory(o, true);
  limit.enter_read(memory, piece, true);
  memory.run();
  found.peaks.push_back(
      {"read from memory", 1e-9 * static_cast<double>(piece) / memory.seconds("read"), "GB/s"});
}

}  // namespace bench
