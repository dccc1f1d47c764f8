#!/bin/sh
# test_kill.sh: the short form of bench/soak_kill.sh: `hpt run` killed with SIGKILL at random instants loses nothing.
. "$(dirname "$0")/cli_lib.sh"
fact "after 8 kills the study has exactly run_cap trials, each told once, and no process is left"
"$source/bench/soak_kill.sh" 8 "$build/bin/hpt" >soak.txt 2>&1 || fail "$(cat soak.txt)"
tail -n 1 soak.txt
finish
