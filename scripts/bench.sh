#!/bin/sh
# Measure on a stack of its own (var/bench, whose data sets are kept). NAME=a,b runs some. JSON lines on stdout.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/python -m bench "${NAME:-}"
