// The processor's intrinsics where it has them. A header of its own: several tests may be one source
// file (tests/CMakeLists.txt), which gathers what they include and knows nothing of #if.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif
