# shellcheck shell=sh
# The machine that the lab's scenarios run in: user-mode-linux, an ordinary process without privileges.
#
# A scenario sources this file, defines two functions and ends with `lab "$@"`:
#   host    on this machine: calls `need` for more tools and `boot` for the guest, and judges what came out
#   guest   in the guest, as its init: passes by returning, fails by `fail` or any command that fails
#
# The guest has its root on this machine's file system, read-only. Everything else lies in the temporary
# folder $WANCTL_LAB_FOLDER, of which the guest may write `out`. The folder is removed at the end, unless
# WANCTL_LAB_KEEP is set. The guest has no network but its own.
#
# Debian: apt install user-mode-linux iproute2 kmod

set -eu

PATH=$PATH:/usr/sbin:/sbin

# ---- in the guest ----

fail() {
    echo "lab: FAILED: $*"
    finish
}

finish() {
    # What was written to this machine's files is still in the guest's memory.
    sync
    # Asked of the kernel, because the machine may have no halt.
    echo o >/proc/sysrq-trigger
    # Never the end of init, which would be a kernel panic.
    while :; do sleep 1; done
}

# load MODULE [OPTION...]
load() {
    modprobe -d "$WANCTL_LAB_FOLDER" "$@"
}

run_guest() {
    trap 'fail "line $LINENO"' EXIT
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t tmpfs tmpfs /run
    mount -t hostfs -o "$WANCTL_LAB_FOLDER/out" out "$WANCTL_LAB_FOLDER/out"
    ip link set lo up
    guest
    echo "lab: PASSED"
    trap - EXIT
    finish
}

# ---- on this machine ----

# need PACKAGES TOOL...   ends the scenario when a tool is missing
need() {
    packages=$1
    shift
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "skipped: no $tool; on Debian: apt install $packages"
            exit 0
        }
    done
}

# boot SECONDS [NAME=VALUE...]   runs the guest, with these variables, for so long at most
boot() {
    limit=$1
    shift
    release=$(find /usr/lib/uml/modules -mindepth 1 -maxdepth 1 -printf "%f\n" | sort -V | tail -n 1)
    mkdir -p "$WANCTL_LAB_FOLDER/lib/modules"
    cp -r "/usr/lib/uml/modules/$release" "$WANCTL_LAB_FOLDER/lib/modules/"
    depmod -b "$WANCTL_LAB_FOLDER" "$release"
    console=$WANCTL_LAB_FOLDER/console
    # The guest's memory is a file in TMPDIR.
    HOME=$WANCTL_LAB_FOLDER TMPDIR=$WANCTL_LAB_FOLDER timeout --kill-after=5 "$limit" \
        linux.uml mem=256M uml_dir="$WANCTL_LAB_FOLDER/uml" \
        rootfstype=hostfs rootflags=/ ro init="$script" con=null con0=null,fd:1 ssl=null quiet \
        WANCTL_LAB_FOLDER="$WANCTL_LAB_FOLDER" "$@" </dev/null >"$console" 2>&1 || true
    tr -d '\r' <"$console"
    grep -q '^lab: PASSED' "$console" || {
        echo "lab: the guest did not pass within $limit s"
        exit 1
    }
}

# Only the init of a machine may go the guest's way, which ends with the machine switched off.
lab() {
    if [ "$$" -eq 1 ] && [ -n "${WANCTL_LAB_FOLDER:-}" ]; then
        run_guest
    fi
    script=$(readlink -f "$0")
    cd "$(dirname "$script")/../.."
    need "user-mode-linux iproute2 kmod" linux.uml tc depmod timeout
    WANCTL_LAB_FOLDER=$(mktemp -d)
    if [ -n "${WANCTL_LAB_KEEP:-}" ]; then
        echo "lab: files are kept in $WANCTL_LAB_FOLDER"
    else
        trap 'rm -rf "$WANCTL_LAB_FOLDER"' EXIT
    fi
    mkdir "$WANCTL_LAB_FOLDER/out"
    host "$@"
}
