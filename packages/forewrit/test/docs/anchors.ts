/** The anchors of a page's headings, by the rule of GitHub, which the site follows, too; and those that are given. */

export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title] of text.replaceAll(/^```.*?^```/gms, '').matchAll(/^#{1,6} +(.*)$/gm)) {
    const anchor = anchorOf(title!);
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count += 1) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  for (const [, id] of text.matchAll(/^<a id="([^"]+)"><\/a>$/gm)) anchors.add(id!);
  return anchors;
}

function anchorOf(title: string): string {
  return title
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}
