# Passwords that are changed in the directory, and a directory at a Unix socket: slapd is started once
# more, with its password policy (which writes down when a password was changed) and a socket, and
# klatsch once more, with that socket and nothing of Kolab. Sourced by `run` when the rest is done.

socket_url() { python3 -c 'import sys, urllib.parse; print("ldapi://" + urllib.parse.quote(sys.argv[1], safe=""))' "$work/ldapi"; }

start_slapd_with_policy() {
    local conf=$work/ld/policy.conf
    # Modules stand before the database, overlays behind it.
    sed 's/^moduleload back_mdb$/&\nmoduleload ppolicy/' "$work/ld/slapd.conf" >"$conf"
    printf 'overlay ppolicy\n' >>"$conf"
    slapd -f "$conf" -h "ldap://127.0.0.1:$LDAP_PORT $(socket_url)" -n klatsch-slapd || return
    for _ in $(seq 50); do [ -S "$work/ldapi" ] && return; sleep 0.1; done
    return 1
}

write_socket_config() {
    cat >"$work/klatsch.toml" <<T
domains = ["example.org"]

[kolab]
file = ""

[auth]
backends = ["internal", "ldap"]
recheck_seconds = 2

[ldap]
servers = ["$(socket_url)"]
bind_dn = "uid=kolab-service,ou=Special Users,dc=example,dc=org"
password = "svc-secret"
base_dn = "ou=People,dc=example,dc=org"

[listen]
c2s = "$KLATSCH_ADDRESS:5222"
c2s_tls = "off"
http = "off"
https = "off"
metrics = "$KLATSCH_ADDRESS:9464"
stun = "off"

[tls]
certificate = "$work/cert.pem"
key = "$work/key.pem"
T
}

judge_passwords() {
    kill "$server_pid" && wait "$server_pid" 2>/dev/null
    server_pid=
    [ ! -s "$work/ld/slapd.pid" ] || kill "$(cat "$work/ld/slapd.pid")" 2>/dev/null
    for _ in $(seq 50); do [ -s "$work/ld/slapd.pid" ] || break; sleep 0.1; done
    start_slapd_with_policy >>"$work/slapd.log" 2>&1 || { echo "FAIL kolab: slapd did not come up with its policy and a socket"; return; }
    write_socket_config
    doctor >"$work/doctor.log"
    if grep -qF "fine   directory $(socket_url): people of example.org" "$work/doctor.log"; then
        echo "PASS kolab: doctor, directory at a socket"
    else
        echo "FAIL kolab: doctor, directory at a socket: $(grep -F directory "$work/doctor.log")"
    fi
    start_klatsch
    timeout --kill-after=5 60 "$cache/slixmpp/venv/bin/python" "$here/passwords.py" >"$work/passwords.log" 2>&1 ||
        grep -q '^FAIL' "$work/passwords.log" || echo "FAIL kolab: passwords.py did not end well"
    grep -E '^(PASS|FAIL) ' "$work/passwords.log"
    grep -vE '^(PASS|FAIL) ' "$work/passwords.log" >>"$work/logins.log"
}
