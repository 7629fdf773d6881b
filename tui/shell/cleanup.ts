/**
 * The next command ends what killed shells have left: their sessions, as their own exit would have, and their
 * private files. Where nothing was left this costs a look into three directories and loads nothing.
 */
import { removeLeftKubeconfigs } from './integration/environment.ts';
import { createWords } from '../terminal/output.ts';
import type { Runtime } from '../runtime.ts';
import { remove } from './directories.ts';
import { stateOf } from '../files/process-owner.ts';
import { isOver, listBroken, listRecords, type Registered, type ShellRecord } from './records.ts';

/** Says what it ended on stderr, unless quiet. Waits for no server longer than 3 s. */
export async function cleanUpAfterCrashes(runtime: Runtime, flags: { readonly quiet?: boolean } = {}): Promise<void> {
  removeLeftKubeconfigs(runtime.env);
  for (const directory of listBroken(runtime.env)) remove(directory);
  const due: Registered[] = [];
  for (const registered of listRecords(runtime.env)) {
    const { directory, record } = registered;
    if (stateOf(record.owner) === 'alive' && record.phase !== 'left') continue;
    // Its session has ended by itself.
    if (isOver(record, runtime)) remove(directory);
    else if (isLeft(record) && isDue(record, runtime)) due.push(registered);
  }
  if (due.length === 0) return;

  const { endSession } = await import('./ending.ts');
  const words = createWords(runtime, flags.quiet === true);
  const signal = AbortSignal.any([runtime.signal, AbortSignal.timeout(3000)]);
  const options = { signal, warn: (line: string) => words.say(line), isStillOurs: isLeft };
  // One after another: shells of one session must see each other's end.
  for (const { directory } of due) {
    const ended = await endSession(runtime, directory, options);
    runtime.signal.throwIfAborted();
    if (ended.outcome === 'revoked') words.say(`Ended the session ${ended.session}, left by a shell that was killed.`);
  }
}

function isLeft({ phase, owner }: ShellRecord): boolean {
  return phase === 'left' || stateOf(owner) === 'dead';
}

function isDue({ notBefore }: ShellRecord, { now }: Runtime): boolean {
  // An invalid date does not delay it.
  return !(Date.parse(notBefore ?? '') > now().getTime());
}
