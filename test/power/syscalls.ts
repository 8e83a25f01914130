/** A call as strace prints it: strings as bytes, everything else as its text. */
export type Syscall = { name: string; args: (string | Buffer)[]; result: number }

/** All that changes files, and what must be known to follow it. The last line are calls that nothing here should make. */
export const TRACED = [
  ...['openat', 'close', 'write', 'pwrite64', 'ftruncate', 'fsync', 'fdatasync', 'mkdir', 'unlink', 'rmdir', 'rename'],
  ...[
    'open',
    'creat',
    'writev',
    'pwritev',
    'pwritev2',
    'truncate',
    'fallocate',
    'sync_file_range',
    'sendfile',
    'copy_file_range',
  ],
  ...['renameat', 'renameat2', 'unlinkat', 'mkdirat', 'link', 'linkat', 'symlink', 'symlinkat', 'dup', 'dup2', 'dup3'],
]

/** Reads the output of `strace -xx`: in it no string holds a quote, a comma or a line end. */
export function* syscallsOf(trace: string): Generator<Syscall> {
  for (const line of trace.split('\n')) {
    const match = /^(\w+)\((.*)\)\s+= (-?\d+)/.exec(line)
    if (match?.[1] !== undefined && match[2] !== undefined)
      yield { name: match[1], args: match[2].split(', ').map(argument), result: Number(match[3]) }
    else if (line.includes('(')) throw new Error(`strace said something that cannot be read: ${line.slice(0, 200)}`)
  }
}

function argument(text: string): string | Buffer {
  return text.startsWith('"') ? Buffer.from(text.slice(1, text.lastIndexOf('"')).replaceAll('\\x', ''), 'hex') : text
}
