import assert from 'node:assert/strict'
import { test } from 'node:test'
import { containerConfig } from '../store/groups.ts'
import { mergedConfig } from './group-change.ts'

/** What Docker could be told that would take a wall down, under the names people would try. */
const DANGEROUS = {
  ...{ privileged: true, capAdd: ['ALL'], cap_add: ['SYS_ADMIN'], securityOpt: ['seccomp=unconfined'], apparmor: 'unconfined' },
  ...{ devices: ['/dev/sda'], pid: 'host', ipc: 'host', uts: 'host', userns: 'host', cgroupns: 'host', networkMode: 'host' },
  ...{ binds: ['/:/host'], volumes: ['/:/host'], volumesFrom: ['x'], mounts: [{ source: '/' }], tmpfs: ['/x'], user: 'root' },
  ...{
    readonlyRootfs: false,
    env: { LD_PRELOAD: '/x' },
    entrypoint: 'sh',
    image: 'evil',
    runtime: 'x',
    sysctls: {},
    init: false,
  },
  ...{ ports: ['22:22'], publish: ['22'], extraHosts: ['a:1'], dns: ['1.1.1.1'], gpus: 'all', ulimits: {}, oomScoreAdj: -1 },
  ...{ HostConfig: { Privileged: true }, credentials: 'mount', group_add: ['docker'], labels: { x: 'y' }, restart: 'always' },
}

test('no option that could open a container exists in the settings of a group, and naming one changes nothing', () => {
  assert.deepEqual(containerConfig.parse(DANGEROUS), {})
  for (const [name, value] of Object.entries(DANGEROUS)) assert.equal(mergedConfig({}, { [name]: value }).type, 'refused', name)
})

test('what exists takes only harmless values', () => {
  const wrong = [
    { network: 'host' },
    { network: 'container:other' },
    { isolation: 'kata; rm' },
    { isolation: 'host' },
    { limits: { memoryMb: -1 } },
    { limits: { pids: 0 } },
    { limits: { cpus: 0 } },
    { limits: { oomKillDisable: true } },
    { additionalMounts: [{ hostPath: '/x', propagation: 'shared' }] },
    { egress: { policy: 'open', allow: ['*'] } },
  ]
  for (const config of wrong) assert.equal(mergedConfig({}, config).type, 'refused', JSON.stringify(config))
  assert.equal(mergedConfig({}, { isolation: 'runsc', limits: { diskMb: 10, files: 1_000 } }).type, 'merged')
})
