import type { Command } from 'commander';
import type { Program } from './action.ts';

export function declareFormer(_program: Command, _former: Program): void {}
