#!/bin/bash
# Two people chat with profanity 0.13 (Debian), a terminal client on libstrophe, each in a
# pane of a tmux server of our own.
#
# Proves that a packaged desktop client logs in over TLS with a verified certificate and gets
# through what it asks for at login (disco, roster, carbons, bookmarks, blocking, pings), and
# that what one person types stands on the other's screen.
#
# Accounts: gina and hugo @localhost. From `run`: KLATSCH_ADDRESS, INTEROP_WORK, SSL_CERT_FILE.
set -u
home=$INTEROP_WORK/profanity
socket=$home/tmux
failed=0
mkdir -p "$home/certs"
trap 'tmux -S "$socket" kill-server 2>/dev/null' EXIT

# libstrophe looks a certificate up by the hash of its name.
cp "$SSL_CERT_FILE" "$home/certs/$(openssl x509 -in "$SSL_CERT_FILE" -noout -subject_hash).0"

configure() { # configure NAME: an account file with its password, and a quiet screen
    mkdir -p "$home/$1/.config/profanity" "$home/$1/.local/share/profanity"
    cat >"$home/$1/.local/share/profanity/accounts" <<T
[$1@localhost]
enabled=true
jid=$1@localhost
password=pw-$1
resource=profanity
server=$KLATSCH_ADDRESS
port=5222
tls.policy=force
T
    cat >"$home/$1/.config/profanity/profrc" <<T
[ui]
splash=false
notify.version=false
[notifications]
message=false
[connection]
tls.certpath=$home/certs
[logging]
level=WARN
T
}

start() { # start NAME
    configure "$1"
    tmux -S "$socket" -f /dev/null new-session -d -s "$1" -x 150 -y 45 \
        env HOME="$home/$1" XDG_CONFIG_HOME="$home/$1/.config" XDG_DATA_HOME="$home/$1/.local/share" \
        LC_ALL=C.UTF-8 profanity -a "$1@localhost"
}

screen() { tmux -S "$socket" capture-pane -p -J -S -200 -t "$1"; }

types() { # types NAME TEXT
    tmux -S "$socket" send-keys -t "$1" -l "$2" && tmux -S "$socket" send-keys -t "$1" Enter
}

sees() { # sees NAME TEXT: within 15 s

    for _ in $(seq 1 150); do
        screen "$1" | grep -qF -- "$2" && return
        sleep 0.1
    done
    return 1
}

step() { # step WHAT NAME TEXT: passes when NAME's screen shows TEXT
    if sees "$2" "$3"; then
        echo "PASS profanity: $1"
    else
        echo "FAIL profanity: $1: $2's screen never showed '$3'"
        screen "$2" | grep -v '^ *$' | tail -n 25
        failed=1
    fi
}

start gina
start hugo
for name in gina hugo; do
    step "$name logs in over TLS" "$name" "$name@localhost/profanity logged in successfully"
done
types gina "/disco info localhost"
step "the server's features are listed" gina "urn:xmpp:carbons:2"
# Only now: it pings a server only once its own question for features at login is answered.
types gina "/ping"
step "the server answers a ping" gina "Ping response from server"
types gina "/sub request hugo@localhost"
step "a subscription request arrives" hugo "gina@localhost"
types hugo "/sub allow gina@localhost"
step "it is granted" gina "Subscription received from hugo@localhost"
types gina "/msg hugo@localhost Grüße aus dem Terminal"
step "a message arrives" hugo "gina@localhost"
types hugo "/msg gina@localhost Danke, hier auch"
step "the conversation shows it" hugo "Grüße aus dem Terminal"
step "the answer arrives" gina "Danke, hier auch"
step "the window shows the contact's presence" gina "hugo@localhost [online]"
step "the window shows that TLS is on" gina "[TLS]"
types hugo "/quit"
step "leaving is seen" gina "hugo@localhost [offline]"
types gina "/quit"
for _ in $(seq 1 100); do
    tmux -S "$socket" has-session 2>/dev/null || break
    sleep 0.1
done
if tmux -S "$socket" has-session 2>/dev/null; then
    echo "FAIL profanity: it does not end"
    failed=1
else
    echo "PASS profanity: both end"
fi
exit $failed
