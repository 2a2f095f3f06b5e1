#!/bin/sh
# The virtual camera against real drivers: a QEMU guest (pure emulation) boots Debian's
# stock kernel with vivid and Debian's v4l2loopback, the host's root is mounted read-only,
# and tests/vm/guest.sh runs the programs of this build in it.
#
# Packages are fetched with apt-get download and unpacked below build/vm; nothing is
# installed.  Without QEMU, apt or a compiler the check is skipped, saying so.
#
# O: folder of the build.  The log of the last run is build/vm/log.
set -u
O=${O:-build/release}
here=$(pwd)
vm=$here/build/vm
limit=${VM_SECONDS:-600}

skip() {
    echo "check-vm: skipped: $1"
    exit 0
}

for tool in qemu-system-x86_64 apt-get apt-cache dpkg-deb make gcc gzip timeout; do
    command -v $tool >/dev/null || skip "$tool is not there (Debian: qemu-system-x86, build-essential)"
done
[ "$(uname -m)" = x86_64 ] || skip "it needs an x86-64 host"
image=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
[ -n "$image" ] || skip "apt knows no linux-image-amd64 (apt-get update)"
release=${image#linux-image-}
common=linux-headers-${release%-*}-common
kbuild=$(apt-cache depends "linux-headers-$release" | sed -n 's/.*Depends: \(linux-kbuild-.*\)/\1/p' | head -n 1)
mkdir -p "$vm/packages"
log=$vm/log.$$ # two runs at once do not write into one
: >"$vm/host.log"

# ---- packages ----
for p in "$image" "linux-headers-$release" "$common" "$kbuild" v4l2loopback-dkms busybox-static; do
    set -- "$vm/packages/$p"_*.deb
    [ -f "$1" ] && continue
    (cd "$vm/packages" && apt-get download -q "$p") >>"$vm/host.log" 2>&1 || skip "the package $p cannot be fetched"
done
root=$vm/root-$release
if [ ! -f "$root/complete" ]; then
    rm -rf "$root"
    for p in "$vm"/packages/*.deb; do
        dpkg-deb -x "$p" "$root" || skip "$p cannot be unpacked"
    done
    # the headers name their other half by an absolute path
    sed -i "s|/usr/src/|$root/usr/src/|" "$root/usr/src/linux-headers-$release/Makefile"
    if ! make -C "$root/usr/src/linux-headers-$release" M="$(echo "$root"/usr/src/v4l2loopback-*)" modules >>"$vm/host.log" 2>&1; then
        tail -n 5 "$vm/host.log"
        skip "v4l2loopback does not build here"
    fi
    touch "$root/complete"
fi
busybox=$root/bin/busybox
loopback=$(echo "$root"/usr/src/v4l2loopback-*/v4l2loopback.ko)

# ---- initramfs: busybox, the modules in the order of their needs, init ----
boot=$vm/boot
rm -rf "$boot"
mkdir -p "$boot/bin" "$boot/modules" "$boot/proc" "$boot/sys" "$boot/dev" "$boot/new"
cp "$busybox" "$boot/bin/busybox"
cp "$loopback" "$boot/modules/v4l2loopback.ko"
"$busybox" depmod -b "$root" "$release" >>"$vm/host.log" 2>&1
deps=$root/lib/modules/$release/modules.dep
[ -s "$deps" ] || skip "depmod made no modules.dep"
need() { # path below the modules' folder; its needs first
    case " $order " in *" $1 "*) return ;; esac
    for d in $(sed -n "s|^$1: *||p" "$deps"); do need "$d"; done
    order="$order $1"
}
order=
for m in virtio_pci 9pnet_virtio 9p vivid videodev; do
    path=$(sed -n "s|^\([^:]*/$m\.ko[^:]*\):.*|\1|p" "$deps" | head -n 1)
    [ -n "$path" ] && need "$path"
done
for m in $order; do
    cp "$root/lib/modules/$release/$m" "$boot/modules/"
    echo "${m##*/}" >>"$boot/modules/order"
done
cat >"$boot/init" <<EOF
#!/bin/busybox sh
b=/bin/busybox
\$b mount -t proc none /proc
\$b mount -t sysfs none /sys
\$b mount -t devtmpfs none /dev
for m in \$(\$b cat /modules/order); do
    case \$m in
    vivid.ko) \$b insmod /modules/\$m n_devs=1 node_types=0x1 num_inputs=1 input_types=0 ;;
    *) \$b insmod /modules/\$m ;;
    esac
done
\$b insmod /modules/v4l2loopback.ko exclusive_caps=1 card_label=vbg video_nr=10
\$b mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose host /new
for d in proc sys dev; do \$b mount -o bind /\$d /new/\$d; done
\$b mount -t tmpfs none /new/tmp
\$b mount -t tmpfs none /new/run
VM_BUILD="$here/$O" VM_LOOPBACK="$(basename "$(dirname "$loopback")")" \$b chroot /new /bin/sh "$here/tests/vm/guest.sh"
\$b poweroff -f
EOF
chmod +x "$boot/init"
(cd "$boot" && find . | "$busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$vm/initramfs" || skip "no initramfs"

# ---- the guest ----
started=$(date +%s)
timeout "$limit" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 -nographic -no-reboot \
    -kernel "$root/boot/vmlinuz-$release" -initrd "$vm/initramfs" \
    -append "console=ttyS0 loglevel=3 panic=-1 mitigations=off no_timer_check" \
    -fsdev "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap" \
    -device virtio-9p-pci,fsdev=root,mount_tag=host -net none </dev/null >"$log" 2>&1
code=$?
mv "$log" "$vm/log"
log=$vm/log
took=$(($(date +%s) - started))
tr -d '\r' <"$log" | grep -aE '^(ok|FAIL|note) '
passed=$(tr -d '\r' <"$log" | grep -ac '^ok ')
failed=$(tr -d '\r' <"$log" | grep -ac '^FAIL ')
if [ $code -eq 124 ] && [ "$failed" -eq 0 ]; then
    skip "the guest is too slow here: $passed passed in $limit s, then it was stopped"
fi
if ! tr -d '\r' <"$log" | grep -aq '^guest: done$'; then
    echo "FAIL the guest did not come to its end (exit $code); $log ends with:"
    tail -n 15 "$log"
    failed=$((failed + 1))
fi
echo "check-vm: kernel $release, $(basename "$(dirname "$loopback")"), $took s: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
