import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Random } from '../../src/cli/bench/random.ts'
import { ALWAYS_BLOCKED, judgeMounts, type MountRules } from '../../src/mount-security.ts'
import { containerConfig } from '../../src/store/groups.ts'
import { altered, anything } from './hostile-json.ts'

const PARTS = [
  'projects',
  'app',
  'deep',
  'link',
  'private',
  '.ssh',
  '.SSH',
  '.env',
  'nanoclaw',
  '..',
  '.',
  '',
  '~',
  'a b',
  'x\0',
  'ａｐｐ',
]
const NAMES = ['app', 'APP', '../x', '/etc', '..', '.claude', 'a/b', '', 'x'.repeat(65), '__proto__']

/** A home with projects, and with keys that some paths lead to. */
export async function openHome() {
  const home = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-fuzz-')))
  chmodSync(home, 0o700)
  const at = (...parts: string[]) => path.join(home, ...parts)
  for (const folder of ['projects/app/deep', 'projects/private/.ssh', '.ssh', 'nanoclaw/data', '.config'])
    mkdirSync(at(folder), { recursive: true })
  symlinkSync(at('.ssh'), at('projects/link'))
  symlinkSync(at('projects/private'), at('projects/app/link'))
  const allowlistFile = at('.config/allowlist.json')
  writeFileSync(allowlistFile, JSON.stringify({ allowedRoots: [{ path: '~/projects', allowReadWrite: true }] }))
  const rules: MountRules = {
    allowlistFile,
    userHome: home,
    own: [at('nanoclaw')],
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  }
  return {
    /** Whatever is wished, what is allowed lies in the root, has nothing blocked on its way or near its top, and a plain name. */
    async round(random: Random) {
      const wishes = Array.from({ length: 1 + random.below(3) }, () => wish(random, home))
      const verdicts = await judgeMounts(wishes, { isMain: random.chance(0.5) }, rules)
      const allowed = verdicts.filter((verdict) => verdict.type === 'allowed')
      for (const { source, target } of allowed) {
        const parts = path.relative(at('projects'), source).split(path.sep)
        assert.ok(['', 'app', 'app/deep'].includes(parts.join('/')) && parts[0] !== '', `${source} was allowed`)
        assert.ok(!parts.some((part) => ALWAYS_BLOCKED.includes(part)))
        assert.match(target, /^\/workspace\/extra\/[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/)
      }
      assert.equal(new Set(allowed.map(({ target }) => target.toLowerCase())).size, allowed.length)
      assert.equal(verdicts.length, wishes.length)
    },
    async close() {
      rmSync(home, { recursive: true })
    },
  }
}

function wish(random: Random, home: string) {
  const start = random.pick([home, '~', '~/projects', '/', '', `${home}/projects/app`, '//', '~root'])
  const hostPath = [start, ...Array.from({ length: random.below(4) }, () => random.pick(PARTS))].join('/')
  const containerPath = random.chance(0.5) ? random.pick(NAMES) : undefined
  return {
    hostPath,
    ...(containerPath === undefined ? {} : { containerPath }),
    ...(random.chance(0.5) ? { readonly: false } : {}),
  }
}

/** Settings of a group that are accepted say what we know, and nothing that an engine would take for an option of its own. */
export function configs(random: Random): void {
  const config = {
    timeout: 5_000,
    additionalMounts: [{ hostPath: '~/projects' }],
    network: 'gateway',
    egress: { policy: 'allowlist', allow: ['example.com'] },
    limits: { memoryMb: 512 },
    mcpServers: { x: { command: 'sh', args: ['-c', 'id'] } },
    isolation: 'runc',
    budget: { dayUsd: 1 },
  }
  const odd = { ...altered(config, random), ...(random.chance(0.5) ? { [random.pick(OPTIONS)]: anything(random) } : {}) }
  const { data } = containerConfig.safeParse(odd)
  if (!data) return
  assert.ok(
    Object.keys(data).every((name) => KNOWN.has(name)),
    JSON.stringify(data),
  )
  assert.ok([undefined, 'gateway', 'bridge', 'none'].includes(data.network))
  assert.ok([undefined, 'runc', 'runsc'].includes(data.isolation))
  assert.ok((data.limits?.memoryMb ?? 256) >= 256 && (data.limits?.pids ?? 32) >= 32)
  assert.equal(Object.getPrototypeOf(data), Object.prototype)
}

const OPTIONS = ['privileged', 'Privileged', 'capAdd', 'devices', 'HostConfig', 'user', 'pid', 'volumes', 'image', '__proto__']
const KNOWN = new Set(Object.keys(containerConfig.shape))
