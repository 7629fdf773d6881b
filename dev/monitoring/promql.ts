/** What a PromQL query asks for: its series and the labels it groups by, read with Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Query {
  readonly selectors: readonly Selector[];
  readonly grouping: readonly string[];
}

/** Throws where the text is no PromQL. */
export function readQuery(text: string): Query {
  const selectors: { metric: string; matchers: Matcher[] }[] = [];
  const grouping: string[] = [];
  let matcher: { label: string; operator: string } | undefined;
  parser.parse(text).iterate({
    enter({ type, from, to, node }) {
      const part = text.slice(from, to);
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text}`);
      switch (type.name) {
        case 'VectorSelector':
          selectors.push({ metric: '', matchers: [] });
          break;
        case 'Identifier': {
          const selector = selectors.at(-1);
          if (node.parent?.type.name === 'VectorSelector' && selector !== undefined) selector.metric = part;
          break;
        }
        case 'LabelName':
          if (node.parent?.type.name === 'GroupingLabels') grouping.push(part);
          else matcher = { label: part, operator: '' };
          break;
        case 'MatchOp':
          if (matcher !== undefined) matcher.operator = part;
          break;
        case 'StringLiteral':
          if (matcher !== undefined) selectors.at(-1)?.matchers.push({ ...matcher, value: part.slice(1, -1) });
          matcher = undefined;
          break;
      }
    },
  });
  return { selectors, grouping };
}
