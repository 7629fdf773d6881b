import test from 'ava';
import { createAccounts } from './accounts.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('accounts are settled after what runs, each once, in order', async (t) => {
  const settled: number[] = [];
  const accounts = createAccounts((account: number) => settled.push(account));
  accounts.add(1);
  await Promise.resolve();
  accounts.add(2);
  t.deepEqual(settled, []);
  await turn();
  t.deepEqual(settled, [1, 2]);
  accounts.add(3);
  await turn();
  t.deepEqual(settled, [1, 2, 3]);
});

test('what is left is settled at once where nothing comes after', async (t) => {
  const settled: number[] = [];
  const accounts = createAccounts((account: number) => settled.push(account));
  accounts.add(1);
  accounts.settle();
  t.deepEqual(settled, [1]);
  accounts.add(2);
  await turn();
  t.deepEqual(settled, [1, 2]);
});

test('one that fails does not keep the others', async (t) => {
  const settled: number[] = [];
  const accounts = createAccounts((account: number) => {
    settled.push(account);
    if (account === 1) throw new Error('a full disk');
  });
  accounts.add(1);
  accounts.add(2);
  t.throws(() => accounts.settle(), { message: 'a full disk' });
  accounts.settle();
  await turn();
  t.deepEqual(settled, [1, 2]);
});
