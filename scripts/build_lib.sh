# shellcheck shell=sh
# build_lib.sh: what scripts/hpt and scripts/test share: find or install Debian packages, configure, build.
# Sourced; expects $root (the repository). Messages go to stderr, each with "hpt:" before it.

say() { printf 'hpt: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# need_packages PACKAGE...: installs what dpkg does not have. As root it says what it installs and does so, asking
# nothing; otherwise it prints the line to run and ends with status 3.
need_packages() {
    command -v dpkg-query >/dev/null 2>&1 || return 0 # not Debian: cmake will say what it misses
    missing=
    for package in "$@"; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *'ok installed') ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        say "these Debian packages are missing; run this and try again:"
        printf '  sudo apt-get install -y --no-install-recommends%s\n' "$missing" >&2
        exit 3
    fi
    say "installing Debian packages:$missing"
    aptlog=$(mktemp)
    # An old list of packages may name files that are gone, so a failure is tried once more after an update.
    # shellcheck disable=SC2086
    apt_install $missing || { apt-get update >"$aptlog" 2>&1 && apt_install $missing; } ||
        { cat "$aptlog" >&2; die "apt-get could not install:$missing (its messages are above)"; }
    rm -f "$aptlog"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$aptlog" 2>&1 </dev/null
}

# build PRESET [cmake option...]: configures once, then builds what changed. Quiet unless something goes wrong.
build() {
    preset=$1
    shift
    dir=$root/build/$preset
    mkdir -p "$dir"
    log=$dir/build.log
    if [ ! -f "$dir/build.ninja" ] || [ $# -gt 0 ]; then
        (cd "$root" && cmake --preset "$preset" "$@") >"$log" 2>&1 ||
            { cat "$log" >&2; die "cmake could not configure; the log is $log"; }
    fi
    cmake --build "$dir" >"$log" 2>&1 || { tail -n 40 "$log" >&2; die "the build failed; the log is $log"; }
}

packages_build="gcc libc6-dev cmake ninja-build pkg-config libsqlite3-dev libyaml-dev libopenblas0"
