#!/bin/bash
# gpu-study.sh: whole sweeps whose models compute on a GPU: what gpu-check.sh tries one by one, each a step of its own.
#
#   scripts/gpu-study.sh CHECK BIN DEVICE
#     twice   the same sweep with the same seed twice: the same points, bit for bit
#     crowd   100 trials at once: later ones come from Thompson samples, and better ones than the first hundred
#     auto    device auto: the host at first, DEVICE with enough trials, with its own estimates of both
#     hold    another program takes all memory of the GPU and gives it back: one warning, the host, then the GPU again
# BIN holds hpt, and gpu_share_probe for `hold`. Prints what it saw as `fact: ...`; status 1 with the reason where it does not hold.
set -uo pipefail
[ $# -eq 3 ] || { sed -n '2,9p' "$0"; exit 2; }
check=$1 bin=$(realpath "$2") device=$3
place=$(mktemp -d)
holder=""
trap 'cd /; [ -z "$holder" ] || kill "$holder" 2>/dev/null; rm -rf "$place"' EXIT
cd "$place" || exit 2
export HPT_DISABLE_FLAPPING=1

# sweep NAME TRIALS: six parameters, of which two matter little; a trial is one awk, and waits while a file `wait` is there.
sweep() {
    cat >"$1.yaml" <<Y
method: bayes
metric: {name: loss, goal: minimize}
run_cap: $2
parameters:
  a: {min: 0.0, max: 1.0}
  b: {min: 0.0, max: 1.0}
  c: {min: 0.0, max: 1.0}
  d: {min: 0.0, max: 1.0}
  e: {min: 0, max: 9}
  kind: {values: [p, q, r]}
command: [sh, -c, 'while [ -e $place/wait ]; do sleep 0.05; done; exec awk "BEGIN { printf \"loss=%.12g\\\\n\", 10 * ((\$HPT_PARAM_A - 0.3) ^ 2 + (\$HPT_PARAM_B - \$HPT_PARAM_A ^ 2) ^ 2 + (\$HPT_PARAM_C - 0.7) ^ 2) + \$HPT_PARAM_D / 9 + \$HPT_PARAM_E / 99 + (\"\$HPT_PARAM_KIND\" == \"q\") }"']
Y
}
run() { # NAME ARGUMENT...
    local name=$1
    shift
    HPT_LOG=info "$bin/hpt" run "$name.yaml" --dir "$name" --seed 4 "$@" >"$name.out" 2>&1 </dev/null || { tail -n 5 "$name.out"; exit 1; }
}
points() { "$bin/hpt" trials --run "$1" --columns number,a,b,c,d,e,kind,loss --format csv; }
model_device() { "$bin/hpt" show --run "$1" 2>/dev/null | awk '$1 == "model" { on = 1 } on && $1 == "device" { print $2; exit }'; }
fact() { echo "fact: $check: $*"; }
fail() {
    echo "gpu-study.sh: $check: $*"
    exit 1
}
await() { # SECONDS COMMAND...
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}
told() { [ "$("$bin/hpt" trials --run "$1" --state COMPLETE --columns number --format csv 2>/dev/null | wc -l)" -gt "$2" ]; }

case $check in
twice)
    sweep one 80
    cp one.yaml two.yaml
    run one --device "$device" -j 1
    run two --device "$device" -j 1
    points one >one.csv
    points two >two.csv
    [ "$(wc -l <one.csv)" -eq 81 ] || fail "$(wc -l <one.csv) lines instead of 81"
    diff one.csv two.csv || fail "two runs with one seed differ"
    fact "80 trials, the same points and values in both runs; by $("$bin/hpt" trials --run one --columns by --format csv | tail -n +2 | sort | uniq -c | tr -s '\n ' ' ')"
    ;;
crowd)
    sweep crowd 400
    run crowd --device "$device" -j 100
    by=$("$bin/hpt" trials --run crowd --columns by --format csv | grep -c gp_thompson)
    [ "$by" -gt 20 ] || fail "$by trials by Thompson samples, more than 20 are expected: $("$bin/hpt" trials --run crowd --columns by --format csv | sort | uniq -c | tr -s '\n ' ' ')"
    median() { "$bin/hpt" trials --run crowd --columns number,loss --format csv | awk -F, -v a="$1" -v b="$2" '$1 >= a && $1 < b { print $2 }' | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
    early=$(median 0 100) late=$(median 300 400)
    awk -v a="$early" -v b="$late" 'BEGIN { exit !(b < a / 2) }' || fail "median loss $early of the first hundred, $late of the last"
    fact "$by of 400 trials by Thompson samples; median loss $early of the first hundred, $late of the last"
    ;;
auto)
    sweep auto 1400
    run auto --device auto -j 8
    grep -h 'device auto' auto.out | sed 's/^.*device auto/fact: auto:/'
    [ "$(model_device auto)" = "$device" ] || fail "the model is on $(model_device auto) after 1,400 trials"
    ;;
hold)
    sweep hold 700
    HPT_LOG=info "$bin/hpt" run hold.yaml --dir hold --seed 4 --device "$device" -j 4 >hold.out 2>&1 </dev/null &
    runner=$!
    await 60 told hold 220 || fail "no 220 trials within a minute: $(tail -n 3 hold.out)"
    touch wait
    "$bin/gpu_share_probe" hold 100 >probe.out 2>&1 &
    holder=$!
    await 30 grep -q holds= probe.out || fail "the memory could not be taken: $(tail -n 2 probe.out)"
    rm wait
    await 60 grep -q "failed (" hold.out || fail "nothing failed though the GPU had no memory left: $(tail -n 3 hold.out)"
    "$bin/hpt" show --run hold | grep -A 9 '^model' | sed 's/^/fact: hold: while it is held: /'
    kill "$holder"
    wait "$holder" 2>/dev/null
    holder=""
    wait "$runner" || fail "$(tail -n 3 hold.out)"
    grep -hE 'failed \(|used again' hold.out | cut -c1-200 | sed 's/^/fact: hold: /'
    [ "$(grep -c 'warning.*failed (' hold.out)" -eq 1 ] || fail "$(grep -c 'warning.*failed (' hold.out) warnings instead of one"
    grep -q "used again" hold.out || fail "the GPU was not used again"
    [ "$(model_device hold)" = "$device" ] || fail "the model ends on $(model_device hold)"
    [ "$(points hold | wc -l)" -eq 701 ] || fail "$(points hold | wc -l) lines instead of 701"
    ;;
*) fail "no such check" ;;
esac
