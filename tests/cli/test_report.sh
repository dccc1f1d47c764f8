#!/bin/sh
# test_report.sh: `hpt report --format html`: the charts' numbers against closed forms, what is drawn together, and that the page
# needs nothing else and shows no text of others as markup.
. "$(dirname "$0")/cli_lib.sh"

# study NAME: reads lines "number start end state attributes" (seconds of one day; attributes: JSON members) and imports them.
study() {
    awk -v name="$1" '
    function clock(s) { return sprintf("2026-01-0%d %02d:%02d:%09.6f", 1 + int(s / 86400), int(s % 86400 / 3600), int(s % 3600 / 60), s % 60) }
    {
        attrs = ""
        for (i = 5; i <= NF; i++) attrs = attrs (i > 5 ? " " : "") $i
        printf "{\"number\":%d,\"state\":\"%s\",\"values\":%s,\"params\":{\"x\":0.5},\"reports\":[],\"datetime_start\":\"%s\",\"datetime_complete\":\"%s\",\"user_attrs\":{},\"system_attrs\":{%s},\"study\":\"%s\",\"directions\":[\"minimize\"],\"distributions\":{\"x\":{\"name\":\"FloatDistribution\",\"attributes\":{\"step\":null,\"low\":0.0,\"high\":1.0,\"log\":false}}},\"study_user_attrs\":{},\"study_system_attrs\":{}}\n",
            $1, $4, $4 == "COMPLETE" ? "[" ($1 + 1) ".0]" : "null", clock($2), clock($3), attrs, name
    }' >"$1.jsonl"
    rm -f "$1.db"
    hpt import "$1.jsonl" --storage "sqlite:///$1.db" >import.txt 2>&1 || fail "  import: $(cat import.txt)"
    hpt report --format html --storage "sqlite:///$1.db" --output "$1.html" 2>err.txt || fail "  report: $(cat err.txt)"
}
has() { # FILE TEXT...
    file=$1
    shift
    for text in "$@"; do
        grep -qF -- "$text" "$file" || fail "  no '$text' in $file: $(grep -v '^\.' "$file" | cut -c1-300 | head -n 60)"
    done
}

fact "bars stand where trials ran: rows by device, places by time, colours by outcome"
# 936 columns from 64 on for 200 s. Trial 1 was asked for at 40 and waited 60 s for its share.
study spans <<'S'
0 0 100 COMPLETE "hpt:use":{"gpus":"gpu:10","gpu":0.5,"seconds":100}
1 40 200 PRUNED "hpt:outcome":"pruned","hpt:use":{"gpus":"gpu:10","gpu":0.5,"seconds":100}
2 0 50 FAIL "hpt:outcome":"oom-gpu","hpt:use":{"gpus":"gpu:2","gpu":0.5,"seconds":50}
S
has spans.html '<rect class="k0" x="64.0" y="40.0" width="467.5" height="13.0"><title>#0 done</title>' \
    '<rect class="k1" x="532.0" y="40.0" width="467.5" height="13.0"><title>#1 pruned</title>' \
    '<rect class="k4" x="64.0" y="22.0" width="233.5" height="13.0"><title>#2 out of memory</title>'
same "$(grep -o '>gpu:[0-9]*<' spans.html | tr -d '\n')" '>gpu:2<>gpu:10<'

fact "use is the part of the busy time: of the most slots at once, of the shares of all GPUs seen"
has spans.html 'slots: 62 % of 2 (the most at once)' 'GPU shares: 31 % of the 2 GPUs that trials ran on' '2026-01-01 00:00:00 UTC'

fact "a trial on two GPUs has a bar on each and counts once"
study pair <<'S'
0 0 100 COMPLETE "hpt:use":{"gpus":"gpu:0,gpu:1","gpu":2,"seconds":100}
1 100 200 COMPLETE "hpt:use":{"gpus":"gpu:1","gpu":1,"seconds":100}
S
same "$(grep -c '<title>#0 done' pair.html)" 2
has pair.html '</i>done 2<' 'slots: 100 % of 1' 'GPU shares: 75 % of the 2 GPUs'

fact "earlier attempts of a trial that was started again are drawn as interrupted, those lost with their run are counted"
study again <<'S'
0 0 400 COMPLETE "hpt:attempts":[{"outcome":"preempted","seconds":100.0,"gpus":"gpu:0","gpu":1},{"outcome":"lost","started":"2026-01-01 00:02:00.000000","host":"h"},{"outcome":"running","started":"2026-01-01 00:05:00.000000","host":"h"}],"hpt:use":{"gpus":"gpu:0","gpu":1,"seconds":100}
S
has again.html '<rect class="k5" x="64.0"' '</i>interrupted 1<' '1 attempts were lost with their run and are not drawn'
same "$(grep -c '<rect.*<title>#0 ' again.html)" 2

fact "a night without trials is cut out of the axis, a short break is not"
study night <<'S'
0 0 100 COMPLETE
1 105 200 COMPLETE
2 80000 80100 COMPLETE
S
has night.html '1 stretch without a trial is cut out' '22:10:00 without a trial, cut out' '>slots<' 'slots: 100 % of 1'
same "$(grep -o 'GPU shares' night.html)" ""

