import { execFileSync } from 'node:child_process'

/** Makes sure that a test has a program from the system's packages; where it cannot be installed, the test fails with what to do. */
export function needProgram(name: 'tmux' | 'strace'): void {
  if (isThere(name)) return
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    throw new Error(`This test needs ${name}, and only root on Linux could install it: sudo apt-get install ${name}`)
  const options = { stdio: 'pipe', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const
  execFileSync('apt-get', ['update', '-q'], options)
  execFileSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', name], options)
}

function isThere(name: string): boolean {
  try {
    execFileSync(name, ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
