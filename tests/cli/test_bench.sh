#!/bin/sh
# test_bench.sh: hpt-bench without a measurement: arguments and the comparison of two files.
. "$(dirname "$0")/cli_lib.sh"

row() { # file, group and its members, seconds, min, max
    printf '{"group": "%s", "seconds": %s, "min": %s, "max": %s, "gflops": %s, "bytes": 8}\n' "$2" "$3" "$4" "$5" "$3" >>"$1"
}
printf '{"ceilings": {"dgemm_gflops": 9}, "build": {}}\n' >a.jsonl
row a.jsonl 'surrogate", "case": "factor", "n": "100' 2 1.9 2.1
row a.jsonl 'surrogate", "case": "append, 1", "n": "100' 4 3 5
row a.jsonl 'surrogate", "case": "gone", "n": "100' 1 1 1
row b.jsonl 'surrogate", "case": "append, 1", "n": "100' 5 4 6
row b.jsonl 'surrogate", "case": "factor", "n": "100' 1 0.9 1.1
row b.jsonl 'surrogate", "case": "factor", "n": "1000' 1 1 1

fact "rows are matched by what they measure, whatever their order, and measurements are no part of that"
expect 0 'case factor, n 100 | 2 | 1 | 0.500 | 0.474 |  |' hpt-bench --compare a.jsonl b.jsonl
fact "it says where the spreads overlap"
expect 0 'case append, 1, n 100 | 4 | 5 | 1.250 | 1.333 | spreads overlap |' hpt-bench --compare a.jsonl b.jsonl
fact "rows of one file alone are counted"
expect 0 'only in a: 1 rows, only in b: 1' hpt-bench --compare a.jsonl b.jsonl
fact "of a row that occurs several times the fastest counts"
row b.jsonl 'surrogate", "case": "factor", "n": "100' 0.5 0.5 0.6
expect 0 'case factor, n 100 | 2 | 0.5 | 0.250 | 0.263 |' hpt-bench --compare a.jsonl b.jsonl
fact "rows of group engine are compared too"
printf '{"group": "engine", "case": "report", "n": 5, "us_per_op": 3, "min_us": 2, "max_us": 4, "peak_mb": 7}\n' >c.jsonl
printf '{"group": "engine", "case": "report", "n": 5, "us_per_op": 6, "min_us": 5, "max_us": 7, "peak_mb": 9}\n' >d.jsonl
expect 0 'case report, n 5 | 3 | 6 | 2.000 | 2.500 |  |' hpt-bench --compare c.jsonl d.jsonl
fact "a file that is not there, or has no rows, is named"
expect 1 'nowhere.jsonl: No such file' hpt-bench --compare a.jsonl nowhere.jsonl
: >empty.jsonl
expect 1 'empty.jsonl has no rows' hpt-bench --compare empty.jsonl a.jsonl
fact "a simulated load ends with everybody started, for each policy, rule and law; the same seed gives the same waits"
hpt-bench sched --gpus 4 --trials 300 --waiting 50 -o jsonl >sched.jsonl || fail "  it ended with $?"
same "$(grep -c '"group": "sched"' sched.jsonl)" 18
same "$(grep -c '"utilisation": 0\.0' sched.jsonl)" 0
waits() { hpt-bench sched --gpus 4 --trials 300 --waiting 50 -o jsonl "$@" | sed 's/"us_per_start.*//'; }
same "$(waits | sed 1d)" "$(sed 's/"us_per_start.*//' sched.jsonl | sed 1d)"
[ "$(waits --seed 2 | sed 1d)" != "$(waits | sed 1d)" ] || fail "  another seed changes nothing"
expect 2 "'0' is not a number from 1" hpt-bench sched --gpus 0
expect 2 'usage: hpt-bench sched' hpt-bench sched --gpu 1
fact "in CSV every row has the columns of its head, whatever its name holds"
hpt-bench sched --gpus 4 --trials 100 --waiting 20 -o csv >sched.csv
hpt-bench surrogate --device ref --n 8 -r 1 -o csv >surrogate.csv
for file in sched.csv surrogate.csv; do
    same "$(python3 -c 'import csv, sys; print(*{len(r) for r in csv.reader(open(sys.argv[1]))})' $file)" \
        "$(head -n 1 $file | tr ',' '\n' | wc -l)"
done
fact "arguments that mean nothing end with the usage"
expect 2 'usage: hpt-bench' hpt-bench --compare a.jsonl
expect 2 'usage: hpt-bench' hpt-bench engine --compare a.jsonl b.jsonl
expect 2 "'0' is not a number from 4" hpt-bench surrogate --n 100,0
finish
