/** The integration for zsh, from 5.0 on. */
import { reachingPatterns, variableWords } from './names.ts';

export const zsh = String.raw`# tka in zsh. In ~/.zshrc: eval "$(tka integration zsh)"
# \`tka login\` sets KUBECONFIG in this shell, \`tka logout\` brings back what it was. A prompt with the session and the time
# that is left: setopt prompt_subst; PROMPT='$(tka_prompt " ")'$PROMPT

zmodload zsh/datetime

function tka {
  emulate -L zsh
  local __tka_word __tka_reaches='' __tka_file __tka_code=0
  for __tka_word in "$@"; do
    case $__tka_word in
      (-- | shell | exec) break ;;
      (--no-eval) __tka_reaches=''; break ;;
      (${reachingPatterns}) __tka_reaches=1 ;;
    esac
  done
  if [[ -z $__tka_reaches ]]; then
    command tka "$@"
    return
  fi
  __tka_file=$(umask 077 && command mktemp "\${TMPDIR:-/tmp}/tka.XXXXXXXXXX") || {
    command tka "$@"
    return
  }
  TKA_ENV_FILE=$__tka_file TKA_ENV_SHELL=zsh TKA_SHELL_PID=$$ command tka "$@" || __tka_code=$?
  if [[ -s $__tka_file ]]; then
    . "$__tka_file"
  fi
  command rm -f -- "$__tka_file"
  return $__tka_code
}

# What the variables were goes to TKA_OUTER_*, which shells started from this one inherit as they inherit KUBECONFIG.
function __tka_enter {
  emulate -L zsh
  local __tka_name
  for __tka_name in ${variableWords}; do
    if [[ -z \${TKA_OUTER-} ]] && ((\${(P)+__tka_name})); then
      typeset -gx "TKA_OUTER_$__tka_name=\${(P)__tka_name}"
    fi
    unset "$__tka_name"
  done
  typeset -gx TKA_OUTER=1
}

function __tka_leave {
  emulate -L zsh
  local __tka_name __tka_outer
  for __tka_name in ${variableWords}; do
    __tka_outer=TKA_OUTER_$__tka_name
    if ((\${(P)+__tka_outer})); then
      typeset -gx "$__tka_name=\${(P)__tka_outer}"
      unset "$__tka_outer"
    elif [[ $__tka_name != KUBECONFIG || -n \${TKA_OUTER-} ]]; then
      # In a tka shell KUBECONFIG stays: without it kubectl would go to the user's own cluster.
      unset "$__tka_name"
    fi
  done
  unset TKA_OUTER
}

# tka_prompt [TEXT]: the session of this shell and the time it has left, with TEXT behind it; nothing without a session.
function tka_prompt {
  emulate -L zsh
  [[ -n \${TKA_SESSION-} ]] || return 0
  local end='' role=\${TKA_ROLE-} cluster=\${TKA_CLUSTER-} sign='' mark='*' left=''
  case \${LC_ALL:-\${LC_CTYPE:-\${LANG-}}} in
    (*[Uu][Tt][Ff]8* | *[Uu][Tt][Ff]-8*) sign='⎈ ' mark='⚠' ;;
  esac
  if [[ -n \${TKA_UNTIL_FILE-} ]]; then
    left=ended
    if [[ -f $TKA_UNTIL_FILE && -r $TKA_UNTIL_FILE ]]; then
      read -r end role cluster <"$TKA_UNTIL_FILE"
    fi
  fi
  case $end in
    ('' | *[^0-9]* | ?????????????*) ;;
    (*)
      ((end = 10#$end - EPOCHSECONDS))
      if ((end >= 3600)); then
        left=$((end / 3600))h\${(l:2::0:)$((end % 3600 / 60))}m
      elif ((end >= 600)); then
        left=$((end / 60))m
      elif ((end >= 60)); then
        left=$((end / 60))m$mark
      elif ((end > 0)); then
        left=\${end}s$mark
      fi
      ;;
  esac
  # A per cent sign would be an order to the prompt.
  case $cluster/$role in
    (*[^A-Za-z0-9._:/-]*) cluster='?' role='?' ;;
  esac
  printf '%s%s/%s%s%s' "$sign" "$cluster" "$role" "\${left:+ $left}" "\${1-}"
}
`
  .replaceAll('\\$', '$')
  .replaceAll('\\`', '`');
