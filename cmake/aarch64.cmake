# Toolchain: Debian's cross compiler for 64-bit Arm; the tests run under QEMU user mode.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu)

# Our dependencies are header-only: the packages of the machine that builds serve as they are.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
file(GLOB _config_folders /usr/lib/*-linux-gnu/cmake)
list(APPEND CMAKE_PREFIX_PATH ${_config_folders})
