# ZP_BASELINE against all that the compiler has to offer: for every -march it knows, and for features
# alone, the token is the same exactly where the macros of the instructions are the same.
#   cmake -DCOMPILER=g++ -DSOURCE=repository -DFAMILY=x86_64|aarch64 -P baselines.cmake
# A new compiler may bring a new macro and fail here: name it in base/baseline.hpp, or below if no
# expression compiles to its instructions.
cmake_policy(VERSION 3.24)

if(FAMILY STREQUAL "x86_64")
  set(ignored "ABM|ADX|AES|AMX.*|AVX512VP2INTERSECT|CLDEMOTE|CLFLUSHOPT|CLWB|CLZERO|ENQCMD|EVEX(256|512)|FSGSBASE|FXSR|HRESET|INVPCID|KL|LWP|MOVDIR64B|MOVDIRI|MOVRS|MWAIT|MWAITX|PCONFIG|PKU|PREFETCHI|PREFETCHWT1|PRFCHW|PTWRITE|RDPID|RDPRU|RDRND|RDSEED|RTM|SERIALIZE|SGX|SHA|SHA512|SHSTK|SM3|SM4|TSXLDTRK|UINTR|USER_MSR|USERMSR|VAES|WAITPKG|WBNOINVD|WIDEKL|XSAVE|XSAVEC|XSAVEOPT|XSAVES")
  set(ignored "^__(${ignored})__$")
  set(features "^__[A-Z0-9_]+__$|^__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16$")
  set(plain -march=x86-64)
  foreach(feature sse3 ssse3 sse4.1 sse4.2 popcnt cx16 sahf avx avx2 fma f16c bmi bmi2 lzcnt movbe
          avx512f avx512cd avx512bw avx512dq avx512vl avx512vnni avx512ifma avx512vbmi avx512vbmi2
          avx512bitalg avx512vpopcntdq avx512bf16 avx512fp16 avx512vp2intersect avxvnni avxifma
          avxneconvert avxvnniint8 avxvnniint16 pclmul vpclmulqdq gfni sse4a fma4 xop tbm aes sha adx
          crc32 cmpccxadd raoint apxf)
    list(APPEND flags "-march=x86-64 -m${feature}")
  endforeach()
  list(APPEND flags "-march=x86-64 -mavx2 -mfma" "-march=x86-64-v3 -mno-movbe" "-march=x86-64-v4 -mno-bmi2")
  set(expected
      "-march=x86-64=base_sse2" "-march=x86-64-v2=base_sse4" "-march=x86-64-v3=base_avx2"
      "-march=x86-64-v4=base_avx512" "-march=cascadelake=base_avx512_vnni_clmul"
      "-march=icelake-server=base_avx512_icelake" "-march=x86-64 -mavx2 -mfma=base_only_avx2_fma")
else()
  set(ignored BTI BTI_DEFAULT CRYPTO LS64 MEMORY_TAGGING PAC_DEFAULT RNG SHA2 SHA512 SM3 SM4 SME.* SVE2_SM4
      SVE_VECTOR_OPERATORS TME)
  # These come with others: two halves of one extension.
  list(APPEND ignored BF16 FP16_VECTOR_ARITHMETIC BF16_VECTOR_ARITHMETIC)
  list(JOIN ignored "|" ignored)
  set(ignored "^__ARM_FEATURE_(${ignored})$")
  set(features "^__ARM_FEATURE_")
  set(plain -march=armv8-a)
  foreach(minor 1 2 3 4 5 6 7 8 9)
    list(APPEND flags "-march=armv8.${minor}-a")
  endforeach()
  foreach(extension crc crypto aes sha2 lse rdma fp16 simd)
    list(APPEND flags "-march=armv8-a+${extension}")
  endforeach()
  foreach(extension fp16 fp16fml dotprod i8mm bf16 sha3 sm4 sve f32mm f64mm rcpc memtag rng sve2
          sve2-bitperm sve2-sha3 sve2-aes ls64 mops cssc)
    list(APPEND flags "-march=armv8.2-a+${extension}" "-march=armv8.6-a+${extension}")
  endforeach()
  list(APPEND flags -march=armv9-a -march=armv9.1-a -march=armv9.2-a -march=armv9.3-a -march=armv9.4-a
       "-march=armv8.2-a+sve -msve-vector-bits=512")
  set(expected "-march=armv8-a=base_neon" "-march=armv8.1-a=base_neon_v81"
      "-march=armv8.2-a=base_neon_v81" "-march=armv8.2-a+dotprod=base_neon_v81_dot"
      "-march=armv8.2-a+sve -msve-vector-bits=512=base_neon_v81_fp16_sve512")
