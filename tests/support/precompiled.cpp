// The source that the precompiled header of tests/CMakeLists.txt belongs to; CMake wants one.
