#!/bin/sh
# make demo: a sentence and a clip in, a finished video out.
# Weights and clip come from VBG_SHARED until the default models ship.
set -eu
shared=${VBG_SHARED:-../shared}
out=demo
text=${TEXT:-a bright modern kitchen with marble countertops}

if [ ! -d "$shared/golden/checkpoint" ]; then
    echo "make demo needs weights and a clip: set VBG_SHARED to the folder that holds golden/ and data/" >&2
    exit 1
fi
mkdir -p "$out"
echo "1/4  converting a small SD2 model with correspondence-aware attention, and a segmenter"
bin/vbg-convert "$shared/golden/checkpoint/tiny_sd2_a" \
    --caa "$shared/golden/checkpoint/tiny_sd2_mvd_a.safetensors" -o "$out/room.vbg"
bin/vbg-convert "$shared/data/weights/selfiesegmentation_mlkit-256x256-2021_01_19-v1215.f16.tflite" \
    -o "$out/person.vbg"
echo "2/4  a room from the sentence \"$text\""
bin/vbg-gen --model "$out/room.vbg" --text "$text" -o "$out/room.png" --html "$out/room.html"
echo "3/4  the clip in that room"
bin/vbg-run --input "$shared/data/video/doctor.mp4" --background "$out/room.png" \
    --segmenter "$out/person.vbg" --output "$out/doctor.mp4"
echo "4/4  a turning camera in a real panorama"
bin/vbg-run --input "$shared/data/video/pan_c.mp4" --fov 75 --background "$shared/data/pano/apartment.jpg" \
    --segmenter "$out/person.vbg" --output "$out/pan.mp4" --motion-log "$out/pan.csv"
cat <<END

The model of this demo is a tiny one with random weights: its room is a pattern, not a kitchen.
  $out/room.png    the panorama          $out/room.html   the same, to look around in
  $out/doctor.mp4  the clip in that room
  $out/pan.mp4     the camera turns, the panorama follows   $out/pan.csv  the measured angles
Next: bin/vbg-run --input YOUR.mp4 --background $shared/data/pano/apartment.jpg --segmenter $out/person.vbg --output me.mp4
END
