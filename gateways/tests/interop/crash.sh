#!/bin/bash
# A short run of the delivery contract under kill -9, and the proof that its checker can fail.
#
#   crash.sh LOADTEST KLATSCH BROKEN_KLATSCH CONFIG
#
# Proves: `klatsch-loadtest crash` with 50 clients for a minute finds nothing lost, doubled or
# out of order (D1–D3); and with a server built to drop, double or swap one message in a
# thousand (cargo feature `broken`, KLATSCH_BROKEN) the same run finds that out. The long run
# (200 clients, ten minutes) is made by hand: loadtest/RESULTS.md.
#
# From `run`: KLATSCH_ADDRESS, INTEROP_WORK; CONFIG allows logins without TLS.
set -u
loadtest=$1 klatsch=$2 broken=$3 config=$4
failed=0

crash() { # crash NAME BINARY CLIENTS RATE SECONDS OPTION…
    local name=$1 binary=$2 clients=$3 rate=$4 seconds=$5
    local server="$binary --config $config --data $INTEROP_WORK/crash-$name"
    shift 5
    "$loadtest" crash --host "$KLATSCH_ADDRESS" --port 5222 --tls none --domain localhost \
        --prefix crash --password "a crash pass phrase" --mechanism SCRAM-SHA-1 \
        --clients "$clients" --rate "$rate" --seconds "$seconds" \
        --kill-min 3 --kill-max 8 --down-max 1 --drop-every 20 \
        --server "$server serve" --accounts-command "$server user import {file}" \
        --server-log "$INTEROP_WORK/logs/crash-$name-server.log" \
        --history "$INTEROP_WORK/crash-$name.jsonl" "$@"
}

check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then
        echo "PASS crash: $what"
    else
        echo "FAIL crash: $what (status $?)"
        failed=1
    fi
}

for binary in "$loadtest" "$klatsch" "$broken"; do
    if [ ! -x "$binary" ]; then
        echo "FAIL crash: not run, there is no binary '$binary'"
        exit 1
    fi
done
check "50 clients, a minute of kills: nothing lost, twice or out of order" \
    crash sound "$klatsch" 50 200 60
for fault in drop double swap; do
    export KLATSCH_BROKEN=$fault
    # Few clients that send much: several messages of one sender stand in one batch to be swapped.
    check "a server told to $fault one message in a thousand is found out" \
        crash "$fault" "$broken" 8 400 15 --expect-violation
done
exit $failed