endif()

# What the compiler lists when it is asked for a -march that nobody has.
execute_process(COMMAND ${COMPILER} -march=no-such -E -x c++ - INPUT_FILE /dev/null OUTPUT_QUIET
                ERROR_VARIABLE list)
if(list MATCHES "(switch are|arguments are|values are): ([^\n]*)")
  string(REGEX MATCHALL "[^ ,;]+" names "${CMAKE_MATCH_2}")
  foreach(name ${names})
    list(APPEND flags "-march=${name}")
  endforeach()
endif()

# What the preprocessor writes about the probe; nothing where it does not know the flags.
function(run out)
  execute_process(COMMAND ${COMPILER} -std=c++20 -E ${ARGN} -I${SOURCE}/include
                          ${SOURCE}/tests/link/probe.cpp
                  OUTPUT_VARIABLE text ERROR_VARIABLE error RESULT_VARIABLE failed)
  if(failed)
    set(text "")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# The macros of the instructions under some flags: NAME=VALUE, those that every -march has left out.
function(macros_of out)
  run(text -dM ${ARGN})
  string(REGEX MATCHALL "#define __[A-Za-z0-9_]+ [0-9]+" lines "${text}")
  set(found "")
  foreach(line ${lines})
    string(REGEX REPLACE "#define ([^ ]+) (.*)" "\\1=\\2" line "${line}")
    string(REGEX REPLACE "=.*" "" name "${line}")
    if(name MATCHES "${features}" AND NOT name MATCHES "${ignored}" AND NOT line IN_LIST common)
      list(APPEND found ${line})
    endif()
  endforeach()
  if(__SSE4_2__=1 IN_LIST found)
    list(REMOVE_ITEM found __CRC32__=1)  # of SSE4.2, and not every compiler says so
  endif()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

function(token_of out)
  run(text -P ${ARGN})
  string(STRIP "${text}" text)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

set(common "")
macros_of(common ${plain})
list(REMOVE_DUPLICATES flags)
set(known 0)
set(faults "")
foreach(flag "${plain}" ${flags})
  separate_arguments(arguments UNIX_COMMAND "${flag}")
  token_of(token ${arguments})
  if(token STREQUAL "")
    continue()  # not of this compiler, or of 32 bits
  endif()
  math(EXPR known "${known} + 1")
  if(NOT token MATCHES "^base_[a-z0-9_]+$")
    string(APPEND faults "${flag}: the token is no name: ${token}\n")
    continue()
  endif()
  macros_of(macros ${arguments})
  string(MD5 key "${macros}")
  if(DEFINED macros_${token} AND NOT macros_${token} STREQUAL macros)
    string(APPEND faults "${flag} and ${flag_${token}} are both ${token}, with different macros:\n"
           "  ${macros}\n  ${macros_${token}}\n")
  elseif(DEFINED token_${key} AND NOT token_${key} STREQUAL token)
    string(APPEND faults "${flag} is ${token} and ${flag_${token_${key}}} ${token_${key}}, with the same macros\n")
  endif()
  set(macros_${token} "${macros}")
  set(flag_${token} "${flag}")
  set(token_${key} "${token}")
  foreach(line ${expected})
    if(line MATCHES "^(.*)=([^=]*)$" AND CMAKE_MATCH_1 STREQUAL flag AND NOT CMAKE_MATCH_2 STREQUAL token)
      string(APPEND faults "${flag} is ${token}, expected ${CMAKE_MATCH_2}\n")
    endif()
  endforeach()
endforeach()
token_of(token ${plain} -DZP_BASELINE_TAG=_mine)
if(NOT token MATCHES "^base_[a-z0-9]+_mine$")
  string(APPEND faults "ZP_BASELINE_TAG=_mine gives ${token}\n")
endif()
if(faults)
  message(FATAL_ERROR "${faults}")
endif()
if(known LESS 20)
  message(FATAL_ERROR "${COMPILER} knew only ${known} of the flags")
endif()
message("${known} combinations of flags")
