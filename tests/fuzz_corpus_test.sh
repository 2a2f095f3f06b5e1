#!/bin/sh
# Replays every fuzz corpus; a crash or a sanitizer report fails.
O=${O:-build/release}
for t in "$O"/bin/replay_*; do
    name=$(basename "$t" | sed 's/^replay_//')
    [ -d "tests/fuzz/corpus/$name" ] || continue
    if find "tests/fuzz/corpus/$name" -type f -print0 | xargs -0 "$t" >/dev/null; then
        echo "ok $name"
    else
        echo "FAIL $name"
    fi
done
