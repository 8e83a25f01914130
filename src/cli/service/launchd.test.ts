import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { LaunchdService } from './launchd.ts'
import { launchdPlist } from './launchd-plist.ts'
import type { Argv, Ran } from './run.ts'

const parts = { launcher: '/Users/ada/a & b/nanoclaw', root: '/Users/ada/a & b', environment: { PATH: '/opt/node/bin:/usr/bin' } }

/** After the three lines that every property list begins with. */
const PLIST = `<dict>
  <key>Label</key>
  <string>com.nanoclaw</string>
  <key>ProgramArguments</key>
  <array>
    <string>/Users/ada/a &amp; b/nanoclaw</string>
    <string>start</string>
  </array>
  <key>WorkingDirectory</key>
  <string>/Users/ada/a &amp; b</string>
  <key>EnvironmentVariables</key>
  <dict>
    <key>PATH</key>
    <string>/opt/node/bin:/usr/bin</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>15</integer>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>/Users/ada/a &amp; b/logs/launchd.log</string>
</dict>
</plist>
`

test('a plist says what to run, when to run it again, and where output goes', () => {
  const [, , , ...lines] = launchdPlist(parts).split('\n')
  assert.equal(lines.join('\n'), PLIST)
})

test('launchd is given the plist, asked to stop and start it, and relieved of it', async (t) => {
  const { service, said, file } = agent(t)
  await service.install()
  assert.ok(readFileSync(file, 'utf8').includes('<key>KeepAlive</key>'))
  await service.stop()
  await service.restart()
  await service.uninstall()
  assert.deepEqual(said, [
    `launchctl bootstrap gui/501 ${file}`,
    'launchctl kill SIGTERM gui/501/com.nanoclaw',
    'launchctl kickstart -k gui/501/com.nanoclaw',
    'launchctl bootout gui/501/com.nanoclaw',
  ])
  assert.equal(existsSync(file), false)
})

test('a stop is over when launchd says that the agent has ended, and one that never does is told', async (t) => {
  const { service, said } = agent(t, { looksToEnd: 100 })
  await service.install()
  await service.stop()
  assert.equal((await service.state()).running, false)
  await service.stop()
  assert.equal(said.filter((line) => line.includes('SIGTERM')).length, 1, 'one that has ended is not told again')
  const hung = agent(t, { looksToEnd: Number.POSITIVE_INFINITY })
  await hung.service.install()
  await assert.rejects(hung.service.stop(), /still runs/)
})

test('the state is what launchd prints', async (t) => {
  const { service } = agent(t)
  assert.equal((await service.state()).running, false)
  await service.install()
  const { running, detail } = await service.state()
  assert.deepEqual({ running, detail }, { running: true, detail: 'running, process 77' })
})

test('a service that was never installed says how it is', async (t) => {
  await assert.rejects(agent(t).service.start(), /service install/)
})

/** A launchd that knows one agent, which ends so many looks after it was told to; `said` is what changed it. */
function agent(t: { after(fn: () => void): void }, { looksToEnd = 0 } = {}) {
  const home = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-launchd-'))
  t.after(() => rmSync(home, { recursive: true }))
  const said: string[] = []
  let loaded = false
  let looksLeft = Number.POSITIVE_INFINITY
  const print = (): Ran => {
    const state = looksLeft-- > 0 ? 'running\n\tpid = 77' : 'not running\n\tlast exit code = 0'
    return { code: loaded ? 0 : 113, stdout: `com.nanoclaw = {\n\tstate = ${state}\n}\n`, stderr: '' }
  }
  const run = async (argv: Argv): Promise<Ran> => {
    const verb = argv[1]
    if (verb === 'print') return print()
    said.push(argv.join(' '))
    if (verb === 'bootstrap') loaded = true
    if (verb === 'bootout') loaded = false
    if (verb === 'kill') looksLeft = looksToEnd
    return { code: 0, stdout: '', stderr: '' }
  }
  const user = { name: 'ada', uid: 501, home }
  const service = new LaunchdService({ user, parts: { ...parts, root: home }, run, pause: async () => {} })
  return { service, said, file: path.join(home, 'Library', 'LaunchAgents', 'com.nanoclaw.plist') }
}
