/**
 * The integration for bash, from 3.2 on. The prompt's segment forks nothing: where bash has no clock of its own, it counts
 * from one look at the clock when the code is loaded.
 */
import { reachingPatterns, variableWords } from './names.ts';

export const bash = String.raw`# tka in bash. In ~/.bashrc: eval "$(tka integration bash)"
# \`tka login\` sets KUBECONFIG in this shell, \`tka logout\` brings back what it was. A prompt with the session and the time
# that is left: PS1='$(tka_prompt " ")'$PS1

tka() {
  local __tka_word __tka_reaches='' __tka_file __tka_code=0
  for __tka_word in "$@"; do
    case $__tka_word in
      -- | shell | exec) break ;;
      --no-eval) __tka_reaches=''; break ;;
      ${reachingPatterns}) __tka_reaches=1 ;;
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
  TKA_ENV_FILE=$__tka_file TKA_ENV_SHELL=bash TKA_SHELL_PID=$$ command tka "$@" || __tka_code=$?
  if [[ -s $__tka_file ]]; then
    . "$__tka_file"
  fi
  command rm -f -- "$__tka_file"
  return "$__tka_code"
}

# What the variables were goes to TKA_OUTER_*, which shells started from this one inherit as they inherit KUBECONFIG.
__tka_enter() {
  local __tka_name
  for __tka_name in ${variableWords}; do
    if [[ -z \${TKA_OUTER-} && -n \${!__tka_name+set} ]]; then
      export "TKA_OUTER_$__tka_name=\${!__tka_name}"
    fi
    unset -v "$__tka_name"
  done
  export TKA_OUTER=1
}

__tka_leave() {
  local __tka_name __tka_outer
  for __tka_name in ${variableWords}; do
    __tka_outer=TKA_OUTER_$__tka_name
    if [[ -n \${!__tka_outer+set} ]]; then
      export "$__tka_name=\${!__tka_outer}"
      unset -v "$__tka_outer"
    elif [[ $__tka_name != KUBECONFIG || -n \${TKA_OUTER-} ]]; then
      # In a tka shell KUBECONFIG stays: without it kubectl would go to the user's own cluster.
      unset -v "$__tka_name"
    fi
  done
  unset -v TKA_OUTER
}

if ((BASH_VERSINFO[0] >= 5)); then
  __tka_now() { REPLY=$EPOCHSECONDS; }
elif ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 402)); then
  __tka_now() { printf -v REPLY '%(%s)T' -1; }
else
  __tka_started=$(($(command date +%s) - SECONDS))
  __tka_now() { REPLY=$((__tka_started + SECONDS)); }
fi

# tka_prompt [TEXT]: the session of this shell and the time it has left, with TEXT behind it; nothing without a session.
tka_prompt() {
  [[ -n \${TKA_SESSION-} ]] || return 0
  local end='' role=\${TKA_ROLE-} cluster=\${TKA_CLUSTER-} sign='' mark='*' left='' REPLY
  case \${LC_ALL:-\${LC_CTYPE:-\${LANG-}}} in
    *[Uu][Tt][Ff]8* | *[Uu][Tt][Ff]-8*) sign='⎈ ' mark='⚠' ;;
  esac
  if [[ -n \${TKA_UNTIL_FILE-} ]]; then
    left=ended
    if [[ -f $TKA_UNTIL_FILE && -r $TKA_UNTIL_FILE ]]; then
      read -r end role cluster <"$TKA_UNTIL_FILE"
    fi
  fi
  case $end in
    '' | *[!0-9]* | ?????????????*) ;;
    *)
      __tka_now
      end=$((10#$end - REPLY))
      if ((end >= 3600)); then
        printf -v left '%dh%02dm' $((end / 3600)) $((end % 3600 / 60))
      elif ((end >= 600)); then
        left=$((end / 60))m
      elif ((end >= 60)); then
        left=$((end / 60))m$mark
      elif ((end > 0)); then
        left=$end's'$mark
      fi
      ;;
  esac
  case $cluster/$role in
    *[!A-Za-z0-9._:/-]*) cluster='?' role='?' ;;
  esac
  printf '%s%s/%s%s%s' "$sign" "$cluster" "$role" "\${left:+ $left}" "\${1-}"
}
`
  .replaceAll('\\$', '$')
  .replaceAll('\\`', '`');
