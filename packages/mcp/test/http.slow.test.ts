import { spawn } from 'node:child_process';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { writeFileSync } from 'node:fs';
import { serveHttp } from '#src/http.js';
import { assert, suite, temporaryDirectory } from '@forewrit/testkit';
import { cli, connectHttp, environment, refused } from './mcp-world.js';

const test = suite('Streamable HTTP', { timeoutMs: 60_000 });

const token = 'a token of some length';

test('clients share the store, each in its session', async () => {
  await using directory = temporaryDirectory('mcp-http');
  await using service = await serveHttp({ root: directory.path, port: 0, allowShell: true });
  const [one, other] = await Promise.all([
    connectHttp(service.url, service.token),
    connectHttp(service.url, service.token),
  ]);
  assert.is(service.sessions, 2);
  const { revision } = await one.get('write_file', { path: 'a', content: 'x' });
  assert.is((await other.get('read_file', { path: 'a' }))['revision'], revision);
  await other.fails('write_file', { path: 'a', content: 'y', if_revision: 0 }, 'ERR_CONFLICT');
  await other.fails('read_file', { path: '../a' }, 'ERR_PATH_ESCAPE');
  const ran = await one.get('run_shell', { command: 'cat a' });
  assert.is(ran['output'], 'x');
  const seen: number[] = [];
  const files = Array.from({ length: 3 }, (_, index) => ({ path: `${index}`, content: '' }));
  await one.get('write_files', { files }, { onprogress: ({ progress }) => seen.push(progress) });
  assert.ok(seen.length > 0);
  await one.close();
  await other.close();
});

test('whoever does not give the token is refused', async () => {
  await using directory = temporaryDirectory('mcp-http');
  await using service = await serveHttp({ root: directory.path, port: 0, token: token.replaceAll(' ', '-') });
  assert.match(await refused(connectHttp(service.url, 'wrong')), /401|bearer/i);
  const authorization = `Bearer ${service.token}`;
  const port = Number(new URL(service.url).port);
  const statuses: [Record<string, string>, number][] = [
    [{}, 401],
    [{ authorization: 'Bearer' }, 401],
    [{ authorization: `Basic ${service.token}` }, 401],
    [{ authorization: `Bearer ${service.token}x` }, 401],
    [{ authorization, host: `evil.example:${port}` }, 403],
    [{ authorization, host: '127.0.0.1:1' }, 403],
    [{ authorization, host: `127.0.0.1:${port}.evil.example` }, 403],
    [{ authorization, origin: 'http://evil.example' }, 403],
    [{ authorization, origin: 'null' }, 403],
    [{ authorization, origin: `https://127.0.0.1:${port}` }, 403],
    [{ authorization, 'mcp-session-id': 'unknown' }, 404],
    [{ authorization, origin: `http://127.0.0.1:${port}` }, 400],
    [{ authorization, host: `localhost:${port}` }, 400],
  ];
  for (const [headers, status] of statuses) {
    assert.is(await statusOf(service.url, headers), status, JSON.stringify(headers));
  }
  assert.is(await statusOf(service.url.replace('/mcp', '/other'), { authorization }), 404);
  assert.is(service.sessions, 0);
});

test('a page may call if its origin was allowed', async () => {
  await using directory = temporaryDirectory('mcp-http');
  const allowedOrigins = ['https://Tools.example'];
  await using service = await serveHttp({ root: directory.path, port: 0, allowedOrigins });
  const authorization = `Bearer ${service.token}`;
  assert.is(await statusOf(service.url, { authorization, origin: 'https://tools.example' }), 400);
});

test('a token that is easily guessed is refused', async () => {
  await using directory = temporaryDirectory('mcp-http');
  const start = serveHttp({ root: directory.path, port: 0, token: 'short' });
  await assert.rejectsWithCode(start, 'ERR_INVALID_ARGUMENT');
});

test('sessions that nobody ends make room for new ones', async () => {
  await using directory = temporaryDirectory('mcp-http');
  await using service = await serveHttp({ root: directory.path, port: 0 });
  const first = await connectHttp(service.url, service.token);
  for (let index = 0; index < 105; index += 1)
    await (await connectHttp(service.url, service.token)).client.close();
  assert.ok(service.sessions <= 100);
  assert.match(await refused(first.get('store_status')), /session/);
});

test('the command prints where it listens and the token, once, on standard error', async () => {
  await using directory = temporaryDirectory('mcp-http');
  const first = await commandOver(directory.path, []);
  const printed = first.lines.find((line) => line.startsWith('token: '))!.slice('token: '.length);
  assert.ok(printed.length >= 40);
  const client = await connectHttp(first.url, printed);
  await client.get('write_file', { path: 'a', content: 'x' });
  assert.is(await first.end(), 130);
  assert.is(first.stdout(), '');

  writeFileSync(`${directory.path}.token`, 'kept-in-a-file-of-mine\n');
  const second = await commandOver(directory.path, ['--token-file', `${directory.path}.token`]);
  assert.not.ok(second.lines.some((line) => line.includes('kept-in')));
  // The session of the first is gone with it; its client begins anew.
  const again = await connectHttp(second.url, 'kept-in-a-file-of-mine');
  assert.is((await again.get('read_file', { path: 'a' }))['content'], 'x');
  assert.is(await second.end(), 130);
});

test('a token from the environment is not printed, and commands do not see it', async () => {
  await using directory = temporaryDirectory('mcp-http');
  const secret = 'of-the-environment-only';
  const service = await commandOver(directory.path, ['--allow-shell'], { FOREWRIT_MCP_TOKEN: secret });
  const client = await connectHttp(service.url, secret);
  const ran = await client.get('run_shell', { command: 'echo "[$FOREWRIT_MCP_TOKEN] $HOME"' });
  assert.is(ran['output'], `[] ${process.env['HOME'] ?? ''}\n`);
  await client.close();
  assert.is(await service.end(), 130);
  assert.equal(service.lines.length, 1);
});

async function statusOf(url: string, headers: Record<string, string>): Promise<number> {
  return await new Promise((resolve, reject) => {
    const call = request(url, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
    });
    call.on('response', (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    call.on('error', reject);
    call.end('{}');
  });
}

async function commandOver(root: string, args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [cli, 'mcp', '--root', root, '--http', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...environment(), ...env },
  });
  let stdout = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
  const lines: string[] = [];
  const wanted = args.length === 0 ? 2 : 1;
  await new Promise<void>((resolve) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      if (lines.length === wanted) resolve();
    });
  });
  return {
    lines,
    url: /http:\S+/.exec(lines[0]!)![0],
    stdout: () => stdout,
    async end() {
      child.kill('SIGTERM');
      return await ended;
    },
  };
}

test.run();
