#!/bin/sh
# Shows that the whole daemon works: `wanctl run` with both controllers, on a router whose link has a
# real delay and a real CAKE on each direction, recording to SQLite.
#
# The link is idle, then its delay rises from 20 to 120 ms and falls back; the link is lost and comes
# back; its reflectors fall silent while its gateway answers; the daemon gets SIGTERM. daemon.sql says what
# is expected of that, and judges it from the history, from what tc said every second, and from the log.
# CAKE's rate has to be one that is recorded for that time, in every sample.
#
#   router (the guest itself)                                     internet (a namespace)
#   wanctl ── wan: CAKE (upload) ────────── veth ────────── isp: netem delay
#             ifb-wan: CAKE (download) ◀── ingress of wan             reflectors 10.64.0.2 to .4
#                                                                     gateway 10.64.0.254
#
# Usage: tests/lab/daemon.sh [WANCTL]     exit code 0 when it passed or was skipped
#   WANCTL   the program to run, from the root of the repository; without it, a debug build is made
# Debian: apt install user-mode-linux iproute2 kmod sqlite3

# shellcheck source=tests/lab/uml.sh
. "$(dirname "$0")/uml.sh"

# Of wall time, the boot included.
TIME_LIMIT=75

build_network() {
    load veth
    load ifb numifbs=0
    for module in sch_cake sch_netem sch_ingress cls_matchall act_mirred; do
        load "$module"
    done
    ip netns add internet
    ip link add wan type veth peer name isp netns internet
    ip address add 10.64.0.1/24 dev wan
    ip link set wan up
    for host in 254 2 3 4; do
        ip -n internet address add "10.64.0.$host/24" dev isp
    done
    ip -n internet link set isp up
    ip route add default via 10.64.0.254
    tc -n internet qdisc add dev isp root netem delay 20ms limit 10000

    ip link add ifb-wan type ifb
    ip link set ifb-wan up
    tc qdisc add dev ifb-wan root cake bandwidth 20mbit ingress
    tc qdisc add dev wan root cake bandwidth 8mbit
    tc qdisc add dev wan handle ffff: ingress
    tc filter add dev wan parent ffff: matchall action mirred egress redirect dev ifb-wan
}

now() {
    date +%s.%N
}

# phase NAME SECONDS   begins a phase of the link, whose change was just made, and waits for its end
phase() {
    printf '%s\t%s\n' "$1" "$(now)" >>marks
    sleep "$2"
}

delay() {
    tc -n internet qdisc change dev isp root netem delay "$1" limit 10000
}

sample_qdiscs() {
    while :; do
        sleep 1
        printf '%s\t%s\n' "$(now)" "$(tc -j -s qdisc show)" >>samples
    done
}

guest() {
    build_network
    cd "$WANCTL_LAB_FOLDER/out"
    # The duration is only for a daemon that does not hear SIGTERM.
    "$WANCTL_LAB_BINARY" run --config "$WANCTL_LAB_CONFIG" --status-socket none --duration 60s --log-format json 2>log &
    daemon=$!
    until grep -q 'Steering starts' log; do
        kill -0 "$daemon" || fail "the daemon did not start: $(cat log)"
        sleep 0.1
    done

    sample_qdiscs &
    sampler=$!
    phase idle 6
    delay 120ms
    phase raised 10
    delay 20ms
    phase lowered 10
    ip -n internet link set isp down
    phase lost 3
    ip -n internet link set isp up
    phase back 6
    for host in 2 3 4; do
        ip -n internet address delete "10.64.0.$host/24" dev isp
    done
    phase silent 4
    kill "$sampler"
    phase end 0
    kill -TERM "$daemon"
    code=0
    wait "$daemon" || code=$?

    printf 'exit code\t%s\n' "$code" >facts
    awk '$1 == "cpu" { for (i = 2; i <= NF; i++) all += $i
        printf "busy percent\t%.0f\n", 100 * (1 - ($5 + $6) / all) }' /proc/stat >>facts
}

host() {
    need sqlite3 sqlite3
    binary=${1:-}
    if [ -z "$binary" ]; then
        binary=$(cargo build -p wanctl --bin wanctl --message-format=json |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    fi
    [ -x "$binary" ] || { echo "no program to run: '$binary'" >&2; exit 1; }
    folder=$(dirname "$script")
    boot "$TIME_LIMIT" WANCTL_LAB_BINARY="$(readlink -f "$binary")" \
        WANCTL_LAB_CONFIG="$folder/daemon.yaml"
    cd "$WANCTL_LAB_FOLDER/out"
    sqlite3 -batch :memory: <"$folder/daemon.sql" >verdict
    cat verdict
    ! grep -q FAILED verdict || { tail -n 40 log; exit 1; }
    grep -q passed verdict
}

lab "$@"
