/**
 * A login as it runs: its stages, what it warns of, what it asks, and how it ended. A part of the login screen and of the
 * home screen.
 *
 * Ctrl-C stops the login, and pressed again does not wait until it has. Escape stops it with `onEscape="stop"`, where nothing
 * is asked. Leaving the screen stops it too.
 */
import { Box, Text, useStdin } from 'ink';
import { useEffect, useSyncExternalStore, type ReactNode } from 'react';
import { Question } from '../../components/question.tsx';
import { StageList } from './stage-list.tsx';
import { useKeys } from '../../hooks/use-keys.ts';
import { useLogin } from './use-login.ts';
import { useTheme } from '../../hooks/use-theme.ts';
import type { LoggedIn } from '../../sessions/login.ts';
import type { LoginRun } from './run.ts';
import { reasonOf, summaryOf, visibleStages } from './words.ts';

export interface LoginProgressProps {
  readonly run: LoginRun;
  readonly now: () => Date;
  /** Default: `ignore`. */
  readonly onEscape?: 'stop' | 'ignore';
}

export function LoginProgress({ run, now, onEscape = 'ignore' }: LoginProgressProps): ReactNode {
  const { styles, glyphs } = useTheme();
  const { stages, warnings, outcome } = useLogin(run);
  const asked = useSyncExternalStore(run.questions.subscribe, run.questions.current);
  const { isRawModeSupported } = useStdin();
  useEffect(() => () => run.stop(), [run]);
  // Also keeps what is typed meanwhile off the screen, and from being the answer to a question that is not there yet.
  useKeys(
    (key) => {
      if (key === 'ctrl-c') (run.isStopping() ? run.abandon : run.stop)();
      else if (key === 'escape' && onEscape === 'stop' && asked === undefined) run.stop();
    },
    { isActive: outcome === undefined && isRawModeSupported },
  );
  return (
    <Box flexDirection="column">
      <StageList
        stages={visibleStages(stages, outcome !== undefined)}
        now={now}
        isStill={asked !== undefined}
        isOver={outcome !== undefined}
      />
      {[...new Set(warnings)].map((warning) => (
        <Text key={warning}>
          <Text {...styles.warning}>{glyphs.warning} warning:</Text> {warning}
        </Text>
      ))}
      {asked !== undefined && outcome === undefined && (
        <Box marginTop={1}>
          <Question interaction={run.questions} />
        </Box>
      )}
      {outcome?.kind === 'failed' && <Failure error={outcome.error} />}
      {outcome?.kind === 'logged-in' && <Summary session={outcome.session} now={now()} />}
    </Box>
  );
}

function Failure({ error }: { readonly error: unknown }): ReactNode {
  const { styles } = useTheme();
  const reason = reasonOf(error);
  if (reason === undefined) return null;
  return (
    <Box flexDirection="column" marginTop={1}>
      <Text>
        <Text {...styles.danger}>error:</Text> {reason.message}
      </Text>
      {reason.advice.map((line, i) => (
        <Box key={i} marginLeft={2}>
          <Text>{line}</Text>
        </Box>
      ))}
    </Box>
  );
}

function Summary({ session, now }: { readonly session: LoggedIn; readonly now: Date }): ReactNode {
  const { styles, glyphs } = useTheme();
  return (
    <Box flexDirection="column" marginTop={1}>
      <Text>
        <Text {...styles.ok} aria-hidden>
          {glyphs.tick}{' '}
        </Text>
        <Text bold>Logged in.</Text>
      </Text>
      {summaryOf(session, now).map(([label, value]) => (
        <Box key={label} marginLeft={2}>
          <Box width={9} flexShrink={0}>
            <Text {...styles.muted}>{label}</Text>
          </Box>
          <Text>{value}</Text>
        </Box>
      ))}
    </Box>
  );
}
