import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { until } from './patience.ts'
import { needProgram } from './program.ts'

type TestContext = { after(fn: () => unknown): void }

/** A real terminal: a shell in a tmux server of its own, its keyboard, and what stands on its screen. */
export class TmuxTerminal {
  readonly #server = `nanoclaw-${randomUUID()}`

  private constructor() {
    needProgram('tmux')
  }

  static open(
    t: TestContext,
    { columns = 80, rows = 24, env = {} }: { columns?: number; rows?: number; env?: Record<string, string> } = {},
  ): TmuxTerminal {
    const terminal = new TmuxTerminal()
    const settings = Object.entries({ PS1: '$ ', LC_ALL: 'C.UTF-8', ...env }).map(([name, value]) => `${name}=${value}`)
    const size = ['-x', String(columns), '-y', String(rows)]
    terminal.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, 'env', '-u', 'NO_COLOR', ...settings, 'sh')
    t.after(() => terminal.#tmux('kill-server'))
    return terminal
  }

  /** Types text as it is. */
  type(text: string): void {
    this.#tmux('send-keys', '-l', '--', text)
  }

  /** Presses keys by tmux's names: `Enter`, `M-Enter`, `C-c`, `Up`. */
  press(...keys: string[]): void {
    this.#tmux('send-keys', ...keys)
  }

  /** Types a line and presses Enter. */
  enter(line: string): void {
    this.type(line)
    this.press('Enter')
  }

  /** Pastes as a terminal does for a program that wants pastes marked. */
  paste(text: string): void {
    this.#tmux('set-buffer', '--', text)
    this.#tmux('paste-buffer', '-p')
  }

  resize({ columns, rows }: { columns: number; rows: number }): void {
    this.#tmux('resize-window', '-x', String(columns), '-y', String(rows))
  }

  /** What is visible, without the spaces at the ends of lines. `colours` keeps escape sequences. */
  screen({ colours = false }: { colours?: boolean } = {}): string {
    return this.#tmux('capture-pane', '-p', ...(colours ? ['-e'] : [])).trimEnd()
  }

  /** What is visible, and what has scrolled away above it. */
  scrollback(): string {
    return this.#tmux('capture-pane', '-p', '-S', '-').trimEnd()
  }

  cursorColumn(): number {
    return Number(this.#tmux('display-message', '-p', '#{cursor_x}'))
  }

  title(): string {
    return this.#tmux('display-message', '-p', '#{pane_title}').trim()
  }

  /** The program that the shell has started. */
  foregroundPid(): number {
    const shell = this.#tmux('display-message', '-p', '#{pane_pid}').trim()
    return Number(execFileSync('ps', ['-o', 'pid=', '--ppid', shell], { encoding: 'utf8' }).trim())
  }

  /** Waits until the screen shows it; returns the screen. */
  async shows(wanted: Wanted): Promise<string> {
    const isThere = matcher(wanted)
    let screen = ''
    const look = () => {
      screen = this.screen()
      return isThere(screen)
    }
    await until(look, `the terminal shows ${wanted}`, { seen: () => `\n${screen}` })
    return screen
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#server, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }
}

type Wanted = RegExp | string | ((screen: string) => boolean)

function matcher(wanted: Wanted): (screen: string) => boolean {
  if (typeof wanted === 'function') return wanted
  return (screen) => (typeof wanted === 'string' ? screen.includes(wanted) : wanted.test(screen))
}
