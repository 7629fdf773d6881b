/**
 * The home screen: the clusters of this tailnet, what the caller may have there, and the caller's sessions as they run down.
 *
 * It composes: model.ts says what happens, hooks let it happen, components draw it. The first frame needs nothing but
 * what is imported here. It exits by itself (useApp) once the person, or `signal`, has asked for it and nothing is under way.
 */
import { Box, useApp, useIsScreenReaderEnabled, useStdout, useWindowSize } from 'ink';
import { useEffect, useReducer, type ReactNode } from 'react';
import { ClusterList, ListHead } from './cluster-list.tsx';
import { columnsFor } from '../../components/columns.ts';
import { FilterInput } from '../../components/filter-input.tsx';
import { Help, HelpBar } from '../../components/help-bar.tsx';
import { linesOf, Message } from './message.tsx';
import { Interrupted } from '../../errors.ts';
import { useAccess } from './use-access.ts';
import { useAction } from './use-action.ts';
import { Question } from '../../components/question.tsx';
import { type Clock, useClock } from '../../hooks/use-clock.ts';
import { useClusters } from './use-clusters.ts';
import { useKeys } from '../../hooks/use-keys.ts';
import { Busy, Detail, Title } from './lines.tsx';
import { update } from './model.ts';
import type { HomeServices } from './services.ts';
import { initialState, liveNotice, rowsOf, selectedIndex } from './state.ts';
import { emptyNotice, keysFor, questionOf } from './words.ts';
import { LoginProgress } from '../login/progress.tsx';
import { RolePicker } from '../login/role-picker.tsx';

export interface HomeProps {
  readonly services: HomeServices;
  readonly clock: Clock;
  /** Quits when it is aborted. */
  readonly signal: AbortSignal;
}

export function Home({ services, clock, signal }: HomeProps): ReactNode {
  const [state, dispatch] = useReducer(update, initialState);
  const { columns: width, rows: height } = useWindowSize();
  const isScreenReader = useIsScreenReaderEnabled();
  const now = useClock(clock);
  useClusters(services, state.searches, dispatch);
  useAccess(services, state, dispatch, clock);
  const { login, questions, isAsking } = useAction(services, state.action, dispatch, clock);
  // A login, a question and the picker read their own keys; only the way out is everybody's.
  const isElsewhere = login !== undefined || questions !== undefined || state.view.name === 'picker';
  useKeys((key, isAlone) => dispatch({ type: 'key', key, isAlone }), {
    isActive: !isElsewhere,
    onPaste: (text) => dispatch({ type: 'pasted', text }),
  });
  useKeys(
    (key) => {
      if (key === 'ctrl-c') dispatch({ type: 'quit', isInterrupted: true });
      else if (key === 'escape' && questions !== undefined && !isAsking) dispatch({ type: 'stop' });
    },
    { isActive: isElsewhere },
  );
  useCopy(state.copied);
  useExit(state.quitting && state.action === undefined, state.isInterrupted === true);
  useEffect(() => {
    const quit = (): void => dispatch({ type: 'quit' });
    if (signal.aborted) quit();
    signal.addEventListener('abort', quit, { once: true });
    return () => signal.removeEventListener('abort', quit);
  }, [signal]);

  const rows = rowsOf(state);
  const selected = selectedIndex(rows, state);
  const columns = columnsFor(width);
  const notice = questionOf(state) ?? liveNotice(state, now) ?? emptyNotice(state);
  const access = state.view.name === 'picker' ? state.access[state.view.server] : undefined;
  const panel =
    access?.state === 'known' ? (
      <RolePicker
        rules={access.rules}
        onPick={(request) => dispatch({ type: 'picked', request })}
        onCancel={() => dispatch({ type: 'unpicked' })}
        now={() => new Date(clock.now())}
      />
    ) : login === undefined ? undefined : (
      <LoginProgress run={login} now={() => new Date(clock.now())} onEscape="stop" />
    );
  const isFiltered = state.view.name === 'filter' || state.filter !== '';
  const hasHead = columns !== undefined && rows.length > 0 && !isScreenReader;
  // The title and a blank line, the head, the keys, and a blank line above what is below the list.
  const spare = height - 1 - 2 - (hasHead ? 1 : 0) - 2;
  const below =
    (notice === undefined ? 0 : linesOf(notice, width)) +
    (isFiltered ? 1 : 0) +
    (state.action === undefined ? 0 : 1) +
    // What is selected.
    1;
  const room = Math.max(3, panel === undefined ? spare - below : Math.min(rows.length, spare - 16));

  // As wide as the terminal is by now: when it gets narrower, one frame is still drawn for the width before.
  return (
    <Box
      flexDirection="column"
      width="100%"
      overflow="hidden"
      {...(isScreenReader ? {} : { height: Math.max(1, height - 1) })}
    >
      <Title state={state} width={width} />
      {state.view.name === 'help' ? (
        <Help width={width} />
      ) : (
        <>
          <Box flexDirection="column" overflow="hidden">
            {hasHead && <ListHead columns={columns} />}
            <ClusterList
              {...{ rows, now, width, columns }}
              selectedIndex={selected}
              height={isScreenReader ? undefined : room}
            />
          </Box>
          <Box flexDirection="column" flexShrink={0} marginTop={rows.length === 0 || isScreenReader ? 0 : 1}>
            {notice !== undefined && <Message notice={notice} width={width} />}
            {panel ?? (state.action !== undefined && <Busy action={state.action} width={width} />)}
            {questions !== undefined && <Question interaction={questions} />}
            {isFiltered && <FilterInput filter={state.filter} isTyping={state.view.name === 'filter'} width={width} />}
          </Box>
          <Box flexGrow={1} />
          {panel === undefined && <Detail row={rows[selected]} width={width} now={now} />}
          {panel === undefined && <HelpBar keys={keysFor(state, rows[selected])} width={width} />}
        </>
      )}
    </Box>
  );
}

/** OSC 52: the terminal puts it on the clipboard of the machine that the person sits at. */
function useCopy(copied: { readonly id: number; readonly text: string } | undefined): void {
  const { stdout } = useStdout();
  useEffect(() => {
    if (copied === undefined) return;
    stdout.write(`\u001B]52;c;${Buffer.from(copied.text).toString('base64')}\u0007`);
  }, [copied, stdout]);
}

function useExit(isDone: boolean, isInterrupted: boolean): void {
  const { exit } = useApp();
  useEffect(() => {
    if (isDone) exit(isInterrupted ? new Interrupted('SIGINT') : undefined);
  }, [isDone, isInterrupted, exit]);
}
