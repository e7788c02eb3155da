#!/bin/sh
# Remove what was built and the test data; the data of `make run` only with DATA=yes.
set -eu
cd "$(dirname "$0")/.."

drop() { # a data folder, which may be a link to where service accounts can reach it
    [ -e "$1" ] || [ -L "$1" ] || return 0
    real=$(readlink -f "$1")
    if [ "$(id -u)" = 0 ]; then rm -rf "$real" "$1"; else sudo rm -rf "$real" "$1"; fi
}

for name in var/test var/bench var; do
    if [ -e "$name/stack.json" ] && [ -x .venv/bin/deftmail ]; then
        if [ "$name" != var ] || [ "${DATA:-no}" = yes ]; then .venv/bin/deftmail stack down --var "$name"; fi
    fi
done
drop var/test
drop var/bench
if [ "${DATA:-no}" = yes ]; then drop var; fi
rm -rf node_modules deftmail/web/static/dist staticfiles htmlcov .coverage .coverage.* \
    .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
find deftmail tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
