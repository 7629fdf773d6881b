/** Holds every answer of the API that a test gets to the API's own description. */
import type { Answer } from '../dev/stack/send.ts';
import { createConformance } from '../node/testing/openapi-conformance.ts';
import { openApiDocument } from '../node/http/openapi/document.ts';

const conformance = createConformance(openApiDocument('any'));

/** Rejects with what is not described. */
export async function described(method: string, path: string, answering: Promise<Answer>): Promise<Answer> {
  const answer = await answering;
  const problem = conformance({ method, path, ...answer });
  if (problem !== undefined) throw new Error(problem);
  return answer;
}
