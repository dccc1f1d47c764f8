#!/bin/sh
# test_device.sh: the engine's backends at the command line: what `hpt devices -v` says of each, a device that cannot be had, and
# that nothing of CUDA is opened before a study's model needs it. Holds with and without a GPU, toolkit or plugin.
. "$(dirname "$0")/cli_lib.sh"

cat >study.yaml <<'S'
method: bayes
metric: {name: loss, goal: minimize}
run_cap: 3
command: [sh, -c, 'echo loss=1']
parameters: {x: {min: 0.0, max: 1.0}}
S

# The plugin is looked for in a folder that has none: as on a machine for which it was not built, but the
# others of this build are still found, so that a broken one is put first.
mkdir none broken
echo "not a library" >broken/libhpt_gpu_cuda.so

fact "devices -v has every candidate, and of each that lost the reason"
hpt devices -v --format csv | tr -d '\r' >devices.csv
for name in cuda cpu ref; do
    grep -q "^${name}[,:]" devices.csv || fail "  no line for $name: $(cat devices.csv)"
done
grep -v '^backend,' devices.csv | grep -q ',$' && fail "  a line has no reason: $(cat devices.csv)"
same "$(grep -c ',taken$' devices.csv)" 1
export HPT_CUDA_PATH="$place/broken"
expect 0 "$place/broken/libhpt_gpu_cuda.so: " hpt devices -v
expect 0 "taken" hpt devices -v

fact "a device that is asked for and cannot be had is one line that names the step and the remedy, and nothing begins"
for device in cuda cuda:0; do
    expect 1 "device '$device' is not available (auto takes what there is): $place/broken/libhpt_gpu_cuda.so: " \
        env HPT_DEVICE=$device hpt run "$source/examples/digits/sweep.yaml"
    one_line hpt run study.yaml --device $device
done
unset HPT_CUDA_PATH
expect 1 "no libhpt_gpu_cuda_nosuch.so (" env HPT_CUDA_PATH="none:$place/none" hpt run study.yaml --device cuda:nosuch
expect 1 "HPT_CUDA_PATH: 'none' is not absolute, so ignored" env HPT_CUDA_PATH="none:$place/none" hpt run study.yaml --device cuda:nosuch
expect 1 "$place/none" env HPT_CUDA_PATH="none:$place/none" hpt run study.yaml --device cuda:nosuch
expect 2 "did you mean 'cuda'" hpt run study.yaml --device cud
[ ! -e hpt_runs ] || fail "  hpt_runs exists: $(ls hpt_runs)"
if ! hpt devices -v --format csv | grep -q '^cuda[^,]*,yes'; then
    expect 1 "device 'cuda' is not available" env HPT_DEVICE=cuda hpt run "$source/examples/digits/sweep.yaml"
    one_line env HPT_DEVICE=cuda hpt run "$source/examples/digits/sweep.yaml"
fi

fact "a study that computes nothing ignores the device, and a broken one that auto passes over stops nothing"
expect 0 "loss = 1" hpt run study.yaml --study random --sampler random --device cuda
export HPT_CUDA_PATH="$place/broken"
expect 0 "loss = 1" hpt run study.yaml --study auto -o gp.n_startup=1
unset HPT_CUDA_PATH

fact "who only tells needs no device, who asks does"
expect 0 "" hpt run study.yaml --study begun --storage sqlite:///begun.db
expect 0 "" hpt ask --storage sqlite:///begun.db
export HPT_CUDA_PATH="$place/broken"
expect 0 "" env HPT_DEVICE=cuda hpt tell 3 0.5 --storage sqlite:///begun.db
expect 1 "device 'cuda' is not available" env HPT_DEVICE=cuda hpt ask --storage sqlite:///begun.db
unset HPT_CUDA_PATH

if [ -e "$build/lib/libhpt_gpu_cuda_mock.so" ]; then
    fact "a device that fails in the middle of a run is told once, stands in hpt show, and costs no trial"
    for kind in lost launch; do
        HPT_MOCK_FAIL=300:$kind hpt run study.yaml --trials 8 --study $kind --device cuda:mock -o gp.n_startup=4 >out.txt 2>err.txt </dev/null ||
            fail "  $kind: $(cat err.txt)"
        same "$(grep -c 'device cuda:mock failed (.*); going on on ' err.txt)" 1
        expect 0 "COMPLETE         8" hpt show --study $kind
        expect 0 "instead_of" hpt show --study $kind
    done
else
    echo "not checked: a device that fails (no mock)"
fi

if command -v strace >/dev/null; then
    fact "nothing of CUDA is opened by help, version, show or a study without a model"
    expect 0 "" hpt run study.yaml --study show --sampler random
    for command in "--help" "version" "show" "best" "devices" "check study.yaml" "run study.yaml --study none --sampler random"; do
        # shellcheck disable=SC2086
        strace -f -qq -e trace=open,openat,access,faccessat,faccessat2 -o trace.txt hpt $command >/dev/null 2>&1
        grep -E 'libcu|gpu_cuda' trace.txt && fail "  hpt $command looks for CUDA"
    done
else
    echo "not checked: what is opened (no strace)"
fi
finish
