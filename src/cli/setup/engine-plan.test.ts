import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EngineFacts, type EnginePlan, planEngine } from './engine-plan.ts'

const debian: EngineFacts = {
  answer: 'none',
  wanted: 'docker',
  platform: 'linux',
  wsl: false,
  systemd: true,
  user: { name: 'ada', root: false, inDockerGroup: false },
  dockerHost: undefined,
  programs: { 'apt-get': '/usr/bin/apt-get', sudo: '/usr/bin/sudo' },
}
const root = { name: 'root', root: true, inDockerGroup: false }
const dockerd = { ...debian.programs, docker: '/usr/bin/docker', dockerd: '/usr/sbin/dockerd' }

function commands(plan: EnginePlan): string[] {
  assert.equal(plan.do, 'run')
  return plan.commands.map((argv) => argv.join(' '))
}

function told(plan: EnginePlan): string {
  assert.equal(plan.do, 'tell')
  return plan.what.join('\n')
}

test('an engine that answers needs nothing', () => {
  assert.deepEqual(planEngine({ ...debian, answer: 'ready' }), { do: 'nothing' })
})

test('a machine without an engine gets docker.io, and a normal user the right to use it', () => {
  assert.deepEqual(commands(planEngine(debian)), [
    'sudo env DEBIAN_FRONTEND=noninteractive apt-get update',
    'sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io',
    'sudo usermod -aG docker ada',
  ])
})

test('root installs without sudo and joins no group', () => {
  assert.deepEqual(commands(planEngine({ ...debian, user: root, programs: { 'apt-get': '/usr/bin/apt-get' } })), [
    'env DEBIAN_FRONTEND=noninteractive apt-get update',
    'env DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io',
  ])
})

test('a user without sudo is told what root has to run', () => {
  assert.match(
    told(planEngine({ ...debian, programs: { 'apt-get': '/usr/bin/apt-get' } })),
    /apt-get install docker\.io && usermod -aG docker ada/,
  )
  assert.match(told(planEngine({ ...debian, programs: { dockerd: '/usr/sbin/dockerd' } })), /systemctl start docker/)
  assert.match(told(planEngine({ ...debian, answer: 'denied', programs: {} })), /usermod -aG docker ada/)
})

test('an installed Docker is started by systemd, and by us where there is no init', () => {
  assert.deepEqual(commands(planEngine({ ...debian, programs: dockerd })), ['sudo systemctl start docker'])
  const plan = planEngine({ ...debian, user: root, systemd: false, programs: dockerd })
  assert.equal(plan.do, 'start-dockerd')
  assert.equal(plan.dockerd, '/usr/sbin/dockerd')
})

test('a session older than the group membership is told to renew it, others are offered the membership', () => {
  const member = { ...debian.user, inDockerGroup: true }
  assert.match(told(planEngine({ ...debian, answer: 'denied', user: member })), /newgrp docker/)
  assert.deepEqual(commands(planEngine({ ...debian, answer: 'denied' })), ['sudo usermod -aG docker ada'])
})

test('rootless Docker is refused in favour of rootless Podman', () => {
  assert.match(told(planEngine({ ...debian, answer: 'rootless-docker' })), /rootless Podman/)
})

test('a DOCKER_HOST that does not answer is named, and nothing is installed beside it', () => {
  assert.match(told(planEngine({ ...debian, dockerHost: 'tcp://build:2375' })), /DOCKER_HOST is tcp:\/\/build:2375/)
})

test('WSL with the client of Docker Desktop is sent to Windows, without it gets docker.io', () => {
  assert.match(
    told(planEngine({ ...debian, wsl: true, programs: { ...debian.programs, docker: '/usr/bin/docker' } })),
    /Docker Desktop/,
  )
  assert.equal(commands(planEngine({ ...debian, wsl: true })).length, 3)
})

test('Podman alone, or wanted, has its socket opened; where it is wanted but missing, Docker is not installed', () => {
  const podman = { ...debian.programs, podman: '/usr/bin/podman' }
  assert.deepEqual(commands(planEngine({ ...debian, programs: podman })), ['systemctl --user enable --now podman.socket'])
  assert.deepEqual(commands(planEngine({ ...debian, wanted: 'podman', programs: { ...dockerd, ...podman } })), [
    'systemctl --user enable --now podman.socket',
  ])
  assert.match(told(planEngine({ ...debian, wanted: 'podman' })), /apt-get install podman/)
})

test('macOS and unknown systems are told what to start', () => {
  assert.match(told(planEngine({ ...debian, platform: 'darwin', programs: {} })), /brew install --cask docker/)
  assert.match(told(planEngine({ ...debian, platform: 'freebsd', programs: {} })), /No container engine/)
  assert.match(told(planEngine({ ...debian, programs: {} })), /from your distribution/)
})
