/** What the code for every shell has in common. */
import { variableNames } from '../variables.ts';

/** Commands that may change the shell they are typed in, the older names included; others go straight to the program. */
const reaching = ['login', 'signin', 'auth', 'renew', 'refresh', 'reauthenticate', 'logout', 'signout'] as const;

/** As the patterns of a POSIX `case`. */
export const reachingPatterns = reaching.join('|');
export const reachingWords = reaching.join(' ');
export const reachingQuoted = reaching.map((name) => `'${name}'`).join(', ');

export const variableWords = variableNames.join(' ');
export const variablesQuoted = variableNames.map((name) => `'${name}'`).join(', ');
