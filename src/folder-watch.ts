import { unwatchFile, watchFile } from 'node:fs'

const POLL_MS = 1_000

/**
 * Calls `onChange` within about a second after the entries of a folder changed, until the returned function is called. It stands
 * beside `fs.watch`, which may stay silent for ever: libuv registers its inotify descriptor through a batch of io_uring and can
 * lose that (1.52 on Linux 6.18; UV_USE_IO_URING does not affect it), and network file systems and folders that a virtual machine
 * shares have no events. Costs one stat each second, in libuv's thread pool. Never keeps the process alive.
 */
export function pollFolder(folder: string, onChange: () => void): () => void {
  const listener = () => onChange()
  watchFile(folder, { interval: POLL_MS, persistent: false }, listener)
  return () => unwatchFile(folder, listener)
}
