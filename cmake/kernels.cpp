// The one file that holds the kernels of the programs that link zp_kernels.
#include <zeropoint/kernels/compiled.hpp>
