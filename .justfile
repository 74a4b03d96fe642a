# `just check` is the whole gate; .ci/run calls the same steps.

# What is there to run?
default:
    @just --list

# The whole gate.
check: format lint test postgres differential docs tidy deny interop web kolab

# Formatting, unchanged files.
format:
    cargo fmt --all --check

# Warnings are errors.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# All tests; they run offline.
test:
    cargo test --workspace

# The store with a PostgreSQL of its own (Debian's package postgresql).
postgres:
    .ci/postgres cargo test -p klatsch-store
    .ci/postgres cargo test -p klatsch-ops --lib postgresql

# What is accepted as XML means the same to expat (row X11); `test` has built the program.
differential:
    python3 gateways/tests/interop/differential.py "${CARGO_TARGET_DIR:-target}/debug/examples/canonical"

# The documentation builds, and its links hold.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The repository itself: headers, arrows, generated files.
tidy:
    cargo xtask tidy

# Licences, sources and bans of the dependencies.
deny:
    cargo deny check bans licenses sources

# The alerts, by Prometheus' own tool (Debian: prometheus).
watching:
    promtool check rules ops/alerts/klatsch.yml
    promtool test rules ops/alerts/tests.yml

# Real clients against the built server.
interop:
    if [ -x gateways/tests/interop/run ]; then gateways/tests/interop/run; fi

# The web client: its tests, its build, and people in a browser.
web:
    gateways/tests/web/run

# Roundcube with the plugin, klatsch and a client: needs root.
roundcube:
    gateways/tests/roundcube/run

# People of a directory log in.
kolab:
    gateways/tests/kolab/run

# Two minutes of faults on one node, five on a cluster of three with its store; needs root.
chaos *options:
    loadtest/chaos.sh {{options}}

# A rolling restart of three nodes under load; needs root, and a build.
rolling *options:
    "${CARGO_TARGET_DIR:-target}/debug/klatsch-loadtest" rolling {{options}}

# Writes what is generated: the example configuration and the README's table.
generate:
    cargo xtask generate
