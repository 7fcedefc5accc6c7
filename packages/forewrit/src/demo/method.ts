/** The two ways of saving that the demo compares. */

export const methods = ['forewrit', 'writeFile'] as const;

export type Method = (typeof methods)[number];

export const methodTitles: Record<Method, string> = {
  forewrit: 'Forewrit',
  writeFile: 'fs.writeFile, one by one',
};

export function isMethod(text: string | undefined): text is Method {
  return methods.some((method) => method === text);
}
