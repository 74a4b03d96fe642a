#!/bin/bash
# Measures klatsch beside Prosody and ejabberd, in turns, on this machine.
#
#   loadtest/bench.sh [SERVER|ROW]…     all servers and all rows by default
#
# Servers: klatsch prosody ejabberd. Rows: start login-plain login-tls chat-4
# chat-1 room-1000 room-20 archived-4 durable archive archive-long idle-plain idle-tls, and for
# klatsch alone channels channels-fanout channels-room (the server may open 20,000 files).
# Every run starts its server afresh: Prosody slows with use. Appends one JSON
# line a run to results/, then writes RESULTS.md.
#
# Environment:
#   KLATSCH, LOADTEST   the binaries (default: target/release of this workspace)
#   PEERS               folder of prosody.sh and ejabberd.sh (root, Debian packages)
#   WORK                folder for data, configuration and logs
#   SESSIONS=10000 CLIENTS=200 SECONDS_EACH=20 LOGINS=2000 FILL=20000 OCCUPANTS=1000
#   LONG=1000000 LONG_SECONDS=600   messages of the long archive, which klatsch imports and the others
#                       exchange for so long (what they managed stands in the line)
#   OFFSET=0            added to the ports
#   RESULTS             file for the JSON lines
#   QUICK=1             small numbers, to see that everything works; nothing is kept
set -u
OFFSET=${OFFSET:-0}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
target=${CARGO_TARGET_DIR:-$root/target}
KLATSCH=${KLATSCH:-$target/release/klatsch}
LOADTEST=${LOADTEST:-$target/release/klatsch-loadtest}
PEERS=${PEERS:-$root/../shared/lab/peers}
WORK=${WORK:-${TMPDIR:-/tmp}/klatsch-bench}
RESULTS=${RESULTS:-$here/results/$(date -u +%Y-%m-%d).jsonl}
TABLE=${TABLE:-$here/RESULTS.md}
if [ -n "${QUICK:-}" ]; then
    SESSIONS=${SESSIONS:-50} CLIENTS=${CLIENTS:-20} SECONDS_EACH=${SECONDS_EACH:-3} LOGINS=${LOGINS:-100} FILL=${FILL:-1000} OCCUPANTS=${OCCUPANTS:-50} LONG=${LONG:-10000} LONG_SECONDS=${LONG_SECONDS:-10}
    RESULTS=$WORK/quick/results.jsonl TABLE=$WORK/quick/RESULTS.md
    mkdir -p "$WORK/quick" && rm -f "$RESULTS"
fi
SESSIONS=${SESSIONS:-10000} CLIENTS=${CLIENTS:-200} SECONDS_EACH=${SECONDS_EACH:-20} LOGINS=${LOGINS:-2000} FILL=${FILL:-20000} OCCUPANTS=${OCCUPANTS:-1000}
LONG=${LONG:-1000000} LONG_SECONDS=${LONG_SECONDS:-600}

export PEERS_STATE=$WORK/peers DOMAIN=${DOMAIN:-bench.local} MAM_DB=sql
commit=$(git -C "$root" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
accounts=$((SESSIONS > CLIENTS ? SESSIONS : CLIENTS))
# Rooms of twenty for a tenth as many as there are in the large one.
accounts=$((accounts > 2 * OCCUPANTS ? accounts : 2 * OCCUPANTS))
for binary in "$KLATSCH" "$LOADTEST"; do
    [ -x "$binary" ] || { echo "$binary is missing: cargo build --release --workspace" >&2; exit 1; }
done
mkdir -p "$WORK"
. "$PEERS/common.sh"

servers=() rows=()
for word; do
    case $word in
    klatsch | prosody | ejabberd) servers+=("$word") ;;
    *) rows+=("$word") ;;
    esac
