import test from 'ava';
import { accepted, licenceOf, sorted } from './component.ts';
import { packageFolder } from './bundled-packages.ts';

test('an unreviewed licence stops the build, and the message names the file to edit', (t) => {
  t.is(accepted('MIT', 'koa 3'), 'MIT');
  for (const licence of ['GPL-3.0-only', 'UNLICENSED', undefined]) {
    t.throws(() => accepted(licence, 'koa 3'), { message: /^koa 3 is under .*dev\/release\/component\.ts/ });
  }
});

test('a licence is known by its words, however they are wrapped', (t) => {
  const redistribution = 'Redistribution and use in source and\n binary forms, with or without modification';
  const texts: [string, string | undefined][] = [
    ['Apache License\n   Version 2.0, January 2004', 'Apache-2.0'],
    ['Permission is hereby granted, free\nof charge, to any person', 'MIT'],
    ['Permission to use, copy, modify, and distribute this software for any purpose', 'ISC'],
    [`${redistribution} … may be used to endorse or promote products`, 'BSD-3-Clause'],
    [redistribution, 'BSD-2-Clause'],
    ['GNU GENERAL PUBLIC LICENSE', undefined],
  ];
  for (const [text, licence] of texts) t.is(licenceOf(text), licence, text);
});

test('a file belongs to the innermost package, also a nested one', (t) => {
  t.is(packageFolder('node_modules/koa/lib/application.js'), 'node_modules/koa');
  t.is(packageFolder('node_modules/koa/node_modules/mime-db/db.json'), 'node_modules/koa/node_modules/mime-db');
  t.is(packageFolder('node_modules/@koa/router/dist/index.mjs'), 'node_modules/@koa/router');
  t.is(packageFolder('tui/cli.ts'), undefined);
});

test('the same package from two folders is one', (t) => {
  const one = { name: 'ms', version: '2.1.3', licence: 'MIT', texts: ['…'], purl: 'pkg:npm/ms@2.1.3' };
  const other = { ...one, name: 'koa', purl: 'pkg:npm/koa@3.3.0' };
  t.deepEqual(sorted([one, other, { ...one }]), [other, { ...one }]);
});
