#!/bin/sh
# test_serve.sh: `hpt serve` answers each line, good or bad, in order.
. "$(dirname "$0")/cli_lib.sh"

fact "create, ask, report, tell, best and close as the protocol is written"
cat >requests <<'S'
{"op":"create","study":"s","storage":":memory:","sampler":"auto","seed":1,"n_trials":100,"objectives":[{"name":"loss","goal":"minimize"}],"parameters":{"lr":{"distribution":"log_uniform_values","min":1e-5,"max":1}}}
{"op":"ask","n":2}
{"op":"report","trial":0,"step":3,"value":0.5}
{"op":"tell","trial":0,"values":[0.25]}
{"op":"tell","trial":1,"state":"fail"}
{"op":"best"}
{"op":"trials","since":0}
{"op":"stats"}
{"op":"close"}
S
hpt serve <requests >replies 2>err.txt || fail "  status $?: $(cat err.txt)"
same "$(wc -l <replies)" 9
same "$(grep -c '"ok":true' replies)" 9
same "$(sed -n 1p replies)" '{"ok":true,"study":"s"}'
same "$(sed -n 3p replies)" '{"ok":true,"prune":false}'
same "$(sed -n 4p replies)" '{"ok":true}'
sed -n 2p replies | grep -q '{"ok":true,"trials":\[{"number":0,"params":{"lr":[0-9.e-]*}},{"number":1,"params":{"lr":[0-9.e-]*}}\]}' ||
    fail "  ask: $(sed -n 2p replies)"

fact "every bad request is answered with one error and the next is served"
cat >requests <<'S'
nonsense
[]
{"op":"fly"}
{"op":"ask"}
{"op":"create"}
{"op":"create","study":"s","parameters":{"x":{"min":1,"max":0}}}
{"op":"create","study":"s","parameters":{"x":{"min":0.0,"max":1.0}},"colour":"red"}
{"op":"create","study":"s","parameters":{"x":{"min":0.0,"max":1.0}}}
{"op":"tell","trial":5,"values":[1]}
{"op":"ask","n":1}
{"op":"tell","trial":0,"values":[1,2]}
{"op":"tell","trial":0,"values":["a"]}
{"op":"tell","trial":0,"values":[1]}
{"op":"tell","trial":0,"values":[1]}
S
hpt serve <requests >replies 2>err.txt || fail "  status $?: $(cat err.txt)"
same "$(wc -l <replies)" 14
same "$(grep -c '"ok":false' replies)" 11
same "$(sed -n '8p;10p;13p' replies | grep -c '"ok":true')" 3

finish
