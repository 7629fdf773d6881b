/** How far a login is. */
import { useSyncExternalStore } from 'react';
import type { LoginProgress, LoginRun } from './run.ts';

export function useLogin(run: LoginRun): LoginProgress {
  return useSyncExternalStore(run.subscribe, run.snapshot);
}
