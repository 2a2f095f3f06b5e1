#!/bin/sh
# Makes examples/turn.jpg: frames of a clip whose camera turns, and what vbg-run makes of
# them.  Needs the test data (VBG_SHARED) and ffmpeg for the contact sheet.
set -eu
shared=${VBG_SHARED:-../shared}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bin/vbg-convert -q "$shared/data/weights/selfiesegmentation_mlkit-256x256-2021_01_19-v1215.f16.tflite" -o "$tmp/person.vbg"
bin/vbg-run -q --input "$shared/data/video/pan_c.mp4" --fov 75 --segmenter "$tmp/person.vbg" \
    --background "$shared/data/pano/apartment.jpg" --output "$tmp/out.mp4"
sheet="select='not(mod(n,30))',scale=320:180,tile=6x1"
ffmpeg -v error -y -i "$shared/data/video/pan_c.mp4" -i "$tmp/out.mp4" \
    -filter_complex "[0:v]$sheet[a];[1:v]$sheet[b];[a][b]vstack" -frames:v 1 -q:v 4 examples/turn.jpg
