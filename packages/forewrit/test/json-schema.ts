/** schemas/command.json, as strict as a test needs it: what the schema does not name must not be printed. */

import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';

type Schema = { readonly [key: string]: unknown };

const schema = strict(
  JSON.parse(readFileSync(new URL('../schemas/command.json', import.meta.url), 'utf8')) as Schema,
) as Schema;
const ajv = new Ajv2020({ allErrors: true, strict: true, strictRequired: false, allowUnionTypes: true });
ajv.addSchema(schema, 'command');

export const verbsWithSchema = Object.keys(schema['$defs'] as Schema).filter(
  (name) => !['transactionId', 'ownerId', 'remedy', 'problem', 'conflict', 'record', 'task'].includes(name),
);

/** What is wrong with a document of this verb; '' if nothing is. */
export function schemaErrors(verb: string, document: unknown): string {
  const validate = ajv.getSchema(`command#/$defs/${encodeURIComponent(verb)}`);
  if (validate === undefined) throw new Error(`there is no schema of '${verb}'`);
  return validate(document) === true ? '' : ajv.errorsText(validate.errors);
}

function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, strict(each)]));
  const isClosed = copy['type'] === 'object' && 'properties' in copy && !('additionalProperties' in copy);
  return isClosed ? { ...copy, additionalProperties: false } : copy;
}
