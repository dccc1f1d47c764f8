#!/bin/bash
# gpu-share-check.sh: what docs/gpu-sharing.md says of shares of a GPU, tried on a real one in two minutes: small sweeps whose trials are
# gpu_share_probe (tests/gpu/share_probe.c). Writes share-<gpu>-<commit>.json and a page with all raw output beside the results of
# gpu-check.sh. Changes no setting of the card.
#
#   scripts/gpu-share-check.sh [--build FOLDER] [--out FOLDER] [--commit NAME] [--deps PLACE] [--only NAME,NAME] [--limit SECONDS]
#     --build  folder of a build: hpt and gpu_share_probe in its bin (default: build/gpu)
#     --out    where results go (default: bench/results)
#     --commit, --deps  as for gpu-check.sh
#     --only   these checks: inventory half quarter escape required advisory learn foreign deaf engine oom fault pair lost kill static
#     --limit  of the whole, in seconds (default: 120); checks for which too little is left are left out
#     --mock   the script itself, tried over the fakes of tests/nvml, tests/mps and tests/gpu (tests/gpu/test_gpu_share.sh)
# Each line is ok, FAIL (expected and seen) or note (a fact without a verdict). Ends with 0 only if nothing failed.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 2
deps="" out=bench/results build=build/gpu device=cuda commit="" only="" limit=120
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --commit) commit=$2; shift 2 ;;
    --deps) deps=$2; shift 2 ;;
    --only) only=,$2,; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --mock) device=cuda:mock; shift ;;
    *) sed -n '2,15p' "$0"; exit 2 ;;
    esac
done
given_libraries=${LD_LIBRARY_PATH-}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
mkdir -p "$out" && out=$(cd "$out" && pwd) && build=$(cd "$build" && pwd) || exit 2
. scripts/gpu-env.sh
probe=$build/bin/gpu_share_probe
for file in "$build/bin/hpt" "$probe"; do
    [ -x "$file" ] || { echo "gpu-share-check.sh: $file is not there; build it, or name the build's folder (--build)"; exit 2; }
done
export LD_LIBRARY_PATH="$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PATH="$build/bin:$PATH"
export XDG_CACHE_HOME=$log/cache HPT_DISABLE_FLAPPING=1
export HPT_RUN_SM_PARTITIONS=off # but in check static
unset HPT_STORAGE HPT_DEVICE HPT_RUN_ENFORCE HPT_FAKE_DEVICES CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
control=${HPT_MPS_CONTROL:-nvidia-cuda-mps-control}
cd "$log" || exit 2
begin=$SECONDS

# ---- processes of this check

ours() { # "PID NAME" of each that is named so (an extended regular expression)
    local pid comm
    marked | while read -r pid; do
        comm=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
        [[ $comm =~ ^($1)$ ]] && echo "$pid $comm"
    done
}
end_ours() {
    local pid
    for pid in $(ours hpt | cut -d' ' -f1); do kill -TERM "$pid" 2>/dev/null; done
    await 8 none_left hpt
    for pid in $(ours 'hpt|gpu_share_probe|python3.*|nvidia-cuda-mps.*' | cut -d' ' -f1); do kill -KILL "$pid" 2>/dev/null; done
}
none_left() { [ -z "$(ours "$1")" ]; }
trap 'end_ours; rm -rf "$log"' EXIT
trap 'exit 130' INT TERM HUP

# ---- results

# result STATUS NAME EXPECTED SEEN
result() {
    local expected=${3//[$'\t\n']/ } seen=${4//[$'\t\n']/ }
    printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$expected" "$seen" >>checks.tsv
    if [ "$1" = FAIL ]; then
        printf 'FAIL  %s expected %s, seen %s\n' "$2" "$expected" "$seen"
    else
        printf '%-5s %s %s\n' "$1" "$2" "$seen"
    fi
}
# holds NAME EXPECTED SEEN COMMAND...: a check, true if COMMAND succeeds.
holds() {
    local name=$1 expected=$2 seen=$3 status=ok
    shift 3
    "$@" >/dev/null 2>&1 || status=FAIL
    result $status "$name" "$expected" "$seen"
}
note() { result note "$1" "" "$2"; }
# keep TITLE FILE: for the page of raw outputs.
keep() {
    [ -s "$2" ] || return 0
    printf '\n### %s\n\n```\n' "$1"
    if [ "$(wc -l <"$2")" -gt 120 ]; then
        head -n 80 "$2"
        echo "... ($(($(wc -l <"$2") - 120)) lines left out)"
        tail -n 40 "$2"
    else
        cat "$2"
    fi | tr -d '\r' | cut -c1-600
    printf '```\n'
} >>raw.md
left() { echo $((limit - SECONDS + begin)); }
# await SECONDS COMMAND...: until it succeeds, at most so long.
await() {
    local until=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/./}" -lt $until ] || return 1
        sleep 0.05
    done
}
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }'; }

