# shellcheck shell=sh
# cli_lib.sh: sourced by the command line tests. $1 is the build folder, $2 the source folder. Each test runs in a folder
# of its own that is removed at the end; `fact` names what is proven, `expect` checks status and a text of the output.
set -u
build=$(realpath "$1")
source=$(realpath "$2")
PATH=$build/bin:$PATH
export PATH
unset HPT_STORAGE HPT_FAKE_DEVICES HPT_DEVICE HPT_CUDA_PATH HPT_LOG CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER HPT_NVML_PATH \
    SLURM_JOB_ID 2>/dev/null || true
place=$(mktemp -d)
cd "$place" || exit 1
export HPT_CLAIMS_DIR="$place/claims" HPT_CGROUP=off # tests run beside each other
trap 'cd /; rm -rf "$place"' EXIT
failures=0
facts=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n%s\n' "$fact" "$*"
}

# fact TEXT: what the next checks prove.
fact() {
    fact=$1
    facts=$((facts + 1))
}

# expect STATUS TEXT COMMAND...: the command ends with STATUS and its output (both streams) contains TEXT.
expect() {
    want=$1
    text=$2
    shift 2
    output=$("$@" 2>&1 </dev/null)
    status=$?
    [ "$status" -eq "$want" ] || fail "  $*
  ended with $status, not $want; output: $output"
    case $output in
    *"$text"*) ;;
    *) fail "  $*
  does not say '$text' but: $output" ;;
    esac
}

# one_line COMMAND...: everything on stderr is one line that begins with "hpt: ".
one_line() {
    "$@" >/dev/null 2>err.txt </dev/null
    [ "$(wc -l <err.txt)" -eq 1 ] && grep -q '^hpt: ' err.txt || fail "  $*
  does not give one line on stderr but: $(cat err.txt)"
}

same() {
    [ "$1" = "$2" ] || fail "  '$1' is not '$2'"
}

finish() {
    echo "$facts facts, $failures failures"
    [ "$failures" -eq 0 ]
}
