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

fact "devices shows GPUs, MIG instances and who is on them, as a driver tells them"
cat >driver.txt <<'S'
gpu GPU-aaaa-1 40960 reserved=512 model=NVIDIA_A100-SXM4-40GB mode=3
gpu GPU-bbbb-2 81920 mig model=NVIDIA_H100_80GB_HBM3
instance 1 MIG-1111 9728 1g.10gb
process GPU-aaaa-1 4242 2048
S
fake() {
    env HPT_NVML_PATH="$build/tests/fake/libfake_nvml.so" FAKE_NVML_SCRIPT="$place/driver.txt" "$@"
}
expect 0 "gpu:0" fake hpt devices
for text in "39.5 GiB" "2.0 GiB" "NVIDIA A100-SXM4-40GB" "one process at a time" "NVIDIA H100 80GB HBM3 MIG 1g.10gb" MIG-1111; do
    expect 0 "$text" fake hpt devices
done
expect 0 '"profile": "1g.10gb", "parent": "GPU-bbbb-2"' fake hpt devices --format json
expect 0 '"memory_bytes": "42412802048", "used_bytes": "2147483648", "processes": "1"' fake hpt devices --format json
expect 0 ",exclusive_process,no,GPU-aaaa-1,detected," fake hpt devices --format csv
expect 0 "'5' and what follows is hidden" fake env CUDA_VISIBLE_DEVICES=GPU-aaaa,5,1 hpt devices
expect 0 "SLURM_JOB_GPUS" fake env SLURM_JOB_ID=1 SLURM_JOB_GPUS=1 hpt devices
expect 2 "'GPU-zzzz': no device here has this UUID" fake hpt devices --gpus GPU-zzzz
expect 2 "which shows none" hpt devices --gpus GPU-zzzz
one_line fake hpt devices --gpus GPU-zzzz

fact "check refuses in one line what no device can ever hold, and says how many trials fit at once"
gpu_sweep() { # what a trial asks for
    cat >gpus.yaml <<S
method: random
metric: {name: loss, goal: minimize}
run_cap: 2
command: [sh, -c, 'echo loss=1; echo "\$CUDA_VISIBLE_DEVICES" >>seen']
parameters: {batch: {values: [16, 64, 512]}}
hpt: {resources: {cpu: 0.01, $1}}
S
}
gpu_sweep "gpu: 0.15"
expect 0 "at once   48 here" hpt check gpus.yaml --gpus 8
gpu_sweep "gpu: 9"
expect 2 "asks for 9 GPUs (hpt:resources.gpu), but this machine has 8" hpt check gpus.yaml --gpus 8
expect 2 "asks for 9 GPUs (hpt:resources.gpu), but this machine has 8" env HPT_FAKE_DEVICES=8 hpt run gpus.yaml
sed 's/gpu: 9/gpu: 1.5/' gpus.yaml >half.yaml
expect 2 "half.yaml: hpt:resources.gpu: 1.5 is neither a share of one GPU nor a whole number" hpt check half.yaml --gpus 8
gpu_sweep "gpu: 0.5, gpu_memory: 41GiB"
expect 2 "the largest has 40.0 GiB for trials" hpt check gpus.yaml --gpus 2x40GiB
gpu_sweep 'gpu: 0.5, gpu_memory: \"{batch} * 100MiB\"'
sed -i 's/\\"/"/g' gpus.yaml
expect 2 "50.0 GiB each" hpt check gpus.yaml --gpus 2x40GiB
expect 0 "at once   4 here" hpt check gpus.yaml --gpus 2x60GiB
gpu_sweep "gpu: 0.25, gpu_memory: learn"
expect 0 "learns    GPU memory of a trial" hpt check gpus.yaml --gpus 2x40GiB
expect 0 "at once   8 here" hpt check gpus.yaml --gpus 2x40GiB
gpu_sweep "gpu_memory: learn"
expect 0 "at once   2 here" hpt check gpus.yaml --gpus 2x40GiB
gpu_sweep "gpu: 2, gpu_memory: learn"
expect 2 "give a share (gpu: 0.25), or no gpu" hpt check gpus.yaml --gpus 2x40GiB
gpu_sweep "gpu: 3g.40gb"
expect 2 "a MIG instance 3g.40gb (hpt:resources.gpu), but this machine has only 1g.10gb" fake hpt check gpus.yaml
one_line fake hpt run gpus.yaml
gpu_sweep "gpu: 1g.10gb"
expect 0 "at once   1 here" fake hpt check gpus.yaml
expect 0 "2 done" fake hpt run gpus.yaml
same "$(sort -u seen)" MIG-1111
rm -r hpt_runs
gpu_sweep "gpu: 0.5"
expect 0 "not checked against GPUs" env HPT_NVML_PATH=/nonexistent hpt check gpus.yaml
gpu_sweep "cpu: 100000"
sed -i 's/cpu: 0.01, //' gpus.yaml
expect 2 "asks for 100000 cores" env HPT_NVML_PATH=/nonexistent hpt check gpus.yaml
expect 2 "is no list of GPUs" hpt check gpus.yaml --gpus 4xx

fact "devices names MPS daemons, whoever started them"
ln -s "$(command -v sleep)" nvidia-cuda-mps-control
CUDA_MPS_PIPE_DIRECTORY=$place/pipes ./nvidia-cuda-mps-control 60 &
daemon=$!
expect 0 "MPS control: process $daemon of user $(id -u), pipes in $place/pipes" hpt devices
kill $daemon
wait $daemon 2>/dev/null

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
