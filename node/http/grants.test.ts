import { readFileSync } from 'node:fs';
import test from 'ava';
import * as fc from 'fast-check';
import type { Rule } from './grants.ts';
import { chooseGrant, coversScope, describeRule, maxNamespaces, parseGrants } from './grants.ts';

const own = ['tka-system', 'tka-sessions'];
const good = { role: 'view', period: '8h', priority: 10, namespaces: ['dev'] };
const parse = (...texts: string[]) => parseGrants(texts, own);

const dropped: readonly [why: string, text: string, reason: RegExp][] = [
  ['null', 'null', /expected object/],
  ['an array', '[]', /expected object/],
  ['true, as an empty grant has it', 'true', /expected object/],
  ['no JSON', '{', /not JSON/],
  ['empty text', '', /not JSON/],
  ['1 MB', JSON.stringify({ ...good, role: 'x'.repeat(1_000_000) }), /longer than/],
  [
    'a misspelt namespaces',
    JSON.stringify({ role: 'view', period: '8h', namespace: ['dev'] }),
    /unknown field "namespace"/,
  ],
  ['a differently cased field', JSON.stringify({ ...good, Role: 'admin' }), /unknown field "Role"/],
  ['a repeated field', '{"role":"view","period":"8h","namespaces":["dev"],"role":"admin"}', /repeated/],
  ['a repeated field, one escaped', String.raw`{"role":"view","period":"8h","r\u006fle":"admin"}`, /repeated/],
  ['a repeated field that hides an object', '{"role":{"a":1},"role":"view","period":"8h"}', /repeated/],
  ['__proto__', '{"role":"view","period":"8h","__proto__":{"namespaces":["dev"]}}', /unknown field|more than once/],
  ['empty namespaces', JSON.stringify({ ...good, namespaces: [] }), /namespaces: must not be empty/],
  ['null namespaces', JSON.stringify({ ...good, namespaces: null }), /namespaces/],
  ['namespaces as a string', JSON.stringify({ ...good, namespaces: 'dev' }), /namespaces/],
  ['a namespace with a wildcard', JSON.stringify({ ...good, namespaces: ['*'] }), /namespaces\.0/],
  ['an upper-case namespace', JSON.stringify({ ...good, namespaces: ['Dev'] }), /namespaces\.0/],
  ["tka's own namespace", JSON.stringify({ ...good, namespaces: ['dev', 'tka-system'] }), /tka-system belongs to tka/],
  ["the sessions' namespace", JSON.stringify({ ...good, namespaces: ['tka-sessions'] }), /tka-sessions belongs to tka/],
  ['an empty role', JSON.stringify({ ...good, role: '' }), /role/],
  ['a role that is a path', JSON.stringify({ ...good, role: '../x' }), /role/],
  ['a role with a slash', JSON.stringify({ ...good, role: 'a/b' }), /role/],
  ['a role of dots', JSON.stringify({ ...good, role: '..' }), /role/],
  ['a role with a line break', JSON.stringify({ ...good, role: 'view\n' }), /role/],
  ['no role', JSON.stringify({ period: '8h' }), /role/],
  ['no period', JSON.stringify({ role: 'view' }), /period/],
  ['a negative period', JSON.stringify({ ...good, period: '-1h' }), /period/],
  ['an exponent in the period', JSON.stringify({ ...good, period: '1e9h' }), /period/],
  ['a space after the period', JSON.stringify({ ...good, period: '10m ' }), /period/],
  ['a period of zero', JSON.stringify({ ...good, period: '0h' }), /period/],
  ['a period in numbers', JSON.stringify({ ...good, period: 8 }), /period/],
  ['a period of more than a year', JSON.stringify({ ...good, period: '8761h' }), /not be longer/],
  ['a period under 10 minutes', JSON.stringify({ ...good, period: '599s' }), /not be shorter than 10m/],
  ['a fractional priority', JSON.stringify({ ...good, priority: 1.5 }), /priority/],
  ['a priority in words', JSON.stringify({ ...good, priority: '10' }), /priority/],
  ['an infinite priority', '{"role":"view","period":"8h","priority":1e999}', /priority/],
];

for (const [why, text, reason] of dropped) {
  test(`a rule with ${why} is dropped and says why`, (t) => {
    const grants = parse(text);
    t.deepEqual(grants.rules, []);
    t.is(grants.dropped.length, 1);
    t.regex(grants.dropped[0]?.reason ?? '', reason);
    t.true((grants.dropped[0]?.rule.length ?? 0) <= 200);
  });
}

