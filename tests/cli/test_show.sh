#!/bin/sh
# test_show.sh: `hpt show` puts a study on one screen, whoever made it and whatever it has stored.
. "$(dirname "$0")/cli_lib.sh"

cat >requests <<'S'
{"op":"create","study":"s","storage":"a.db","sampler":"gp","seed":1,"device":"ref","options":{"gp.n_max":64},"objectives":[{"name":"loss","goal":"maximize"}],"parameters":{"lr":{"distribution":"log_uniform_values","min":1e-5,"max":1},"c":{"values":["a","b"]},"m":{"min":0.0,"max":1.0,"hpt:when":{"c":["a"]}}}}
S
i=0
while [ $i -lt 70 ]; do
    echo '{"op":"ask"}'
    if [ $i -eq 3 ]; then
        echo '{"op":"tell","trial":3,"state":"fail"}'
    else
        echo "{\"op\":\"tell\",\"trial\":$i,\"values\":[0.$((i * 37 % 90 + 10))]}"
    fi
    i=$((i + 1))
done >>requests
hpt serve <requests >replies || fail "  serve: $(cat replies)"

# row GROUP NAME VALUE: the table has it.
row() {
    hpt show --storage a.db >shown || fail "  status $?"
    awk -v group="$1" -v name="$2" -v value="$3" '
        /^[a-z]/ { at = $1; sub(/^[a-z]+( by)? +/, "") }
        at == group { line = $0; sub(/^ +/, "", line); n = line; sub(/  +.*/, "", n); sub(/^.*  /, "", line)
                      if (n == name && (line == value || value == "*")) found = 1 }
        END { exit !found }' shown || fail "  no $1 $2 $3 in: $(cat shown)"
}

fact "goal, counts, best and options are there"
row study name s
row study sampler gp
row objectives loss maximize
row space parameters 3
row space conditional 1
row trials all 70
row trials COMPLETE 69
row trials FAIL 1
row best value 0.99
row options gp.n_max 64

fact "what the Gaussian process does: policy, limit, device, hyperparameters"
row model policy local
row model limit 64
row model limit_by option
row model device ref
row model kernel matern52
row model transformation '*'
row model seconds_per_ask '*'
row model noise_sd '*'
row lengthscale lr '*'
row lengthscale c '*'
row chosen gp_local '*'

fact "JSON says the same by group"
expect 0 '"model": {"policy": "local", "points": ' hpt show s --storage a.db --json
expect 0 '"best": {"number": ' hpt show -s s --storage a.db --format json
expect 0 '"options": {"gp.n_max": 64}' hpt show --storage a.db --format json

fact "a study before its model, and one without trials"
cat >requests <<'S'
{"op":"create","study":"t","storage":"b.db","parameters":{"x":{"min":0.0,"max":1.0}}}
S
hpt serve <requests >replies || fail "  serve: $(cat replies)"
expect 0 '"trials": {"all": 0}' hpt show --storage b.db --json
expect 0 'auto' hpt show --storage b.db
same "$(hpt show --storage b.db | grep -c '^model')" 0

fact "studies that Optuna wrote, with one and with several objectives"
if command -v sqlite3 >/dev/null; then
    sqlite3 o.db <"$source/tests/storage/data/optuna_5.sql"
    expect 0 '"objectives": {"accuracy": "maximize"}' hpt show one --storage o.db --json
    expect 0 '"non-dominated trials": 1' hpt show two --storage o.db --json
    same "$(hpt show one --storage o.db | grep -c 'sampler')" 0
    expect 3 "nix" hpt show nix --storage o.db
fi

fact "a state that another version wrote is passed over"
if command -v sqlite3 >/dev/null; then
    sqlite3 a.db "update study_system_attributes set value_json = '[1' where key = 'hpt:sampler_state'"
    expect 0 'gp_local' hpt show --storage a.db
    same "$(hpt show --storage a.db | grep -c '^model')" 0
fi

fact "columns of trials by name: what they are, parameters, and what a run gave them and they took"
cat >use.yaml <<'S'
name: use
method: random
metric: {name: loss}
run_cap: 2
command: [sh, -c, 'awk "BEGIN { s = 1; while (length(s) < 2^26) s = s s; print \"loss=1\" }"; exit $HPT_TRIAL']
parameters: {x: {min: 0.0, max: 1.0}}
hpt: {resources: {gpu: 0.25, cpu: 1}}
S
HPT_FAKE_DEVICES=1x40GiB hpt run use.yaml -q >/dev/null 2>&1
same "$(hpt trials --run hpt_runs/use --columns number,state,outcome,device,share,tier,loss --format csv | tr -d '\r' | grep '^0')" '0,COMPLETE,done,gpu:0,0.25,advisory,1'
expect 0 'FAIL      failed     1  exit code 1' hpt trials --run hpt_runs/use --columns state,outcome,cpu,reason
expect 0 '10 GiB' hpt trials --run hpt_runs/use --columns number,gpu_memory,cpu_seconds,x
hpt trials --run hpt_runs/use --columns peak_memory --format csv | awk 'NR == 2 && $1 + 0 < 67108864 { exit 1 }' || fail "  peak below what the trial took"
expect 2 "no column 'nope'" hpt trials --run hpt_runs/use --columns number,nope
expect 2 "names no column" hpt trials --run hpt_runs/use --columns ,

fact "bad arguments are one line"
expect 2 "table or json" hpt show --storage a.db --format csv
expect 2 "named twice" hpt show s --study s --storage a.db
expect 2 "one study" hpt show s t --storage a.db
one_line hpt show --storage none.db

finish
