# Reads `objdump -d --no-show-raw-insn -C`, GNU's or LLVM's, of peak_loops.cpp. Fails where the loop of a
# peak touches memory, multiplies another number of times than its sums (12, or 24 with 32 registers), or
# where there are not as many loops as -v loops= says: a peak that is too low flatters all that is
# measured against it.
function pad(hex) { return sprintf("%16s", hex) }
function check_function(    i, k, start, multiplies, memory) {
  if (name !~ /bench::(dot|madd|fma)_[xyz]mm/) return
  for (i = 1; i <= count; ++i) {
    if (target[i] == "" || target[i] >= address[i] || target[i] < address[1]) continue
    ++found
    multiplies = 0; memory = ""
    for (k = 1; k <= i; ++k) {
      if (address[k] < target[i]) continue
      if (text[k] ~ /vpdp|pmaddwd|fmadd/) ++multiplies
      if (text[k] ~ /\(%/) memory = text[k]
    }
    if (memory != "" || (multiplies != 12 && multiplies != 24)) {
      ++failures
      print name " " multiplies " multiplications in its loop" (memory == "" ? "" : ", and\n  " memory)
    }
  }
}
/^[0-9a-f]+ <.*>:$/ { check_function(); count = 0; name = $0; next }
/^ *[0-9a-f]+: *\t/ {
  ++count
  split($1, part, ":")
  address[count] = pad(part[1]); target[count] = ""; text[count] = $0
  sub(/^0x/, "", $3)  # llvm-objdump; CMake takes it beside Clang
  if ($2 ~ /^j/ && $2 != "jmp" && $3 ~ /^[0-9a-f]+$/) target[count] = pad($3)
}
END {
  check_function()
  print found + 0 " loops, " failures + 0 " of them with another count or memory; " loops " expected"
  exit (failures > 0 || found + 0 != loops + 0 || loops + 0 == 0) ? 1 : 0
}
