/** Makes `src/schema.ts` from the API's document. */

import { writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const SCHEMAS = 'components["schemas"]';

/**
 * TypeScript has no type for "these keys, and other keys with other values": the keys `all`, `any` and `not` of a
 * filter would have to be conditions, too. So a filter's members are all that one of them may be.
 */
function filter() {
  const [condition, whole] = [`${SCHEMAS}["FilterCondition"]`, `${SCHEMAS}["Filter"]`];
  return ts.factory.createTypeReferenceNode(
    `{ readonly [attribute: string]: ${condition} | ${whole} | readonly ${whole}[] }`,
  );
}

const document = new URL("../../openapi.yaml", import.meta.url);
const nodes = await openapiTS(document, {
  alphabetize: true,
  immutable: true,
  transform: (_schema, { path }) => (path === "#/components/schemas/Filter" ? filter() : undefined),
});
const header = "// Generated from ../../openapi.yaml by `npm run generate`; do not edit.\n\n";
await writeFile(new URL("src/schema.ts", import.meta.url), header + astToString(nodes));
