# What our own tests, benchmarks and examples are built with; never exported.
set(ZP_SANITIZE "" CACHE STRING "Sanitizers for our own programs, e.g. address,undefined")

option(ZP_UNITY "Compile zp-lab and the tests in few large files: for who builds once" OFF)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
find_package(OpenMP COMPONENTS CXX)
find_package(Threads REQUIRED)

add_library(zp_developer INTERFACE)
target_link_libraries(zp_developer INTERFACE zeropoint::zeropoint Threads::Threads)
target_compile_options(zp_developer INTERFACE -Wall -Wextra -Wconversion -Wno-psabi)
# Of one file: in a unity build a local name may be that of a helper in another file.
target_compile_options(zp_developer INTERFACE
                       $<$<NOT:$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>>:-Wshadow>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees an overlapping copy in every "text" + std::string (gone in 13), and behind a
  # precompiled header, where it forgets what is a system header, one that is too long.
  target_compile_options(zp_developer INTERFACE -Wno-restrict -Wno-stringop-overflow
                         -Wno-array-bounds)
endif()
if(ZP_SANITIZE)
  target_compile_options(zp_developer INTERFACE -fsanitize=${ZP_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(zp_developer INTERFACE -fsanitize=${ZP_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Instrumented code makes GCC 12 see uninitialised members in <regex>, which Catch2 includes.
    target_compile_options(zp_developer INTERFACE -Wno-maybe-uninitialized)
    # Checks as calls, not inline: the unrolled tiles compile in 11 s instead of 33 s.
    target_compile_options(zp_developer INTERFACE
                           "SHELL:--param asan-instrumentation-with-call-threshold=0")
  endif()
endif()
if(OpenMP_CXX_FOUND)
  target_link_libraries(zp_developer INTERFACE OpenMP::OpenMP_CXX)
endif()

# The kernels compiled once for the many files of the tests and of zp-lab (kernels/registry.hpp).
# Quickstart, benchmarks, and the link and package tests include them as most users will.
add_library(zp_kernels STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/kernels.cpp)
target_compile_definitions(zp_kernels PUBLIC ZP_SEPARATE_KERNELS)
target_link_libraries(zp_kernels PUBLIC zp_developer)
