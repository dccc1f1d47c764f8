#!/bin/sh
# test_storage.sh: `hpt export`, `hpt import` and `hpt storage` carry a study and look after it.
. "$(dirname "$0")/cli_lib.sh"

cat >requests <<'S'
{"op":"create","study":"s","storage":"a.db","seed":1,"parameters":{"x":{"min":0.0,"max":1.0},"c":{"values":["a","b"]}}}
{"op":"ask","n":3}
{"op":"report","trial":0,"step":3,"value":0.5}
{"op":"tell","trial":0,"values":[0.25]}
{"op":"tell","trial":1,"state":"fail"}
{"op":"close"}
S
hpt serve <requests >replies || fail "  serve: $(cat replies)"

fact "a database without damage has no problem and status 0"
expect 0 "a.db: 0 problems" hpt storage check a.db
expect 0 "0 problems" hpt storage check --storage sqlite:///a.db

fact "each format is written to stdout and to a file alike"
for format in json jsonl csv journal; do
    hpt export --storage a.db --format $format >stdout.$format || fail "  status $?"
    expect 0 "" hpt export --storage a.db --format $format --output file.$format
    cmp -s stdout.$format file.$format || fail "  $format differs"
done
same "$(wc -l <file.jsonl)" 3
expect 2 "none of json, jsonl, journal, csv" hpt export --storage a.db --format xml
expect 1 "no-such-folder" hpt export --storage a.db --output no-such-folder/file
expect 2 "--output" hpt export --storage a.db file
same "$(ls -- *.part* 2>/dev/null)" ""

fact "what was exported is imported, the form found by looking"
for format in jsonl csv journal; do
    expect 0 "1 study with 3 trials" hpt import file.$format --storage sqlite:///$format.db
    expect 0 "0 problems" hpt storage check $format.db
done
hpt export --storage jsonl.db --format jsonl >again.jsonl
cmp -s again.jsonl file.jsonl || fail "  JSON lines changed on the way"
hpt export --storage journal.db --format journal >again.journal
cmp -s again.journal file.journal || fail "  the journal changed on the way"
expect 0 "file" hpt studies --storage csv.db
expect 0 "renamed" sh -c 'hpt import file.journal --storage sqlite:///journal.db --study renamed && hpt studies --storage journal.db'

fact "an import that fails names file and line and makes nothing"
echo '{"number":0,"values":["x"]}' >bad.jsonl
expect 2 "bad.jsonl:1: value 0" hpt import bad.jsonl --storage sqlite:///none.db
one_line hpt import bad.jsonl --storage sqlite:///none.db
expect 3 "nothing.log" hpt import nothing.log --storage sqlite:///none.db
expect 2 "give one file" hpt import --storage sqlite:///none.db
[ ! -e none.db ] || fail "  none.db was made"
expect 1 "'s' already" hpt import file.jsonl --storage sqlite:///jsonl.db

fact "a copy has everything, and a name that is taken is refused"
expect 0 "1 study copied to b.db" hpt storage copy a.db --to b.db
hpt export --storage b.db --format jsonl >copy.jsonl
cmp -s copy.jsonl file.jsonl || fail "  the copy differs"
expect 1 "'s' already" hpt storage copy a.db --to b.db
expect 0 "" hpt storage copy a.db --to b.db --study s --as t
expect 3 "'u'" hpt storage copy a.db --to c.db --study u
[ ! -e c.db ] || fail "  c.db was made"
expect 2 "--to URL" hpt storage copy a.db
expect 2 "--study NAME" hpt storage copy a.db --to b.db --as v

fact "vacuum leaves one file, and a database in use is busy"
expect 0 "one file" hpt storage vacuum b.db
same "$(echo b.db*)" b.db
mkfifo hold
hpt serve <hold >replies &
server=$!
exec 3>hold
echo '{"op":"open","storage":"a.db"}' >&3
while ! grep -q ok replies; do kill -0 $server || break; done
expect 4 "in use" hpt storage vacuum a.db
exec 3>&-
wait $server
expect 0 "one file" hpt storage vacuum a.db

fact "damage is listed line by line with status 1"
head -c 20480 a.db >cut.db
expect 1 "problem" hpt storage check cut.db
hpt storage check cut.db >findings
[ "$(wc -l <findings)" -ge 2 ] || fail "  $(cat findings)"
echo "no database, only text, and of that enough to fill a header of a hundred bytes, so that it is looked at: ......" >text.db
expect 1 "not an SQLite database" hpt storage check text.db
expect 3 "nothing.db" hpt storage check nothing.db
expect 2 "check, copy, vacuum" hpt storage mend a.db
expect 2 "check, copy or vacuum" hpt storage
expect 2 "one database" hpt storage check a.db b.db

finish
