/**
 * Ctrl-Z, and SIGTSTP: gives the terminal back as it was, stops the process, and draws the screen again once it is continued.
 * Draws nothing itself. One a screen, at its root.
 */
import { useApp, useStdin } from 'ink';
import { useEffect, useEffectEvent, useRef, type ReactNode } from 'react';
import { useKeys } from '../hooks/use-keys.ts';
import type { JobControl } from '../runtime.ts';

export function Suspender({ jobControl }: { readonly jobControl: JobControl | undefined }): ReactNode {
  const { suspendTerminal } = useApp();
  const { isRawModeSupported } = useStdin();
  const isSuspending = useRef(false);
  const suspend = useEffectEvent(async () => {
    if (jobControl === undefined || isSuspending.current) return;
    isSuspending.current = true;
    try {
      await suspendTerminal(async () => jobControl.suspend());
    } finally {
      isSuspending.current = false;
    }
  });
  useKeys((key) => void (key === 'ctrl-z' && suspend()), { isActive: isRawModeSupported && jobControl !== undefined });
  useEffect(() => jobControl?.onSuspend(() => void suspend()), [jobControl]);
  return null;
}
