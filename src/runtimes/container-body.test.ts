import assert from 'node:assert/strict'
import { test } from 'node:test'
import { containerBody } from './container-body.ts'
import type { ContainerSpec } from './contract.ts'

const spec: ContainerSpec = {
  name: 'nanoclaw-main-1',
  image: 'nanoclaw-agent:latest',
  labels: { 'nanoclaw.group': 'main' },
  user: '1000:1000',
  env: { TZ: 'Europe/Berlin' },
  mounts: [
    { source: '/host/group', target: '/workspace/group', readonly: false },
    { source: '/host/global', target: '/workspace/global', readonly: true },
  ],
  network: 'none',
  tmpfs: [{ target: '/tmp', options: 'rw,exec,size=1g,uid=1000,gid=1000' }],
  limits: { memoryBytes: 1_000, swapBytes: 500, cpus: 1.5, pids: 64 },
}
const docker = { name: 'docker', rootless: false } as const

function hostConfig(engine: Parameters<typeof containerBody>[1] = docker): Record<string, unknown> {
  return containerBody(spec, engine).HostConfig as Record<string, unknown>
}

test('a named runtime is asked for by its name, and none where none is named', () => {
  const { Runtime } = containerBody({ ...spec, isolation: 'runsc' }, docker).HostConfig as { Runtime?: string }
  assert.equal(Runtime, 'runsc')
  assert.ok(!('Runtime' in hostConfig()))
})

test('a container gets the whole profile', () => {
  assert.deepEqual(hostConfig(), {
    AutoRemove: true,
    Init: true,
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    ReadonlyRootfs: true,
    IpcMode: 'private',
    NetworkMode: 'none',
    LogConfig: { Type: 'none' },
    Memory: 1_000,
    MemorySwap: 1_500,
    OomKillDisable: false,
    NanoCpus: 1_500_000_000,
    PidsLimit: 64,
    Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
    Mounts: [
      {
        Type: 'bind',
        Source: '/host/group',
        Target: '/workspace/group',
        ReadOnly: false,
        BindOptions: { NonRecursive: false },
      },
      {
        Type: 'bind',
        Source: '/host/global',
        Target: '/workspace/global',
        ReadOnly: true,
        BindOptions: { NonRecursive: true },
      },
    ],
    Tmpfs: { '/tmp': 'rw,exec,size=1g,uid=1000,gid=1000' },
  })
})

test('the image decides what runs, unless a command is given', () => {
  assert.equal('Entrypoint' in containerBody(spec, docker), false)
  const { Entrypoint, Cmd } = containerBody({ ...spec, command: ['sh', '-c', 'true'] }, docker)
  assert.deepEqual({ Entrypoint, Cmd }, { Entrypoint: ['sh', '-c', 'true'], Cmd: [] })
})

test('Podman is told the owner of a memory file system in its own words', () => {
  assert.deepEqual(hostConfig({ name: 'podman', rootless: false }).Tmpfs, { '/tmp': 'rw,exec,size=1g,U' })
})

test('rootless Podman maps whoever runs it to the user of the container, so that the files of its mounts are its own', () => {
  assert.equal(hostConfig({ name: 'podman', rootless: true }).UsernsMode, 'keep-id:uid=1000,gid=1000')
  assert.equal('UsernsMode' in hostConfig({ name: 'podman', rootless: false }), false)
})
