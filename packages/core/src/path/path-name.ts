/**
 * What a single name of a path may be. Names are judged as text alone, so that a path that is fine here is fine on
 * every look. The platform is a parameter: the rules of Windows are tested everywhere.
 */

export type PathPlatform = 'posix' | 'win32';

export const currentPathPlatform: PathPlatform = process.platform === 'win32' ? 'win32' : 'posix';

/** The store's own directory, in the main root. */
export const storeDirectoryName = '.forewrit';
/** What the store keeps on another file system that holds targets; may be in any directory. */
export const stagedDirectoryName = '.forewrit-staged';

/** NAME_MAX of every file system in common use. */
export const nameBytesMax = 255;
/** PATH_MAX is 4096 with the byte that ends the string; it bounds the absolute path. */
export const pathBytesMax = 4095;

/** Why a name is refused, and what to do instead. */
export interface Refusal {
  readonly reason: string;
  readonly hint: string;
}

/** Also where a name is split into its parts: on POSIX a backslash is a character like any other. */
export function separators(platform: PathPlatform): RegExp {
  return platform === 'win32' ? /[\\/]/ : /\//;
}

export function refusedName(name: string, platform: PathPlatform): Refusal | undefined {
  if (Buffer.byteLength(name) > nameBytesMax) {
    return {
      reason: `a name is longer than ${nameBytesMax} bytes`,
      hint: 'Shorten the name: file systems refuse longer ones.',
    };
  }
  return platform === 'win32' ? refusedOnWindows(name) : undefined;
}

/** Text that no file name can hold, whatever the platform. */
export function refusedText(text: string): Refusal | undefined {
  if (text.includes('\0')) {
    return {
      reason: 'it contains a NUL character',
      hint: 'Remove the NUL: the system would cut the path there.',
    };
  }
  if (/\p{Surrogate}/u.test(text)) {
    return {
      reason: 'it contains half of a surrogate pair, which UTF-8 cannot hold',
      hint: 'Two such paths would become the same file name: repair the text, e.g. with toWellFormed().',
    };
  }
  return undefined;
}

/** Whether a name, as the first one below a root, is the store's own directory. */
export function isStoreDirectoryName(name: string): boolean {
  return isSpellingOf(storeDirectoryName, name);
}

/** Whether a name is, in any directory, a staging directory of the store. */
export function isStagedDirectoryName(name: string): boolean {
  return isSpellingOf(stagedDirectoryName, name);
}

function isSpellingOf(own: string, name: string): boolean {
  if (isShortName(name)) return true;
  // Nearly every name, and every name of every path comes by here: plain ASCII without a dot at its beginning.
  return !/^[!-\-/-~][ -~]*$/.test(name) && plain(name) === own;
}

/**
 * File systems see more names as one than `===` does: NTFS and APFS ignore case (and take 'ſ' for 's'), HFS+ also
 * ignores invisible characters, Windows drops trailing dots and spaces. Nobody misses such names on other systems.
 */
function plain(name: string): string {
  return name
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .normalize('NFKC')
    .replace(/[. ]+$/, '')
    .toUpperCase()
    .toLowerCase();
}

/** The short name that Windows gives a file beside its long one. */
function isShortName(name: string): boolean {
  return /^forewr~\d$/i.test(name);
}

/** https://learn.microsoft.com/windows/win32/fileio/naming-a-file */
function refusedOnWindows(name: string): Refusal | undefined {
  const hint = 'Choose a name that Windows can store.';
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const forbidden = /[<>"|?*\u0000-\u001f]/.exec(name);
  if (forbidden !== null) {
    return { reason: `Windows forbids ${JSON.stringify(forbidden[0])} in names`, hint };
  }
  if (name.includes(':')) return { reason: "on Windows ':' names a stream inside a file", hint };
  if (/[. ]$/.test(name)) {
    return { reason: 'Windows drops the dot or space that the name ends with', hint };
  }
  const device = name.replace(/\..*$/s, '').trimEnd();
  if (/^(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[\d¹²³])$/i.test(device)) {
    return { reason: `'${device}' is a device on Windows`, hint };
  }
  return undefined;
}