done
[ ${#servers[@]} -gt 0 ] || servers=(klatsch prosody ejabberd)
[ ${#rows[@]} -gt 0 ] || rows=(start login-plain login-tls chat-4 chat-1 room-1000 room-20 archived-4 durable archive archive-long idle-plain idle-tls channels channels-fanout channels-room)

# --- servers: start_X ARCHIVE leaves PORT, PID and COLD_MS

port_of() { # plain; direct TLS is one above
    case $1 in klatsch) echo $((17222 + OFFSET)) ;; prosody) echo $((16222 + OFFSET)) ;; ejabberd) echo $((15222 + OFFSET)) ;; esac
}

klatsch_config() { # klatsch_config ARCHIVE ROW
    cat <<T
domains = ["$DOMAIN"]
[listen]
c2s = "127.0.0.1:$(port_of klatsch)"
c2s_tls = "127.0.0.1:$(($(port_of klatsch) + 1))"
s2s = "off"
s2s_tls = "off"
http = "$(case $2 in channels*) echo "127.0.0.1:$(($(port_of klatsch) + 58))" ;; *) echo off ;; esac)"
https = "off"
metrics = "off"
stun = "off"
[channels]
apps = ["load"]
app_pushes_per_second = 1000000
[c2s]
require_tls = false
[archive]
enabled = $([ "$1" = on ] && echo true || echo false)
[limits]
search_rate = 0
T
}

start_klatsch() {
    local data=$WORK/klatsch/data t0
    mkdir -p "$data"
    klatsch_config "$1" "$2" >"$WORK/klatsch/klatsch.toml"
    if [ "$(cat "$WORK/klatsch/accounts" 2>/dev/null || echo 0)" -lt "$accounts" ]; then
        for i in $(seq 1 "$accounts"); do echo "user$i@$DOMAIN,secret"; done >"$WORK/klatsch/accounts.csv"
        "$KLATSCH" user import "$WORK/klatsch/accounts.csv" --config "$WORK/klatsch/klatsch.toml" --data "$data" >"$WORK/klatsch/import.log" 2>&1 || return 1
        echo "$accounts" >"$WORK/klatsch/accounts"
    fi
    t0=$(date +%s%N)
    "$KLATSCH" serve --config "$WORK/klatsch/klatsch.toml" --data "$data" >>"$WORK/klatsch/console.log" 2>&1 </dev/null &
    PID=$!
    echo "$PID" >"$WORK/klatsch/pid"
    COLD_MS=$(wait_port "$(port_of klatsch)" "$t0" "$PID" | cut -d' ' -f2)
    [ -n "$COLD_MS" ]
}

start_peer() { # start_peer NAME ARCHIVE
    local script=$PEERS/$1.sh said known=$WORK/$1.accounts
    said=$(PORT=$(port_of "$1") MAM=$2 "$script" start) || return 1
    COLD_MS=$(sed -n 's/^cold_start_ms //p' <<<"$said")
    PID=$(PORT=$(port_of "$1") "$script" pid)
    if [ "$(cat "$known" 2>/dev/null || echo 0)" -lt "$accounts" ]; then
        "$LOADTEST" accounts --port "$(port_of "$1")" --domain "$DOMAIN" --register --count "$accounts" || return 1
        echo "$accounts" >"$known"
        # Hashing all these passwords has grown it: what counts is a server that starts with its accounts.
        stop_peer "$1"
        start_peer "$1" "$2"
    fi
}

stop_peer() { PORT=$(port_of "$1") "$PEERS/$1.sh" stop; }

start() { # start SERVER ARCHIVE ROW
    case $1 in klatsch) start_klatsch "$2" "$3" ;; *) start_peer "$1" "$2" ;; esac
}

stop() {
    case $1 in klatsch) stop_pid "$WORK/klatsch/pid" ;; *) stop_peer "$1" ;; esac
}

# --- rows

load() { # load SCENARIO SERVER ROW ARCHIVE PORT OPTIONS…
    local scenario=$1 server=$2 row=$3 archive=$4 port=$5 ours=()
    shift 5
    [ "$server" = klatsch ] && ours=(--commit "$commit")
    "$LOADTEST" "$scenario" --port "$port" --domain "$DOMAIN" --pid "$PID" --json "$RESULTS" "${ours[@]}" \
        --setting row="$row" --setting archive="$archive" "$@"
}

