#!/bin/sh
# Runs the shaper's tests against a real CAKE, in a user-mode-linux guest, and compares with what tc says;
# and measures a path with a known delay.
#
# Needs no privilege. The guest has its root on this machine's file system, read-only; everything
# else lies in a temporary folder that is removed at the end.
#
# Usage: tests/lab/cake.sh           exit code 0 when it passed or was skipped
# Debian: apt install user-mode-linux iproute2 kmod

set -eu

TIME_LIMIT=180

# ---- in the guest: this script is its init ----

fail() {
    echo "lab: FAILED: $*"
    finish
}

finish() {
    # Asked of the kernel, because the machine may have no halt.
    echo o >/proc/sysrq-trigger
    # Never the end of init, which would be a kernel panic.
    while :; do sleep 1; done
}

run_tests() {
    "$WANCTL_LAB_BINARY" --nocapture "$@" || fail "tests $*"
}

# The options of an interface's root, without the bandwidth.
options() {
    tc -j qdisc show dev "$1" root | sed 's/"bandwidth":[^,]*,//'
}

# The bandwidth that tc reports, in bytes a second.
expect_bandwidth() {
    tc -j -s qdisc show dev "$1" root | grep -q "\"bandwidth\":$2," ||
        fail "$1 should have bandwidth $2: $(tc -j -s qdisc show dev "$1" root)"
}

guest() {
    trap 'fail "line $LINENO"' EXIT
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t tmpfs tmpfs /run
    modprobe -d "$WANCTL_LAB_FOLDER" dummy numdummies=0
    ip link set lo up
    for name in adopted bare rounding remade; do
        ip link add "$name" type dummy
        ip link set "$name" up
    done

    echo "lab: without sch_cake"
    WANCTL_LAB_NO_CAKE_INTERFACE=bare run_tests kernel_without_cake_is_named

    echo "lab: with sch_cake"
    modprobe -d "$WANCTL_LAB_FOLDER" sch_cake
    tc qdisc replace dev adopted root handle 8001: cake bandwidth 100mbit \
        diffserv4 dual-dsthost nat wash ingress ack-filter rtt 50ms overhead 44 mpu 84
    tc qdisc replace dev bare root pfifo limit 10
    before=$(options adopted)
    export WANCTL_LAB_INTERFACE=adopted WANCTL_LAB_BARE_INTERFACE=bare
    export WANCTL_LAB_ROUNDING_INTERFACE=rounding WANCTL_LAB_REMADE_INTERFACE=remade
    run_tests shaper::

    expect_bandwidth adopted 2187500 # 17.5 Mbit/s
    expect_bandwidth bare 406250     # 3.25 Mbit/s
    expect_bandwidth rounding 125000 # 1 Mbit/s
    expect_bandwidth remade 875000   # 7 Mbit/s
    [ "$(options adopted)" = "$before" ] ||
        fail "the options changed from $before to $(options adopted)"
    echo "lab: adopted: $(tc qdisc show dev adopted root)"
    echo "lab: made: $(tc qdisc show dev bare root)"

    echo "lab: a path of 20 ms"
    modprobe -d "$WANCTL_LAB_FOLDER" sch_netem
    tc qdisc add dev lo root netem delay 10ms limit 10000
    WANCTL_LAB_RTT_MS=20 run_tests round_trip_is_the_delay_of_the_path
    echo "lab: PASSED"
    trap - EXIT
    finish
}

# ---- on the host ----

skip() {
    echo "skipped: $*"
    exit 0
}

host() {
    for tool in linux.uml tc depmod timeout; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
            skip "no $tool; on Debian: apt install user-mode-linux iproute2 kmod"
    done
    PATH=$PATH:/usr/sbin:/sbin
    script=$(readlink -f "$0")
    cd "$(dirname "$script")/../.."
    binary=$(cargo test -p wanctl --test wanctl --no-run --message-format=json |
        sed -n '/"kind":\["test"\]/s/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [ -x "$binary" ] || { echo "no test binary" >&2; exit 1; }

    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    release=$(ls /usr/lib/uml/modules | sort -V | tail -n 1)
    mkdir -p "$folder/lib/modules"
    cp -r "/usr/lib/uml/modules/$release" "$folder/lib/modules/"
    depmod -b "$folder" "$release"

    # The guest's memory is a file in TMPDIR.
    HOME=$folder TMPDIR=$folder timeout "$TIME_LIMIT" linux.uml mem=256M uml_dir="$folder/uml" \
        rootfstype=hostfs rootflags=/ ro init="$script" con=null con0=null,fd:1 ssl=null quiet \
        WANCTL_LAB_BINARY="$binary" WANCTL_LAB_FOLDER="$folder" \
        </dev/null >"$folder/console" 2>&1 || true
    tr -d '\r' <"$folder/console"
    grep -q '^lab: PASSED' "$folder/console"
}

# Only the init of a machine may go the guest's way, which ends with the machine switched off.
if [ "$$" -eq 1 ] && [ -n "${WANCTL_LAB_FOLDER:-}" ]; then guest; else host; fi
