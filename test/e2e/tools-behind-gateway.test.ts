// What an agent's tools reach through the gateway, from inside a real container of the whole profile: the agent itself calls
// them, against servers of this machine that stand for the internet.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, suite, test } from 'node:test'
import { PROJECT } from '../../src/config.ts'
import type { AgentRun } from '../../src/container/agent-run.ts'
import { containerUser } from '../../src/container/folders.ts'
import { ContainerRunner } from '../../src/container-runner.ts'
import { type DemoModel, startDemoModel } from '../../src/demo/server.ts'
import { systemClock } from '../../src/domain/clock.ts'
import { HostCredentials, placeholderEnv } from '../../src/gateway/credentials.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { BOTTOMLESS } from '../../src/gateway/purse.ts'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { DUMMY_KEY } from '../fakes/host-process.ts'
import { type LocalWeb, startLocalWeb } from '../fakes/local-web.ts'
import { patience } from '../fakes/patience.ts'

const IMAGE = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'
const CA = '/workspace/group/ca.crt'

/** Names that lead where no container may go. */
const ELSEWHERE = {
  'metadata.example.com': ['169.254.169.254'],
  'loopback.example.com': ['127.0.0.1'],
  'rebind.example.com': ['93.184.216.34', '10.0.0.1'],
}

/** A page, a git repository, an npm registry and a Python index; what makes them is in the image. */
const MAKE_SITE = `
set -e; cd /site; mkdir web.example.com git.example.com npm.example.com pypi.example.com api.anthropic.com
echo '<h1 id=t>The page</h1><script>document.getElementById("t").append(" ran")</script>' >web.example.com/index.html
mkdir -p api.anthropic.com/api/web; echo '{"domain":"web.example.com","can_fetch":true}' >api.anthropic.com/api/web/domain_info
git init -q -b main /tmp/r; cd /tmp/r; echo cloned >file; git add .; git -c user.name=n -c user.email=e commit -qm hi
git clone -q --bare /tmp/r /site/git.example.com/r.git; git -C /site/git.example.com/r.git update-server-info
mkdir -p /tmp/p/package; cd /tmp/p; echo 'module.exports = "from npm"' >package/index.js
echo '{"name":"tiny","version":"1.0.0"}' >package/package.json; tar czf /site/npm.example.com/tiny.tgz package
sum=$(openssl dgst -sha512 -binary /site/npm.example.com/tiny.tgz | base64 -w0)
jq -n --arg sum "sha512-$sum" '{name: "tiny", "dist-tags": {latest: "1.0.0"}, versions: {"1.0.0": {name: "tiny", version: "1.0.0",
  dist: {tarball: "https://npm.example.com/tiny.tgz", integrity: $sum}}}}' >/site/npm.example.com/tiny
mkdir -p /tmp/w/tiny-1.0.dist-info /site/pypi.example.com/tiny; cd /tmp/w; echo 'word = "from pip"' >tiny.py
printf 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n' >tiny-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' >tiny-1.0.dist-info/WHEEL
printf 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n' >tiny-1.0.dist-info/RECORD
python3 -m zipfile -c /site/pypi.example.com/tiny/tiny-1.0-py3-none-any.whl tiny.py tiny-1.0.dist-info
echo '<a href="tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>' >/site/pypi.example.com/tiny/index.html
`

/** A request as no client would write it, straight to the proxy. */
function raw(line: string): string {
  const request = `printf '${line}\\r\\nHost: web.example.com\\r\\nConnection: close\\r\\n\\r\\n'`
  return `${request} | timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/4180; cat >&3; cat <&3'`
}

/** So that the tools believe the local web's authority. */
const TRUST = { NODE_EXTRA_CA_CERTS: CA, CURL_CA_BUNDLE: CA, GIT_SSL_CAINFO: CA, PIP_CERT: CA, SSL_CERT_FILE: CA }

