#!/bin/sh
# The whole suite on a stack of its own (var/test): started before, stopped after, whatever happens between.
set -eu
cd "$(dirname "$0")/.."
export DEFTMAIL_VAR="$PWD/var/test"

stop() {
    status=$?
    trap - EXIT
    # A second Ctrl-C must not leave servers behind.
    trap '' INT TERM HUP
    # Beside the stack of the run: the one of tests/test_outages.py, where that test was killed.
    for var in "$DEFTMAIL_VAR" "$DEFTMAIL_VAR"/outage-*; do
        [ ! -e "$var/stack.json" ] || .venv/bin/deftmail stack down --var "$var" >&2 || true
    done
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

.venv/bin/deftmail stack down --var "$DEFTMAIL_VAR" >/dev/null
.venv/bin/deftmail stack up --var "$DEFTMAIL_VAR" --mode test --no-demo
.venv/bin/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered "$@"
