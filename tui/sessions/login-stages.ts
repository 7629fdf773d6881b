/** Says which stage of a login runs, and what each found. A stage that begins while another runs ends that one. */
import { printable } from '../terminal/output.ts';

/** In this order. */
export type LoginStage = 'server' | 'identity' | 'grant' | 'sign-in' | 'provisioning' | 'usable' | 'kubeconfig';

/** A login that rejects does so in the stage that was `running`. */
export interface StageReport {
  readonly stage: LoginStage;
  readonly state: 'running' | 'done';
  /** Printable; what the stage found, for `done`. */
  readonly detail?: string;
}

export interface Stages {
  begin(stage: LoginStage): void;
  /** Nothing where no stage runs. */
  done(detail?: string): void;
}

export function createStages(hear: ((report: StageReport) => void) | undefined): Stages {
  let running: LoginStage | undefined;
  const done = (detail?: string): void => {
    const stage = running;
    running = undefined;
    if (stage === undefined) return;
    hear?.({ stage, state: 'done', ...(detail === undefined ? {} : { detail: printable(detail, 200) }) });
  };
  const begin = (stage: LoginStage): void => {
    done();
    running = stage;
    hear?.({ stage, state: 'running' });
  };
  return { begin, done };
}
