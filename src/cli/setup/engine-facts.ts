import { existsSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { type Environment, findProgram } from './command.ts'
import type { EngineAnswer, EngineFacts } from './engine-plan.ts'

export async function engineFacts(env: Environment): Promise<EngineFacts> {
  const user = os.userInfo()
  const program = (name: string) => findProgram(name, env)
  return {
    answer: await askSockets(engineSockets(env)),
    wanted: env.CONTAINER_RUNTIME === 'podman' ? 'podman' : 'docker',
    platform: process.platform,
    wsl: /microsoft/i.test(textOf('/proc/version')),
    systemd: existsSync('/run/systemd/system'),
    user: {
      name: user.username,
      root: user.uid === 0,
      inDockerGroup: isListed({ user: user.username, groups: textOf('/etc/group') }),
    },
    dockerHost: env.DOCKER_HOST || undefined,
    programs: Object.fromEntries(
      (['apt-get', 'docker', 'dockerd', 'podman', 'sudo'] as const).flatMap((name) => {
        const found = program(name)
        return found ? [[name, found]] : []
      }),
    ),
  }
}

/** Whether the file of groups puts the user into `docker`; what this session may do is another matter. */
export function isListed({ user, groups }: { user: string; groups: string }): boolean {
  const members =
    groups
      .split('\n')
      .find((line) => line.startsWith('docker:'))
      ?.split(':')[3] ?? ''
  return members.split(',').includes(user)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Where engines listen: the one that the environment names, else the usual places. */
export function engineSockets(env: Environment): string[] {
  if (env.DOCKER_HOST) return env.DOCKER_HOST.startsWith('unix://') ? [env.DOCKER_HOST.slice('unix://'.length)] : []
  const docker = [
    '/var/run/docker.sock',
    ...inHome('.docker/run/docker.sock', '.docker/desktop/docker.sock', '.colima/default/docker.sock'),
  ]
  const rootless = env.XDG_RUNTIME_DIR ? [path.join(env.XDG_RUNTIME_DIR, 'docker.sock')] : []
  const podman = [
    ...(env.XDG_RUNTIME_DIR ? [path.join(env.XDG_RUNTIME_DIR, 'podman/podman.sock')] : []),
    '/run/podman/podman.sock',
  ]
  return env.CONTAINER_RUNTIME === 'podman' ? podman : [...docker, ...rootless, ...podman]
}

function inHome(...names: string[]): string[] {
  return names.map((name) => path.join(os.homedir(), name))
}

/** The best answer of the sockets: a working engine before one that refuses this user, before silence. */
export async function askSockets(sockets: readonly string[]): Promise<EngineAnswer> {
  const answers = await Promise.all(sockets.map(askSocket))
  const order: EngineAnswer[] = ['ready', 'denied', 'rootless-docker']
  return order.find((answer) => answers.includes(answer)) ?? 'none'
}

const info = z.object({ SecurityOptions: z.array(z.string()).nullish() })

/** GET /info as Docker and Podman both answer it; Podman names itself in a header of its own, and may be rootless. */
function askSocket(socketPath: string): Promise<EngineAnswer> {
  return new Promise((resolve) => {
    const query = request({ socketPath, path: '/info', timeout: 5_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () =>
        resolve(meaning({ ok: response.statusCode === 200, podman: 'libpod-api-version' in response.headers, body })),
      )
      response.on('error', () => resolve('none'))
    })
    query.on('timeout', () => query.destroy())
    query.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'EACCES' || error.code === 'EPERM' ? 'denied' : 'none'),
    )
    query.end()
  })
}

function meaning({ ok, podman, body }: { ok: boolean; podman: boolean; body: string }): EngineAnswer {
  if (!ok) return 'none'
  if (podman) return 'ready'
  const rootless = info.safeParse(parseJson(body)).data?.SecurityOptions?.some((option) => option.includes('rootless'))
  return rootless ? 'rootless-docker' : 'ready'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
