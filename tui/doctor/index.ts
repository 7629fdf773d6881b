/** The checks of `tka doctor`, in the order in which a login needs what they look at. */
import { accessChecks } from './access-checks.ts';
import type { Check } from './check.ts';
import { machineChecks, nodeCheck } from './machine-checks.ts';
import { serverChecks } from './server-checks.ts';
import { tailnetChecks } from './tailnet-checks.ts';

export const checks: readonly Check[] = [
  nodeCheck,
  ...tailnetChecks,
  ...serverChecks,
  ...accessChecks,
  ...machineChecks,
];
