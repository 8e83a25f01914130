import assert from 'node:assert/strict'
import { test } from 'node:test'
import { installedRuntimes, podmanProfile, refuseOldPodman } from './podman.ts'

test("Podman's containers carry no SELinux label, or they could not reach their gateway", () => {
  assert.deepEqual(podmanProfile({ user: '1000:1000', rootless: false }), { SecurityOpt: ['label=disable'] })
})

test('whoever runs rootless Podman is the user of the container, whatever its number', () => {
  assert.equal(podmanProfile({ user: '1007:100', rootless: true }).UsernsMode, 'keep-id:uid=1007,gid=100')
})

test('of the runtimes that Podman names, those count that are there', () => {
  const exists = (file: string) => ['/usr/bin/runc', '/usr/local/bin/runsc'].includes(file)
  const known = ['crun', 'kata', 'runc', 'runsc']
  assert.deepEqual(installedRuntimes(known, { platform: 'linux', exists }), ['runc', 'runsc'])
  assert.deepEqual(installedRuntimes(known, { platform: 'darwin', exists }), known)
})

test('a Podman that cannot map its user is refused', () => {
  for (const version of ['3.4.4', '4.2.1']) assert.throws(() => refuseOldPodman(version), { code: 'engine.too-old' })
  for (const version of ['4.3.1', '4.10.0', '5.0.0-rc1']) refuseOldPodman(version)
})