# ---- runs

# sweep NAME TRIALS RESOURCES COMMAND [GRACE]: writes NAME.yaml. COMMAND is a shell's and holds no single quote.
sweep() {
    cat >"$1.yaml" <<S
method: random
metric: {name: loss, goal: minimize}
run_cap: $2
parameters: {x: {min: 0.0, max: 1.0}, y: {min: 0.0, max: 1.0}}
command: [sh, -c, '$4']
hpt: {resources: {$3, cpu: 0.1}, grace: ${5:-2}}
S
}
# start NAME SECONDS ARGUMENT...: hpt run in the background; its lines, each with its time, go to NAME.out.
start() {
    local name=$1 seconds=$2 line
    shift 2
    [ $device = cuda ] || seconds=$((seconds * 4)) # other tests run beside it
    [ "$seconds" -lt "$(left)" ] || seconds=$(left)
    {
        timeout -k 15 "$seconds" hpt run "$name.yaml" --study "$name" --dir "$name" --gpus "$uuid" --seed 1 "$@" 2>&1 </dev/null
        echo "status $?"
    } | while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done >"$name.out" &
    job=$!
}
# finish NAME: waits for it, keeps all that it left.
finish() {
    local file rest
    wait "$job"
    rest=$(ours 'hpt|gpu_share_probe|nvidia-cuda-mps.*')
    if [ -n "$rest" ]; then # what it leaves would spoil the next run
        result FAIL "$1_left" "no process" "$rest"
        end_ours
    fi
    hpt trials --run "$1" --columns number,state,outcome,tier,device,share,gpu_memory,seconds,by,reason --format csv 2>&1 | tr -d '\r' >"$1.trials"
    hpt trials --run "$1" --columns number,gpu_peak >"$1.peaks" 2>/dev/null && keep "$1: what the driver counted for the trials" "$1.peaks"
    keep "$1: hpt run" "$1.out"
    keep "$1: hpt trials" "$1.trials"
    for file in "$1"/trials/*/std*.log; do keep "$file" "$file"; done
}
run() {
    start "$@"
    finish "$1"
}
# cell NAME TRIAL COLUMN: of the table above; the reason, which may hold commas, is its last.
cell() {
    awk -F, -v t="$2" -v c="$3" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == c) k = i; n = NF; next }
        $1 == t { if (k == n) for (i = n + 1; i <= NF; i++) $k = $k "," $i; gsub(/^"|"$/, "", $k); print $k }' "$1.trials"
}
cells() { cut -d, -f1 "$1.trials" | tail -n +2 | while read -r t; do cell "$1" "$t" "$2"; done | tr '\n' ' ' | sed 's/ $//'; }
# said NAME TRIAL KEY: the last value that a probe printed under a name.
said() { printed "$1/trials/$(printf %06d "$2")/stdout.log" "$3"; }
printed() { grep -ohE "(^| )$2=[^ ]*" "$1" 2>/dev/null | tail -n 1 | sed 's/^ *[^=]*=//'; }
errors_of() { tail -qn 1 "$1/trials/$(printf %06d "$2")/stderr.log" 2>/dev/null; }
reports() { [ -n "$(said "$1" "$2" loss)" ]; }
has() { grep -qsF -- "$2" "$1"; }
more_than() { [ "$(grep -csF -- "$3" "$2")" -gt "$1" ]; } # lines, in a file, with a text
gone() { ! kill -0 "$1" 2>/dev/null; }
between() { [ -n "$1" ] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }
either() { [ "$1" = "$2" ] || [ "$1" = "$3" ]; }

# A control program that writes down what it is told and answers.
logged_control() { # NAME
    cat >"$1.control" <<S
#!/bin/sh
case \${1-} in -*) echo "\$(date +%s.%3N) \$*" >>"$log/$1.mps"; exec "$control" "\$@" ;; esac
in=\$(mktemp "$log/call.XXXXXX")
cat >"\$in"
"$control" <"\$in" >"\$in.answer" 2>&1
status=\$?
echo "\$(date +%s.%3N) \$(tr '\n' ';' <"\$in") -> status \$status: \$(tr '\n' ';' <"\$in.answer")" >>"$log/$1.mps"
cat "\$in.answer"
rm "\$in" "\$in.answer"
exit \$status
S
    chmod +x "$1.control"
    echo "$log/$1.control"
}
ask_control() { CUDA_MPS_PIPE_DIRECTORY=$1 timeout 2 "$control" <<<"$2" 2>&1; }
# poll NAME: how the servers of a run are, whenever that changes, and copies of their logs, until NAME.over exists.
poll() {
    local root folder server text last=""
    mkdir "$1.logs"
    while [ ! -e "$1.over" ]; do
        root=$(cut -d' ' -f2 "$1/mps.txt" 2>/dev/null)
        text=""
        cp -f "${root:-/nonexistent}"/*.log/*.log "$1.logs" 2>/dev/null
        for folder in "${root:-/nonexistent}"/*.[0-9]; do
            [ -d "$folder" ] || continue
            for server in $(ask_control "$folder" get_server_list); do
                [[ $server =~ ^[0-9]+$ ]] || { text="$text $server"; continue; }
                text="$text ${folder##*/} server $server: $(ask_control "$folder" "get_server_status $server" | tr '\n' ' ')"
                text="$text; clients $(ask_control "$folder" "get_client_list $server" | tr '\n' ' ')"
            done
        done
        [ "$text" = "$last" ] || printf '%s%s\n' "$EPOCHREALTIME" "${text:- no server}"
        last=$text
        sleep 0.1
    done >"$1.states"
}

