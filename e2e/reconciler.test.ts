/**
 * The reconciler against a real API server, under the rights and admission policies of manifests/ and nothing more. One
 * cluster for the whole file; each case leaves no session behind.
 */
import test from 'ava';
import { admissionCases } from './reconciler/admission.ts';
import { cleanupCases } from './reconciler/cleanup.ts';
import { crashCases } from './reconciler/crashes.ts';
import { hindranceCases } from './reconciler/hindrances.ts';
import { massCases } from './reconciler/mass.ts';
import { repairCases } from './reconciler/repairs.ts';
import { replicaCases } from './reconciler/replicas.ts';
import { sessionCases } from './reconciler/sessions.ts';
import { upgradeCases } from './reconciler/upgrade.ts';
import { World } from './reconciler/world.ts';

let world: World;
const theWorld = (): World => world;

test.before(async (t) => {
  t.timeout(180_000);
  world = await World.start();
});
test.afterEach.always(async (t) => {
  if (!t.passed) await world.reset();
});
test.after.always(async () => {
  await world?.[Symbol.asyncDispose]();
});

sessionCases(theWorld);
cleanupCases(theWorld);
hindranceCases(theWorld);
admissionCases(theWorld);
massCases(theWorld);
replicaCases(theWorld);
repairCases(theWorld);
crashCases(theWorld);
upgradeCases(theWorld);
