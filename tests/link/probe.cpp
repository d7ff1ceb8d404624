// Preprocessed, not compiled, by baselines.cmake.
#include <zeropoint/base/baseline.hpp>
ZP_BASELINE
