#!/bin/sh
# By hand, as it takes minutes: a training killed (SIGKILL) at random moments ends with the
# same bytes as an undisturbed one.
#     sh tests/kill_loop.sh vae|unet|segment DATA [KILLS [SECONDS]]
# DATA: a folder of small pictures, with captions (unet) or masks (segment); every run
# lives up to SECONDS (1).  STEPS: how long the training is; it must outlive all kills.
set -u
O=${O:-build/release}
what=${1:?vae, unet or segment}
data=${2:?a folder of pictures}
kills=${3:-50}
most=${4:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/vae.json" <<'END'
{"block_out_channels":[8,16,16],"latent_channels":4,"layers_per_block":1,
 "norm_num_groups":4,"mid_block_add_attention":false}
END
cat >"$dir/unet.json" <<'END'
{"unet":{"block_out_channels":[16,32],"attention_head_dim":[1,1],"norm_num_groups":4,
 "cross_attention_dim":16,"down_block_types":["DownBlock2D","CrossAttnDownBlock2D"],
 "up_block_types":["CrossAttnUpBlock2D","UpBlock2D"]},"text":{"hidden_size":16,
 "num_hidden_layers":1,"num_attention_heads":1,"intermediate_size":32}}
END

vae() { # folder, what runs it, further options
    out=$1 by=$2
    shift 2
    $by "$O/bin/vbg-train" base vae -q -d "$data" -o "$dir/$out" --config "$dir/vae.json" \
        --crop 32 --val-crop 32 -b 4 -t 1 --ema 0.99 --gan 0.1 "$@"
}

train() { # folder, what runs it
    often="--save-every 7 --val-every 50 --sample-every 100 --resume --steps ${STEPS:-600}"
    case $what in
    vae) vae "$1" "$2" $often ;;
    unet)
        $2 "$O/bin/vbg-train" base text+unet -q -d "$data" -o "$dir/$1" --vae \
            "$dir/first/model.vbg" --config "$dir/unet.json" --cache "$dir/latents.vbg" \
            --size 64 --mirror -b 4 -t 1 --warmup 9 $often
        ;;
    segment)
        $2 "$O/bin/vbg-train" segment -q -d "$data" --val-data "$data" -o "$dir/$1" \
            --size 64x64 --arch bisenetv1 --width 0.125 --head 8 -b 4 -t 1 --ema 0.99 $often
        ;;
    esac 2>>"$dir/said"
}

[ "$what" != unet ] || vae first env --steps 20 2>>"$dir/said"
train whole env || { cat "$dir/said"; exit 1; }
done=0
seed=1
while [ "$done" -lt "$kills" ]; do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    moment=$(awk "BEGIN { print 0.05 + $most * $seed / 2147483648 }")
    if train part "timeout -s KILL $moment"; then
        echo "FAIL finished after $done kills: too short a training"
        exit 1
    fi
    done=$((done + 1))
done
train part env || { cat "$dir/said"; exit 1; }
for f in last.vbg model.vbg best.vbg; do
    cmp "$dir/whole/$f" "$dir/part/$f" || { echo "FAIL $f"; exit 1; }
done
echo "ok $what: $done kills, the same bytes"
