import test from 'ava';
import {
  ApiUnavailableError,
  ConflictError,
  ForbiddenError,
  InvalidError,
  NotFoundError,
  UnauthorizedError,
} from '../errors.ts';
import { installationProblem } from './installation.ts';

const of = 'cannot create tkasignins in tka-sessions: ';
const cases: readonly (readonly [title: string, error: unknown, words: string | undefined])[] = [
  [
    'a kind that the API server does not know',
    new NotFoundError('list', 'tkasignins', 'cannot list tkasignins in tka-sessions: the API server answered 404'),
    'the CustomResourceDefinition tkasignins.tka.specht-labs.de is not installed',
  ],
  [
    'a definition that is being deleted',
    new InvalidError('create', 'tkasignins', `${of}create not allowed while custom resource definition is terminating`),
    'the CustomResourceDefinition tkasignins.tka.specht-labs.de is being deleted',
  ],
  [
    'a namespace that does not exist',
    new NotFoundError('create', 'tkasignins', `${of}namespaces "tka-sessions" not found`),
    'the namespace tka-sessions does not exist',
  ],
  [
    'a namespace that is being deleted',
    new ForbiddenError(
      'create',
      'tkasignins',
      `${of}tkasignins.tka.specht-labs.de "x" is forbidden: unable to create new content in namespace tka-sessions because it is being terminated`,
    ),
    'the namespace tka-sessions is being deleted',
  ],
  [
    'a lost right',
    new ForbiddenError(
      'create',
      'tkasignins',
      `${of}tkasignins.tka.specht-labs.de is forbidden: User "system:serviceaccount:tka-system:tka" cannot create resource "tkasignins" in API group "tka.specht-labs.de" in the namespace "tka-sessions"`,
    ),
    'tka may not create tkasignins in namespace tka-sessions',
  ],
  [
    'a credential that is unknown',
    new UnauthorizedError('list', 'tkasignins', 'cannot list tkasignins: Unauthorized'),
    "the API server does not know tka's credential: its ServiceAccount was deleted, or its token has ended",
  ],
  [
    'a session that is gone',
    new NotFoundError(
      'get',
      'tkasignins',
      'cannot get tkasignins x in tka-sessions: tkasignins.tka.specht-labs.de "x" not found',
    ),
    undefined,
  ],
  ['another object that is gone', new NotFoundError('get', 'serviceaccounts', 'no'), undefined],
  ['an API server that is away', new ApiUnavailableError('list', 'tkasignins', 'ECONNREFUSED'), undefined],
  [
    'a status of a kind that the API server does not know',
    new NotFoundError('patch', 'tkasignins/status', 'cannot patch tkasignins/status: the API server answered 404'),
    'the CustomResourceDefinition tkasignins.tka.specht-labs.de is not installed',
  ],
  [
    'an object that the API server finds invalid',
    new InvalidError('create', 'tkasignins', `${of}spec.role: Required value`),
    undefined,
  ],
  ['a conflict', new ConflictError('patch', 'tkasignins', 'the object has been modified'), undefined],
  ['any other error', new Error('no'), undefined],
];

for (const [title, error, words] of cases) {
  test(`${title} ${words === undefined ? 'is no problem of the installation' : 'is named'}`, (t) => {
    t.is(installationProblem(error), words);
  });
}
