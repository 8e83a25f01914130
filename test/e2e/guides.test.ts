// The published guides, "Container Debugging" and "Linux deployment", command by command in a reader's project folder.
//
// Left out, by name:
// - launchd (`EnvironmentVariables` of a plist) and Docker Desktop: macOS.
// - systemd (`Environment=LOG_LEVEL=debug`, the unit and its management), the firewall and WSL2's `.wslconfig`: they change the machine.
// - `docker builder prune -af`: it would take the build cache of everybody on this machine; it is checked to exist.
// - `-v /path:/container/path:ro` and the two pieces of TypeScript: pieces, not commands.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import { finishedRuns, GUIDE_KEY, GuideProject, type Output } from '../fakes/guide-project.ts'
import { TmuxTerminal } from '../fakes/tmux.ts'

const IMAGE = 'nanoclaw-agent:latest'
const GUIDES = path.join(import.meta.dirname, 'guides')
const DIAGNOSTIC = readFileSync(path.join(GUIDES, 'diagnostic.sh'), 'utf8')
const PRINTED = commands(readFileSync(path.join(GUIDES, 'debugging.sh'), 'utf8'))

/** Named in the comment above. */
const NEVER_RUN = ['Or force full rebuild']
const GUIDE_HEADINGS = [
  'Architecture Overview',
  'Log Locations',
  'Enabling Debug Logging',
  'Common Issues',
  'Manual Container Testing',
  'SDK Options Reference',
  'Rebuilding After Changes',
  'Checking Container Image',
  'Session Persistence',
  'IPC Debugging',
  'Quick Diagnostic Script',
]

const project = new GuideProject()
const pasted = new Set<string>()