# ---- the checks

inventory() {
    local line id total reserved mib
    nvidia-smi --query-gpu=uuid,memory.total,memory.reserved --format=csv,noheader,nounits >smi.txt
    env -u CUDA_VISIBLE_DEVICES hpt devices --format csv | tr -d '\r' >devices.csv
    hpt devices >devices.txt 2>&1
    keep "hpt devices" devices.txt
    keep "hpt devices --format csv" devices.csv
    keep "nvidia-smi --query-gpu=uuid,memory.total,memory.reserved" smi.txt
    column() { awk -F, -v c="$1" 'NR == 1 { for (i = 1; i <= NF; i++) k[$i] = i; next } $k["kind"] == "gpu" && $k["profile"] == "" { print $k[c] }' devices.csv; }
    local ids
    ids=$(column uuid | sort | tr '\n' ' ')
    holds inventory_gpus "$(cut -d, -f1 smi.txt | sort | tr '\n' ' ')" "$ids" [ "$ids" = "$(cut -d, -f1 smi.txt | sort | tr '\n' ' ')" ]
    while IFS=', ' read -r id total reserved; do
        mib=$(paste -d, <(column uuid) <(column memory_bytes) | awk -F, -v u="$id" '$1 == u { printf "%d", $2 / 1048576 }')
        [[ $reserved =~ ^[0-9]+$ ]] || reserved=$((total / 50)) # not told
        holds inventory_memory "$total MiB less at most $reserved reserved" "$mib MiB" between "$mib" $((total - reserved - 2)) "$total"
    done <smi.txt
}

half() {
    local i most tiers
    sweep half 3 "gpu: 0.5" "exec $probe report 4"
    run half 30
    tiers=$(cells half tier)
    holds half_done "COMPLETE three times" "$(cells half state)" [ "$(cells half state)" = "COMPLETE COMPLETE COMPLETE" ]
    holds half_tier "mps mps mps" "$tiers" [ "$tiers" = "mps mps mps" ]
    for i in 0 1 2; do
        holds half_visible "$uuid" "$(said half $i CUDA_VISIBLE_DEVICES)" [ "$(said half $i CUDA_VISIBLE_DEVICES)" = "$uuid" ]
        holds half_gpu "1 GPU $uuid" "$(said half $i gpus) GPU $(said half $i uuid)" [ "$(said half $i gpus) $(said half $i uuid)" = "1 $uuid" ]
        held half $i 50
    done
    most=$(for i in 0 1 2; do echo "$(said half $i start) 1"; echo "$(said half $i end) -1"; done | sort -n |
        awk '{ n += $2; if (n > m) m = n } END { print m }')
    holds half_at_once "2" "$most" [ "$most" = 2 ]
}

# held NAME TRIAL PERCENT: processors and memory that a probe could have are its share's.
held() {
    local seen share mib
    seen=$(said "$1" "$2" multiprocessors)
    # The hardware parts multiprocessors in pairs.
    holds "$1_multiprocessors" "$3 % of $whole_multiprocessors, to 2" "$seen" between "$seen" $((whole_multiprocessors * $3 / 100 - 2)) $(((whole_multiprocessors * $3 + 99) / 100 + 2))
    share=$(($(cell "$1" "$2" gpu_memory) / 1048576))
    mib=$(said "$1" "$2" allocatable_mib)
    holds "$1_allocatable" "at most $share MiB, more than half of it" "$mib MiB, then $(said "$1" "$2" refused_by)" between "$mib" $((share / 2)) $share
}

