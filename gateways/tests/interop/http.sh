#!/bin/bash
# What a browser, a monitoring system and a client's look-up get over HTTP, with curl.
#
#   http.sh SERVER_LOG KLATSCH CONFIG DATA
#
# Proves: health and metrics (DESIGN.md section 9); host-meta in XML and JSON with the
# WebSocket link and its CORS header (XEP-0156); the sign-up link of the first start opens a
# plain form that makes the administrator, once; what is not there is 404, what is no
# WebSocket handshake is refused (RFC 7395 §3.1), and no path leaves the server's own files; the
# lines of ops/docs/api.md work.
#
# From `run`: KLATSCH_ADDRESS, INTEROP_WORK, SSL_CERT_FILE.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
server_log=$1
klatsch=("$2" --config "$3" --data "$4")
plain=http://localhost:5280
secure=https://localhost:5443
watch=http://$KLATSCH_ADDRESS:9464
page=$INTEROP_WORK/page
headers=$INTEROP_WORK/headers
failed=0

get() { # get URL CURL_OPTION…: prints the status; $page and $headers have the rest
    local url=$1
    shift
    curl -sS --max-time 10 --cacert "$SSL_CERT_FILE" -o "$page" -D "$headers" -w '%{http_code}' \
        --resolve "localhost:5280:$KLATSCH_ADDRESS" --resolve "localhost:5443:$KLATSCH_ADDRESS" \
        -b "$INTEROP_WORK/cookies" -c "$INTEROP_WORK/cookies" "$@" "$url"
}

check() { # check WHAT COMMAND…: passes when the command does
    local what=$1
    shift
    if "$@"; then
        echo "PASS http: $what"
    else
        echo "FAIL http: $what"
        head -c 600 "$page"
        echo
        failed=1
    fi
}

is() { [ "$1" = "$2" ] || { echo "got '$1', not '$2'"; return 1; }; }
refused() { [[ $1 == 4?? ]] || { echo "got '$1', not a refusal"; return 1; }; }
good() { [[ $1 == 2?? || $1 == 303 || $1 == 302 ]] || { echo "got '$1'"; return 1; }; }
has_header() { grep -qi "^$1: *$2" "$headers" || { cat "$headers"; return 1; }; }

# Health and metrics
check "live" is "$(get "$watch/health/live")" 200
check "ready" is "$(get "$watch/health/ready")" 200
check "metrics are there" is "$(get "$watch/metrics")" 200
check "metrics are Prometheus' text" has_header content-type text/plain
check "metrics carry klatsch's name and help" grep -qE '^# HELP klatsch_' "$page"
check "metrics count sessions" grep -qE '^klatsch_[a-z_]*sessions[a-z_]*(\{.*\})? ' "$page"

# Where the WebSocket is: XEP-0156 §3
websocket_of() { # websocket_of xml|json: the WebSocket's address in $page
    python3 - "$1" "$page" <<'P'
import json, sys
import xml.etree.ElementTree as tree

rel = "urn:xmpp:alt-connections:websocket"
if sys.argv[1] == "xml":
    links = [link.attrib for link in tree.parse(sys.argv[2]).iter() if link.tag.endswith("}Link")]
else:
    links = json.load(open(sys.argv[2]))["links"]
print(*[link["href"] for link in links if link["rel"] == rel])
P
}
for base in "$plain" "$secure"; do
    check "host-meta at $base" is "$(get "$base/.well-known/host-meta")" 200
    check "… is XRD" has_header content-type application/xrd+xml
    check "… may be read by any page" has_header access-control-allow-origin '\*'
    xml=$(websocket_of xml)
    check "host-meta.json at $base" is "$(get "$base/.well-known/host-meta.json")" 200
    check "… is JSON" has_header content-type application/json
    check "… may be read by any page" has_header access-control-allow-origin '\*'
    check "… and names the same WebSocket" is "$(websocket_of json)" "$xml"
    case $base in
    "$plain") wanted="ws://localhost:5280/xmpp-websocket" ;; # a developer's own machine
    *) wanted="wss://localhost:5443/xmpp-websocket" ;;
    esac
    check "… where it is" is "$xml" "$wanted"
done
check "a proxy that says nothing gets" is "$(get "$plain/.well-known/host-meta" -H 'Host: a.example')" 200
check "… an encrypted WebSocket" is "$(websocket_of xml)" wss://a.example/xmpp-websocket

# What is not there, and what is no handshake
check "an unknown path is 404" is "$(get "$plain/no/such/page")" 404
check "a path that climbs is refused" refused "$(get "$plain/../../../etc/passwd" --path-as-is)"
check "a WebSocket wants its handshake" refused "$(get "$plain/xmpp-websocket")"
check "a WebSocket wants the subprotocol xmpp" refused "$(get "$plain/xmpp-websocket" \
    --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Protocol: chat')"

# The sign-up link of the first start
link=$(grep -ioE 'https?://[^"[:space:]\\]*sign-?up[^"[:space:]\\]*' "$server_log" | head -n 1)
check "the first start printed a sign-up link" [ -n "$link" ]
check "… which opens" is "$(get "$link")" 200
check "… a page" has_header content-type text/html
check "… that no proxy keeps" has_header cache-control '.*no-store'
check "… and that tells nobody its address" has_header referrer-policy no-referrer
check "opening it does not use it up" is "$(get "$link")" 200
form=$(python3 "$here/form.py" admin "a long enough pass phrase" <"$page")
check "… it is a plain form" [ -n "$form" ]
action=$(head -n 1 <<<"$form")
body=$(tail -n 1 <<<"$form")
origin=$(grep -oE '^https?://[^/]+' <<<"$link")
case $action in
http*) target=$action ;;
/*) target=$origin$action ;;
*) target=$link ;;
esac
post() { get "$target" -H "Origin: $origin" --data-raw "$1"; }
check "another token opens nothing" refused "$(get "${link}0")"
check "the form makes the administrator" good "$(post "$body")"
check "… who can log in" python3 "$here/login.py" admin "a long enough pass phrase"
check "… and is listed" grep -q 'admin@localhost' <("${klatsch[@]}" user list)
check "the link works once: opening" refused "$(get "$link")"
check "the link works once: posting" refused "$(post "${body/admin/second}")"
check "… and made no second account" is "$("${klatsch[@]}" user list | grep -c second@localhost)" 0

# The lines of the documentation for integrators, as they stand there
lines=$INTEROP_WORK/api.sh
sed -n '/^```sh$/,/^```$/{/^```/!p}' "$here/../../../ops/docs/api.md" >"$lines"
check "the documentation of the API has lines" [ -s "$lines" ]
of_the_api() { # of_the_api: everything they print; fails with the first that does
    CHAT=$secure ME="admin@localhost:a long enough pass phrase" WHO=admin@localhost \
        CURL_CA_BUNDLE=$SSL_CERT_FILE bash -c '
            curl() { command curl --max-time 10 --resolve "localhost:5443:$KLATSCH_ADDRESS" "$@"; }
            set -euo pipefail
            source "$1"' - "$lines" >"$page" 2>&1
}
check "… which work" of_the_api
for told in '"websocket":"/xmpp-websocket"' '"nobody@example.org":{"show":"unknown"}' \
    '"wish":"away"' '"wish":"auto"' '"role":"owner"' 'X-KLATSCH-ROOM:xmpp:ev-'; do
    check "… and say $told" grep -qF "$told" "$page"
done
exit $failed
