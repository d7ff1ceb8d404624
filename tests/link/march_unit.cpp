// Compiled once for each -march of the program `marches`, as ZP_UNIT.
#include "march_unit.hpp"

#include <zeropoint/base/cpu.hpp>

extern constinit const march_report ZP_UNIT;
constinit const march_report ZP_UNIT{ZP_STRINGIFY(ZP_UNIT), ZP_MARCH, zeropoint::baseline_name,
                                     &zeropoint::made_by_amd};
