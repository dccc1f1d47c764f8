#!/bin/bash
# gpu-deps.sh: lays the Debian packages that a build with tests needs into a folder, unpacked, for a machine that has nvcc and a GPU
# but no package manager that reaches anything. Run it where Debian's packages can be had, take the folder along:
#
#   scripts/gpu-deps.sh build/gpu-deps          then, over there: scripts/gpu-check.sh --deps build/gpu-deps
#
# FOLDER.tgz beside the folder holds the same, a third as large; --deps takes either.
set -euo pipefail
cd "$(dirname "$0")/.."
place=${1:?usage: scripts/gpu-deps.sh FOLDER}
# Criterion's library wants libgit2, and that half of a web client.
packages="libcriterion-dev libcriterion3 libnanomsg5 libgit2-1.5 libffi8 libssl3 zlib1g libpcre2-8-0
libhttp-parser2.9 libmbedcrypto7 libmbedtls14 libmbedx509-1 libssh2-1 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0
libkeyutils1 libcom-err2 libsqlite3-dev libsqlite3-0 libyaml-dev libyaml-0-2 libopenblas0-pthread libgfortran5 libquadmath0 pkgconf
pkgconf-bin libpkgconf3"
mkdir -p "$place/debs"
cd "$place/debs"
for p in $packages; do
    apt-cache show "$p" >/dev/null 2>&1 || { echo "gpu-deps.sh: Debian has no package $p here, left out"; continue; }
    apt-get download -qq "$p"
done
cd ..
for deb in debs/*.deb; do dpkg-deb -x "$deb" .; done
rm -rf debs usr/share
find . -name '*.a' -delete
find . -path '*/openblas-pthread/lib[bl]*.so.3' -delete # libopenblas.so.0 holds both
# What Criterion is linked with statically, or through its own library, has no .pc file here.
sed -i '/^Requires.private/d' usr/lib/*/pkgconfig/criterion.pc
tar czf "../$(basename "$PWD").tgz" .
du -sh . | cut -f1 | sed 's/^/gpu-deps.sh: /'
