# bash completion for hpt: commands, then each command's own options as its --help lists them, values of some.
_hpt() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(hpt help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p')
    else
        case $prev in
        -f | --format)
            case $command in
            export) words="json jsonl csv journal" ;;
            import) words="journal jsonl csv" ;;
            show | top) words="table json" ;;
            report) words="text html" ;;
            *) words="table json csv" ;;
            esac
            ;;
        --state) words="running complete pruned fail waiting" ;;
        --sort) words="number value" ;;
        --sampler | --pruner) words=$(hpt run --help 2>/dev/null | sed -n "s/^  *$prev NAME  *//p" | tr -d ,) ;;
        -o | --option) words=$(hpt help options 2>/dev/null | sed -n 's/^\([a-z_.]*\) (.*/\1=/p') && compopt -o nospace ;;
        help) words="options $(hpt help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p')" ;;
        storage) words="check copy vacuum" ;;
        esac
        if [ -z "$words" ] && [[ $cur == -* ]]; then
            words=$(hpt "$command" --help 2>/dev/null | grep -oE -- '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u)
        fi
    fi
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -o filenames -F _hpt hpt
