#!/bin/sh
# make demo: a sentence and a clip in, a finished video out, with the models of weights/.
# TEXT is the sentence, CLIP the video; the folder demo/ holds what is made.
set -eu
out=demo
text=${TEXT:-an art gallery with white walls, a brown wooden floor and many paintings}
clip=${CLIP:-examples/figure.mp4}
fov=${FOV:-66} # of the camera of that clip, in degrees

mkdir -p "$out"
echo "1/3  a room from the sentence \"$text\""
bin/vbg-gen --text "$text" -o "$out/room.jpg" --html "$out/room.html"
echo "2/3  the person of $clip in that room; the camera turns and the room follows"
bin/vbg-run --input "$clip" --background "$out/room.jpg" --output "$out/video.mp4" \
    --fov "$fov" --motion-log "$out/motion.csv"
echo "3/3  pictures from all along the video"
bin/vbg-run sheet "$out/video.mp4" -o "$out/sheet.jpg"
cat <<END

$out/room.jpg    the panorama             $out/room.html   the same, to look around in
$out/video.mp4   the clip in that room    $out/sheet.jpg   the video at a glance
$out/motion.csv  how the camera turned

Try next
  another room      make demo TEXT="an arcade with purple walls"
  your own clip     bin/vbg-run --input YOUR.mp4 --background $out/room.jpg --output me.mp4
  your webcam       bin/vbg-run --list-cameras
                    bin/vbg-run --input /dev/video0 --background $out/room.jpg --preview
  as a camera       bin/vbg-run doctor
END
