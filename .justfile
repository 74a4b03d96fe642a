# `just check` is the whole gate; .ci/run calls the same steps.

# What is there to run?
default:
    @just --list

# The whole gate.
check: format lint test differential docs tidy deny interop

# Formatting, unchanged files.
format:
    cargo fmt --all --check

# Warnings are errors.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# All tests; they run offline.
test:
    cargo test --workspace

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

# Real clients against the built server.
interop:
    if [ -x gateways/tests/interop/run ]; then gateways/tests/interop/run; fi

# Writes what is generated: the example configuration and the README's table.
generate:
    cargo xtask generate
