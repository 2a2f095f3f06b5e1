#!/bin/sh
# Every failing file operation of vbg-convert is an error that leaves the old output (or
# none) and no temporary file; short and interrupted writes are invisible.
O=${O:-build/release}
case $O in *asan* | *tsan*) exit 0 ;; esac # LD_PRELOAD and sanitizers do not mix
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fault=$(pwd)/$O/bin/fault.so
"$O/bin/make_checkpoint" "$dir/in" --width 32 --text-width 64 --text-layers 1 \
    --vae-width 32 >"$dir/log" || { echo "FAIL make_checkpoint"; exit 1; }
mkdir "$dir/out"
out=$dir/out/v.vbg

# name, N, expected exit code, what must be in the folder afterwards
try() {
    FAULT=$1 FAULT_N=$2 LD_PRELOAD=$fault "$O/bin/vbg-convert" "$dir/in/vae" -o "$out" -q \
        2>"$dir/err"
    code=$?
    left=$(ls "$dir/out")
    lines=$(wc -l <"$dir/err")
    if [ "$code" = "$3" ] && [ "$left" = "$4" ] && [ "$lines" = "$3" ] &&
        { [ -z "$4" ] || "$O/bin/vbg-convert" --verify "$out" -q; }; then
        echo "ok $1 $2"
    else
        echo "FAIL $1 $2: exit $code, files: $left, $(cat "$dir/err")"
    fi
}

for case in "fsync 1" "rename 1" "ftruncate 1" "pwrite 1" "pwrite 100" "pwrite 249"; do
    try ${case% *} ${case#* } 1 ""
done
try short 1 0 v.vbg
try intr 5 0 v.vbg
before=$(cksum "$out")
for case in "fsync 1" "rename 1" "ftruncate 1" "pwrite 7"; do
    try ${case% *} ${case#* } 1 v.vbg
done
if [ "$before" = "$(cksum "$out")" ]; then echo "ok old file kept"; else echo "FAIL old file"; fi
