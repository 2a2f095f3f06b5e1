#!/bin/sh
# By hand, as it takes minutes: a training killed (SIGKILL) at 50 random moments ends with
# the same bytes as an undisturbed one.
#     sh tests/kill_loop.sh DATA [KILLS [SECONDS]]
# DATA: a folder of small pictures; every run lives up to SECONDS (1).
set -u
O=${O:-build/release}
data=${1:?a folder of pictures}
kills=${2:-50}
most=${3:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/vae.json" <<'END'
{"block_out_channels":[8,16,16],"latent_channels":4,"layers_per_block":1,
 "norm_num_groups":4,"mid_block_add_attention":false}
END

train() { # folder, then further options and what runs it
    out=$1
    shift
    "$@" "$O/bin/vbg-train" base vae -q -d "$data" -o "$dir/$out" --config \
        "$dir/vae.json" --crop 32 --val-crop 32 -b 4 -t 1 --steps ${STEPS:-600} --save-every 7 \
        --val-every 50 --sample-every 100 --ema 0.99 --gan 0.1 --resume 2>>"$dir/said"
}

train whole env || { cat "$dir/said"; exit 1; }
done=0
seed=1
while [ "$done" -lt "$kills" ]; do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    moment=$(awk "BEGIN { print 0.05 + $most * $seed / 2147483648 }")
    if train part timeout -s KILL "$moment"; then
        echo "FAIL finished after $done kills: too short a training"
        exit 1
    fi
    done=$((done + 1))
done
train part env || { cat "$dir/said"; exit 1; }
for f in last.vbg model.vbg best.vbg; do
    cmp "$dir/whole/$f" "$dir/part/$f" || { echo "FAIL $f"; exit 1; }
done
echo "ok $done kills, the same bytes"
