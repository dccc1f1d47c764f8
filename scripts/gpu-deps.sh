#!/bin/bash
# gpu-deps.sh: lays the Debian packages that a build with tests needs into a folder, unpacked, for a machine that has nvcc and a GPU
# but no package manager that reaches anything. Run it where Debian's packages can be had, take the folder along:
#
#   scripts/gpu-deps.sh build/gpu-deps          then, over there: scripts/gpu-check.sh --deps build/gpu-deps
set -euo pipefail
cd "$(dirname "$0")/.."
place=${1:?usage: scripts/gpu-deps.sh FOLDER}
packages="libcriterion-dev libcriterion3 libnanomsg5 libgit2-1.5 libffi8 libprotobuf-nanopb0 nanopb
libsqlite3-dev libsqlite3-0 libyaml-dev libyaml-0-2 libopenblas0-pthread libgfortran5 libquadmath0 pkgconf pkgconf-bin libpkgconf3"
mkdir -p "$place/debs"
cd "$place/debs"
for p in $packages; do
    apt-cache show "$p" >/dev/null 2>&1 || { echo "gpu-deps.sh: Debian has no package $p here, left out"; continue; }
    apt-get download -qq "$p"
done
cd ..
for deb in debs/*.deb; do dpkg-deb -x "$deb" .; done
rm -rf debs usr/share
# What Criterion is linked with statically, or through its own library, has no .pc file here.
sed -i '/^Requires.private/d' usr/lib/*/pkgconfig/criterion.pc
du -sh . | cut -f1 | sed 's/^/gpu-deps.sh: /'