quarter() {
    sweep quarter 1 "gpu: 0.25, gpu_memory: 2GiB" "exec $probe report 3"
    run quarter 20
    holds quarter_tier mps "$(cells quarter tier)" [ "$(cells quarter tier)" = mps ]
    held quarter 0 25
    holds quarter_share "2048 MiB" "$(cell quarter 0 gpu_memory) bytes" [ "$(cell quarter 0 gpu_memory)" = 2147483648 ]
}

escape() {
    local text="computes on $uuid beside its MPS server"
    sweep escape 1 "gpu: 0.5" "exec $probe escape 16 $log/escape.go"
    start escape 25
    await 15 has escape.out "$text"
    nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv >escape.smi 2>&1
    ours gpu_share_probe >>escape.smi
    touch escape.go
    finish escape
    keep "escape: nvidia-smi --query-compute-apps, and the probe's process" escape.smi
    holds escape_tier "unenforced, done" "$(cells escape tier), $(cells escape outcome)" [ "$(cells escape tier) $(cells escape outcome)" = "unenforced done" ]
    holds escape_notice "a line that says so" "$(grep -F "$text" escape.out | cut -d' ' -f2-)" has escape.out "$text"
}

required() {
    sweep required 1 "gpu: 0.5" "exec $probe escape 16"
    run required 25 -o run.enforce=required
    holds required_ended "unenforced failed" "$(cells required tier) $(cells required outcome)" [ "$(cells required tier) $(cells required outcome)" = "unenforced failed" ]
    note required_reason "$(cells required reason)"
}

two() { # NAME: trial 0 computes and is deaf, trial 1 computes until NAME.go; both are under way when this returns
    sweep "$1" 2 "gpu: 0.5" "case \$HPT_TRIAL in 0) exec $probe deaf 40 ;; *) exec $probe spin 40 $log/$1.go ;; esac" 1
    HPT_MPS_CONTROL=$(logged_control "$1") start "$1" 45
    poll "$1" &
    poller=$!
    await 15 reports "$1" 0 && await 15 reports "$1" 1
    sleep 1.5
    nvidia-smi >"$1.smi" 2>&1
    nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv >>"$1.smi" 2>&1
    keep "$1: nvidia-smi while two clients compute" "$1.smi"
}
# polled NAME: finishes it and its poll, and keeps what was seen.
polled() {
    local file
    finish "$1"
    touch "$1.over"
    wait "$poller"
    keep "$1: the control program, as hpt used it" "$1.mps"
    keep "$1: servers and clients, polled" "$1.states"
    for file in "$1".logs/*; do keep "$file" "$file"; done
}

deaf() {
    local pid from took steps
    two deaf
    pid=$(said deaf 0 pid)
    from=$EPOCHREALTIME
    hpt stop 0 --run deaf >deaf.stop 2>&1
    await 14 gone "${pid:-0}"
    took=$(since "$from")
    steps=$(said deaf 1 step)
    sleep 2
    steps="$steps, then $(said deaf 1 step)"
    touch deaf.go
    polled deaf
    holds deaf_gone "within 1 s of grace and 10 s" "after $took s" awk -v t="$took" 'BEGIN { exit !(t < 12) }'
    holds deaf_outcome pruned "$(cell deaf 0 outcome)" [ "$(cell deaf 0 outcome)" = pruned ]
    holds deaf_terminate_client "answered with 0 before the kill" "$(grep -F terminate_client deaf.mps | cut -d' ' -f2-)" grep -qE 'terminate_client.* -> status 0: 0;$' deaf.mps
    holds deaf_no_drain "no controller started anew" "$(grep -cF 'could not end a client' deaf.out) lines that say so" [ "$(grep -cF 'could not end a client' deaf.out)" = 0 ]
    holds deaf_neighbour "done, all results right" "$(cell deaf 1 outcome) $(errors_of deaf 1)" [ "$(cell deaf 1 outcome)" = "done" ]
    note deaf_neighbour_steps "$steps"
}

# For comparison: what NVIDIA calls undefined.
killed() {
    local pid
    two kill
    pid=$(said kill 0 pid)
    [ -z "$pid" ] || kill -9 "$pid"
    sleep 3
    touch kill.go
    polled kill
    note kill_neighbour "$(cell kill 1 outcome) $(errors_of kill 1)"
    note kill_states "$(cut -d' ' -f2- kill.states | sed 's/[0-9]\{2,\}/N/g' | uniq | tr '\n' '|' | cut -c1-300)"
}

fault() {
    local i from
    sweep fault 3 "gpu: 0.5" "case \$HPT_TRIAL in 0) exec $probe fault 100 ;; 1) [ \$HPT_ATTEMPT != 0 ] || exec $probe spin 40 $log/fault.go ;; esac; exec $probe spin 1"
    HPT_MPS_CONTROL=$(logged_control fault) start fault 45
    poll fault &
    poller=$!
    await 25 has fault/trials/000000/stdout.log faults=
    sleep 3
    touch fault.go # if the neighbour is unharmed
    polled fault
    dmesg 2>/dev/null | grep -i xid | tail -n 20 >fault.xid
    keep "fault: Xid lines of the kernel's log" fault.xid
    hpt export --run fault --format jsonl 2>&1 | sed -E 's/"reports":\[\[.*\]\],//' >fault.jsonl
    keep "fault: hpt export, without reports" fault.jsonl
    holds fault_counted "all three trials ended" "$(cells fault state)" [ "$(cells fault state | tr ' ' '\n' | grep -cE 'COMPLETE|FAIL')" = 3 ]
    holds fault_charged "FAIL" "$(cell fault 0 state) $(cell fault 0 outcome)" [ "$(cell fault 0 state)" = FAIL ]
    holds fault_next "done" "$(cell fault 2 outcome) $(errors_of fault 2)" [ "$(cell fault 2 outcome)" = "done" ]
    if grep -q collateral fault.out fault.jsonl; then
        holds fault_neighbour "collateral, done at its next attempt" "$(cell fault 1 outcome)" [ "$(cell fault 1 outcome)" = "done" ]
    else
        note fault_neighbour "$(cell fault 1 outcome) $(cell fault 1 reason)"
    fi
    for i in 0 1 2; do note "fault_words_$i" "$(tr '\n' '|' <"fault/trials/00000$i/stderr.log")"; done
    from=$(grep -ohE 'faults=[^ ]*' fault/trials/000000/stdout.log | head -n 1 | cut -d= -f2)
    note fault_states "$(awk -v f="${from:-0}" '{ t = $1; $1 = ""; printf "%+.2f s%s | ", t - f, $0 }' fault.states | cut -c1-900)"
    note fault_usable_again "$(grep -ohE 'ready=[^ ]*' fault/trials/*/stdout.log | cut -d= -f2 | sort -n |
        awk -v f="${from:-0}" '$1 > f { printf "a client computes %.2f s after the first fault", $1 - f; exit }')"
}