const kept: readonly [why: string, text: string, rule: Partial<Rule>][] = [
  [
    'what released policies have',
    '{"role":"cluster-admin","period":"8h","priority":100}',
    { role: 'cluster-admin', periodMs: 28_800_000, priority: 100 },
  ],
  ['no priority', '{"role":"view","period":"90m"}', { priority: 0, periodMs: 5_400_000 }],
  ['a role with colons', '{"role":"system:aggregate-to-view","period":"10m"}', { role: 'system:aggregate-to-view' }],
  ['a colon and quotes within a string', String.raw`{"role":"a:b","period":"1h"}`, { role: 'a:b' }],
  [
    'namespaces in any order, twice',
    '{"role":"view","period":"1h","namespaces":["b","a","b"]}',
    { namespaces: ['a', 'b'] },
  ],
];

for (const [why, text, expected] of kept) {
  test(`a rule with ${why} is valid`, (t) => {
    const grants = parse(text);
    t.deepEqual(grants.dropped, []);
    t.like(grants.rules[0], expected);
  });
}

test('a rule without namespaces has no namespaces at all', (t) => {
  t.false('namespaces' in (parse('{"role":"view","period":"1h"}').rules[0] ?? {}));
});

test('identical rules are one, also where the period is written differently', (t) => {
  t.is(parse('{"role":"view","period":"8h"}', '{"period":"480m","role":"view","priority":0}').rules.length, 1);
});

const view = { role: 'view', period: '1h', priority: 10 };
const admin = { role: 'admin', period: '2h', priority: 20 };
const choices: readonly [
  title: string,
  rules: object[],
  wish: { role?: string; periodMs?: number },
  expected: object,
][] = [
  [
    'the highest priority wins without a wish',
    [view, admin],
    {},
    { kind: 'chosen', rule: { role: 'admin' }, periodMs: 7_200_000 },
  ],
  ['no rule is no grant', [], {}, { kind: 'none' }],
  ['no rule is no grant, with a wish too', [], { role: 'view' }, { kind: 'none' }],
  ['a tie of different rules at the top is refused', [view, { ...admin, priority: 10 }], {}, { kind: 'ambiguous' }],
  ['a tie in the period alone is a tie', [view, { ...view, period: '2h' }], {}, { kind: 'ambiguous' }],
  ['a tie in the scope alone is a tie', [view, { ...view, namespaces: ['dev'] }], {}, { kind: 'ambiguous' }],
  [
    'a tie below the top does not matter',
    [admin, view, { ...view, period: '2h' }],
    {},
    { kind: 'chosen', rule: { role: 'admin' } },
  ],
  ['identical rules are no tie', [view, view], {}, { kind: 'chosen', rule: { role: 'view' } }],
  [
    'a wish finds a role of lower priority',
    [view, admin],
    { role: 'view' },
    { kind: 'chosen', rule: { role: 'view' } },
  ],
  [
    'a wish settles a tie between roles',
    [view, { ...admin, priority: 10 }],
    { role: 'view' },
    { kind: 'chosen', rule: { role: 'view' } },
  ],
  [
    'a wish takes the highest priority rule of its role',
    [view, { ...view, priority: 11, period: '3h' }],
    { role: 'view' },
    { kind: 'chosen', periodMs: 10_800_000 },
  ],
  [
    'a wish does not settle a tie within its role',
    [view, { ...view, period: '2h' }],
    { role: 'view' },
    { kind: 'ambiguous' },
  ],
  [
    'a role that is not granted is refused and says what is',
    [view, admin],
    { role: 'edit' },
    { kind: 'role-not-granted', granted: ['admin', 'view'] },
  ],
  ['a shorter period is granted', [view], { periodMs: 600_000 }, { kind: 'chosen', periodMs: 600_000 }],
  ['the very same period is granted', [view], { periodMs: 3_600_000 }, { kind: 'chosen', periodMs: 3_600_000 }],
  ['a longer period is refused', [view], { periodMs: 3_601_000 }, { kind: 'period-too-long' }],
  [
    'a longer period is refused, though another rule would give it',
    [view, admin],
    { role: 'view', periodMs: 7_200_000 },
    { kind: 'period-too-long' },
  ],
  ['a period under 10 minutes is refused', [view], { periodMs: 599_000 }, { kind: 'period-too-short' }],
];

for (const [title, rules, wish, expected] of choices) {
  test(`choice: ${title}`, (t) => {
    // `like` wants a shape it can walk; each expectation above is one.
    t.like(chooseGrant(parse(...rules.map((rule) => JSON.stringify(rule))).rules, wish), expected as { kind: string });
  });
}