describe('a reader of the guides', () => {
  before(() => project.prepare())
  after(() => project.remove())

  test('npm run build writes what older service units start', async () => {
    const { code, stderr } = await asPrinted('Rebuild main app')
    assert.equal(code, 0, stderr)
    assert.ok(statSync(project.path('dist/index.js')).isFile())
  })

  test('./container/build.sh builds the image', async () => {
    // The same files, so every step comes from the cache; a name of its own, so that nobody's image is replaced.
    const own = 'nanoclaw-agent-of-the-guides:latest'
    const { code, stderr } = await asPrinted('Rebuild container', { CONTAINER_IMAGE: own })
    assert.equal(code, 0, stderr)
    const built = docker('image', 'inspect', '--format', '{{index .Config.Labels "nanoclaw.inputs"}} {{.Config.User}}', own)
    assert.match(built, /^[0-9a-f]{16} node\n$/)
    docker('rmi', own)
  })

  test('a full rebuild is a command of this engine (and not run)', () => {
    assert.ok(PRINTED.get('Or force full rebuild')?.startsWith('docker builder prune -af\n'))
    assert.match(docker('builder', 'prune', '--help'), /-a, --all[\s\S]+-f, --force/)
  })

  test('LOG_LEVEL=debug npm run dev starts the host, and two messages are answered in one session', async () => {
    await project.startHost('LOG_LEVEL=debug npm run dev')
    assert.equal(await project.say('!echo first'), 'first')
    await project.stopHost()
    await project.startHost('LOG_LEVEL=debug npm run dev')
    assert.match(await project.say('!history'), /first/)
  })

  test('debug logging shows mounts, stderr as it comes, and a docker run line that can be pasted', async () => {
    const onStderr = JSON.stringify({ command: 'echo said on stderr >/proc/1/fd/2' })
    await project.say(`!tool Bash ${onStderr}`)
    const log = project.file('logs', 'nanoclaw.log')
    assert.ok(log.includes(`${project.path('groups/main')} -> /workspace/group\n`))
    assert.match(log, /DEBUG nanoclaw-main-\d+: said on stderr$/m)
    const line = log
      .matchAll(/ as a command: (docker run .*)$/gm)
      .toArray()
      .at(-1)?.[1]
    const input = { prompt: '!echo pasted', groupFolder: 'main', chatJid: 'local:main', isMain: true }
    const { stdout } = await project.paste(`echo '${JSON.stringify(input)}' | ${line}`)
    assert.deepEqual(resultOf(stdout), { type: 'result', status: 'success', result: 'pasted' })
    assert.ok(!log.includes(GUIDE_KEY))
  })

  test('the logs are where the guides say', () => {
    assert.deepEqual(readdirSync(project.path('logs')).sort(), ['nanoclaw.error.log', 'nanoclaw.log'])
    const runs = readdirSync(project.path('groups/main/logs'))
    assert.equal(runs.length, 2)
    for (const name of runs) {
      assert.match(name, /^container-\d{8}-\d{6}\.log$/)
      for (const part of ['=== mounts ===', '=== input ===', '[stdout] '])
        assert.ok(project.file('groups/main/logs', name).includes(part))
    }
  })

  test('a run is a container of its own, as the deployment guide describes it', () => {
    const [id = ''] = docker('ps', '--quiet', '--filter', `volume=${project.path('groups/main')}`).split('\n')
    const [{ Name, Config, HostConfig, Mounts }] = JSON.parse(docker('inspect', id))
    assert.match(Name, /^\/nanoclaw-main-\d+$/)
    assert.equal(Config.WorkingDir, '/workspace/group')
    assert.ok(Config.Env.includes('HOME=/home/node'))
    assert.deepEqual([HostConfig.AutoRemove, HostConfig.Privileged], [true, false])
    const sources = Object.fromEntries(
      Mounts.map((mount: { Source: string; Destination: string }) => [mount.Destination, mount.Source]),
    )
    assert.equal(sources['/workspace/group'], project.path('groups/main'))
    assert.equal(sources['/workspace/ipc'], project.path('data/ipc/main'))
    assert.equal(sources['/home/node/.claude'], project.path('data/sessions/main/.claude'))
    assert.equal(sources['/workspace/project/.env'], '/dev/null')
  })

  test('the eight checks of the diagnostic script are OK', async () => {
    const before = finishedRuns(IMAGE, '/bin/echo OK')
    const checks = await diagnose(DIAGNOSTIC)
    for (const id of finishedRuns(IMAGE, '/bin/echo OK')) if (!before.includes(id)) docker('rm', id)
    assert.equal(checks.length, 8)
    for (const n of [1, 2, 3, 4, 5]) assert.equal(checks[n - 1]?.answer, 'OK', checks[n - 1]?.question)
    assert.match(checks[5]?.answer ?? '', / global\n[\s\S]* main$/)
    assert.match(checks[6]?.answer ?? '', /^(groups\/main\/logs\/container-\d{8}-\d{6}\.log\n?){2}$/)
    assert.equal(checks[7]?.answer, 'OK (recent sessions reusing IDs)')
  })

  test('the line of the seventh check does no harm without the asterisks that the page lost', async () => {
    const [line = ''] = DIAGNOSTIC.split('\n').filter((line) => line.startsWith('ls -t'))
    const { code, stdout, stderr } = await project.paste(line.replaceAll('*', ''))
    assert.deepEqual([code, stdout, stderr], [0, '', ''])
  })

  shows('Missing Authentication', /^ANTHROPIC_API_KEY=sk-ant-api03-/m)
  shows('Environment Variables Not Passing', new RegExp(`^OAuth: 0 chars, API: ${GUIDE_KEY.length} chars$`))
  shows('Mount Issues', / env-dir\n[\s\S]* extra\n[\s\S]* global\n[\s\S]* group\n[\s\S]* ipc\n[\s\S]* project$/)

  test('Permission Issues: all of /workspace/ and /app/ is owned by node', async () => {
    const { stdout } = await asPrinted('Permission Issues')
    assert.match(stdout, /^node\n/)
    const entries = stdout.split('\n').filter((line) => /^[dl-][rwx-]{9}/.test(line) && !line.endsWith(' ..'))
    assert.ok(entries.length > 8)
    for (const entry of entries) assert.match(entry, /^\S+ +\d+ node +node /)
  })

  shows('Check the mount path', /'\/home\/node\/\.claude'\), \/\/ NOT \/root\/\.claude/)
  shows('Verify sessions are accessible', /^HOME=\/home\/node\ntotal \d+\n/)

  test('Manual Container Testing: set up the env file', async () => {
    assert.equal((await asPrinted('Set up env file')).code, 0)
    assert.equal(project.file('data/env/env'), project.file('.env'))
  })

  test('Run test query: one line of JSON is the result', async () => {
    const { code, stdout } = await asPrinted('Run test query')
    assert.equal(code, 0)
    const { result, ...rest } = resultOf(stdout)
    assert.deepEqual(rest, { type: 'result', status: 'success' })
    assert.match(result, /^You wrote: What is 2\+2\?/)
  })

  shows('Test Claude Code directly', /^You wrote: Say hello/)

  test('Interactive shell in container', async (t) => {
    const terminal = TmuxTerminal.open(t, { columns: 120 })
    terminal.enter(printed('Interactive shell in container'))
    await terminal.shows(/node@\w+:\/workspace\/group\$/)
    terminal.enter('whoami; exit')
    await terminal.shows(/^node$/m)
  })

  shows('List images', /^nanoclaw-agent +latest /m)
  shows("Check what's in the image", /^v24\.[\s\S]+\(Claude Code\)\n[\s\S]+^@anthropic-ai$/m)

  test('Verify session resumption: consecutive messages have the same id', async () => {
    const { stdout } = await asPrinted('Verify session resumption')
    const ids = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ').at(-1))
    assert.ok(ids.length >= 2, 'there are consecutive messages to compare')
    assert.deepEqual(new Set(ids), new Set([await project.sessionOfMain()]))
  })

  shows('Check pending messages', /^total \d/)
  shows('Check pending task operations', /^total \d/)

  test('Read a specific IPC file: what the agent of a manual run wrote', async () => {
    const command = `echo '{"type":"message","text":"from a manual run"}' >/workspace/ipc/messages/1.json`
    const prompt = `!tool Bash ${JSON.stringify({ command })}`
    const query = printed('Run test query').replace(/^echo '.*' \|/, 'echo "$INPUT" |')
    const INPUT = JSON.stringify({ prompt, groupFolder: 'test', chatJid: 'test@g.us', isMain: false })
    project.letNodeWrite('data/ipc/messages')
    await project.paste(query, { env: { INPUT } })
    const { stdout } = await asPrinted('Read a specific IPC file')
    assert.match(stdout, /from a manual run/)
    rmSync(project.path('data/ipc/messages/1.json'))
  })

  shows('Check available groups', /\{/)
  shows('Check current tasks snapshot', /[[{]/)

  describe('docs/debugging.md', () => {
    const text = readFileSync(path.join(PROJECT, 'docs/debugging.md'), 'utf8')

    test('has the headings of the guide', () => {
      const headings = [...text.matchAll(/^## (.*)$/gm)].map((match) => match[1])
      assert.deepEqual(headings, GUIDE_HEADINGS)
    })

    for (const { heading, command } of shellBlocks(text))
      test(`${heading}: ${command.split('\n')[0]}`, async () => {
        await project.say('!echo something to look at')
        if (command.includes('/data/env:')) project.letNodeRead('data/env/env')
        const { code, stdout, stderr } = await project.paste(command, { stopAtError: true })
        assert.equal(code, 0, stderr)
        assert.doesNotMatch(stdout + stderr, /permission denied|cannot be read|no such file/i)
        for (const [part, shown] of DOCUMENTED) if (command.includes(part)) assert.match(stdout, shown)
      })

    test('its way to make a login file by hand makes one that the container reads', async () => {
      for (const made of ['data/env/env', 'groups/test']) rmSync(project.path(made), { recursive: true })
      const make = shellBlocks(text).find(({ heading, command }) => heading === 'Common Issues' && command.startsWith('mkdir'))
      await project.paste(make?.command ?? '')
      const { stdout, stderr } = await asPrinted('Environment Variables Not Passing')
      assert.match(stdout, new RegExp(`API: ${GUIDE_KEY.length} chars`), stderr)
    })

    test('its diagnostic script answers eight times OK', async () => {
      const script = shellBlocks(text).findLast(({ heading }) => heading === 'Quick Diagnostic Script')?.command ?? ''
      const checks = await diagnose(script)
      assert.equal(checks.length, 8)
      assert.doesNotMatch(checks.map(({ answer }) => answer).join('\n'), /MISSING|NOT RUNNING|WRONG|CHECK|No container logs/)
    })
  })

  for (const name of ['Clear all sessions for all groups', 'Clear sessions for a specific group'])
    test(`${name}: the next message begins anew, without a restart`, async () => {
      await project.say('!echo before')
      const session = await project.sessionOfMain()
      for (const command of [name, 'Also clear the session ID']) assert.equal((await asPrinted(command)).code, 0)
      assert.doesNotMatch(await project.say('!history'), /before/)
      assert.notEqual(await project.sessionOfMain(), session)
    })

  test('every printed command was run', () =>
    assert.deepEqual(
      [...PRINTED.keys()].filter((name) => !pasted.has(name)),
      NEVER_RUN,
    ))

  test('a login file that the container may not read is named, not taken for a missing login', async () => {
    const { stderr } = await project.paste(`chmod 000 data/env/env\n${printed('Run test query')}`)
    assert.match(stderr, /^runner: \/workspace\/env-dir\/env cannot be read \(EACCES\)/m)
  })
})

/** What the documented commands show, by a part of the command. */
const DOCUMENTED: [part: string, shown: RegExp][] = [
  ['tail -n 20 logs/nanoclaw.log', /^\d{4}-\d\d-\d\dT\S+Z (INFO|DEBUG) /m],
  ['projects/*/', /\.jsonl$/m],
  ["grep -o 'docker run", /^docker run -i --rm --init .* nanoclaw-agent:latest$/m],
  ['tail -n 20 "$(ls -t', /^\[stdout\] /m],
  ["grep -oE '^(CLAUDE", /^ANTHROPIC_API_KEY=sk-ant-$/m],
  ['.Config.User', /^node$/m],
  ['echo "OAuth:', /^OAuth: 0 chars, API: [1-9]\d* chars$/m],
  ['=== mounts', /-> \/workspace\/group$/m],
  ['ls -la /workspace/', / ipc$/m],
  ['grep -A3 "Claude sessions"', /\/home\/node\/\.claude/],
  ['$HOME/.claude/projects/', /^HOME=\/home\/node\n[\s\S]* -workspace-group$/m],
  ['MCP server', /^All MCP servers started\.$/m],
  ['What is 2+2?', /^\{"type":"result",.*"status":"success"/m],
  ['claude -p', /^You wrote: Say hello$/m],
  ['container/agent-runner/src/options.ts', /cwd: [\s\S]*settingSources: [\s\S]*allowDangerouslySkipPermissions: true/],
  ['docker images', /^nanoclaw-agent +latest /m],
  ['claude --version', /\(Claude Code\)/],
  ['grep "Group main: Session', / Session initialized: [0-9a-f-]{36}$/m],
]

/** A printed command with `main` for the names that the guide leaves open. */
function printed(name: string): string {
  const command = PRINTED.get(name)
  assert.ok(command, name)
  pasted.add(name)
  return command.replaceAll('{groupFolder}', 'main')
}

function asPrinted(name: string, env: NodeJS.ProcessEnv = {}): Promise<Output> {
  const command = printed(name)
  if (command.includes('/data/env:')) project.letNodeRead('data/env/env')
  return project.paste(command, { env })
}

/** The printed command succeeds and shows this. */
function shows(name: string, shown: RegExp, options: { todo?: string } = {}): void {
  test(name, options, async () => {
    const { code, stdout, stderr } = await asPrinted(name)
    assert.equal(code, 0, stderr)
    assert.match(stdout.trimEnd(), shown)
  })
}

/** The result that a manual run prints as its only line, without what differs from run to run. */
function resultOf(stdout: string) {
  assert.match(stdout, /^.*\n$/, 'it is one line')
  const { newSessionId, answerId, consumed, usage, ...result } = JSON.parse(stdout)
  assert.match(newSessionId, /^[0-9a-f-]{36}$/)
  return result
}

/** Runs a diagnostic script; its numbered questions, each with the answer below it. */
async function diagnose(script: string): Promise<{ question: string; answer: string }[]> {
  const { stdout } = await project.paste(script)
  return stdout
    .split(/\n(?=\d\. )/)
    .slice(1)
    .map((check) => {
      const [question = '', ...answer] = check.trim().split('\n')
      return { question, answer: answer.join('\n') }
    })
}

/** Commands by the names that stand above them. */
function commands(text: string): Map<string, string> {
  const parts = text.split(/^#@ (.*)\n/m).slice(1)
  return new Map(parts.flatMap((name, at) => (at % 2 === 0 ? [[name, (parts[at + 1] ?? '').trim()] as const] : [])))
}

/** The blocks of a Markdown text that are marked `sh` and nothing else, each with the `##` heading above it. */
function shellBlocks(text: string): { heading: string; command: string }[] {
  return text.split(/^## /m).flatMap((section) => {
    const [heading = ''] = section.split('\n')
    return [...section.matchAll(/^```sh\n([\s\S]*?)\n```$/gm)].map((match) => ({ heading, command: match[1] ?? '' }))
  })
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8' })
}
