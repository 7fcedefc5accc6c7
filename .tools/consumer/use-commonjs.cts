// A CommonJS module in TypeScript: `import` here is compiled to `require`.
import { openStore } from 'forewrit';
import staging = require('@forewrit/staging');

export async function use(): Promise<string> {
  const store = await openStore('./data');
  const { checksum } = await staging.writeFileAtomically(store, 'a.txt', 'one');
  return checksum;
}