test('a rule may have as many namespaces as a TkaSignin, of the longest names; one more drops it with a reason', (t) => {
  const schema = readFileSync(new URL('../../crd/tkasignin.yaml', import.meta.url), 'utf8');
  t.regex(schema, new RegExp(`maxItems: ${maxNamespaces}\\n`));
  const namespaces = Array.from({ length: maxNamespaces }, (_, i) => `${i}`.padStart(63, 'n'));
  const [rule] = parse(JSON.stringify({ ...good, namespaces: namespaces.slice(0, 900) })).rules;
  t.is(rule?.namespaces?.length, 900);
  t.true(coversScope([rule ?? ({} as never)], { role: 'view', namespaces: namespaces.slice(0, 900) }));
  t.false(coversScope([rule ?? ({} as never)], { role: 'view', namespaces: namespaces.slice(1, 901) }));
  const short = namespaces.map((name) => name.slice(43));
  t.is(parse(JSON.stringify({ ...good, namespaces: short })).rules[0]?.namespaces?.length, maxNamespaces);
  const { rules, dropped } = parse(JSON.stringify({ ...good, namespaces: [...short, 'more'] }));
  t.deepEqual(rules, []);
  t.regex(dropped[0]?.reason ?? '', /namespaces: must not be more than 1000/);
});

const roles = fc.constantFrom('view', 'edit', 'admin', 'cluster-admin');
const namespaces = fc.option(fc.uniqueArray(fc.constantFrom('a', 'b', 'dev', 'prod'), { minLength: 1 }), {
  nil: undefined,
});
const ruleObject = fc.record({
  role: roles,
  period: fc.constantFrom('10m', '1h', '8h'),
  priority: fc.nat(5),
  namespaces,
});
const ruleText = ruleObject.map((rule) => JSON.stringify(rule));

test('property: whatever one text says, the other rules give exactly what they gave', (t) => {
  fc.assert(
    fc.property(fc.array(ruleText), fc.oneof(fc.string(), fc.json(), ruleText), fc.nat(), (texts, other, at) => {
      const before = parse(...texts).rules;
      const alone = parse(other).rules;
      const both = parse(...texts.toSpliced(at % (texts.length + 1), 0, other)).rules;
      const unsorted = (rules: readonly Rule[]) => rules.map((rule) => JSON.stringify(rule)).sort();
      t.deepEqual(unsorted(both), [...new Set(unsorted([...before, ...alone]))].sort());
    }),
  );
  t.pass();
});

test('property: no change to a namespaced rule short of leaving its namespaces out makes it hold elsewhere', (t) => {
  const scoped = ruleObject.filter((rule) => rule.namespaces !== undefined);
  const mutation = fc.oneof(
    fc.record({ kind: fc.constant('delete' as const), at: fc.nat() }),
    fc.record({
      kind: fc.constant('insert' as const),
      at: fc.nat(),
      what: fc.constantFrom(...'"{}[]:,\\ aAnN-_.*0é'.split('')),
    }),
    fc.record({ kind: fc.constant('case' as const), at: fc.nat() }),
    fc.record({
      kind: fc.constant('append' as const),
      field: fc.constantFrom('role', 'namespaces', 'Namespaces', 'namespace', '__proto__', 'scope'),
      value: fc.jsonValue(),
    }),
  );
  fc.assert(
    fc.property(scoped, fc.array(mutation, { minLength: 1, maxLength: 3 }), (rule, mutations) => {
      let text = JSON.stringify(rule);
      for (const change of mutations) {
        const at = 'at' in change ? change.at % text.length : 0;
        if (change.kind === 'delete') text = text.slice(0, at) + text.slice(at + 1);
        else if (change.kind === 'insert') text = text.slice(0, at) + change.what + text.slice(at);
        else if (change.kind === 'case') text = text.slice(0, at) + (text[at] ?? '').toUpperCase() + text.slice(at + 1);
        else text = `${text.slice(0, -1)},${JSON.stringify(change.field)}:${JSON.stringify(change.value)}}`;
      }
      // Up to three letters of a namespace's own name may have gone: that is another namespace, never all of them.
      for (const mutated of parse(text).rules) t.not(mutated.namespaces, undefined, text);
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test('property: a login never gets more than one rule grants', (t) => {
  const wish = fc.record({
    role: fc.option(roles, { nil: undefined }),
    periodMs: fc.option(fc.nat(40_000_000), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(ruleText), wish, (texts, wished) => {
      const { rules } = parse(...texts);
      const choice = chooseGrant(rules, wished);
      if (choice.kind !== 'chosen') return;
      t.true(rules.includes(choice.rule));
      t.true(choice.periodMs <= choice.rule.periodMs);
      t.is(choice.rule.role, wished.role ?? choice.rule.role);
    }),
  );
  t.pass();
});

for (const [count, words] of [
  [1, 'namespaces n0'],
  [5, 'namespaces n0, n1, n2, n3, n4'],
  [6, 'namespaces n0, n1, n2, n3, n4 and 1 more'],
  [200, 'namespaces n0, n1, n2, n3, n4 and 195 more'],
] as const) {
  test(`a rule of ${count} namespaces is described by five of them at most`, (t) => {
    const namespaces = Array.from({ length: count }, (_, i) => `n${i}`);
    const described = describeRule({ role: 'view', period: '1h', periodMs: 3_600_000, priority: 0, namespaces });
    t.is(described, `view in ${words} for 1h (priority 0)`);
  });
}
