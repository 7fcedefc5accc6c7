import { pathToFileURL } from 'node:url';
import { InvalidArgumentError, isStoreError } from '#src/errors.js';
import { absolutePath, type Roots } from '#src/path/path.js';
import { checkRoots, parsePath } from '#src/path/path-parser.js';
import { assert, suite } from '@forewrit/testkit';

const roots: Roots = {
  root: '/srv/store',
  named: new Map([
    ['cache', '/var/cache'],
    ['inner', '/srv/store/sub/inner'],
  ]),
  aliases: new Map([
    ['/link/store', ''],
    ['/link/cache', 'cache:'],
  ]),
};
const windowsRoots: Roots = {
  root: 'C:\\Store',
  named: new Map([
    ['cache', 'D:\\Cache'],
    ['share', '\\\\server\\share\\dir'],
  ]),
};

const test = suite('path parser');

// Everything a caller may write, and the one spelling that the store knows it by.
const accepted: readonly (readonly [input: string | URL, path: string])[] = [
  ['a', 'a'],
  ['a/b.json', 'a/b.json'],
  ['./a', 'a'],
  ['a/./b', 'a/b'],
  ['a//b', 'a/b'],
  ['a/', 'a'],
  ['a/b///', 'a/b'],
  ['a/../b', 'b'],
  ['a/b/../../c', 'c'],
  ['a/..', ''],
  ['.', ''],
  ['./', ''],
  ['..a', '..a'],
  ['...', '...'],
  ['a..', 'a..'],
  [' ', ' '],
  ['a b', 'a b'],
  ['a\nb', 'a\nb'],
  ['a\\b', 'a\\b'],
  ['a\\..\\b', 'a\\..\\b'],
  ['~/a', '~/a'],
  ['%2e%2e/a', '%2e%2e/a'],
  ['$HOME', '$HOME'],
  ['-rf', '-rf'],
  ['*', '*'],
  ['CON', 'CON'],
  ['é', 'é'],
  ['日本語/😀', '日本語/😀'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  // The store's names are its own at one place only, or as a whole name.
  ['a/.forewrit', 'a/.forewrit'],
  ['.forewrit.json', '.forewrit.json'],
  ['forewrit', 'forewrit'],
  ['.forewrit-staged2', '.forewrit-staged2'],
  ['.forewrit/../a', 'a'],
  // Absolute, in every spelling of a root.
  ['/srv/store', ''],
  ['/srv/store/', ''],
  ['/srv/store/a/b', 'a/b'],
  ['//srv//store//a', 'a'],
  ['/srv/store/a/../b', 'b'],
  ['/srv/other/../store/b', 'b'],
  ['/../../srv/store/a', 'a'],
  ['/srv/store/../store/a', 'a'],
  ['/link/store/a', 'a'],
  ['/link/store', ''],
  ['/var/cache/a', 'cache:a'],
  ['/var/cache', 'cache:'],
  ['/link/cache/a/b', 'cache:a/b'],
  [new URL('file:///srv/store/a%20b'), 'a b'],
  [new URL('file:///srv/store/a%23b%3Fc'), 'a#b?c'],
  [new URL('file:///srv/store/x/%2e%2e/y'), 'y'],
  [new URL('file://localhost/srv/store/a'), 'a'],
  [pathToFileURL('/srv/store/é%2f'), 'é%2f'],
  // Named roots.
  ['cache:', 'cache:'],
  ['cache:.', 'cache:'],
  ['cache:a', 'cache:a'],
  ['cache:a/../b', 'cache:b'],
  ['cache:a:b', 'cache:a:b'],
  ['cache:./a', 'cache:a'],
  // One that lies in the main root is only another way to write.
  ['inner:', 'sub/inner'],
  ['inner:a', 'sub/inner/a'],
  ['/srv/store/sub/inner/a', 'sub/inner/a'],
  // ':' where no root is meant.
  ['x:y', './x:y'],
  ['./x:y', './x:y'],
  ['./cache:a', './cache:a'],
  ['a/../cache:a', './cache:a'],
  ['Cache:a', './Cache:a'],
  [':', './:'],
  [':a', './:a'],
  ['a/x:y', 'a/x:y'],
  ['/srv/store/cache:a/b', './cache:a/b'],
  ['http:', './http:'],
  ['./http://a', './http:/a'],
  // At the limits.
  ['x'.repeat(255), 'x'.repeat(255)],
  ['é'.repeat(127), 'é'.repeat(127)],
  [`${'x'.repeat(300)}/../a`, 'a'],
  ['./'.repeat(4096) + 'a', 'a'],
  [deepPath(4095 - '/srv/store/'.length), deepPath(4095 - '/srv/store/'.length)],
];

for (const [input, path] of accepted) {
  test(`${show(input)} is ${show(path)}`, () => {
    assert.is(parsePath(input, roots, 'read', 'posix'), path);
  });
}

test('every store path is its own spelling', () => {
  for (const [, path] of accepted) {
    if (path !== '') assert.is(parsePath(path, roots, 'read', 'posix'), path);
    assert.is(parsePath(absolutePath(path, roots), roots, 'read', 'posix'), path);
  }
});

const longestPath = deepPath(4095 - '/srv/store/'.length);

// Everything hostile or mistaken, and the code that it is refused with.
const refused: readonly (readonly [input: unknown, code: string])[] = [
  [undefined, 'ERR_INVALID_ARGUMENT'],
  [null, 'ERR_INVALID_ARGUMENT'],
  [0, 'ERR_INVALID_ARGUMENT'],
  [7n, 'ERR_INVALID_ARGUMENT'],
  [true, 'ERR_INVALID_ARGUMENT'],
  [Symbol('a'), 'ERR_INVALID_ARGUMENT'],
  [() => 'a', 'ERR_INVALID_ARGUMENT'],
  [{}, 'ERR_INVALID_ARGUMENT'],
  [['a'], 'ERR_INVALID_ARGUMENT'],
  [Buffer.from('a'), 'ERR_INVALID_ARGUMENT'],
  [Object('a'), 'ERR_INVALID_ARGUMENT'],
  [{ toString: () => 'a' }, 'ERR_INVALID_ARGUMENT'],
  [{ href: 'not a url', protocol: 'file:' }, 'ERR_INVALID_ARGUMENT'],
  ['', 'ERR_INVALID_ARGUMENT'],

  ['\0', 'ERR_INVALID_PATH'],
  ['a\0b', 'ERR_INVALID_PATH'],
  ['a.json\0.txt', 'ERR_INVALID_PATH'],
  ['a\0/../b', 'ERR_INVALID_PATH'],
  ['/srv/store/a\0', 'ERR_INVALID_PATH'],
  ['cache:\0', 'ERR_INVALID_PATH'],
  ['\ud800', 'ERR_INVALID_PATH'],
  ['a\udc00b', 'ERR_INVALID_PATH'],
  ['\udc00\ud800', 'ERR_INVALID_PATH'],
  ['x'.repeat(256), 'ERR_INVALID_PATH'],
  ['a/' + 'é'.repeat(128), 'ERR_INVALID_PATH'],
  [`cache:${'x'.repeat(256)}/a`, 'ERR_INVALID_PATH'],
  [`${longestPath}x`, 'ERR_INVALID_PATH'],
  ['./'.repeat(100_000) + 'a', 'ERR_INVALID_PATH'],
  ['a'.repeat(10_000_000), 'ERR_INVALID_PATH'],

  ['..', 'ERR_PATH_ESCAPE'],
  ['../', 'ERR_PATH_ESCAPE'],
  ['../x', 'ERR_PATH_ESCAPE'],
  ['./../x', 'ERR_PATH_ESCAPE'],
  ['a/../../b', 'ERR_PATH_ESCAPE'],
  ['a/../..', 'ERR_PATH_ESCAPE'],
  ['a//../..', 'ERR_PATH_ESCAPE'],
  // Leaves, and would come back.
  ['../store/a', 'ERR_PATH_ESCAPE'],
  ['a/../../store/b', 'ERR_PATH_ESCAPE'],
  ['../'.repeat(50) + 'etc/passwd', 'ERR_PATH_ESCAPE'],
  ['/', 'ERR_PATH_ESCAPE'],
  ['/etc/passwd', 'ERR_PATH_ESCAPE'],
  ['/srv', 'ERR_PATH_ESCAPE'],
  // Not by string prefix.
  ['/srv/storeroom/a', 'ERR_PATH_ESCAPE'],
  ['/srv/store2', 'ERR_PATH_ESCAPE'],
  ['/srv/store..', 'ERR_PATH_ESCAPE'],
  ['/srv/STORE/a', 'ERR_PATH_ESCAPE'],
  ['/var/cached/a', 'ERR_PATH_ESCAPE'],
  ['/link/stored', 'ERR_PATH_ESCAPE'],
  ['/srv/store/../x', 'ERR_PATH_ESCAPE'],
  ['/srv/store/a/../../x', 'ERR_PATH_ESCAPE'],
  ['/srv/store/../../etc/passwd', 'ERR_PATH_ESCAPE'],
  ['/link/store/../x', 'ERR_PATH_ESCAPE'],

  [new URL('file:///etc/passwd'), 'ERR_PATH_ESCAPE'],
  [new URL('file:///srv/store/../x'), 'ERR_PATH_ESCAPE'],
  [new URL('file:///srv/store/%2e%2e/x'), 'ERR_PATH_ESCAPE'],
  [new URL('file:///srv/store/%2E./x'), 'ERR_PATH_ESCAPE'],
  [new URL('file:///srv/store/..%2fx'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/%2e%2e%2Fx'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/a%00b'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/%E0%A4'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/%ED%A0%80'), 'ERR_INVALID_PATH'],
  [new URL('file://host/srv/store/a'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/a?b'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/a#b'), 'ERR_INVALID_PATH'],
  [new URL('file:///srv/store/.forewrit/log'), 'ERR_PATH_RESERVED'],
  [new URL('file:///srv/store/%2eforewrit/log'), 'ERR_PATH_RESERVED'],
  [new URL('http://localhost/srv/store/a'), 'ERR_INVALID_PATH'],
  [new URL('https://example.org/a'), 'ERR_INVALID_PATH'],
  [new URL('data:text/plain,a'), 'ERR_INVALID_PATH'],
  [new URL('node:fs'), 'ERR_INVALID_PATH'],
  ['file:///srv/store/a', 'ERR_INVALID_PATH'],
  ['https://example.org/a', 'ERR_INVALID_PATH'],

  ['.forewrit', 'ERR_PATH_RESERVED'],
  ['.forewrit/', 'ERR_PATH_RESERVED'],
  ['.forewrit/log', 'ERR_PATH_RESERVED'],
  ['.forewrit/log/data.mdb', 'ERR_PATH_RESERVED'],
  ['./.forewrit', 'ERR_PATH_RESERVED'],
  ['.//.forewrit//x', 'ERR_PATH_RESERVED'],
  ['a/../.forewrit/x', 'ERR_PATH_RESERVED'],
  ['.FOREWRIT', 'ERR_PATH_RESERVED'],
  ['.Forewrit/staged/x', 'ERR_PATH_RESERVED'],
  ['.fore\u200cwrit/x', 'ERR_PATH_RESERVED'],
  ['\ufeff.forewrit', 'ERR_PATH_RESERVED'],
  ['.forewrit./x', 'ERR_PATH_RESERVED'],
  ['.forewrit ', 'ERR_PATH_RESERVED'],
  ['．forewrit', 'ERR_PATH_RESERVED'],
  ['.forewrıt', 'ERR_PATH_RESERVED'],
  ['FOREWR~1/log', 'ERR_PATH_RESERVED'],
  ['/srv/store/.forewrit', 'ERR_PATH_RESERVED'],
  ['/srv/store/a/../.forewrit/log', 'ERR_PATH_RESERVED'],
  ['/link/store/.forewrit', 'ERR_PATH_RESERVED'],
  ['.forewrit-staged', 'ERR_PATH_RESERVED'],
  ['a/b/.forewrit-staged/c', 'ERR_PATH_RESERVED'],
  ['a/.FOREWRIT-STAGED', 'ERR_PATH_RESERVED'],
  ['a/.forewrit-ſtaged', 'ERR_PATH_RESERVED'],
  ['cache:.forewrit/log', 'ERR_PATH_RESERVED'],
  ['cache:a/.forewrit-staged/b', 'ERR_PATH_RESERVED'],

  ['cache:..', 'ERR_PATH_ESCAPE'],
  ['cache:../x', 'ERR_PATH_ESCAPE'],
  ['cache:a/../../cache/b', 'ERR_PATH_ESCAPE'],
  // Above its own root, though not above the main one.
  ['inner:../x', 'ERR_PATH_ESCAPE'],
  ['cache:/', 'ERR_INVALID_PATH'],
  ['cache:/etc/passwd', 'ERR_INVALID_PATH'],
  ['cache://etc', 'ERR_INVALID_PATH'],
];

for (const [input, code] of refused) {
  test(`${show(input)} is refused with ${code}`, () => {
    const error = assert.throwsWithCode(() => parsePath(input as string, roots, 'writeFile', 'posix'), code);
    if (code === 'ERR_INVALID_ARGUMENT') {
      assert.instance(error, InvalidArgumentError);
    } else {
      assert.ok(isStoreError(error));
      assert.is(error.op, 'writeFile');
      assert.ok((error.hint ?? '').length > 10, 'a refusal comes with a hint');
      assert.ok((error.path ?? '').length <= 4096 && error.message.length < 1000);
      assert.ok(!error.message.includes('\0') && !error.message.includes('\n'));
    }
  });
}

const onWindows: readonly (readonly [input: string | URL, answer: string])[] = [
  ['a\\b', 'a/b'],
  ['a/b\\c', 'a/b/c'],
  ['a\\..\\b', 'b'],
  ['C:\\Store\\a', 'a'],
  ['c:/store/A', 'A'],
  ['\\\\?\\C:\\Store\\a', 'a'],
  ['D:\\Cache\\x', 'cache:x'],
  ['\\\\server\\share\\dir\\x', 'share:x'],
  ['//SERVER/share/dir/x', 'share:x'],
  ['\\\\?\\UNC\\server\\share\\dir\\x', 'share:x'],
  ['cache:a\\b', 'cache:a/b'],
  [new URL('file:///C:/Store/a%20b'), 'a b'],
  ['context', 'context'],
  ['console.log', 'console.log'],
  ['COM', 'COM'],
  ['com10', 'com10'],
  ['.hidden', '.hidden'],
  ['..\\x', 'ERR_PATH_ESCAPE'],
  ['a\\..\\..\\x', 'ERR_PATH_ESCAPE'],
  ['cache:..\\x', 'ERR_PATH_ESCAPE'],
  ['C:\\Windows', 'ERR_PATH_ESCAPE'],
  ['C:\\Storeroom\\a', 'ERR_PATH_ESCAPE'],
  ['C:\\Store\\..\\x', 'ERR_PATH_ESCAPE'],
  ['\\\\server\\other\\x', 'ERR_PATH_ESCAPE'],
  ['\\\\.\\PhysicalDrive0\\x', 'ERR_INVALID_PATH'],
  ['C:a', 'ERR_INVALID_PATH'],
  ['c:', 'ERR_INVALID_PATH'],
  ['\\a', 'ERR_INVALID_PATH'],
  ['/a', 'ERR_INVALID_PATH'],
  ['cache:\\a', 'ERR_INVALID_PATH'],
  ['CON', 'ERR_INVALID_PATH'],
  ['a/con', 'ERR_INVALID_PATH'],
  ['nul.txt', 'ERR_INVALID_PATH'],
  ['NUL.tar.gz', 'ERR_INVALID_PATH'],
  ['aux .txt', 'ERR_INVALID_PATH'],
  ['com1', 'ERR_INVALID_PATH'],
  ['LPT¹.x', 'ERR_INVALID_PATH'],
  ['conin$', 'ERR_INVALID_PATH'],
  ['a.', 'ERR_INVALID_PATH'],
  ['a ', 'ERR_INVALID_PATH'],
  ['a./b', 'ERR_INVALID_PATH'],
  ['...', 'ERR_INVALID_PATH'],
  ['a:stream', 'ERR_INVALID_PATH'],
  ['./a:b', 'ERR_INVALID_PATH'],
  ['a/b::$DATA', 'ERR_INVALID_PATH'],
  ['a?', 'ERR_INVALID_PATH'],
  ['a*', 'ERR_INVALID_PATH'],
  ['a<b', 'ERR_INVALID_PATH'],
  ['a"b', 'ERR_INVALID_PATH'],
  ['a|b', 'ERR_INVALID_PATH'],
  ['a\nb', 'ERR_INVALID_PATH'],
  ['a\u0001', 'ERR_INVALID_PATH'],
  ['.ForeWrit\\log', 'ERR_PATH_RESERVED'],
  ['forewr~1\\log', 'ERR_PATH_RESERVED'],
  ['a\\.forewrit-staged\\b', 'ERR_PATH_RESERVED'],
];

for (const [input, answer] of onWindows) {
  const isCode = answer.startsWith('ERR_');
  test(`on Windows ${show(input)} is ${isCode ? `refused with ${answer}` : show(answer)}`, () => {
    if (isCode) assert.throwsWithCode(() => parsePath(input, windowsRoots, 'read', 'win32'), answer);
    else assert.is(parsePath(input, windowsRoots, 'read', 'win32'), answer);
  });
}

test('a root that is the top of the file system holds every absolute path', () => {
  const all: Roots = { root: '/', named: new Map() };
  assert.is(parsePath('/etc/passwd', all, 'read', 'posix'), 'etc/passwd');
  assert.is(parsePath('/../etc', all, 'read', 'posix'), 'etc');
  assert.is(absolutePath('etc', all), '/etc');
  assert.is(absolutePath('', all), '/');
  assert.throwsWithCode(() => parsePath('../etc', all, 'read', 'posix'), 'ERR_PATH_ESCAPE');
});

const badRoots: readonly (readonly [name: string, directory: string, code: string])[] = [
  ['a', '/other', 'ERR_INVALID_PATH'],
  ['', '/other', 'ERR_INVALID_PATH'],
  ['a/b', '/other', 'ERR_INVALID_PATH'],
  ['a:b', '/other', 'ERR_INVALID_PATH'],
  ['..', '/other', 'ERR_INVALID_PATH'],
  ['a\0', '/other', 'ERR_INVALID_PATH'],
  ['.forewrit', '/other', 'ERR_INVALID_PATH'],
  ['other', 'relative', 'ERR_INVALID_PATH'],
  ['other', '/', 'ERR_INVALID_PATH'],
  ['other', '/srv', 'ERR_INVALID_PATH'],
  ['other', '/var/cache', 'ERR_INVALID_PATH'],
  ['other', '/var', 'ERR_INVALID_PATH'],
  ['other', '/var/cache/deeper', 'ERR_INVALID_PATH'],
  ['other', '/srv/store/.forewrit/staged', 'ERR_PATH_RESERVED'],
];

for (const [name, directory, code] of badRoots) {
  test(`a root ${show(name)} at ${directory} is refused with ${code}`, () => {
    const more = { ...roots, named: new Map([...roots.named, [name, directory]]) };
    assert.throwsWithCode(() => checkRoots(more, 'open', 'posix'), code);
  });
}

test('roots beside each other, or inside the main one, are fine', () => {
  checkRoots(roots, 'open', 'posix');
  checkRoots(windowsRoots, 'open', 'win32');
  const more = new Map([
    ...roots.named,
    ['same', '/srv/store'],
    ['cached', '/var/cached'],
    ['deep', '/srv/store/sub'],
  ]);
  checkRoots({ ...roots, named: more }, 'open', 'posix');
});

/** Of exactly so many bytes, from names that are short enough. */
function deepPath(bytes: number): string {
  const path = `${'d'.repeat(200)}/`.repeat(Math.ceil(bytes / 201)).slice(0, bytes);
  return path.endsWith('/') ? `${path.slice(0, -1)}d` : path;
}

function show(input: unknown): string {
  if (input instanceof URL) return `the URL ${input.href}`;
  const text = typeof input === 'string' ? JSON.stringify(input) : typeof input;
  return text.length <= 60 ? text : `${text.slice(0, 40)}… (${text.length})`;
}

test.run();
