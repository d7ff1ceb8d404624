// Choosing the channels, checking that every scaling is exact, and scaling.
#include <lab/models/plant.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace lab {

namespace {

/// x * 2^power keeps its bits: finite, and not rounded into the subnormals.
bool exact(float x, int power) {
  const float scaled = std::ldexp(x, power);
  return std::isfinite(scaled) && std::ldexp(scaled, -power) == x;
}

void require_exact(const std::string& what, float x, int power) {
  if (exact(x, power)) return;
  std::ostringstream text;
  text << "--plant: " << what << " holds " << x << ", which times 2^" << power
       << " is not exact in float32; use a smaller power";
  throw input_error(text.str());
}

/// Calls f(name, value, power) for every number that changes.
template <class Model, class F>
void visit(Model& model, const plant& what, F&& f) {
  const auto channels = planted_channels(model.config.width, what.channels);
  for (auto& b : model.blocks) {
    for (auto* n : {&b.attention_norm, &b.mlp_norm}) {
      for (const std::size_t j : channels) {
        f("the gain of a norm", n->gain[j], what.power);
        if (!n->bias.empty()) f("the bias of a norm", n->bias[j], what.power);
      }
    }
    const auto columns = [&](auto& d) {
      for (std::size_t o = 0; o < d.out; ++o) {
        for (const std::size_t j : channels) f(d.name, d.weight[o * d.in + j], -what.power);
      }
    };
    for (auto& d : b.qkv) columns(d);
    if (b.gate) columns(*b.gate);
    columns(b.fc1);
  }
}

}  // namespace

plant plant::parse(std::string_view text) {
  plant p;
  const char *end = text.data() + text.size(), *at = text.data();
  const auto count = std::from_chars(at, end, p.channels);
  bool good = count.ec == std::errc{} && count.ptr != end && *count.ptr == ':';
  if (good) {
    const auto power = std::from_chars(count.ptr + 1, end, p.power);
    good = power.ec == std::errc{} && power.ptr == end;
  }
  if (!good || p.channels < 1 || p.power < 1 || p.power > 20) {
    throw input_error("--plant " + in_quotes(text) +
                      ": expected CHANNELS:POWER with CHANNELS >= 1 and POWER 1 to 20, as in 4:8");
  }
  return p;
}

std::string plant::text() const {
  return std::to_string(channels) + ":" + std::to_string(power);
}

std::vector<std::size_t> planted_channels(std::size_t width, std::size_t channels) {
  std::vector<std::size_t> order(width);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::uint64_t state = 1;
  for (std::size_t i = 0; i < std::min(channels, width); ++i) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;  // splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    std::swap(order[i], order[i + (z ^ (z >> 31)) % (width - i)]);
  }
  order.resize(std::min(channels, width));
  std::sort(order.begin(), order.end());
  return order;
}

void apply_plant(transformer& model, const plant& what) {
  if (!model.config.pre_norm) {
    throw input_error(
        "--plant: this model is post-norm (do_layer_norm_before is false): its norms also feed the "
        "residual stream, so planting would change the function");
  }
  if (!model.config.norm_affine) {
    throw input_error("--plant: this model's norms have no gain to plant in");
  }
  if (what.channels > model.config.width) {
    throw input_error("--plant " + what.text() + ": this model has " +
                      std::to_string(model.config.width) + " channels");
  }
  visit(std::as_const(model), what,
        [](const std::string& name, float x, int power) { require_exact(name, x, power); });
  visit(model, what, [](const std::string&, float& x, int power) { x = std::ldexp(x, power); });
}

}  // namespace lab
