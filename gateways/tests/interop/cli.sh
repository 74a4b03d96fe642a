#!/bin/bash
# The command line as an administrator uses it: with no server running, and beside one.
#
#   cli.sh KLATSCH CONFIG DATA
#
# Proves: `klatsch user` works on the store alone (a data folder of its own) and through the
# running server (CONFIG and DATA are its); what is wrong is refused with a status and a line
# on standard error, and no password is ever shown.
#
# From `run`: KLATSCH_ADDRESS, INTEROP_WORK, SSL_CERT_FILE.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
klatsch=$1 config=$2 running=$3
alone=$INTEROP_WORK/cli-data
out=$INTEROP_WORK/cli.out
failed=0

on() { # on DATA ARGUMENT…: klatsch on a data folder; $out has what it said
    local data=$1
    shift
    timeout 20 "$klatsch" --config "$config" --data "$data" "$@" >"$out" 2>&1
}

check() { # check WHAT COMMAND…
    local what=$1
    shift
    if "$@"; then
        echo "PASS cli: $what"
    else
        echo "FAIL cli: $what"
        head -n 5 "$out"
        failed=1
    fi
}

not() { ! "$@"; }
says() { grep -qF -- "$1" "$out"; }
logs_in() { python3 "$here/login.py" "$1" "$2"; }
piped() { printf '%s\n' "$1" | on "$2" user add "$3" --password-stdin; }

for data in "$alone" "$running"; do
    where=$([ "$data" = "$alone" ] && echo "without a server" || echo "beside the server")
    check "$where: add" on "$data" user add ida@localhost --password pw-of-ida
    check "$where: … shows no password" not says pw-of-ida
    check "$where: … the same again is refused" not on "$data" user add ida@localhost --password other
    check "$where: add with the password from standard input" piped "pw-of-jo" "$data" jo@localhost
    check "$where: an address that is none is refused" not on "$data" user add 'no such@' --password x
    check "$where: list" on "$data" user list
    check "$where: … has both" eval 'says ida@localhost && says jo@localhost'
    check "$where: another password" on "$data" user passwd jo@localhost --password pw-new-jo
    printf '%s,%s\n' kim@localhost pw-kim lee@localhost pw-lee >"$INTEROP_WORK/accounts.csv"
    check "$where: import" on "$data" user import "$INTEROP_WORK/accounts.csv"
    check "$where: remove" on "$data" user remove lee@localhost
    on "$data" user list
    check "$where: … is gone, kim is there" eval 'says kim@localhost && not says lee@localhost'
    check "$where: rooms are listed" on "$data" room list
    check "$where: a room that is not there is not shown" not on "$data" room show no@conference.localhost
    check "$where: … and says so" says 'there is no room no@conference.localhost'
    check "$where: … nor destroyed" not on "$data" room destroy no@conference.localhost
done
check "an account added beside the server logs in" logs_in ida pw-of-ida
check "… with the password from standard input replaced" logs_in jo pw-new-jo
check "… but not with the old one" not logs_in jo pw-of-jo
check "… an imported one too" logs_in kim pw-kim
check "… a removed one does not" not logs_in lee pw-lee
check "the settings are checked" on "$running" config check
check "the example settings are printed" on "$running" config example
check "… with every listener" says c2s_tls
check "an unknown command is refused" not on "$running" no-such-command
exit $failed
