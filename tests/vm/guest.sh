# Runs inside the guest of tests/vm/check.sh: vivid is the camera, v4l2loopback at
# /dev/video10 the virtual camera.  Prints "ok NAME" and "FAIL NAME: why".
# Nothing is timed: the emulation is some twenty times slower than a computer, and more
# beside other work.  What must come is waited for, long (patience, in half seconds).
patience=240
b=$VM_BUILD/bin
export XDG_RUNTIME_DIR=/tmp/run HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin
mkdir -p /tmp/run
chmod 700 /tmp/run
cd /tmp || exit 1
out=/dev/video10
camera=
for v in /sys/class/video4linux/*; do
    case $(cat "$v/name") in vivid*) camera=/dev/${v##*/} ;; esac
done

ok() { echo "ok $1"; }
bad() {
    echo "FAIL $1: $2 ($(cut -d ' ' -f 1 /proc/uptime) s after the start)"
    tail -n 4 /tmp/run.log 2>/dev/null | sed 's/^/     /'
}
check() { # name, what is seen, a pattern
    case $2 in *$3*) ok "$1" ;; *) bad "$1" "$2" ;; esac
}

run=
start() { # further options
    "$b/vbg-run" --input "$camera" --input-size 320x180 --output $out --output-size 320x180 --background '#3060c0' \
        --chroma '#00ff00' --threads 2 -v "$@" </dev/null >>/tmp/run.log 2>&1 &
    run=$!
}
status() { "$b/vm_reader" ask "$XDG_RUNTIME_DIR/vbg/run.sock" status; }
wait_for() { # pattern of the status
    n=0
    while [ $n -lt $patience ]; do
        case $(status) in *$1*) return 0 ;; esac
        kill -0 $run 2>/dev/null || return 1
        sleep 0.5
        n=$((n + 1))
    done
    return 1
}
# Frames that the program says it has written; frames that the staying reader has got.
written() { status | sed -n 's/.* frames=\([0-9]*\).*/\1/p' | head -n 1; }
got() { grep -c '^[0-9][0-9]*$' /tmp/stay; }
grows() { # written or got: ten more than now
    before=$($1)
    n=0
    while [ $n -lt $patience ]; do
        now=$($1)
        [ "${now:-0}" -ge $((${before:-0} + 10)) ] && return 0
        sleep 0.5
        n=$((n + 1))
    done
    return 1
}
stay() { # a reader that goes on
    "$b/vm_reader" stay $out >/tmp/stay 2>&1 &
    reader=$!
}
leave() {
    kill $reader 2>/dev/null
    wait $reader 2>/dev/null
}

echo "note kernel $(uname -r), $VM_LOOPBACK, camera $camera"

# ---- what there is ----
list=$("$b/vbg-run" --list-cameras 2>&1)
check "list-cameras shows vivid" "$list" "$camera"
check "list-cameras stars a choice" "$list" "*"
doctor=$("$b/vbg-run" doctor 2>&1)
check "doctor finds the virtual camera" "$doctor" "$out"
check "idle node is an output" "$("$b/vm_reader" caps $out 2>&1)" "output"

# ---- capture: every format that is read ----
for f in YUYV NV12 YU12; do
    check "capture $f" "$("$b/vm_reader" read "$camera" 5 $f 320x180 2>&1)" "frames=5"
done
check "a virtual camera is no input while idle" "$("$b/vm_reader" read $out 1 any 2>&1)" "no pictures"

# ---- loopback ----
start --always-on
if wait_for "camera=on"; then ok "session starts"; else bad "session starts" "$(status)"; fi
check "ctl status" "$("$b/vbg-run" ctl status 2>&1)" "camera=on"
check "written node is a camera" "$("$b/vm_reader" caps $out 2>&1)" "capture"
check "reader gets frames" "$("$b/vm_reader" read $out 10 any 2>&1)" "320x180 frames=10"

# ---- two readers: what the driver makes of it is its own affair; the call goes on ----
stay
if grows got; then ok "a reader that stays"; else bad "a reader that stays" "$(tail -n 1 /tmp/stay)"; fi
second=$("$b/vm_reader" read $out 5 any 2>&1)
leave
echo "note second reader: $second; first: $(got) frames"
if kill -0 $run 2>/dev/null; then ok "two readers do not end the session"; else bad "two readers" "it ended"; fi
check "a reader after two" "$("$b/vm_reader" read $out 5 any 2>&1)" "frames=5"

# ---- SIGKILL ----
kill -9 $run
wait $run 2>/dev/null
start --always-on
if wait_for "camera=on"; then ok "restart after SIGKILL"; else bad "restart after SIGKILL" "$(status)"; fi
check "reader after SIGKILL" "$("$b/vm_reader" read $out 5 any 2>&1)" "frames=5"
stay
if grows got; then :; else bad "a reader before SIGKILL" "$(tail -n 1 /tmp/stay)"; fi
kill -9 $run
wait $run 2>/dev/null
start --always-on
if wait_for "camera=on"; then ok "restart after SIGKILL under a reader"; else bad "restart under a reader" "$(status)"; fi
if grows written; then ok "frames go on under the old reader"; else bad "frames go on" "before $before, now $now; $(status)"; fi
if grows got; then ok "the old reader gets them"; else bad "the old reader gets them" "$(tail -n 1 /tmp/stay)"; fi
leave
check "a new reader after that" "$("$b/vm_reader" read $out 5 any 2>&1)" "frames=5"

# ---- unplug and replug ----
echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
if wait_for "camera=off"; then ok "unplugged camera is noticed"; else bad "unplug" "$(status)"; fi
check "background while unplugged" "$("$b/vm_reader" read $out 5 any 2>&1)" "frames=5"
check "nobody is shown while unplugged" "$(status)" "person=no"
echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
if wait_for "camera=on"; then ok "replugged camera is taken again"; else bad "replug" "$(status)"; fi

# ---- a busy camera, a camera as output ----
check "a camera is no output" "$("$b/vbg-run" -i "$camera" -o "$camera" -b '#000000' --chroma '#00ff00' 2>&1)" "overwrite an input"
"$b/vm_reader" read "$camera" 3 YUYV 320x180 >/tmp/busy 2>&1
check "a busy camera says so" "$(cat /tmp/busy)" "holds the camera"

# ---- the end ----
"$b/vbg-run" ctl quit >/dev/null 2>&1
wait $run
code=$?
if [ $code = 0 ]; then ok "quit"; else bad "quit" "exit $code"; fi
check "node is an output again" "$("$b/vm_reader" caps $out 2>&1)" "output"

# ---- on demand: this driver does not tell who reads, so who holds the node open counts ----
start
if wait_for "camera=off"; then ok "starts again after quit"; else bad "starts again" "$(status)"; fi
sleep 5
check "nobody looks: the camera is off" "$(status)" "camera=off"
stay
if wait_for "camera=on"; then ok "somebody looks: the camera is on"; else bad "on demand" "$(status)"; fi
leave
if wait_for "camera=off"; then ok "he left: the camera is off"; else bad "off again" "$(status)"; fi
kill -INT $run
wait $run
code=$?
if [ $code = 0 ]; then ok "SIGINT ends a live camera with 0"; else bad "SIGINT" "exit $code"; fi
echo "guest: done"