suite('tools behind the gateway', () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-tools-'))
  const user = containerUser({ uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 })
  let web: LocalWeb
  let model: DemoModel
  let gateway: Gateway
  let run: AgentRun

  before(async () => {
    mkdirSync(path.join(root, 'site'), { mode: 0o777 })
    const made = ['run', '--rm', '--network', 'none', '--user', '0', '-v', `${root}/site:/site`, '--entrypoint', '/bin/bash']
    execFileSync('docker', [...made, IMAGE, '-c', MAKE_SITE], { stdio: 'pipe' })
    web = await startLocalWeb({ folder: root, elsewhere: ELSEWHERE })
    model = await startDemoModel({})
    const credentials = new HostCredentials({ apiKey: DUMMY_KEY })
    const log = { debug() {}, warn() {} }
    gateway = new Gateway({ upstream: new URL(model.url), credentials, log, resolve: web.resolve, connect: web.connect })
    run = await startAgent()
    copyFileSync(web.ca, path.join(root, 'groups/tools/ca.crt'))
    writeFileSync(path.join(root, 'data/sessions/tools/.claude/settings.json'), JSON.stringify({ env: TRUST }))
  })

  after(async () => {
    await run?.kill()
    await run?.ended
    await gateway?.close()
    await model?.close()
    web?.close()
    rmSync(root, { recursive: true, force: true })
  })

  async function startAgent(): Promise<AgentRun> {
    for (const folder of ['groups', 'data']) mkdirSync(path.join(root, folder))
    const network = { network: 'gateway' as const, credentials: 'gateway' as const }
    const place = { root, runs: path.join(root, 'data', 'run'), project: PROJECT, projectEntries: [] }
    const runtime = await engineRuntime({ env: process.env })
    const settings = { ...place, ...network, installId: `test-${randomUUID()}`, image: IMAGE, user, timeZone: 'UTC' }
    const runner = new ContainerRunner(settings, {
      runtime,
      openGateway: ({ folder: _, ...wish }) => gateway.open({ ...wish, purse: BOTTOMLESS }),
      loginFile: async () => ({ placeholder: placeholderEnv('api-key'), real: '' }),
      ...{ judgeMounts: async () => [], mountRulesStamp: () => '', audit: () => {}, isFull: () => false },
      writeSnapshots: () => {},
      redact: (text) => text,
      clock: systemClock,
      log: { info() {}, debug() {}, warn() {}, error() {} },
    })
    const group = { folder: 'tools', name: 'Tools', isMain: false, config: {} }
    const listener = { onSession() {}, onActivity() {} }
    return runner.start({ group, lane: 'chat', chatJid: 'local:tools', sessionId: undefined, assistantName: 'Andy', listener })
  }

  /** What a tool of the agent gave it. */
  async function use(tool: string, input: object): Promise<string> {
    const uuid = randomUUID()
    const prompt = `!tool ${tool} ${JSON.stringify(input)}`
    run.push({ uuid, prompt, chatJid: 'local:tools', earlier: [], siblings: [], timeoutMs: patience(120_000) })
    const { outcome } = await run.settled()
    assert.equal(outcome.type, 'answered', JSON.stringify(outcome))
    return outcome.type === 'answered' ? String(outcome.text) : ''
  }
  const shell = (command: string) => use('Bash', { command, description: 'Try it' })

  for (const [name, command, expected, host] of [
    ['curl', 'curl -sS https://web.example.com/', /The page/, 'web.example.com/'],
    ['curl without TLS', 'curl -sS http://web.example.com/', /The page/, 'web.example.com/'],
    [
      'git over https',
      'cd /tmp && git clone -q https://git.example.com/r.git && cat r/file',
      /cloned/,
      'git.example.com/r.git/info/refs',
    ],
    [
      'npm',
      'mkdir -p /tmp/n && cd /tmp/n && npm install --silent --registry https://npm.example.com tiny && node -p "require(\'tiny\')"',
      /from npm/,
      'npm.example.com/tiny.tgz',
    ],
    [
      'pip',
      'python3 -m venv /tmp/v && /tmp/v/bin/pip -q --disable-pip-version-check install -i https://pypi.example.com tiny && /tmp/v/bin/python -c "import tiny; print(tiny.word)"',
      /from pip/,
      'pypi.example.com/tiny/tiny-1.0-py3-none-any.whl',
    ],
    [
      'fetch in Node',
      'node -e "fetch(\'https://web.example.com/\').then((r) => r.text()).then(console.log)"',
      /The page/,
      'web.example.com/',
    ],
    [
      'urllib in Python',
      'python3 -c "import urllib.request as u; print(u.urlopen(\'https://web.example.com/\').read())"',
      /The page/,
      'web.example.com/',
    ],
    [
      'Chromium',
      'agent-browser --ignore-https-errors open https://web.example.com/ && agent-browser get text h1; agent-browser close',
      /The page ran/,
      'web.example.com/',
    ],
  ] as const) {
    test(`${name} reaches the web`, async () => {
      const before = web.seen.length
      assert.match(await shell(command), expected)
      assert.ok(web.seen.slice(before).includes(host), `seen: ${web.seen.slice(before)}`)
    })
  }

  test("Claude Code's WebFetch reaches the web", async () => {
    const before = web.seen.length
    await use('WebFetch', { url: 'https://web.example.com/', prompt: '!echo it was read' })
    assert.ok(web.seen.slice(before).includes('web.example.com/'), `seen: ${web.seen.slice(before)}`)
    assert.match(JSON.stringify(model.requests.slice(-3).map(({ body }) => body)), /The page/)
  })

  for (const [name, command] of [
    ['the metadata service, by address', 'curl -sS http://169.254.169.254/latest/'],
    ['the metadata service, by a name', 'curl -sS http://metadata.example.com/latest/'],
    ['an address as one number', raw('GET http://2130706433/ HTTP/1.1')],
    ['an address in hex', raw('GET http://0x7f.1/ HTTP/1.1')],
    ['an address of IPv6', raw('CONNECT [::ffff:169.254.169.254]:80 HTTP/1.1')],
    ['a tunnel to a private address', raw('CONNECT 10.0.0.1:443 HTTP/1.1')],
    ['a name of somebody else in front of the host', raw('GET http://web.example.com@10.0.0.1/ HTTP/1.1')],
    ['a name for the loopback', 'curl -sS https://loopback.example.com/'],
    ['a name with one private address', 'curl -sS https://rebind.example.com/'],
    ['another port', 'curl -sS https://web.example.com:22/'],
  ] as const) {
    test(`${name} is refused`, async () => {
      const before = web.seen.length
      assert.match(
        await shell(`${command} 2>&1; echo; echo done`),
        /(HTTP\/1\.1 403|response 403|not on the public internet|not served)[\s\S]*done/,
      )
      assert.equal(web.seen.length, before)
    })
  }

  for (const [name, command] of [
    ['TCP past the proxy', "curl -sS --noproxy '*' --max-time 5 https://93.184.216.34/"],
    ['UDP', `python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('93.184.216.34', 53))"`],
    ['names of the network', 'getent hosts web.example.com'],
    ['raw sockets', 'python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"'],
  ] as const) {
    test(`${name} is not there`, async () => assert.match(await shell(`${command} 2>&1 || echo "it failed"`), /it failed/))
  }

  test('the login is nowhere in the container, and every connection is in the run log', async () => {
    await shell('curl -sS https://web.example.com/; curl -sS http://metadata.example.com/')
    // Spelled so that the search does not find itself.
    const look = `cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /workspace/env-dir/* 2>/dev/null | grep -ac '[s]${DUMMY_KEY.slice(1)}'`
    assert.match(await shell(`${look}; echo looked`), /\b0\s+looked/)
    const logs = path.join(root, 'groups/tools/logs')
    const log = readdirSync(logs)
      .map((name) => readFileSync(path.join(logs, name), 'utf8'))
      .join('')
    assert.match(log, /\[egress\] web\.example\.com:443 \(93\.184\.216\.34\), \d+ bytes up, \d+ down/)
    assert.match(log, /\[egress\] metadata\.example\.com:80.* not reached: metadata\.example\.com is not on the public internet/)
  })
})
