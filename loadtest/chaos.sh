#!/bin/bash
# Some minutes of faults on real nodes, and the proof that the checker can fail.
#
#   loadtest/chaos.sh [OPTION OF `klatsch-loadtest chaos`]…
#
# Needs root for network namespaces, nftables, iproute2 and PostgreSQL; what is missing of the
# packages is installed where apt can. Says so and succeeds where namespaces cannot be made.
#
# Environment:
#   CARGO_PROFILE=dev     how klatsch is built
#   NODES="1 3"           one run for each: a server alone keeps SQLite, a cluster shares a PostgreSQL
#   MINUTES               of each; two for a server alone, five for a cluster
#   WORK                  folder for histories and logs (kept)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
cd "$root"
profile=${CARGO_PROFILE:-dev}
target=${CARGO_TARGET_DIR:-$root/target}
folder=$target/$([ "$profile" = dev ] && echo debug || echo "$profile")
work=${WORK:-$target/chaos}
PATH=$PATH:/usr/sbin:/sbin

missing=()
command -v ip >/dev/null && command -v ss >/dev/null || missing+=(iproute2)
command -v nft >/dev/null || missing+=(nftables)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(faketime)
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ]; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null 2>&1 ||
        echo "not all of these could be installed: ${missing[*]}"
fi
if [ "$(id -u)" != 0 ] || ! unshare --net true 2>/dev/null || ! command -v nft >/dev/null || ! command -v ip >/dev/null; then
    echo "NO CHAOS: network namespaces cannot be made here (they need root, iproute2 and nftables)"
    exit 0
fi

mkdir -p "$work"
# A test target among them gives the libraries the features that `cargo test --workspace` gives
# them: behind that, only what the feature `broken` changes is compiled, and nothing twice.
build() { cargo build --quiet --locked --profile "$profile" --workspace --bin klatsch --bin klatsch-loadtest --test command_line "$@"; }
build --features klatsch-ops/broken
cp "$folder/klatsch" "$work/klatsch-broken"
build

chaos() { # chaos NAME BINARY OPTION…
    local name=$1 klatsch=$2
    shift 2
    rm -rf "${work:?}/$name"
    mkdir -p "$work/$name"
    "$folder/klatsch-loadtest" chaos --klatsch "$klatsch" --work "$work/$name/nodes" \
        --history "$work/$name/history.jsonl" --json "$work/results.jsonl" \
        --commit "$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)" "$@"
}

for nodes in ${NODES:-1 3}; do
    store=postgres minutes=5
    if [ "$nodes" = 1 ]; then
        store=sqlite minutes=2
    fi
    chaos "of-$nodes" "$folder/klatsch" --nodes "$nodes" --store "$store" --clients 30 \
        --minutes "${MINUTES:-$minutes}" --broken "$work/klatsch-broken" "$@"
done
# Beside a server alone: one that drops one message in a thousand is found out by the same run.
if [[ " ${NODES:-1 3} " == *" 1 "* ]]; then
    KLATSCH_BROKEN=drop chaos drop "$work/klatsch-broken" --nodes 1 --store sqlite \
        --minutes 0.5 --warm 5 --faults kill --clients 8 --rate 400 --expect-violation
fi
