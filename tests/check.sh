#!/bin/sh
# Runs every test program and oracle; ends with "N passed, N failed".
# O: folder of the build, VBG_SHARED: oracles and data when they are at hand.
set -u
O=${O:-build/release}
VBG_SHARED=${VBG_SHARED:-../shared}
export VBG_SHARED
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

add() { # name passed failed
    passed=$((passed + $2)) failed=$((failed + $3))
    printf '%-28s %5d passed %3d failed\n' "$1" "$2" "$3"
    if [ "$3" -ne 0 ]; then grep -v '^$' "$log" | tail -n 40; fi
}

criterion() {
    name=$(basename "$1")
    "$1" >"$log" 2>&1
    code=$?
    # [====] Synthesis: Tested: 5 | Passing: 5 | Failing: 0 | Crashing: 0
    sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '/Synthesis:/ {
        for (i = 1; i <= NF; i++) { if ($i == "Passing:") p = $(i+1); if ($i == "Failing:") f = $(i+1); if ($i == "Crashing:") c = $(i+1) } }
        END { print p + 0, f + c + 0 }' >"$log.n"
    read -r p f <"$log.n"
    rm -f "$log.n"
    if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    add "$name" "$p" "$f"
}

golden() { # label, then the arguments of check-golden
    label=$1
    shift
    "$O/bin/check-golden" "$@" >"$log" 2>&1
    code=$?
    p=$(grep -c '  ok   (' "$log")
    f=$(grep -c ' FAIL  (' "$log")
    if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    add "$label" "$p" "$f"
}

for t in "$O"/bin/test_*; do
    if [ -x "$t" ]; then criterion "$t"; fi
done
if [ -d tests/golden/data ]; then
    for isa in ref avx2 avx512 avx512_bf16 amx_bf16; do
        VBG_ISA=$isa golden "oracles here, $isa" tests/golden/data
    done
fi
if [ -f "$VBG_SHARED/golden/tolerances.json" ]; then
    golden "oracles, best isa" "$VBG_SHARED/golden"
    VBG_ISA=avx2 golden "oracles, avx2" "$VBG_SHARED/golden"
fi
for t in tests/*_test.sh; do
    if [ -f "$t" ]; then
        if O=$O sh "$t" >"$log" 2>&1; then f=0; else f=1; fi
        p=$(grep -c '^ok ' "$log")
        n=$(grep -c '^FAIL ' "$log")
        if [ "$n" -gt 0 ]; then f=$n; fi
        add "$(basename "$t")" "$p" "$f"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
