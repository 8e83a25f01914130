import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** `node dist/index.js` starts the host in service units of v1. Plain JavaScript that a Node of any age can run. */
const HAND_OVER = `// Written by \`npm run build\`. Service units of NanoClaw v1 start this file, perhaps with a Node that is too old for the
// sources: it hands over to the launcher, which has the right one.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const launcher = fileURLToPath(new URL('../nanoclaw', import.meta.url))
const args = ['start', ...process.argv.slice(2)]

if (process.execve) process.execve(launcher, [launcher, ...args], process.env)
else superviseLauncher()

// Without execve this process stays, and passes on what is meant for the host. systemd signals every process of the unit
// by itself, a terminal's Ctrl-C reaches both: a second signal would end the host at once instead of gracefully.
function superviseLauncher() {
  const child = spawn(launcher, args, { stdio: 'inherit' })
  const bySystemd = process.env.SYSTEMD_EXEC_PID === String(process.pid)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
    process.on(signal, () => {
      if (!bySystemd && !(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    console.error(\`nanoclaw: \${launcher} cannot be run: \${error.message}\`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
`

/** Writes `dist/index.js` and returns its path. Nothing is compiled: Node runs the sources as they are. */
export function writeDist(project: string): string {
  const file = path.join(project, 'dist', 'index.js')
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, HAND_OVER)
  return file
}
