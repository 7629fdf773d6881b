/** The integration for fish, from 3.1 on. fish has no clock of its own, so its prompt starts one `date`. */
import { reachingWords, variableWords } from './names.ts';

export const fish = String.raw`# tka in fish. In ~/.config/fish/config.fish: tka integration fish | source
# \`tka login\` sets KUBECONFIG in this shell, \`tka logout\` brings back what it was. A prompt with the session and the time
# that is left: put (tka_prompt ' ') into fish_prompt

function tka
    set -l reaches no
    for word in $argv
        switch $word
            case -- shell exec
                break
            case --no-eval
                set reaches no
                break
            case ${reachingWords}
                set reaches yes
        end
    end
    if test $reaches = no
        command tka $argv
        return
    end
    set -l directory "$TMPDIR"
    test -n "$directory"
    or set directory /tmp
    # mktemp makes files of mode 0600; a umask would be that of this whole shell.
    set -l file (command mktemp "$directory/tka.XXXXXXXXXX")
    or begin
        command tka $argv
        return
    end
    TKA_ENV_FILE=$file TKA_ENV_SHELL=fish TKA_SHELL_PID=$fish_pid command tka $argv
    set -l code $status
    if test -s "$file"
        source "$file"
    end
    command rm -f -- "$file"
    return $code
end

# What the variables were goes to TKA_OUTER_*, which shells started from this one inherit as they inherit KUBECONFIG.
function __tka_enter
    for name in ${variableWords}
        if not set -q TKA_OUTER; and set -q $name
            set -gx TKA_OUTER_$name $$name
        end
        set -eg $name
    end
    set -gx TKA_OUTER 1
end

function __tka_leave
    for name in ${variableWords}
        set -l outer TKA_OUTER_$name
        if set -q $outer
            set -gx $name $$outer
            set -eg $outer
        else if test $name != KUBECONFIG; or set -q TKA_OUTER
            # In a tka shell KUBECONFIG stays: without it kubectl would go to the user's own cluster.
            set -eg $name
        end
    end
    set -eg TKA_OUTER
end

# tka_prompt [TEXT]: the session of this shell and the time it has left, with TEXT behind it; nothing without a session.
function tka_prompt
    test -n "$TKA_SESSION"
    or return 0
    set -l role "$TKA_ROLE"
    set -l cluster "$TKA_CLUSTER"
    set -l sign ''
    set -l mark '*'
    set -l left ''
    for locale in "$LC_ALL" "$LC_CTYPE" "$LANG"
        test -n "$locale"
        or continue
        if string match -qir 'utf-?8' -- $locale
            set sign '⎈ '
            set mark '⚠'
        end
        break
    end
    set -l end ''
    if test -n "$TKA_UNTIL_FILE"
        set left ended
        if test -f "$TKA_UNTIL_FILE"; and test -r "$TKA_UNTIL_FILE"
            read -d ' ' end role cluster <"$TKA_UNTIL_FILE"
        end
    end
    if string match -qr '^[0-9]{1,12}$' -- "$end"
        set end (math $end - (command date +%s))
        set -l minutes (math "floor($end / 60)")
        if test $end -ge 3600
            set left (printf '%dh%02dm' (math "floor($minutes / 60)") (math "$minutes % 60"))
        else if test $end -ge 600
            set left {$minutes}m
        else if test $end -ge 60
            set left {$minutes}m$mark
        else if test $end -gt 0
            set left {$end}s$mark
        end
    end
    if not string match -qr '^[A-Za-z0-9._:/-]*$' -- "$cluster/$role"
        set cluster '?'
        set role '?'
    end
    test -n "$left"
    and set left " $left"
    printf '%s%s/%s%s%s' "$sign" "$cluster" "$role" "$left" "$argv[1]"
end
`.replaceAll('\\`', '`');
