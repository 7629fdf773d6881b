/**
 * Which role, and for how long: what the policy grants, one role after another, then the periods that its rule allows, or
 * one that is typed. Escape goes one step back, and out of it from the first.
 */
import { Box, Text } from 'ink';
import { type ReactNode, useRef, useState } from 'react';
import type { GrantedRule } from '../../../node/http/contract.ts';
import { Choice } from '../../components/choice.tsx';
import { describeScope } from '../../sessions/grant.ts';
import { chooseRule, rolesOf, parseDurationMs } from '../../../node/http/rules.ts';
import { useKeys } from '../../hooks/use-keys.ts';
import { useTheme } from '../../hooks/use-theme.ts';
import { formatUntil } from './words.ts';
import { periodsUpTo, problemOf } from './role-periods.ts';

export interface RolePick {
  readonly role: string;
  /** Absent: as long as the rule allows. */
  readonly period?: string;
}

export interface RolePickerProps {
  /** As `whoami` lists them, printable. */
  readonly rules: readonly GrantedRule[];
  readonly onPick: (pick: RolePick) => void;
  readonly onCancel: () => void;
  readonly now: () => Date;
}

type Step =
  | { readonly kind: 'role' }
  | { readonly kind: 'period'; readonly role: string; readonly longest: string }
  | { readonly kind: 'typing'; readonly role: string; readonly longest: string };

export function RolePicker({ rules, onPick, onCancel, now }: RolePickerProps): ReactNode {
  const [step, setStep] = useState<Step>({ kind: 'role' });
  if (step.kind === 'role') {
    const onRole = (role: string, longest: string | undefined): void =>
      longest === undefined ? onPick({ role }) : setStep({ kind: 'period', role, longest });
    return <Roles rules={rules} onCancel={onCancel} onRole={onRole} />;
  }
  const { role, longest } = step;
  const pick = (period: string): void => onPick(period === longest ? { role } : { role, period });
  if (step.kind === 'typing') {
    const back = (): void => setStep({ kind: 'period', role, longest });
    return <TypedPeriod longest={longest} onPeriod={pick} onCancel={back} />;
  }
  return (
    <Periods
      {...{ role, longest, now }}
      onPeriod={pick}
      onTyping={() => setStep({ kind: 'typing', role, longest })}
      onCancel={() => setStep({ kind: 'role' })}
    />
  );
}

function Roles({
  rules,
  onRole,
  onCancel,
}: Pick<RolePickerProps, 'rules' | 'onCancel'> & {
  /** Without a longest period where it is not clear which rule holds. */
  readonly onRole: (role: string, longest: string | undefined) => void;
}): ReactNode {
  const { styles } = useTheme();
  useKeys((key) => key === 'escape' && onCancel(), { isActive: rules.length === 0 });
  if (rules.length === 0) {
    return (
      <Text>
        The policy grants you no role here. <Text {...styles.muted}>esc back</Text>
      </Text>
    );
  }
  const rows = rolesOf(rules).map((role) => {
    const forecast = chooseRule(rules, { role });
    if (forecast.kind !== 'chosen')
      return { role, longest: undefined, hint: 'several rules tie; the server will refuse' };
    const { namespaces, period } = forecast.rule;
    return { role, longest: period, hint: `${describeScope(namespaces)}, up to ${period}` };
  });
  return (
    <Choice
      key="role"
      question={{ title: 'Which role?' }}
      choices={rows.map(({ role, hint }) => ({ label: role, hint }))}
      onChoose={(i) => {
        const row = rows[i];
        if (row !== undefined) onRole(row.role, row.longest);
      }}
      onCancel={onCancel}
    />
  );
}

function Periods(props: {
  readonly role: string;
  readonly longest: string;
  readonly now: () => Date;
  readonly onPeriod: (period: string) => void;
  readonly onTyping: () => void;
  readonly onCancel: () => void;
}): ReactNode {
  const { role, longest, now, onPeriod, onTyping, onCancel } = props;
  const periods = periodsUpTo(longest);
  const until = (period: string): { readonly hint?: string } => {
    const ms = parseDurationMs(period);
    const at = now();
    return ms === undefined ? {} : { hint: `until ${formatUntil(new Date(at.getTime() + ms), at)}` };
  };
  return (
    <Choice
      key="period"
      question={{ title: `For how long as ${role}?` }}
      choices={[...periods.map((period) => ({ label: period, ...until(period) })), { label: 'another' }]}
      onChoose={(i) => {
        const period = periods[i];
        if (period === undefined) onTyping();
        else onPeriod(period);
      }}
      onCancel={onCancel}
      limit={12}
    />
  );
}

function TypedPeriod({
  longest,
  onPeriod,
  onCancel,
}: {
  readonly longest: string;
  readonly onPeriod: (period: string) => void;
  readonly onCancel: () => void;
}): ReactNode {
  const { styles } = useTheme();
  const [text, setText] = useState('');
  // As it is after all keys so far, drawn or not.
  const typed = useRef('');
  const type = (next: string): void => {
    typed.current = next.slice(0, 20);
    setText(typed.current);
  };
  const [problem, setProblem] = useState<string>();
  useKeys(
    (key) => {
      if (key === 'escape') onCancel();
      else if (key === 'enter') {
        const found = problemOf(typed.current, longest);
        setProblem(found);
        if (found === undefined) onPeriod(typed.current);
      } else if (key === 'backspace') type(typed.current.slice(0, -1));
      else if (/^[0-9hms]$/.test(key)) type(typed.current + key);
    },
    { isActive: true, onPaste: (pasted) => type(typed.current + pasted.replaceAll(/[^0-9hms]/g, '')) },
  );
  return (
    <Box flexDirection="column">
      <Text>
        For how long (at most {longest})? {text}
        <Text inverse> </Text>
      </Text>
      <Text {...(problem === undefined ? styles.muted : styles.danger)}>
        {problem ?? 'For example 90m. enter select, esc back.'}
      </Text>
    </Box>
  );
}