# Two runs on one GPU: a client of the second faults, then the first ends, and the second goes on.
pair() {
    local first second pid pipe_a pipe_b steps
    sweep pair_a 1 "gpu: 0.5" "[ \$HPT_ATTEMPT = 0 ] || exec $probe spin 1; exec $probe spin 30 $log/pair_a.go"
    sweep pair_b 2 "gpu: 0.5" "[ \$HPT_TRIAL = 0 ] || exec $probe spin 30 $log/pair_b.go; [ \$HPT_ATTEMPT = 0 ] || exec $probe spin 1; exec $probe fault 100"
    start pair_a 40
    first=$job
    await 15 reports pair_a 0
    start pair_b 40
    second=$job
    await 15 reports pair_b 0
    pipe_of() {
        pid=$(said "$1" 0 pid)
        tr '\0' '\n' <"/proc/${pid:-0}/environ" 2>/dev/null | sed -n 's/^CUDA_MPS_PIPE_DIRECTORY=//p'
    }
    pipe_a=$(pipe_of pair_a) pipe_b=$(pipe_of pair_b)
    await 15 has pair_b/trials/000000/stdout.log faults=
    sleep 1
    touch pair_a.go # if the neighbour is unharmed
    wait "$first"
    await 15 reports pair_b 1
    steps=$(said pair_b 1 step)
    sleep 1.5
    steps="$steps, then $(said pair_b 1 step)"
    touch pair_b.go
    job=$second
    finish pair_b
    job=$first
    finish pair_a
    holds pair_controller "one pipe folder" "'$pipe_a' and '$pipe_b'" [ -n "$pipe_a" -a "$pipe_a" = "$pipe_b" ]
    holds pair_tier mps "$(cell pair_b 1 tier)" [ "$(cell pair_b 1 tier)" = mps ]
    holds pair_outlives "the second run's trial computes after the first has ended" "step $steps" [ "${steps%%,*}" != "${steps##* }" ]
    holds pair_done "done, and done twice" "$(cells pair_a outcome), $(cells pair_b outcome)" [ "$(cells pair_a outcome) $(cells pair_b outcome)" = "done done done" ]
    collateral() { hpt export --run "$1" --format jsonl 2>/dev/null | grep -o collateral | wc -l; }
    note pair_fault "times that a trial was collateral: first run $(collateral pair_a), second $(collateral pair_b)"
}