run() { # run SERVER ROW
    local server=$1 row=$2 archive=off port
    port=$(port_of "$server")
    case $row in channels*) [ "$server" = klatsch ] || return 0 ;; esac
    case $row in archived-4 | durable | archive | archive-long) archive=on ;; esac
    echo "== $row, $server"
    start "$server" $archive "$row" || { echo "$server does not start" >&2; stop "$server"; return 1; }
    case $row in
    start) load start "$server" "$row" $archive "$port" --cold-start-ms "$COLD_MS" ;;
    login-plain) load login "$server" "$row" $archive "$port" --accounts "$CLIENTS" --count "$LOGINS" ;;
    login-tls) load login "$server" "$row" $archive "$((port + 1))" --tls direct --accounts "$CLIENTS" --count "$LOGINS" ;;
    chat-4) load chat "$server" "$row" $archive "$port" --clients "$CLIENTS" --seconds "$SECONDS_EACH" --window 4 ;;
    chat-1) load chat "$server" "$row" $archive "$port" --clients "$CLIENTS" --seconds "$SECONDS_EACH" --window 1 ;;
    room-1000) load room "$server" "$row" $archive "$port" --rooms 1 --occupants "$OCCUPANTS" --seconds "$SECONDS_EACH" ;;
    room-20) load room "$server" "$row" $archive "$port" --rooms "$((OCCUPANTS / 10))" --occupants 20 --seconds "$SECONDS_EACH" ;;
    archived-4) load chat "$server" "$row" $archive "$port" --clients "$CLIENTS" --seconds "$SECONDS_EACH" --window 4 ;;
    durable) load chat "$server" "$row" $archive "$port" --clients "$CLIENTS" --seconds "$SECONDS_EACH" --window 32 --sm ;;
    archive) load archive "$server" "$row" $archive "$port" --fill "$FILL" --readers 2 --seconds "$SECONDS_EACH" ;;
    archive-long)
        local filling=(--fill-seconds "$LONG_SECONDS")
        # What one account writes in an hour is no archive of a million: a file is quicker, and can be read again.
        [ "$server" = klatsch ] && filling=(--fill-command "$KLATSCH import --merge {file} --config $WORK/klatsch/klatsch.toml --data $WORK/klatsch/data")
        load archive "$server" "$row" $archive "$port" --fill "$LONG" --places 500 "${filling[@]}"
        ;;
    idle-plain) load idle "$server" "$row" $archive "$port" --sessions "$SESSIONS" ;;
    idle-tls) load idle "$server" "$row" $archive "$((port + 1))" --tls direct --sessions "$SESSIONS" ;;
    channels) load channels "$server" "$row" $archive "$port" --http-port $((port + 58)) --connections "$SESSIONS" --seconds 1 ;;
    channels-fanout) load channels "$server" "$row" $archive "$port" --http-port $((port + 58)) --connections "$OCCUPANTS" --seconds "$SECONDS_EACH" ;;
    channels-room) load channels "$server" "$row" $archive "$port" --http-port $((port + 58)) --meet room --connections "$OCCUPANTS" --seconds "$SECONDS_EACH" ;;
    *) echo "unknown row $row" >&2 ;;
    esac
    stop "$server"
}

# Without its driver ejabberd starts, and fails at every message it should archive: that is no figure.
if [[ " ${servers[*]} " == *" ejabberd "* ]] && ! dpkg -s erlang-p1-sqlite3 >/dev/null 2>&1; then
    apt-get install -y -qq --no-install-recommends erlang-p1-sqlite3 >/dev/null 2>&1 ||
        { echo "erlang-p1-sqlite3 is missing: ejabberd cannot archive" >&2; exit 1; }
fi

trap 'for server in "${servers[@]}"; do stop "$server"; done' EXIT
for row in "${rows[@]}"; do
    for server in "${servers[@]}"; do
        run "$server" "$row"
    done
done
"$LOADTEST" table --out "$TABLE" "$(dirname "$RESULTS")"/20*.jsonl
echo "wrote $TABLE"
