#!/bin/sh
# Shows that the shaper drives a real CAKE: its tests run in a user-mode-linux guest, and tc has to say
# the same as they do; and that the measured round trip is the delay of the path.
#
# Usage: tests/lab/cake.sh           exit code 0 when it passed or was skipped
# Debian: apt install user-mode-linux iproute2 kmod

# shellcheck source=tests/lab/uml.sh
. "$(dirname "$0")/uml.sh"

TIME_LIMIT=180

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
    load dummy numdummies=0
    for name in adopted bare rounding remade; do
        ip link add "$name" type dummy
        ip link set "$name" up
    done

    echo "lab: without sch_cake"
    WANCTL_LAB_NO_CAKE_INTERFACE=bare run_tests kernel_without_cake_is_named

    echo "lab: with sch_cake"
    load sch_cake
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
    load sch_netem
    tc qdisc add dev lo root netem delay 10ms limit 10000
    WANCTL_LAB_RTT_MS=20 run_tests round_trip_is_the_delay_of_the_path
}

host() {
    binary=$(cargo test -p wanctl --test wanctl --no-run --message-format=json |
        sed -n '/"kind":\["test"\]/s/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    [ -x "$binary" ] || { echo "no test binary" >&2; exit 1; }
    boot "$TIME_LIMIT" WANCTL_LAB_BINARY="$binary"
}

lab "$@"
