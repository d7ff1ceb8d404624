// The regimes of zp-regimes, a function each group; every one adds what it measured to the findings.
#pragma once

#include "findings.hpp"
#include "race.hpp"

namespace bench {

/// What one core can do at most: the numbers behind the fractions of all others.
void peaks(const settings& o, limits& limit, findings& found);
/// Products of int8 with weights in cache, in the last-level cache and from memory, beside the other
/// libraries.
void int8_hot(const settings& o, limits& limit, findings& found);
void int8_last_level(const settings& o, limits& limit, findings& found);
void int8_cold(const settings& o, limits& limit, findings& found);
/// 4-bit weights in groups of 32.
void int4(const settings& o, limits& limit, findings& found);
/// Layers with floats in and out, and two threads.
void layers(const settings& o, limits& limit, findings& found);
/// Such layers beside libraries that have products of f32 with weights of 8 or 4 bits; those that keep
/// their activations in f32 also beside products of f32.
void blocks(const settings& o, findings& found);
/// Quantization and dequantization of rows, their ranges and statistics, in and out of cache.
void row_loops(const settings& o, findings& found);
/// Quantization of rows beside other libraries, in and out of cache.
void rows_against(const settings& o, findings& found);

}  // namespace bench
