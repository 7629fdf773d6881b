import test from 'ava';
import { windowOf } from './cluster-list.tsx';
import { columnsFor, cutTo, fit, widthOf, wrapLines } from '../../components/columns.ts';

test('columns fill no more than the width, from 60 columns on', (t) => {
  for (let width = 60; width <= 250; width += 1) {
    const columns = columnsFor(width);
    t.truthy(columns);
    if (columns === undefined) continue;
    const { name, may, state, role, bar, time, word, context } = columns;
    t.true(2 + name + 1 + may + 1 + state <= width, `the cluster's row at ${width}`);
    const session = 6 + role + 1 + bar + 1 + time + 1 + word + (context > 0 ? 1 + context : 0);
    t.true(session <= width, `the session's row at ${width}: ${session}`);
    t.true(Math.min(name, may, role, bar) >= 8, `nothing is unreadable at ${width}`);
  }
});

test('the context goes before the bar does, and below 60 all columns', (t) => {
  t.true((columnsFor(80)?.context ?? 0) > 15);
  t.is(columnsFor(75)?.context, 0);
  t.true((columnsFor(60)?.bar ?? 0) > 0);
  t.is(columnsFor(59), undefined);
});

test('a text that is too long ends in the ellipsis of the theme', (t) => {
  t.is(fit('view', 6, { ellipsis: '…' }), 'view  ');
  t.is(fit('cluster-admin', 6, { ellipsis: '…' }), 'clust…');
  t.is(fit('cluster-admin', 6, { ellipsis: '...' }), 'clu...');
  t.is(cutTo('cluster-admin', 2, '...'), '..');
  t.is(cutTo('cluster-admin', 0, '…'), '');
});

test('characters that take two columns count as two, and are not cut in half', (t) => {
  t.is(widthOf('管理者'), 6);
  t.is(widthOf('e\u0301'), 1);
  t.is(fit('管理者', 4, { ellipsis: '…' }), '管… ');
});

test('lines break between words, and within a word that is longer than a line', (t) => {
  t.deepEqual(wrapLines('one two three', 8), ['one two', 'three']);
  t.deepEqual(wrapLines('https://a-very-long-name', 10), ['https://a-', 'very-long-', 'name']);
  t.deepEqual(wrapLines('', 10), ['']);
});

test('the window of a list holds the selected row and is never higher than its room', (t) => {
  for (const total of [0, 1, 2, 5, 9, 40]) {
    for (const height of [1, 2, 3, 4, 8, 12]) {
      for (let selected = 0; selected < total; selected += 1) {
        const { first, count, above, below } = windowOf(total, selected, height);
        const name = `${total} rows, ${height} lines, row ${selected}`;
        t.true(selected >= first && selected < first + count, `${name} is seen`);
        t.true(count + (above > 0 ? 1 : 0) + (below > 0 ? 1 : 0) <= height, `${name} fits`);
        if (height >= 3) t.is(above + count + below, total, name);
      }
    }
  }
});
