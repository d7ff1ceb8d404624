# Reads `objdump -d --no-show-raw-insn -C`, GNU's or LLVM's; fails when an innermost loop that
# multiplies (vpdpbusd, vpmaddwd) touches the stack or stores a vector: its sums have left their
# registers, which g++ 12 does after harmless-looking edits and which costs a factor of two. Also
# fails when it finds fewer such loops than the kernels have (146 with g++ 12 and clang 14): it cannot
# pass by reading nothing, or one kernel less.
function pad(hex) { return sprintf("%16s", hex) }
function check_function(    i, j, k, start, multiplies, bad, nested) {
  for (i = 1; i <= count; ++i) {
    if (target[i] == "" || target[i] > address[i] || target[i] < address[1]) continue
    start = 0
    for (j = 1; j < i; ++j) if (address[j] == target[i]) start = j
    if (start == 0) continue
    multiplies = 0; bad = ""; nested = 0
    for (k = start; k < i; ++k) {
      if (target[k] != "" && target[k] >= address[start] && target[k] <= address[k]) nested = 1
      if (text[k] ~ /vpdpbusd|vpmaddwd/) ++multiplies
      if (text[k] ~ /\(%rsp.*%[yz]mm/ || text[k] ~ /vmov[a-z0-9]* +%[yz]mm[0-9]+,.*\(/) bad = text[k]
    }
    if (nested || multiplies == 0) continue
    ++loops
    if (bad != "") { ++failures; print name "\n  " bad }
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
  print loops + 0 " multiplying loops, " failures + 0 " with stack traffic"
  exit (failures > 0 || loops < 130) ? 1 : 0
}
