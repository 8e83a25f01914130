import type { SocketConfig } from 'baileys'
import type { ChannelLog } from './ports.ts'

type LibraryLog = SocketConfig['logger']

/**
 * What Baileys says, as far as it may stand in a log: its sentences. The objects it logs beside them hold keys and what
 * people wrote, so they go nowhere.
 */
export function libraryLog(log: ChannelLog): LibraryLog {
  const sentence = (object: unknown, text?: string) => {
    const said = typeof object === 'string' ? object : text
    if (said !== undefined) log.debug(`WhatsApp library: ${said}`)
  }
  const nothing = () => {}
  const quiet: LibraryLog = {
    level: 'warn',
    child: () => quiet,
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: sentence,
    error: sentence,
  }
  return quiet
}

const METHODS = ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const

type Console = Record<(typeof METHODS)[number], (...args: unknown[]) => void> & { [MUTED]?: true }

const MUTED = Symbol('libsignal is muted')

/**
 * Makes libsignal's words to the console go nowhere: it prints whole sessions, private keys included, and has no setting
 * for it. Everybody else's words pass. It stays for as long as the process: a session may be closed after the channel is.
 */
export function muteLibsignal(target: Console): void {
  if (target[MUTED]) return
  target[MUTED] = true
  for (const method of METHODS) {
    const original = target[method]
    target[method] = (...args) => {
      if (!isCalledByLibsignal()) original.apply(target, args)
    }
  }
}

function isCalledByLibsignal(): boolean {
  // The two first lines of the stack are this function's and the muted method's.
  const caller = new Error().stack?.split('\n')[3] ?? ''
  return /[\\/]libsignal[\\/]/.test(caller)
}
