# shellcheck shell=bash
# What the scripts share: the virtual environment `.venv`, made when it is missing and brought up to date when
# pyproject.toml has changed. Sourced, never run:
#
#   source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#   ensure_environment
#   "$VENV/bin/regista" version
#
# REGISTA_PYTHON names the Python to use where the first of python3.11, 3.12, 3.13 and python3 is not the right one.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
STAMP="$VENV/regista-installed"

# Commands that tests run beside Regista's own, with the Debian package that has each: "command package".
# A test whose command is missing says so and is skipped; `ensure_test_commands` installs them where it may.
TEST_COMMANDS=(
    "chromium chromium"
    "curl curl"
    "dbus-daemon dbus"
    "dig bind9-dnsutils"
    "dnsmasq dnsmasq-base"
    "haproxy haproxy"
    "prometheus-alertmanager prometheus-alertmanager"
    "promtool prometheus"
    "unbound unbound"
)

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# With --help among a script's arguments, prints the comment at its top, and ends. Installs nothing for that.
help_if_asked() {
    local argument
    for argument in "$@"; do
        case "$argument" in
            -h | --help)
                sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
                exit
                ;;
        esac
    done
}

is_new_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the Python that is named, or the first that is new enough.
find_python() {
    local candidate
    if [ -n "${REGISTA_PYTHON:-}" ]; then
        is_new_enough "$REGISTA_PYTHON" || die "REGISTA_PYTHON is $REGISTA_PYTHON, which is no Python 3.11 or later."
        command -v "$REGISTA_PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3.13 python3; do
        if is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11 or later is needed, and none of python3.11, python3.12, python3.13, python3 is one.
Install it (on Debian: apt-get install python3.11 python3.11-venv), or name it: REGISTA_PYTHON=/path/to/python3"
}

may_install_packages() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() {
    say "Installing $* with apt-get."
    # Installing alone may do: the list of packages is often there already.
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@" >/dev/null 2>&1 </dev/null && return
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y "$@"; } >&2 </dev/null
}

# Debian splits the part of Python that makes virtual environments off into a package of its own.
ensure_venv_module() {
    local python="$1" package
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if may_install_packages; then
        install_packages "$package" || die "$package could not be installed; see above."
        "$python" -c 'import ensurepip, venv' && return
        die "$python still can't make virtual environments after installing $package."
    fi
    die "$python can't make virtual environments: its modules venv and ensurepip are missing.
On Debian and Ubuntu run:  sudo apt-get install $package"
}

# Makes `.venv` and installs Regista, editable, with what the tests need. Cheap when nothing is to be done.
ensure_environment() {
    local wanted python
    # A virtual environment holds absolute paths, so one that was moved is made again.
    wanted="$(cksum <"$ROOT/pyproject.toml") $ROOT"
    [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$wanted" ] && return
    if ! { [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -m pip --version; } >/dev/null 2>&1 ||
        { [ -f "$STAMP" ] && [ "$(cut -d' ' -f3- "$STAMP")" != "$ROOT" ]; }; then
        python="$(find_python)"
        ensure_venv_module "$python"
        say "Making .venv with $python."
        "$python" -m venv --clear "$VENV" || die "$VENV could not be made; see above."
    fi
    say "Installing Regista and its test tools into .venv."
    # Dependency groups need pip 25.1; Debian 12 brings 23.0.
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check --upgrade 'pip>=25.1' >&2 </dev/null ||
        die "pip could not be brought up to date; is the package index reachable? PIP_INDEX_URL names another one."
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check \
        --editable "$ROOT" --group "$ROOT/pyproject.toml:test" >&2 </dev/null ||
        die "the installation failed; the lines above say why."
    printf '%s\n' "$wanted" >"$STAMP"
}

# Installs what is missing of TEST_COMMANDS, where that is allowed; otherwise says what will be skipped.
ensure_test_commands() {
    local entry missing=()
    for entry in "${TEST_COMMANDS[@]}"; do
        PATH="$PATH:/usr/sbin" command -v "${entry%% *}" >/dev/null || missing+=("${entry#* }")
    done
    [ "${#missing[@]}" = 0 ] && return
    if may_install_packages && install_packages "${missing[@]}"; then
        return
    fi
    say "Tests that need ${missing[*]} are skipped. On Debian: sudo apt-get install ${missing[*]}"
}
