import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../../test/fakes/rooms.ts'
import { loadConfig } from '../../config.ts'
import type { ContainerSummary } from '../../runtimes/contract.ts'
import { HostLock } from '../../store/lock.ts'
import { runner } from '../service/run.ts'
import type { Service } from '../service/service.ts'
import { type Extent, uninstall } from './uninstall.ts'

/** An installation with a service, data, libraries, two containers of its own and, with `other`, one of another. */
function installation(
  t: TestContext,
  { other = false, service = 'ours' }: { other?: boolean; service?: 'ours' | 'theirs' } = {},
) {
  const place = temporaryFolder(t)
  const [project, root] = [path.join(place, 'program'), path.join(place, 'root')]
  const put = (...parts: string[]) => {
    mkdirSync(path.join(place, ...parts.slice(0, -1)), { recursive: true })
    writeFileSync(path.join(place, ...parts), parts.at(-1) ?? '')
  }
  for (const name of ['nanoclaw', 'src/a.ts', 'node_modules/b', '.runtime/c', 'dist/index.js']) put('program', ...name.split('/'))
  for (const name of ['groups/main/d', 'data/sessions/e', 'store/messages.db', 'logs/f', '.env', 'mine'])
    put('root', ...name.split('/'))
  writeFileSync(path.join(root, 'data', 'install-id'), 'ours\n')
  put('outside', 'precious')
  const config = loadConfig({ NANOCLAW_HOME: root, CONTAINER_IMAGE: 'the-image' }, path.join(place, 'home'))

  const log: string[] = []
  const container = (id: string, install: string): ContainerSummary => ({
    ...{ id, name: id, state: 'running', binds: [] },
    labels: { 'nanoclaw.install': install },
  })
  const containers = [container('a', 'ours'), container('b', 'ours'), ...(other ? [container('c', 'theirs')] : [])]
  const runtime = { list: async () => containers, remove: async (id: string) => void log.push(`removed container ${id}`) }
  const file = path.join(place, 'nanoclaw.service')
  writeFileSync(file, `ExecStart="${service === 'ours' ? project : '/elsewhere'}/nanoclaw" start\n`)
  const state = { manager: 'systemd', file, installed: true, running: true, detail: '', notes: [] } as const
  const kept = { state: async () => ({ ...state, notes: [] }), uninstall: async () => [`${log.push('service gone')}`] }
  const said: string[] = []
  const real = runner(process.env)
  const go = (extent: Extent) =>
    uninstall(
      {
        ...{ config, project, runtime, say: (text: string) => void said.push(text) },
        services: [kept as unknown as Service],
        run: (argv) => {
          if (argv[0] === 'rm') return real(argv)
          log.push(argv.join(' '))
          return Promise.resolve({ code: 0, stdout: '', stderr: '' })
        },
      },
      extent,
    )
  return { place, project, root, config, log, said, go }
}

test('service, containers, image and libraries go; what the person keeps stays', async (t) => {
  const { project, root, log, go } = installation(t)
  await go('keep-data')
  assert.deepEqual(log, ['service gone', 'removed container a', 'removed container b', 'docker image rm the-image'])
  assert.deepEqual(readdirSync(project).sort(), ['nanoclaw', 'src'])
  assert.deepEqual(readdirSync(root).sort(), ['.env', 'data', 'groups', 'logs', 'mine', 'store'])
  assert.equal(readFileSync(path.join(root, 'groups', 'main', 'd'), 'utf8'), 'd')
})

test('with everything, all that is ours in the folder goes, and what somebody else put there stays', async (t) => {
  const { project, root, go } = installation(t)
  await go('all')
  assert.deepEqual(readdirSync(root), ['mine'])
  assert.deepEqual(readdirSync(project).sort(), ['nanoclaw', 'src'])
})

test('each thing that was removed is named', async (t) => {
  const { project, said, go } = installation(t)
  await go('keep-data')
  const names = ['node_modules', '.runtime', 'dist'].map((name) => `Removed ${path.join(project, name)}`)
  for (const line of names) assert.ok(said.includes(line), line)
})

test('the folder of the data stays with keep-data, also when nothing is in it', async (t) => {
  const { root, go } = installation(t)
  for (const name of readdirSync(root)) if (name !== 'data') execFileSync('rm', ['-r', path.join(root, name)])
  await go('keep-data')
  assert.ok(existsSync(root))
  execFileSync('rm', ['-r', path.join(root, 'data', 'sessions')])
  await go('all')
  assert.equal(existsSync(root), false)
})

test('another installation keeps its service, its containers and the image', async (t) => {
  const { log, go } = installation(t, { other: true, service: 'theirs' })
  await go('all')
  assert.deepEqual(log, ['removed container a', 'removed container b'])
})

test('no link is followed, wherever it stands, and no depth stops it', async (t) => {
  const { place, project, root, go } = installation(t)
  const outside = path.join(place, 'outside')
  symlinkSync(outside, path.join(root, 'groups', 'main', 'link'))
  execFileSync('rm', ['-r', path.join(root, 'logs'), path.join(project, 'node_modules')])
  symlinkSync(outside, path.join(root, 'logs'))
  symlinkSync(outside, path.join(project, 'node_modules'))
  const deeper = "for (let i = 0; i < 60; i++) { fs.mkdirSync('n'.repeat(200)); process.chdir('n'.repeat(200)) }"
  execFileSync(process.execPath, ['-e', deeper], { cwd: path.join(root, 'groups', 'main') })
  await go('all')
  assert.deepEqual(readdirSync(root), ['mine'])
  assert.equal(existsSync(path.join(project, 'node_modules')), false)
  assert.equal(readFileSync(path.join(outside, 'precious'), 'utf8'), 'precious')
})

test('nothing is removed under a host that runs', async (t) => {
  const { config, root, log, go } = installation(t)
  const { lock, holder } = config.paths
  const held = HostLock.take({ lock, holder, pid: process.pid, now: new Date() })
  t.after(() => held.release())
  await assert.rejects(go('all'), { code: 'host.already-running' })
  assert.deepEqual(log, ['service gone'])
  assert.ok(existsSync(path.join(root, 'groups', 'main', 'd')))
})
