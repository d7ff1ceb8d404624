# An object file compiled for a newer processor must not offer functions that other object files may
# link to instead of their own: no weak symbols, nothing inline from elsewhere.
#   cmake -DNM=nm -DOBJECT=file.o -DVARIANT=avx2 -P weak_symbols.cmake
execute_process(COMMAND ${NM} --defined-only ${OBJECT} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} ${OBJECT}: ${failed}")
endif()
string(REGEX MATCHALL "[^\n]+ [WVu] [^\n]+" weak "${symbols}")
list(FILTER weak EXCLUDE REGEX "DW\\.ref\\.__gxx_personality")
if(weak)
  string(REPLACE ";" "\n" weak "${weak}")
  message(FATAL_ERROR "weak symbols in the variant ${VARIANT}:\n${weak}")
endif()
if(NOT symbols MATCHES "float_kernels_${VARIANT}")
  message(FATAL_ERROR "no table float_kernels_${VARIANT}: is ${OBJECT} the right file?")
endif()
