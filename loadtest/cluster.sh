#!/bin/bash
# Measures one, two and three nodes on this machine, with messages that cross nodes.
#
#   loadtest/cluster.sh [ROW]…        all rows by default
#
# Rows: cluster-4 (window 4) cluster-1 (one message at a time per pair) cluster-durable (window
# 32, acknowledged) cluster-idle (memory of sessions that rest on the first node). Each starts a PostgreSQL and the nodes afresh, in network namespaces: root.
# Appends one JSON line a run to results/, then prints the table.
#
# Environment:
#   KLATSCH, LOADTEST   the binaries (default: target/release of this workspace)
#   NODES="1 2 3" CLIENTS=200 SECONDS_EACH=20 SESSIONS=5000
#   RESULTS             file for the JSON lines
#   QUICK=1             small numbers, to see that everything works; nothing is kept
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
KLATSCH=${KLATSCH:-$target/release/klatsch}
LOADTEST=${LOADTEST:-$target/release/klatsch-loadtest}
RESULTS=${RESULTS:-$here/results/$(date -u +%Y-%m-%d)-cluster.jsonl}
if [ -n "${QUICK:-}" ]; then
    CLIENTS=${CLIENTS:-20} SECONDS_EACH=${SECONDS_EACH:-3} SESSIONS=${SESSIONS:-50}
    RESULTS=$(mktemp --suffix=.jsonl)
    trap 'rm -f "$RESULTS"' EXIT
fi
commit=$(git -C "$root" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
rows=("$@")
[ ${#rows[@]} -gt 0 ] || rows=(cluster-4 cluster-1 cluster-durable cluster-idle)

measure() { # measure NODES ROW
    local nodes=$1 row=$2 how clients=${CLIENTS:-200}
    case $row in
    cluster-4) how=(--window 4) ;;
    cluster-1) how=(--window 1) ;;
    cluster-durable) how=(--window 32 --sm) ;;
    cluster-idle) how=(--idle) clients=${SESSIONS:-5000} ;;
    *) echo "unknown row $row" >&2 && return 1 ;;
    esac
    "$LOADTEST" cluster --klatsch "$KLATSCH" --nodes "$nodes" --clients "$clients" \
        --seconds "${SECONDS_EACH:-20}" "${how[@]}" --commit "$commit" --json "$RESULTS" \
        --setting "row=$row-$nodes"
}

for row in "${rows[@]}"; do
    for nodes in ${NODES:-1 2 3}; do
        measure "$nodes" "$row"
    done
done
"$LOADTEST" table "$RESULTS" | sed -n '/^## Several nodes/,/^## Settings/p' | sed '$d'
