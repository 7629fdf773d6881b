import test from 'ava';
import { renderToString } from 'ink';
import { hour, makeSession, startedAt } from '../../testing/home.tsx';
import { themed } from '../../testing/frames.ts';
import { columnsFor } from '../../components/columns.ts';
import { SessionRow } from './session-row.tsx';

const draw = (change: Partial<Parameters<typeof makeSession>[1]>, now: number, isStale = false): string =>
  renderToString(
    themed(
      <SessionRow
        session={makeSession('view', change)}
        now={now}
        isSelected={false}
        isStale={isStale}
        width={80}
        columns={columnsFor(80)}
      />,
    ),
    { columns: 80 },
  );

test('a session of 8 h begins at 8:00:00 with a full bar, and one of 30 minutes at 0:30:00 with a full bar', (t) => {
  t.regex(draw({}, startedAt), /✓ view +█{13} +8:00:00 left/);
  const short = { endsAt: startedAt + hour / 2, periodMs: hour / 2 };
  t.regex(draw(short, startedAt), /✓ view +█{13} +0:30:00 left/);
  t.regex(draw(short, startedAt + hour / 4), /█{7}░{6} +0:15:00 left/);
});

test('a row of a server that is away is marked as the last known state', (t) => {
  t.regex(draw({}, startedAt, true), /\? view .* 8:00:00 last known/);
  t.notRegex(draw({}, startedAt, true), /✓|left/);
});
