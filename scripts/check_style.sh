#!/bin/bash
# check_style.sh: the rules of docs/architecture.md that a machine can check. Prints each breach, ends with a count.
#
#   scripts/check_style.sh [--no-format]
set -u
cd "$(dirname "$0")/.." || exit 2
breaches=0
breach() { printf '%s\n' "$*"; breaches=$((breaches + 1)); }

# ---- who may include whom: arrows point down only
declare -A may=(
    [base]="base"
    [space]="base space"
    [backend]="base backend"
    [trials]="base space trials"
    [gp]="base space backend gp"
    [acq]="base space backend gp acq"
    [sampler]="base space trials backend gp acq sampler"
    [pruner]="base space trials pruner"
    [storage]="base space trials storage"
    [transfer]="base space trials storage transfer"
    [study]="base space backend trials sampler pruner storage transfer study"
    [devices]="base devices"
    [sweep]="base space study devices sweep"
    [serve]="base space study sweep serve"
    [process]="base devices process"
    [mps]="base devices process mps"
    [intake]="base sweep intake"
    [sched]="base space study devices sweep process mps intake sched"
)
for room in src/core/*/; do
    room=$(basename "$room")
    [ -n "${may[$room]:-}" ] || { breach "src/core/$room: a room that check_style.sh does not know"; continue; }
    while IFS=: read -r file line text; do
        target=$(sed -E 's/.*"\.\.\/([a-z_]+)\/.*/\1/' <<<"$text")
        [[ " ${may[$room]} " == *" $target "* ]] || breach "$file:$line: room $room may not include room $target"
    done < <(grep -nE '#include "\.\./' -r "src/core/$room" --include='*.[ch]' --include='*.def')
done
while IFS= read -r hit; do breach "$hit: backends see core/backend/backend_impl.h and core/base only"; done \
    < <(grep -nE '#include "\.\./' -r src/cpu src/cuda 2>/dev/null | grep -vE '#include "\.\./(core/backend|core/base)/[a-z_]+\.h"')
# bench/surrogate and bench/sched measure what no public function reaches: programs of their own.
while IFS= read -r hit; do breach "$hit: only public headers (<hpt.h>, <hpt/...>) here"; done \
    < <(grep -nE '#include "(\.\./|core/|cpu/)' -r src/cli bench examples --include='*.c' --include='*.h' 2>/dev/null | grep -vE '^bench/(surrogate|sched)/')
while IFS= read -r hit; do breach "$hit: a public header includes only <hpt/...> and the C standard library"; done \
    < <(grep -nE '#include' -r include | grep -vE '#include <(hpt/[a-z_]+\.h|std[a-z]+\.h|string\.h|math\.h|limits\.h|errno\.h|fcntl\.h|unistd\.h|ctype\.h|time\.h|sys/[a-z]+\.h|poll\.h)>' | grep -v '^include/hpt\.h:')

# ---- what a library never does
while IFS= read -r hit; do breach "$hit: the library never exits, aborts or prints"; done \
    < <(grep -nE '(^|[^a-z_A-Z.>])(exit|abort|printf|puts|putchar|perror|vprintf|fprintf|srand|rand|setlocale)\(' -r src/core src/cpu src/cuda --include='*.c' --include='*.cu' | grep -vE ':[0-9]+: *(//|\*)')
while IFS= read -r hit; do breach "$hit: allocate through base/alloc.h"; done \
    < <(grep -nE '(^|[^a-z_A-Z.>])(malloc|calloc|realloc|free|strdup|strndup|asprintf)\(' -r src/core src/cpu src/cuda --include='*.c' | grep -vE '^src/core/base/alloc\.c|:[0-9]+: *(//|\*)')

# ---- one file knows backends
leaks=$(grep -rniE 'cuda|cublas|cusolver' src --include='*.c' --include='*.h' -l 2>/dev/null |
    grep -vE '^src/cuda/|^src/core/backend/backend_list\.c$' | xargs -r grep -niE 'cuda|cublas|cusolver' |
    grep -vE 'CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|CUDA_MPS_|nvidia-cuda-mps' | grep -vE ':[0-9]+: *(//|\*)' | wc -l) # comments, the variables that trials read and NVIDIA's daemon do not count
[ "$leaks" -eq 0 ] || breach "$leaks lines outside src/cuda and backend_list.c mention CUDA (goal: zero)"

# ---- files
while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le 800 ] || breach "$file: $lines lines (limit 800)"
done < <(git ls-files '*.c' '*.cc' '*.h' '*.py' '*.sh' '*.f90' | xargs wc -l)
while IFS= read -r name; do breach "two files are called $name"; done \
    < <(git ls-files 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.cc' 'bench/*.c' | xargs -n1 basename | sort | uniq -d)
while IFS= read -r file; do
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || breach "$file: no SPDX line at its head"
done < <(git ls-files '*.c' '*.cc' '*.h' '*.def' '*.f90')
while IFS= read -r hit; do breach "$hit: TODO and the like belong into an issue"; done \
    < <(git grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -- '*.c' '*.cc' '*.h' '*.py' '*.f90' || true)
while IFS= read -r file; do breach "$file: tab or trailing blank"; done \
    < <(git ls-files '*.c' '*.cc' '*.h' '*.py' '*.yaml' '*.f90' | xargs grep -lP '\t| $' 2>/dev/null)

# ---- formatting
if [ "${1:-}" != --no-format ]; then
    format=$(command -v clang-format-14 || command -v clang-format || true)
    if [ -z "$format" ]; then
        breach "clang-format 14 is not installed (apt-get install clang-format-14, or --no-format)"
    else
        while IFS= read -r file; do
            "$format" --dry-run --Werror "$file" >/dev/null 2>&1 || breach "$file: not formatted (clang-format -i)"
        done < <(git ls-files 'src/*.c' 'src/*.h' 'include/*.h' 'bench/*.c' 'bench/*.h' 'tests/*.c' 'tests/*.h' 'tests/*.cc' 'examples/*.c')
    fi
fi

echo "check_style: $breaches breaches"
[ "$breaches" -eq 0 ]
