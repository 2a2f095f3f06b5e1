#!/bin/sh
# One bench case under Linux perf: counters first, then a profile by function.
# O is the build folder, CASE a substring of the case's name and shape.
set -u
bench="$O/bin/vbg-bench"
case=${CASE:-}
reps=${REPS:-20}

if ! command -v perf > /dev/null 2>&1; then
    echo "perf is not installed: apt install linux-perf" >&2
    exit 1
fi
if [ -z "$case" ]; then
    echo "say which: make perf CASE=conv3 (names and shapes are those of vbg-bench kernels)" >&2
    exit 2
fi
out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT

perf stat -e cycles,instructions,cache-misses,task-clock -o "$out/stat" \
    "$bench" kernels --filter "$case" -r "$reps" || exit 1
cat "$out/stat"
if grep -q 'not supported' "$out/stat"; then
    echo "This machine gives no hardware counters (a virtual machine, or" \
         "kernel.perf_event_paranoid is too high); the profile below samples the clock."
fi
event=cycles
grep -q 'not supported.*cycles' "$out/stat" && event=cpu-clock
if perf record -q -g -e "$event" -o "$out/data" \
    "$bench" kernels --filter "$case" -r "$reps" > /dev/null 2> "$out/log"; then
    perf report -i "$out/data" --stdio --no-children -g none 2> /dev/null | grep -v '^#' | head -30
else
    echo "perf record does not work here:" >&2
    cat "$out/log" >&2
fi
