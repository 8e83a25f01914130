import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { TestHost } from '../fakes/host-process.ts'

type Mounts = { groups: { folder: string; mounts: { type: string }[] }[]; roots: { path: string }[]; problem: string | null }

/** A host whose owner has a home with a project and keys in it. */
async function hostWithHome(t: Parameters<typeof TestHost.create>[0]) {
  const host = await TestHost.create(t)
  const home = path.join(host.root, '..', `${path.basename(host.root)}-home`)
  for (const folder of ['projects/app', '.ssh', '.config/nanoclaw']) mkdirSync(path.join(home, folder), { recursive: true })
  writeFileSync(path.join(home, 'projects', 'app', 'notes'), 'notes of the project')
  writeFileSync(path.join(home, '.ssh', 'id_rsa'), 'a private key')
  Object.assign(host.env, { HOME: home })
  const allowlist = path.join(home, '.config', 'nanoclaw', 'mount-allowlist.json')
  const allow = (list: object | string) => writeFileSync(allowlist, typeof list === 'string' ? list : JSON.stringify(list))
  const want = (...mounts: object[]) =>
    host.run(['groups', 'set', 'main', '--config', JSON.stringify({ additionalMounts: mounts })])
  const shell = (command: string) => host.say(`!tool Bash ${JSON.stringify({ command })}`)
  const json = async (...args: string[]) => JSON.parse((await host.run([...args, '--json'])).stdout)
  const told = (words: RegExp) => host.model.requests.some(({ body }) => words.test(JSON.stringify(body)))
  return { host, home, told, allowlist, allow, want, shell, json }
}

test('an agent has the folders the allowlist allows, and hears of the others why not; so do log and audit', async (t) => {
  const { host, told, allow, want, shell, json } = await hostWithHome(t)
  allow({ allowedRoots: [{ path: '~/projects', allowReadWrite: true }, { path: '~/.ssh' }] })
  await want({ hostPath: '~/projects/app', readonly: false }, { hostPath: '~/.ssh', containerPath: 'keys' })
  await host.start()
  assert.match(
    await shell('cat /workspace/extra/app/notes; echo more > /workspace/extra/app/new; ls /workspace/extra'),
    /notes of the project.*app/s,
  )
  assert.ok(told(/~\/\.ssh is not mounted: .{1,20}\.ssh.{1,9} is never mounted/))
  assert.match(host.file('logs', 'nanoclaw.log'), /~\/\.ssh is not mounted/)
  const entries = (await json('audit')) as { act: string; outcome: string; subject: string }[]
  const mounts = entries.filter(({ act }) => act === 'mount').map(({ outcome, subject }) => [outcome, path.basename(subject)])
  assert.deepEqual(mounts, [
    ['done', 'app'],
    ['refused', '.ssh'],
  ])
})

test('an edit of the allowlist takes effect with the next message, without a restart and also where a container is warm', async (t) => {
  const { host, told, allow, want, shell } = await hostWithHome(t)
  allow({ allowedRoots: [{ path: '~/projects' }] })
  await want({ hostPath: '~/projects/app' })
  await host.start()
  const look = () => shell('cat /workspace/extra/app/notes || echo nothing there')
  assert.match(await look(), /notes of the project/)
  allow('{ "allowedRoots": [')
  assert.match(await look(), /nothing there/)
  assert.ok(told(/is not mounted: the allowlist .{1,200} cannot be used/))
  allow({ allowedRoots: [{ path: '~/projects' }] })
  assert.match(await look(), /notes of the project/)
})

test('the command line shows, checks and changes what may be mounted, whether a host runs or not', async (t) => {
  const { host, home, allowlist, allow, want, json } = await hostWithHome(t)
  const check = async (...args: string[]) => (await host.run(['mounts', 'check', ...args])).code
  for (const running of [false, true]) {
    if (running) await host.start()
    assert.equal(await check('~/projects/app'), 1, 'without an allowlist nothing is mounted')
    assert.equal((await host.run(['mounts', 'allow', path.join(home, 'projects'), '--rw', '--description', 'work'])).code, 0)
    assert.equal(await check('~/projects/app'), 0)
    assert.equal((await json('mounts', 'check', '~/projects/app', '--rw')).readonly, false)
    await want({ hostPath: '~/projects/app' }, { hostPath: '~/.ssh' })
    const listed = (await json('mounts', 'list')) as Mounts
    assert.deepEqual(
      listed.groups[0]?.mounts.map(({ type }) => type),
      ['allowed', 'refused'],
    )
    assert.equal((await host.run(['mounts', 'remove', '~/projects'])).code, 0)
    assert.equal(await check('~/projects/app'), 1)
    assert.equal((await host.run(['mounts', 'remove', '~/projects'])).code, 2, 'it is not there any more')
  }
  allow('nonsense')
  assert.match((await host.run(['mounts', 'list'])).stdout, /cannot be used/)
  assert.equal((await host.run(['mounts', 'allow', '~/projects'])).code, 2, 'what a person wrote is not thrown away')
  assert.equal(readFileSync(allowlist, 'utf8'), 'nonsense')
  const acts = ((await json('audit')) as { by: string; act: string }[]).filter(({ by }) => by === 'owner').map(({ act }) => act)
  assert.deepEqual(acts.slice(0, 4), ['allow-mount', 'set', 'remove-mount', 'remove-mount'])
})
