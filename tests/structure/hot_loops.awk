# Reads `objdump -d --no-show-raw-insn -C`, GNU's or LLVM's, of hot_loops.cpp, and looks at innermost
# loops without calls. Fails where their sums have left the registers, which g++ 12 does after
# harmless-looking edits and which costs a factor of two:
#
#   integers  a tile that multiplies (vpdpbusd, [v]pmaddwd): no vector on the stack, none stored
#   floats    a panel of floats (float_panel::) with fused multiply-adds: no vector stored on the stack
#   rows      ranges, codes and values of a row (rows_avx...::): the same
#
# The stack is (%rsp), and (%rbp) where that is the frame. Two things are let pass: the AVX2 row of nibbles
# keeps the 8 vectors of a segment's zero points in memory; and the damage of a row in AVX2 sums 7 vectors
# of doubles beside everything else. Also fails when there are fewer loops of a kind than -v integers=,
# floats=, rows= say, what the compiler made of today's kernels: it cannot pass by reading nothing, or one
# kernel less.
function pad(hex) { return sprintf("%16s", hex) }
function kind_of(multiplies, products) {
  if (name ~ /float_panel::/) return products > 0 && name !~ /::expand/ ? "floats" : ""
  if (name ~ /rows_avx(2|512)::(quantize|dequantize|absmax|min_max)/) return "rows"
  if (name ~ /rows_avx512::damage_row/) return "rows"
  return multiplies > 0 && name !~ /rows_/ ? "integers" : ""
}
function check_function(    i, j, k, start, kind, multiplies, products, vectors, calls, nested, stack, touched, stored, spilled, bad, allowed) {
  stack = "\\(%rsp"
  for (i = 1; i <= count; ++i) if (text[i] ~ /mov +%rsp,%rbp/) stack = "\\(%r[sb]p"
  for (i = 1; i <= count; ++i) {
    if (target[i] == "" || target[i] > address[i] || target[i] < address[1]) continue
    start = 0
    for (j = 1; j < i; ++j) if (address[j] == target[i]) start = j
    if (start == 0) continue
    multiplies = products = vectors = calls = nested = spilled = 0; touched = stored = spill = ""
    for (k = start; k < i; ++k) {
      if (target[k] != "" && target[k] >= address[start] && target[k] <= address[k]) nested = 1
      if (text[k] ~ /call/) ++calls
      if (text[k] ~ /vpdpbusd|pmaddwd/) ++multiplies
      if (text[k] ~ /vfmadd[0-9]+ps/) ++products
      if (text[k] !~ /%[xyz]mm/) continue
      if (text[k] ~ /%[yz]mm/) ++vectors
      if (text[k] ~ stack) touched = text[k]
      if (text[k] ~ /mov[a-z0-9]* +%[xyz]mm[0-9]+,.*\(/) stored = text[k]
      if (text[k] ~ ("mov[a-z0-9]* +%[yz]mm[0-9]+,[^,]*" stack)) { ++spilled; spill = text[k] }
    }
    kind = kind_of(multiplies, products)
    if (nested || calls || kind == "" || (kind == "rows" && vectors == 0)) continue
    ++loops[kind]
    allowed = name ~ /float_panel::avx2::nibble_unit<(true|false), true/ ? 8 : 0
    bad = ""
    if (kind == "integers") bad = touched != "" ? touched : stored
    if (kind == "floats" || kind == "rows") bad = spilled > allowed ? spill : ""
    if (bad != "") { ++failures; print kind ": " name "\n  " bad }
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
  print loops["integers"] + 0 " loops of integers, " loops["floats"] + 0 " of floats, " \
        loops["rows"] + 0 " over rows, " failures + 0 " with sums on the stack; at least " \
        integers + 0 ", " floats + 0 " and " rows + 0 " expected"
  exit (failures > 0 || integers + 0 == 0 || loops["integers"] < integers + 0 || \
        loops["floats"] < floats + 0 || loops["rows"] < rows + 0) ? 1 : 0
}
