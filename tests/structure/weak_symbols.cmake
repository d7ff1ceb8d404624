# An object file compiled for a newer processor must not offer functions that other object files may
# link to instead of their own: every weak symbol has to carry the variant's name.
#   cmake -DNM=nm -DOBJECT=file.o -DVARIANT=avx2 -P weak_symbols.cmake
execute_process(COMMAND ${NM} --defined-only ${OBJECT} OUTPUT_VARIABLE symbols RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} ${OBJECT}: ${failed}")
endif()
string(REGEX MATCHALL "[^\n]+ [WVu] [^\n]+" weak "${symbols}")
list(LENGTH weak count)
list(FILTER weak EXCLUDE REGEX "lab_eigen_${VARIANT}|DW\\.ref\\.__gxx_personality")
if(weak)
  string(REPLACE ";" "\n" weak "${weak}")
  message(FATAL_ERROR "weak symbols that do not name the variant ${VARIANT}:\n${weak}")
endif()
if(count EQUAL 0)
  message(FATAL_ERROR "no weak symbol at all: is ${OBJECT} the right file?")
endif()
