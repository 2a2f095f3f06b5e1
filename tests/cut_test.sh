#!/bin/sh
# A model that is cut short at any moment: vbg-gen ends with one line and no picture (or
# was done already), vbg-run makes a whole video whose last frames are background.
# MOMENTS: how many moments to try.
O=${O:-build/release}
MOMENTS=${MOMENTS:-6}
case $O in *asan* | *tsan*) exit 0 ;; esac # sanitizers have the signal
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# program and arguments; the model is $dir/m.vbg; cut after $1 hundredths of a second
cut_after() {
    wait=$1
    shift
    (sleep "$(printf '%d.%02d' $((wait / 100)) $((wait % 100)))"; truncate -s 20000 "$dir/m.vbg") &
    "$@" >"$dir/out" 2>"$dir/err"
    code=$?
    wait
}

report() { # name, whether it is right
    if [ "$2" = 0 ]; then echo "ok $1"; else echo "FAIL $1: exit $code, $(cat "$dir/err")"; fi
}

for i in $(seq "$MOMENTS"); do
    cp weights/room.vbg "$dir/m.vbg"
    rm -f "$dir/room.png"
    cut_after $((5 + 120 * (i - 1) / MOMENTS)) "$O/bin/vbg-gen" --model "$dir/m.vbg" \
        --text "a beach" --steps 12 -o "$dir/room.png" -q
    if [ $code = 0 ]; then
        test -s "$dir/room.png" && test ! -s "$dir/err"
    else
        test $code = 1 && test "$(wc -l <"$dir/err")" = 1 && test ! -e "$dir/room.png" &&
            grep -q 'm\.vbg' "$dir/err"
    fi
    report "vbg-gen, moment $i" $?
done

# two seconds of a grey picture
printf 'YUV4MPEG2 W320 H240 F30:1 C420jpeg\n' >"$dir/in.y4m"
head -c 115200 /dev/zero | tr '\0' '\200' >"$dir/frame"
for i in $(seq 60); do
    printf 'FRAME\n' >>"$dir/in.y4m"
    cat "$dir/frame" >>"$dir/in.y4m"
done
for i in $(seq "$MOMENTS"); do
    cp weights/person.vbg "$dir/m.vbg"
    cut_after $((4 + 40 * (i - 1) / MOMENTS)) "$O/bin/vbg-run" --input "$dir/in.y4m" \
        --background green --segmenter "$dir/m.vbg" --output "$dir/out.y4m" -q
    if [ -e "$dir/out.y4m" ]; then # whole; with a word about it if frames had no mask
        test "$(grep -ao FRAME "$dir/out.y4m" | wc -l)" = 60 && test "$(wc -l <"$dir/err")" = $code
    else # cut before it was read
        test $code = 1 && test "$(wc -l <"$dir/err")" = 1
    fi
    report "vbg-run, moment $i" $?
    rm -f "$dir/out.y4m"
done
