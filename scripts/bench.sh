#!/bin/sh
# Measure on a stack of its own (var/bench, whose data sets are kept). NAME=a,b runs some. JSON lines on stdout.
set -eu
cd "$(dirname "$0")/.."
export DEFTMAIL_VAR="$PWD/var/bench"

stop() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP
    .venv/bin/deftmail stack down --var "$DEFTMAIL_VAR" >&2 || true
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

.venv/bin/deftmail stack up --var "$DEFTMAIL_VAR" --mode local --no-demo >&2
.venv/bin/deftmail bench ${NAME:+--names "$NAME"}