fact "thousands of trials stay small: what is narrower than a pixel is drawn together, and that is said"
awk 'BEGIN { for (i = 0; i < 6000; i++) printf "%d %.3f %.3f %s \"hpt:use\":{\"gpus\":\"gpu:%d\",\"gpu\":0.5,\"seconds\":1}\n", i, int(i / 4), int(i / 4) + 0.99, i % 10 ? "COMPLETE" : "FAIL", i % 4 / 2 }' >rows.txt
study many <rows.txt
has many.html 'trials that are narrower than a pixel are drawn together' 'slots: 100 % of 4 (the most at once)' '</i>failed 600'
same "$(grep -c 'class="k2" d="M' many.html)" 1 # a tenth failed, and is seen
[ "$(wc -c <many.html)" -lt 200000 ] || fail "  $(wc -c <many.html) bytes"
same "$(grep -c '<title>#' many.html)" 0
same "$(hpt trials --storage sqlite:///many.db --state fail --format csv | wc -l)" 601

fact "results: every one and the best so far; a bad one does not press the others into a line"
awk 'BEGIN { for (i = 0; i < 40; i++) print i, i, i + 1, "COMPLETE" }' >rows.txt
study results <rows.txt
same "$(grep -c '<circle' results.html)" 40
sed -i 's/"values":\[40.0\]/"values":[1e30]/' results.jsonl
rm results.db
hpt import results.jsonl --storage sqlite:///results.db >/dev/null
hpt report -f html --storage sqlite:///results.db >results.html
has results.html 'The worst 2 stand at the edge' '#39 1e+30'

fact "numbers that no program writes break nothing"
study odd <<'S'
0 0 10 COMPLETE "hpt:use":{"gpus":"gpu:0","gpu":1e300,"seconds":-1},"hpt:attempts":[{"outcome":"lost","seconds":1e999},{"outcome":"stopped","started":"99999-99-99 99:99:99e99","seconds":1e300}]
1 0 0.000001 COMPLETE "hpt:use":{"gpus":",,,","gpu":"x"}
2 300000 300000.000001 COMPLETE "hpt:use":7,"hpt:attempts":"no"
S
sed -i 's/"values":\[1.0\]/"values":[1.7e308]/; s/"values":\[2.0\]/"values":[-1.7e308]/; s/"values":\[3.0\]/"values":[NaN]/' odd.jsonl
rm odd.db
hpt import odd.jsonl --storage sqlite:///odd.db >/dev/null
hpt report -f html --storage sqlite:///odd.db >odd.html || fail "  status $?"
awk 'BEGIN { for (i = 0; i < 20; i++) print i, i, i + 1, "COMPLETE" }' >rows.txt
study near <rows.txt
sed -i 's/"values":\[1*\([0-9]\).0\]/"values":[1000000000000000\1.0]/' near.jsonl
rm near.db
hpt import near.jsonl --storage sqlite:///near.db >/dev/null
hpt report -f html --storage sqlite:///near.db >near.html || fail "  status $?"
has near.html '</i>value of 20 trials'
has odd.html '</html>'
same "$(cat odd.html near.html | grep -ciE '[^a-z](nan|inf)[^a-z]')" 0

fact "text of others is never markup"
study evil <<'S'
0 0 10 FAIL "hpt:outcome":"failed","hpt:reason":"<script>alert(1)</script>&","hpt:use":{"gpus":"<img>","gpu":1,"seconds":10}
S
has evil.html '&lt;script&gt;alert(1)&lt;/script&gt;&amp;' '&lt;img&gt;'
for page in evil spans many; do
    same "$(grep -ciE '<script|<img|<link|src=|href=|https?:|url\(|@import' $page.html)" 0
done

fact "the charts are well-formed"
if command -v python3 >/dev/null; then
    python3 - spans pair again night many results evil near <<'P' || fail "  not well-formed"
import re, sys, xml.etree.ElementTree as tree
for name in sys.argv[1:]:
    page = open(name + ".html").read()
    charts = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(charts) == (2 if name == "evil" else 3), (name, len(charts))
    for chart in charts:
        for element in tree.fromstring(chart).iter():
            for key in ("x", "y", "width", "height", "cx", "cy"):
                assert 0 <= float(element.get(key, 0)) <= 1001, (name, key, element.attrib)
P
fi

fact "a run leaves both reports; trials that run are drawn until now"
cat >sweep.yaml <<'S'
name: both
method: random
metric: {name: loss, goal: minimize}
run_cap: 2
command: [sh, -c, 'echo loss=$HPT_TRIAL; touch up$HPT_TRIAL; until [ -e go ]; do sleep 0.05; done']
parameters: {x: {min: 0.0, max: 1.0}}
hpt: {resources: {cpu: 0.01, gpu: 0.5}}
S
HPT_FAKE_DEVICES=1 hpt run sweep.yaml -j 2 >run.txt 2>&1 &
n=0
until [ -e up0 ] && [ -e up1 ] || [ $n -gt 600 ]; do n=$((n + 1)); sleep 0.05; done
hpt report --format html --run hpt_runs/both >running.html
has running.html '</i>running now 2<' '>gpu:0<'
touch go
wait
has run.txt 'each with 0.5 of a GPU' 'report   hpt_runs/both/report.txt, report.html'
has hpt_runs/both/report.html '</i>done 2<' '<h1>both</h1>' 'How to go on'

fact "an empty study gives a page without charts, bad arguments one line"
hpt ask sweep.yaml --storage sqlite:///empty.db >/dev/null 2>&1
hpt report --format html --storage sqlite:///empty.db >empty.html || fail "  status $?"
same "$(grep -c '<svg' empty.html)" 0
has empty.html '</html>' '0 completed'
expect 2 "--format is text or html, not 'pdf'" hpt report --format pdf
expect 1 "choose another --output" hpt report --storage sqlite:///empty.db --output no/such/folder.html
finish
