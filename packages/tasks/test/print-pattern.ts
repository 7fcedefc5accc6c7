/** A command for tests: prints as many bytes as asked for on each stream, which tell their positions. */

export function pattern(stream: 'stdout' | 'stderr', bytes: number): Buffer {
  const salt = stream === 'stdout' ? 1 : 2;
  const lines: string[] = [];
  for (let at = 0; at < bytes; at += 32) lines.push(`${stream} ${salt} ${at}`.padEnd(31, '.'), '\n');
  return Buffer.from(lines.join('')).subarray(0, bytes);
}

function print(bytes: number, pieceBytes: number): void {
  const rest = { stdout: pattern('stdout', bytes), stderr: pattern('stderr', bytes) };
  const next = (stream: 'stdout' | 'stderr'): void => {
    const piece = rest[stream].subarray(0, pieceBytes);
    rest[stream] = rest[stream].subarray(pieceBytes);
    if (piece.length > 0) process[stream].write(piece, () => setImmediate(next, stream));
  };
  next('stdout');
  next('stderr');
}

if (process.argv[2] === 'print') print(Number(process.argv[3]), Number(process.argv[4]));
