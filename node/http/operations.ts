/**
 * Every call of the API, once: app.ts gives each its route, openapi/ describes each. What is not in here is answered 404.
 */
import { paths } from './contract.ts';

export const operations = {
  login: { method: 'post', path: paths.login },
  loginStatus: { method: 'get', path: paths.login },
  kubeconfig: { method: 'get', path: paths.kubeconfig },
  logout: { method: 'post', path: paths.logout },
  whoami: { method: 'get', path: paths.whoami },
  sessions: { method: 'get', path: paths.sessions },
  clusterInfo: { method: 'get', path: paths.clusterInfo },
  wellKnown: { method: 'get', path: paths.wellKnown },
  openapi: { method: 'get', path: paths.openapi },
} as const;

export type OperationId = keyof typeof operations;

export const operationIds = Object.keys(operations) as readonly OperationId[]; // an object literal's keys are its keys