# A control daemon that does not answer for a while, then one that is killed: its GPU comes back under MPS each time.
lost() {
    local root daemon before after pid again="is used with MPS again"
    sweep lost 100 "gpu: 0.5" "if [ -e $log/lost.long -a ! -e $log/lost.go ]; then exec $probe spin 60 $log/lost.go; fi; exec $probe spin 1"
    start lost 90
    await 15 reports lost 1
    root=$(cut -d' ' -f2 lost/mps.txt)
    daemon() { daemon=$(cat "$root"/*.[0-9]/nvidia-cuda-mps-control.pid 2>/dev/null | head -n 1); }
    daemon
    if [ $device = cuda ]; then # the fakes answer without their daemon
        kill -STOP "${daemon:-0}"
        await 30 has lost.out "until it answers again"
        sleep 1
        kill -CONT "${daemon:-0}"
        await 30 has lost.out "$again"
        sleep 2
        holds lost_silent "advisory until it answers, then used again" "$(grep -F MPS lost.out | cut -d' ' -f2- | tr '\n' '|')" has lost.out "$again"
    fi
    before=$(grep -cF "$again" lost.out)
    touch lost.long
    sleep 5
    daemon
    kill -KILL "${daemon:-0}"
    steps() { # the last of each trial that has not ended
        local file
        for file in lost/trials/*/stdout.log; do grep -q end= "$file" || printf '%s ' "$(printed "$file" step)"; done
    }
    sleep 1
    after=$(steps)
    sleep 2
    note lost_clients "clients of the daemon that was killed: steps $after, 2 s later $(steps)$(tail -qn 1 lost/trials/*/stderr.log | sort | uniq -c | tr '\n' '|')"
    touch lost.go
    await 45 more_than "$before" lost.out "$again"
    sleep 4
    pid=$(tr -dc 0-9 <lost/run.lock 2>/dev/null)
    [ -z "$pid" ] || kill -TERM "$pid"
    finish lost
    holds lost_again "a line" "$(grep -F MPS lost.out | tail -n 3 | cut -d' ' -f2- | tr '\n' '|')" more_than "$before" lost.out "$again"
    holds lost_tier "mps, at last" "$(cells lost tier)" [ "$(awk -F, 'NR > 1 && $3 == "done" { t = $4 } END { print t }' lost.trials)" = mps ]
    note lost_outcomes "$(cells lost outcome | tr ' ' '\n' | sort | uniq -c | tr '\n' ' ')"
}

# What trials are seen to take, and what later ones get.
learn() {
    local first last peak
    sweep learn 8 "gpu: 0.25, gpu_memory: learn" "exec $probe hold 3 0.05"
    run learn 40
    first=$(cell learn 0 gpu_memory) last=$(cell learn 7 gpu_memory) peak=$(awk '$1 == 7 { print $2 $3 }' learn.peaks)
    holds learn_done "done 8 times" "$(cells learn outcome)" [ "$(cells learn outcome | tr ' ' '\n' | grep -c 'done')" = 8 ]
    holds learn_less "less than half of what the first had" "$first bytes, the last $last, its peak $peak" [ "${last:-0}" -gt 0 -a "${last:-0}" -lt $((${first:-0} / 2)) ]
    sweep whole 2 "gpu: 1" "exec $probe hold 3 0.05"
    run whole 20
    note learn_whole "peaks of trials of a whole GPU that hold a twentieth of it: $(tail -n +2 whole.peaks | tr -s ' \n' ' ')"
}

# Memory that a program has which is no trial's.
foreign() {
    local text="programs that are no trials have it" mib pid
    "$probe" hold 60 0.1 >foreign.txt 2>&1 &
    pid=$!
    await 15 has foreign.txt holds=
    sleep 0.5
    sweep foreign 1 "gpu: 0.5" "exec $probe report 1"
    start foreign 20
    wait "$job"
    { kill -KILL $pid && wait $pid; } 2>/dev/null
    finish foreign
    mib=$(($(cell foreign 0 gpu_memory) / 1048576))
    holds foreign_line "a line" "$(head -n 3 foreign.out | cut -d' ' -f2- | tr '\n' '|')" has foreign.out "$text"
    holds foreign_share "half of what is left" "$mib MiB" between "$mib" $((total_mib / 3)) $((total_mib * 46 / 100))
    holds foreign_done "done" "$(cells foreign outcome)" [ "$(cells foreign outcome)" = "done" ]
}

# Static SM partitions, where the control program offers them. The third trial asks for its GPU by UUID, which is not known to work.
static() {
    local i version seen
    version=$("$control" -v 2>/dev/null </dev/null | sed -n 's/.*Binary version: *\([0-9]*\).*/\1/p' | head -n 1)
    if [ "${version:-0}" -lt 13010 ]; then
        note static "the control program's version is ${version:-unknown}: it has no static SM partitions"
        return
    fi
    sweep static 3 "gpu: 0.5" "[ \$HPT_TRIAL != 2 ] || export CUDA_VISIBLE_DEVICES=$uuid; exec $probe report 4"
    HPT_MPS_CONTROL=$(logged_control static) run static 40 -o run.sm_partitions=on
    keep "static: the control program, as hpt used it" static.mps
    for i in 0 1; do
        holds static_done "done, tier mps-static" "$(cell static $i outcome), $(cell static $i tier)" [ "$(cell static $i outcome) $(cell static $i tier)" = "done mps-static" ]
        holds static_named "a partition of $uuid" "$(said static $i CUDA_MPS_SM_PARTITION)" has "static/trials/00000$i/stdout.log" "CUDA_MPS_SM_PARTITION=$uuid/"
        seen=$(said static $i multiprocessors)
        holds static_multiprocessors "two fifths of $whole_multiprocessors to half, and a chunk's rest" "$seen" between "$seen" $((whole_multiprocessors * 2 / 5)) $((whole_multiprocessors / 2 + 14))
        seen=$(said static $i allocatable_mib)
        holds static_allocatable "at most half of $total_mib MiB" "$seen MiB" between "$seen" $((total_mib / 4)) $((total_mib / 2))
        note static_seen "$(said static $i gpus) GPU $(said static $i uuid)"
    done
    seen=$(grep -oE 'sm_partition (add|rm)' static.mps | sort | uniq -c | tr -s ' \n' ' ')
    holds static_removed "at least one is removed before the run ends" "$seen" has static.mps "sm_partition rm"
    note static_by_uuid "with CUDA_VISIBLE_DEVICES=$uuid: $(cell static 2 outcome), $(said static 2 gpus) GPU $(said static 2 uuid) $(errors_of static 2)"
}

advisory() {
    # A second attempt, with more than a quarter, takes its half at once.
    sweep advisory 1 "gpu: 0.25" "[ \$HPT_ATTEMPT = 0 ] || exec $probe grow 0.5 0.5; exec $probe grow 0.5 0.24"
    HPT_MPS_CONTROL=$log/none run advisory 40
    holds advisory_tier advisory "$(cells advisory tier)" [ "$(cells advisory tier)" = advisory ]
    holds advisory_warned "a line" "$(grep -F 'more than its share' advisory.out | cut -d' ' -f2-)" has advisory.out "more than its share"
    holds advisory_ended oom-gpu "$(cells advisory outcome): $(cells advisory reason)" [ "$(cells advisory outcome)" = oom-gpu ]
    note advisory_held "the trial's own count at each step: $(grep -ohE 'loss=[^ ]*' advisory/trials/000000/stdout.log | cut -d= -f2 | tr '\n' ' ')of the device"
}

engine() {
    local device_name=$device pid peak
    [ "$device" != cuda ] || device_name=cuda:0
    sweep engine 6 "gpu: 0.5, gpu_memory: 8GiB" "exec $probe spin 0.3"
    sed -i 's/^method: random/method: bayes/' engine.yaml
    start engine 40 --device $device_name -o gp.n_startup=3
    await 15 test -e engine/run.lock
    pid=$(tr -dc 0-9 <engine/run.lock 2>/dev/null)
    while kill -0 "${pid:-0}" 2>/dev/null && kill -0 $job 2>/dev/null; do
        nvidia-smi --query-compute-apps=pid,used_memory --format=csv,noheader,nounits 2>/dev/null
        sleep 0.3
    done >engine.smi
    finish engine
    hpt show --run engine >engine.show 2>&1
    keep "engine: hpt show" engine.show
    keep "engine: nvidia-smi --query-compute-apps=pid,used_memory; hpt is $pid" engine.smi
    peak=$(awk -F', ' -v p="${pid:-0}" '$1 == p && $2 > m { m = $2 } END { print m + 0 }' engine.smi)
    holds engine_done "6 times COMPLETE" "$(cells engine state)" [ "$(cells engine state | tr ' ' '\n' | grep -c COMPLETE)" = 6 ]
    holds engine_device "$device_name" "$(grep -F ' device ' engine.show | tr -s ' ' | tr '\n' '|')" has engine.show "$device_name"
    holds engine_model "a model's suggestions" "$(cells engine by)" has engine.trials ,gp
    note engine_memory "hpt itself took $peak MiB of the GPU at most; tiers $(cells engine tier)"
}

oom() {
    local fill="exec $probe grow 1 1"
    sweep oom 2 "gpu: 0.5" "$fill"
    if python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' 2>/dev/null; then
        cat >fill.py <<'P'
import torch
kept = [torch.empty(1 << 30, dtype=torch.uint8, device="cuda") for _ in range(200)]
P
        sweep oom 2 "gpu: 0.5" "case \$HPT_TRIAL in 0) $fill ;; *) exec env LD_LIBRARY_PATH=$given_libraries python3 $log/fill.py ;; esac"
    fi
    run oom 45
    holds oom_driver oom-gpu "$(cell oom 0 outcome): $(errors_of oom 0)" [ "$(cell oom 0 outcome)" = oom-gpu ]
    holds oom_torch oom-gpu "$(cell oom 1 outcome): $(errors_of oom 1)" [ "$(cell oom 1 outcome)" = oom-gpu ]
}

# check NAME SECONDS FUNCTION: unless fewer seconds are left.
check() {
    [ -z "$only" ] || [[ $only == *,$1,* ]] || return 0
    if [ "$(left)" -lt "$2" ]; then
        result out "$1" "" "left out: $(left) s are left, it may need $2"
        return 0
    fi
    printf '\n## %s\n' "$1" >>raw.md
    local from=$SECONDS
    "$3"
    printf '%s\t%d\n' "$1" $((SECONDS - from)) >>times.tsv
}

{
    nvidia-smi --query-gpu=index,uuid,name,driver_version,memory.total,memory.used,compute_mode,mig.mode.current,persistence_mode --format=csv
    hpt devices
    uname -a
} >machine.txt 2>&1
printf '## machine\n' >>raw.md
keep "nvidia-smi, hpt devices, uname" machine.txt
before=$(hpt devices 2>/dev/null | grep '^MPS')
[ -z "$before" ] || note mps_before "$before"

# The kernels as machine code: the driver's own compiler of PTX may be missing in a container.
"$probe" ptx >probe.ptx
if ptxas -arch="sm_$capability" probe.ptx -o probe.cubin 2>/dev/null; then export SHARE_PROBE_IMAGE=$log/probe.cubin; fi
# What one process has without any share: the device itself.
timeout 30 "$probe" report 0.1 >whole.txt 2>whole.err || { cat whole.txt whole.err; echo "gpu-share-check.sh: the probe does not work here"; exit 2; }
keep "the probe, alone and without MPS" whole.txt
uuid=$(printed whole.txt uuid)
whole_multiprocessors=$(printed whole.txt multiprocessors)
total_mib=$(printed whole.txt total_mib)
note whole "$uuid: $whole_multiprocessors multiprocessors, $(printed whole.txt allocatable_mib) of $total_mib MiB can be allocated"

# What may spoil a GPU for others comes last.
check inventory 5 inventory
check half 15 half
check quarter 10 quarter
check escape 12 escape
check required 12 required
check advisory 12 advisory
check learn 20 learn
check foreign 12 foreign
check deaf 15 deaf
check engine 12 engine
check oom 20 oom
check fault 15 fault
check pair 20 pair
check lost 60 lost
check kill 12 killed
check static 20 static

# ---- nothing is left
sleep 0.3
rest=$(ours 'gpu_share_probe|hpt|nvidia-cuda-mps.*')
holds nothing_left "no process of ours" "${rest:-none}" [ -z "$rest" ]
after=$(hpt devices 2>/dev/null | grep '^MPS')
[ "$after" = "$before" ] || note mps_after "${after:-none}"

failed=$(grep -c '^FAIL' checks.tsv)
python3 - "$out/share-$name-$commit" "$gpu" "$driver" "$commit" "$failed" $((SECONDS - begin)) <<'PY'
import json, os, sys

out, gpu, driver, commit, failed, seconds = sys.argv[1:]
rows = [line.rstrip("\n").split("\t") for line in open("checks.tsv", errors="replace")]
times = dict(line.split() for line in open("times.tsv")) if os.path.exists("times.tsv") else {}
checks = [dict(zip(("status", "name", "expected", "seen"), r)) for r in rows]
with open(out + ".json", "w") as f:
    json.dump({"gpu": gpu, "driver": driver, "commit": commit, "failed": int(failed), "seconds": int(seconds),
               "seconds_of": {k: int(v) for k, v in times.items()}, "checks": checks}, f, indent=1)
with open(out + ".md", "w") as f:
    f.write(f"# Shares of {gpu}, driver {driver}, commit {commit}\n\n{failed} of {len(checks)} failed, {seconds} s.\n\n")
    f.write("| | check | expected | seen |\n|---|---|---|---|\n")
    for c in checks:
        f.write("| " + " | ".join(c[k].replace("|", "\\|") for k in ("status", "name", "expected", "seen")) + " |\n")
    f.write("\nTimes are seconds since 1970.\n\n" + open("raw.md", errors="replace").read())
print(f"{out}.json and .md written")
PY
if [ "$failed" -eq 0 ]; then echo "no check failed, $((SECONDS - begin)) s"; else echo "$failed checks FAILED, $((SECONDS - begin)) s"; fi
[ "$failed" -eq 0 ]
