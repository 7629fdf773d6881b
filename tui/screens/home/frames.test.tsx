/** Whole frames, as a person sees them. A run of empty lines is one here. */
import test from 'ava';

// Asked for before anything of Ink loads: otherwise nothing would be coloured here, and no colour proves nothing.
process.env['FORCE_COLOR'] = '1';
// Times of day are the machine's.
process.env['TZ'] = 'UTC';
const { makeWorld, showHome } = await import('../../testing/home.tsx');
type Shown = ReturnType<typeof showHome>;

const colourless = (frame: string): string =>
  frame
    // eslint-disable-next-line no-control-regex
    .replaceAll(/\u001B\[[\d;]*m/g, '')
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
const text = (frame: string): string => `\n${colourless(frame).replaceAll(/\n{3,}/g, '\n\n')}\n`;
const whenKnown = async (home: Shown): Promise<Shown> => {
  await home.seen(/cluster-admin/);
  return home;
};

test('80×24: clusters, what one may have there, sessions with what is left, the selected one in full', async (t) => {
  const home = await whenKnown(showHome(t, makeWorld()));
  await home.press('j');
  t.is(home.last().split('\n').length, 23);
  t.is(
    text(home.last()),
    `
tka · alice@example.com                                   4 clusters, 3 sessions

  CLUSTER               ROLES (MAX)                                 STATE
  dev                   view 8h, edit in dev 1h                     ✓ known
❯   ✓ view              █████████████   8:00:00 left        *tka-dev
    ! edit in dev, ops  █░░░░░░░░░░░░   0:09:00 ends soon   tka-dev-edit
  prod                  view 8h, edit in dev 1h                     ○ new
    ! cluster-admin     █░░░░░░░░░░░░   0:00:42 last minute tka-dev
  staging               no answer within 1 s                        ✗ away
  test                  view 8h, edit in dev 1h                     ! changed

context tka-dev (current) · until 18:00 · alice-view-0123456789
enter renew  r role  o logout  u use  s shell  y copy  / filter  ? help  q quit
`,
  );
});

test('60 columns: the context has gone from the rows', async (t) => {
  const home = await whenKnown(showHome(t, makeWorld(), { columns: 60 }));
  t.is(
    text(home.last()),
    `
tka · alice@example.com               4 clusters, 3 sessions

  CLUSTER              ROLES (MAX)              STATE
❯ dev                  view 8h, edit in dev 1h  ✓ known
    ✓ view             ███████████████   8:00:00 left
    ! edit in dev, ops █░░░░░░░░░░░░░░   0:09:00 ends soon
  prod                 view 8h, edit in dev 1h  ○ new
    ! cluster-admin    █░░░░░░░░░░░░░░   0:00:42 last minute
  staging              no answer within 1 s     ✗ away
  test                 view 8h, edit in dev 1h  ! changed

http://tka-dev.example.ts.net · trusted · version 0.1.0
enter login  r role  n renew  o logout  ? help  q quit
`,
  );
});

test('40 columns: plain lines', async (t) => {
  const home = await whenKnown(showHome(t, makeWorld(), { columns: 40 }));
  t.is(
    text(home.last()),
    `
tka · alice@e…    4 clusters, 3 sessions

❯ dev ✓ known: view 8h, edit in dev 1h
    view · 8:00:00 left
    edit in dev, ops · 0:09:00 ends soon
  prod ○ new: view 8h, edit in dev 1h
    cluster-admin · 0:00:42 last minute
  staging ✗ away: no answer within 1 s
  test ! changed: view 8h, edit in dev…

http://tka-dev.example.ts.net · trusted…
enter login  r role  ? help  q quit
`,
  );
});

test('ascii: every character is ASCII', async (t) => {
  const home = await whenKnown(showHome(t, makeWorld(), { theme: 'ascii' }));
  await home.press('j', 'o');
  t.regex(colourless(home.last()), /^[\x20-\x7e\n]*$/);
  t.is(
    text(home.last()),
    `
tka - alice@example.com                                   4 clusters, 3 sessions

  CLUSTER               ROLES (MAX)                                 STATE
  dev                   view 8h, edit in dev 1h                     + known
>   + view              #############   8:00:00 left        *tka-dev
    ! edit in dev, ops  #............   0:09:00 ends soon   tka-dev-edit
  prod                  view 8h, edit in dev 1h                     . new
    ! cluster-admin     #............   0:00:42 last minute tka-dev
  staging               no answer within 1 s                        x away
  test                  view 8h, edit in dev 1h                     ! changed

! Log out of view in the whole cluster at dev?
  Press o again to log out, any other key to cancel.

context tka-dev (current) - until 18:00 - alice-view-0123456789
o log out  any other key cancel
`,
  );
});

test('a screen reader hears sentences without bars, and not every second', async (t) => {
  const home = await whenKnown(showHome(t, makeWorld(), { isScreenReader: true }));
  const frame = home.last();
  t.is(
    text(frame),
    `
tka · alice@example.com 4 clusters, 3 sessions
list: listitem: (selected) Cluster dev, known. You may use view 8h; edit in dev 1h.
listitem: Session as view in the whole cluster, 8 hours left, context tka-dev, current.
listitem: Session as edit in dev, ops, 9 minutes left, context tka-dev-edit.
listitem: Cluster prod, new. You may use view 8h; edit in dev 1h.
listitem: Session as cluster-admin in the whole cluster, ends in less than a minute, context tka-dev.
listitem: Cluster staging, away. no answer within 1 s.
listitem: Cluster test, changed. You may use view 8h; edit in dev 1h.
http://tka-dev.example.ts.net · trusted · version 0.1.0
enter login  r role  n renew  o logout  u use  s shell  y copy  ? help  q quit
`,
  );
  await home.advance(1000);
  t.is(home.last(), frame);
});

test('NO_COLOR and --theme none take the colours, and say the same', async (t) => {
  // eslint-disable-next-line no-control-regex
  const colours = /\u001B\[(?:3|4|9|10)\d/;
  const coloured = (await whenKnown(showHome(t, makeWorld()))).last();
  t.regex(coloured, colours);
  for (const options of [{ env: { NO_COLOR: '1' } }, { theme: 'none' }]) {
    const plain = (await whenKnown(showHome(t, makeWorld(), options))).last();
    t.notRegex(plain, colours);
    t.is(colourless(plain), colourless(coloured));
  }
});
