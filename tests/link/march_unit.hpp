// What a unit of the program `marches` says about itself: constants only, so that no unit has to run.
#pragma once

struct march_report {
  const char* unit;
  const char* march;     ///< the flags it was compiled with
  const char* baseline;  ///< zeropoint::baseline_name as this unit sees it
  bool (*function)();    ///< an inline function of the library that this unit calls
};
