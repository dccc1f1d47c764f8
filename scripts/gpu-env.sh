# shellcheck shell=bash disable=SC2034,SC2154
# gpu-env.sh: sourced by gpu-check.sh and gpu-share-check.sh, in the repository's root: what both find out before they begin.
#
# Takes:  deps (packages of gpu-deps.sh or ""), device (cuda, or a mock), commit (or ""), log (a folder of the caller's)
# Gives:  marked (process ids of all that this script has started, however deep: they carry GPU_CHECK); gpu, driver, capability; name and commit, of which result files are made; PATH, LD_LIBRARY_PATH, HPT_CUDA_PATH, PKG_CONFIG_*
export GPU_CHECK=$log
marked() {
    grep -lszFx "GPU_CHECK=$log" /proc/[0-9]*/environ | tr -dc '0-9\n'
}
if [ -n "$deps" ]; then
    if [ -f "$deps" ]; then
        mkdir "$log/deps" && tar xzf "$deps" -C "$log/deps" || exit 2
        deps=$log/deps
    fi
    deps=$(cd "$deps" && pwd) || exit 2
    libs=$deps/usr/lib/$(uname -m)-linux-gnu
    export PATH="$deps/usr/bin:$PATH"
    export LD_LIBRARY_PATH="$libs:$libs/openblas-pthread${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export PKG_CONFIG_SYSROOT_DIR=$deps PKG_CONFIG_LIBDIR=$libs/pkgconfig:$deps/usr/share/pkgconfig
    export LIBRARY_PATH="$libs${LIBRARY_PATH:+:$LIBRARY_PATH}"
fi
if [ "$device" = cuda ]; then
    gpu=$(nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader 2>/dev/null | head -n 1)
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
else
    gpu="mock, 9.0" driver=none
fi
[ -n "$gpu" ] || { echo "$(basename "$0"): nvidia-smi shows no GPU on this machine"; exit 2; }
name=$(cut -d, -f1 <<<"$gpu" | tr -c 'A-Za-z0-9\n' '-' | tr "[:upper:]" "[:lower:]" | sed 's/^nvidia-//')
capability=$(cut -d, -f2 <<<"$gpu" | tr -d ' .')
if [ -z "$commit" ]; then
    commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
    git diff --quiet 2>/dev/null || commit=$commit-changed
fi
# Where the toolkit's libraries may be: beside nvcc, and where pip puts them.
toolkit=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")")")
pip=$(python3 -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null)
export HPT_CUDA_PATH="${HPT_CUDA_PATH:-$toolkit${pip:+:$pip}}"
echo "GPU: $gpu; commit $commit; driver $driver; $(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/toolkit \1/p')"
