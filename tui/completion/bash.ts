/**
 * The script for bash. Not that of @bomb.sh/tab, which needs another package's functions, evaluates what is being typed, and
 * does not know `--flag=value`. This one works from bash 3.2 on (what macOS has), by itself.
 */
export const bashCompletion = `# bash completion for tka: source <(tka completion bash)
_tka_completion() {
  COMPREPLY=()
  local line value directive=0 current before
  local -a words=()
  # The words as they are typed: bash's own are split at = and : too.
  read -ra words <<< "\${COMP_LINE:0:COMP_POINT}"
  case "\${COMP_LINE:0:COMP_POINT}" in *[[:space:]]) words+=("") ;; esac
  current=\${words[\${#words[@]}-1]}
  before=\${COMP_LINE:0:COMP_POINT}
  case $current in --*=*) current=\${current#*=} ;; esac
  # What bash replaces is only what stands after its last break.
  case $COMP_WORDBREAKS in *:*) before=\${current%"\${current##*:}"} ;; *) before= ;; esac
  while IFS= read -r line; do
    case $line in
      :[0-9]*) directive=\${line#:} ;;
      ?*) value=\${line%%$'\\t'*}; COMPREPLY+=("\${value#"$before"}") ;;
    esac
  done < <(command tka complete -- "\${words[@]:1}" 2> /dev/null)
  if (( directive & 4 )) && type compopt > /dev/null 2>&1; then compopt +o default 2> /dev/null; fi
}
complete -o default -F _tka_completion tka
`;
