#!/bin/sh
# The two example programs against the shared library, and an installation in a folder
# of its own.  Prints "ok NAME" or "FAIL NAME".
O=${O:-build/release}
shared=${VBG_SHARED:-../shared}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
code=0

check() { # name, command
    name=$1
    shift
    if "$@" >"$tmp/log" 2>&1; then echo "ok $name"; else echo "FAIL $name"; cat "$tmp/log"; code=1; fi
}

refuses() { ! "$@"; }

check "one_room says what is wrong" refuses "$O/bin/example_one_room" /nonexistent.vbg x "$tmp/x.ppm"
check "one_call says what is wrong" refuses "$O/bin/example_one_call" /nonexistent.vbg '#203040' 64 48
check "only the public names are visible" sh -c "nm -D --defined-only $O/libvbg.so.0 | awk '\$2 == \"T\" && \$3 !~ /^vbg_(version|maker|room_options|scene)/ { bad = 1 } END { exit bad }'"
check "make install" make -s install DESTDIR="$tmp/root" PREFIX=/usr
check "the installed program runs" "$tmp/root/usr/bin/vbg-gen" --version
if [ -d "$shared/golden/checkpoint" ]; then
    "$O/bin/vbg-convert" -q "$shared/golden/checkpoint/tiny_sd2_a" \
        --caa "$shared/golden/checkpoint/tiny_sd2_mvd_a.safetensors" -o "$tmp/room.vbg"
    "$O/bin/vbg-convert" -q "$shared/data/weights/selfiesegmentation_mlkit-256x256-2021_01_19-v1215.f16.tflite" -o "$tmp/person.vbg"
    check "one_room makes a room" "$O/bin/example_one_room" "$tmp/room.vbg" "a quiet library" "$tmp/room.ppm"
    head -c 13824 /dev/zero >"$tmp/in.yuv" # three frames of 64x48
    check "one_call replaces backgrounds" sh -c "$O/bin/example_one_call $tmp/person.vbg '#203040' 64 48 <$tmp/in.yuv >$tmp/out.yuv && test \$(wc -c <$tmp/out.yuv) = 13824"
fi
exit $code
