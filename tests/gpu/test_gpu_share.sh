#!/bin/sh
# test_gpu_share.sh: gpu_share_probe and scripts/gpu-share-check.sh on a machine without a GPU: what they say there, and the
# script whole over fakes of the driver, NVML, the MPS control program and nvidia-smi. That shares hold on a GPU it does not prove.
. "$(dirname "$0")/../cli/cli_lib.sh"
probe=$build/bin/gpu_share_probe

fact "without a driver the probe says so in one line and is skipped, and what it does not know is a usage error"
if ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'; then
    expect 77 "the NVIDIA driver cannot be loaded" "$probe" spin 1
    same "$("$probe" spin 1 2>&1 | wc -l)" 1
fi
for arguments in "" "dance" "spin -1" "spin 1s" "spin 1 a b"; do
    # shellcheck disable=SC2086
    expect 2 "usage: gpu_share_probe" "$probe" $arguments
done

fact "every check of the script passes over the fakes, and it leaves no process"
id=GPU-aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa
mkdir tools results
cat >tools/nvidia-smi <<S
#!/bin/sh
case \$1 in
*memory.reserved*) echo "$id, 40960, 512" ;;
*compute-apps*) echo "none" ;;
*) echo "the fake nvidia-smi" ;;
esac
S
chmod +x tools/nvidia-smi
printf 'gpu %s 40960 reserved=512 model=Fake_GPU\nprocess %s @%s/pid 8600 step=500\n' $id $id "$place" >driver.txt
export LD_LIBRARY_PATH="$build/tests/fake/driver" FAKE_CUDA_PID="$place/pid" FAKE_NVML_SCRIPT="$place/driver.txt"
export FAKE_MPS=version=13010
export HPT_NVML_PATH="$build/tests/fake/libfake_nvml.so" HPT_MPS_CONTROL="$build/tests/fake/nvidia-cuda-mps-control"
checks=inventory,half,quarter,escape,required,advisory,foreign,deaf,oom,fault,pair,lost,kill,static
[ ! -e "$build/lib/libhpt_gpu_cuda_mock.so" ] || checks=$checks,engine
PATH=$place/tools:$PATH "$source/scripts/gpu-share-check.sh" --mock --build "$build" --out "$place/results" --commit test --limit 500 --only $checks >out.txt 2>&1 ||
    fail "$(cat out.txt)"
same "$(grep -c '^FAIL' out.txt)" 0
for name in half_tier quarter_allocatable escape_tier required_ended advisory_ended deaf_terminate_client oom_driver fault_counted pair_controller pair_tier foreign_share lost_again lost_tier static_multiprocessors static_removed; do
    grep -q "^ok *$name" out.txt || fail "  $name was not checked"
done
expect 0 "| ok | deaf_terminate_client |" cat "$place/results/share-mock-test.md"
expect 0 "" python3 -m json.tool "$place/results/share-mock-test.json"

fact "a share that is not held fails its check: without MPS the tier is advisory and the whole GPU is seen"
PATH=$place/tools:$PATH HPT_MPS_CONTROL=$place/none "$source/scripts/gpu-share-check.sh" --mock --build "$build" --out "$place/results" \
    --commit test --only half >out.txt 2>&1 && fail "$(cat out.txt)"
for text in "FAIL  half_tier expected mps mps mps, seen advisory advisory advisory" "FAIL  half_multiprocessors expected 50 % of 132, to 2, seen 132"; do
    expect 0 "$text" cat out.txt
done
finish
