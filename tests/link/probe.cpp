// Preprocessed, not compiled, by baselines.cmake: its last line is the token.
#include <zeropoint/base/baseline.hpp>
ZP_BASELINE
