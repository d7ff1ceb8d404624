// The version of the library; CMake reads these three numbers.
#pragma once

#define ZP_VERSION_MAJOR 0
#define ZP_VERSION_MINOR 1
#define ZP_VERSION_PATCH 0
