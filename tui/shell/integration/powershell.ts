/** The integration for PowerShell, from 5.1 on. */
import { reachingQuoted, variablesQuoted } from './names.ts';

export const powershell = String.raw`# tka in PowerShell. In $PROFILE: tka integration powershell | Out-String | Invoke-Expression
# "tka login" sets KUBECONFIG in this shell, "tka logout" brings back what it was. A prompt with the session and the time that
# is left: call tka_prompt in the function prompt.

function global:tka {
  $program = (Get-Command -Name tka -CommandType Application, ExternalScript -ErrorAction Stop | Select-Object -First 1).Source
  $reaches = $false
  foreach ($word in $args) {
    if ($word -cin '--', 'shell', 'exec') { break }
    if ($word -ceq '--no-eval') { $reaches = $false; break }
    if ($word -cin ${reachingQuoted}) { $reaches = $true }
  }
  if (-not $reaches) {
    & $program @args
    return
  }
  # For the user alone on every system.
  $file = [IO.Path]::GetTempFileName()
  try {
    $env:TKA_ENV_FILE = $file
    $env:TKA_ENV_SHELL = 'powershell'
    $env:TKA_SHELL_PID = $PID
    & $program @args
    $code = $LASTEXITCODE
    $lines = [IO.File]::ReadAllText($file)
    if ($lines) { Invoke-Expression $lines }
    $global:LASTEXITCODE = $code
  } finally {
    foreach ($name in 'TKA_ENV_FILE', 'TKA_ENV_SHELL', 'TKA_SHELL_PID') {
      Remove-Item -Path "Env:$name" -ErrorAction SilentlyContinue
    }
    Remove-Item -LiteralPath $file -Force -ErrorAction SilentlyContinue
  }
}

# What the variables were goes to TKA_OUTER_*, which shells started from this one inherit as they inherit KUBECONFIG.
function global:__tka_enter {
  foreach ($name in ${variablesQuoted}) {
    if (-not $env:TKA_OUTER -and (Test-Path "Env:$name")) {
      Set-Item -Path "Env:TKA_OUTER_$name" -Value (Get-Item "Env:$name").Value
    }
    Remove-Item -Path "Env:$name" -ErrorAction SilentlyContinue
  }
  $env:TKA_OUTER = '1'
}

function global:__tka_leave {
  foreach ($name in ${variablesQuoted}) {
    if (Test-Path "Env:TKA_OUTER_$name") {
      Set-Item -Path "Env:$name" -Value (Get-Item "Env:TKA_OUTER_$name").Value
      Remove-Item -Path "Env:TKA_OUTER_$name"
    } elseif ($name -ne 'KUBECONFIG' -or $env:TKA_OUTER) {
      # In a tka shell KUBECONFIG stays: without it kubectl would go to the user's own cluster.
      Remove-Item -Path "Env:$name" -ErrorAction SilentlyContinue
    }
  }
  Remove-Item -Path Env:TKA_OUTER -ErrorAction SilentlyContinue
}

# tka_prompt [TEXT]: the session of this shell and the time it has left, with TEXT behind it; nothing without a session.
function global:tka_prompt([string]$text = '') {
  if (-not $env:TKA_SESSION) { return '' }
  $role = $env:TKA_ROLE
  $cluster = $env:TKA_CLUSTER
  $left = ''
  if ($env:TKA_UNTIL_FILE) {
    $left = ' ended'
    $line = ''
    try { $line = [IO.File]::ReadAllText($env:TKA_UNTIL_FILE).Trim() } catch { $line = '' }
    $words = $line -split ' '
    if ($words.Count -eq 3 -and $words[0] -match '^[0-9]{1,12}$') {
      $role = $words[1]
      $cluster = $words[2]
      $end = [int64]$words[0] - [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
      $minutes = [int64][Math]::Floor($end / 60)
      if ($end -ge 3600) { $left = ' {0}h{1:00}m' -f [int64][Math]::Floor($minutes / 60), ($minutes % 60) }
      elseif ($end -ge 600) { $left = " $($minutes)m" }
      elseif ($end -ge 60) { $left = " $($minutes)m*" }
      elseif ($end -gt 0) { $left = " $($end)s*" }
    }
  }
  if ("$cluster/$role" -notmatch '^[A-Za-z0-9._:/-]*$') { $cluster = '?'; $role = '?' }
  "$cluster/$role$left$text"
}
`;
