// The table of types and the decoders.
#include <lab/io/ggml_types.hpp>

#include <zeropoint/math/presets.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace lab {
namespace {

constexpr std::size_t half = 16;  // the elements of a low nibble

template <class T>
T stored(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);  // little-endian, as this machine; no alignment promised
  return value;
}

float half_at(const std::byte* at) {
  return zeropoint::to_float(zeropoint::float16{stored<std::uint16_t>(at)});
}

template <class T>
void decode_plain(std::span<const std::byte> blocks, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const T value = stored<T>(blocks.data() + i * sizeof(T));
    if constexpr (requires { zeropoint::to_float(value); }) {
      out[i] = zeropoint::to_float(value);
    } else {
      out[i] = static_cast<float>(value);
    }
  }
}

/// f(nibble) of the 32 nibbles at `codes`.
template <class F>
void decode_nibbles(const std::byte* codes, float* out, F&& f) {
  for (std::size_t i = 0; i < half; ++i) {
    const auto pair = std::to_integer<int>(codes[i]);
    out[i] = f(pair & 15);
    out[i + half] = f(pair >> 4);
  }
}

void decode_q4_0(std::span<const std::byte> blocks, std::span<float> out) {
  for (std::size_t i = 0, at = 0; i < out.size(); i += 2 * half, at += 18) {
    const float d = half_at(&blocks[at]);
    decode_nibbles(&blocks[at + 2], &out[i], [d](int q) { return d * static_cast<float>(q - 8); });
  }
}

void decode_q4_1(std::span<const std::byte> blocks, std::span<float> out) {
  for (std::size_t i = 0, at = 0; i < out.size(); i += 2 * half, at += 20) {
    const float d = half_at(&blocks[at]), m = half_at(&blocks[at + 2]);
    decode_nibbles(&blocks[at + 4], &out[i],
                   [d, m](int q) { return d * static_cast<float>(q) + m; });
  }
}

void decode_q8_0(std::span<const std::byte> blocks, std::span<float> out) {
  for (std::size_t i = 0, at = 0; i < out.size(); i += 2 * half, at += 34) {
    const float d = half_at(&blocks[at]);
    for (std::size_t j = 0; j < 2 * half; ++j) {
      out[i + j] = d * static_cast<float>(stored<std::int8_t>(&blocks[at + 2 + j]));
    }
  }
}

void put_scale(zeropoint::float16 d, std::byte* at) {
  ZP_REQUIRE(std::isfinite(zeropoint::to_float(d)), "a block needs a scale beyond float16's 65504");
  std::memcpy(at, &d.bits, sizeof d.bits);
}

void encode_f32(std::span<const float> values, std::span<std::byte> blocks) {
  std::memcpy(blocks.data(), values.data(), values.size_bytes());
}

void encode_q4_0(std::span<const float> values, std::span<std::byte> blocks) {
  std::array<std::uint8_t, 2 * half> codes;
  for (std::size_t i = 0, at = 0; i < values.size(); i += 2 * half, at += 18) {
    put_scale(zeropoint::presets::ggml::quantize_q4_0(values.subspan(i).first<2 * half>(), codes),
              &blocks[at]);
    for (std::size_t j = 0; j < half; ++j)
      blocks[at + 2 + j] = static_cast<std::byte>(codes[j] | codes[j + half] << 4);
  }
}

void encode_q8_0(std::span<const float> values, std::span<std::byte> blocks) {
  std::array<std::int8_t, 2 * half> codes;
  for (std::size_t i = 0, at = 0; i < values.size(); i += 2 * half, at += 34) {
    put_scale(zeropoint::presets::ggml::quantize_q8_0(values.subspan(i).first<2 * half>(), codes),
              &blocks[at]);
    std::memcpy(&blocks[at + 2], codes.data(), codes.size());
  }
}

constexpr std::array<ggml_type, 29> ggml_types{{
    {0, "F32", 1, 4, decode_plain<float>, encode_f32},
    {1, "F16", 1, 2, decode_plain<zeropoint::float16>},
    {2, "Q4_0", 32, 18, decode_q4_0, encode_q4_0},
    {3, "Q4_1", 32, 20, decode_q4_1},
    {6, "Q5_0", 32, 22},
    {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34, decode_q8_0, encode_q8_0},
    {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},
    {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},
    {15, "Q8_K", 256, 292},
    {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98},
    {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},
    {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136},
    {24, "I8", 1, 1, decode_plain<std::int8_t>},
    {25, "I16", 1, 2, decode_plain<std::int16_t>},
    {26, "I32", 1, 4, decode_plain<std::int32_t>},
    {27, "I64", 1, 8, decode_plain<std::int64_t>},
    {28, "F64", 1, 8, decode_plain<double>},
    {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2, decode_plain<zeropoint::bfloat16>},
}};

}  // namespace

const ggml_type* find_ggml_type(std::uint32_t number) noexcept {
  const auto found = std::find_if(ggml_types.begin(), ggml_types.end(),
                                  [&](const ggml_type& t) { return t.number == number; });
  return found == ggml_types.end() ? nullptr : &*found;
}

const ggml_type& ggml_type_of(ggml_type_number number) noexcept {
  return *find_ggml_type(number);
}

}  // namespace lab
