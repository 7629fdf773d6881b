import { readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { messageOf, reasonOf, writing } from './system-error.ts';

const caught = (work: () => void): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

test('an error of a file names its path and the reason, or the call where there is no path', (t) => {
  t.is(messageOf(caught(() => writeFileSync('/dev/null/x', ''))), '/dev/null/x: a file is in the place of a directory');
  t.is(messageOf(caught(() => readFileSync('/'))), 'a directory is in its place (read)');
  t.is(messageOf(caught(() => writeFileSync('/dev/full', 'x'))), 'no space left on its file system (write)');
});

test('other errors keep their message', (t) => {
  t.is(messageOf(new TypeError('no')), 'no');
  t.is(messageOf('text'), 'text');
  t.is(reasonOf(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), undefined);
});

test('what cannot be written names the path, the reason and the setting', (t) => {
  const fails = () => writing('/state/key', 'tailscale.stateDir', () => writeFileSync('/dev/full', 'x'));
  t.throws(fails, {
    message:
      /^cannot write \/state\/key: no space left on its file system; .* --tailscale-state-dir, TKA_TAILSCALE_STATE_DIR or/,
  });
  const bug = new TypeError('bug');
  t.is(
    caught(() =>
      writing('/state/key', 'tailscale.stateDir', () => {
        throw bug;
      }),
    ),
    bug,
  );
});
