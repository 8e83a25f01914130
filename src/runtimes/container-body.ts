import type { ContainerSpec, EngineInfo, Mount } from './contract.ts'
import { podmanProfile, podmanTmpfs } from './podman.ts'

/** The body of `POST /containers/create`: the profile of every agent. Nothing in a spec can loosen it. */
export function containerBody(spec: ContainerSpec, engine: Pick<EngineInfo, 'name' | 'rootless'>): Record<string, unknown> {
  return {
    Image: spec.image,
    User: spec.user,
    Labels: spec.labels,
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ...(spec.command && { Entrypoint: spec.command, Cmd: [] }),
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: true,
    // Its stdin ends with our connection, so a container whose host died reads the end of its input.
    StdinOnce: true,
    Tty: false,
    HostConfig: hostConfig(spec, engine),
  }
}

function hostConfig(spec: ContainerSpec, engine: Pick<EngineInfo, 'name' | 'rootless'>): Record<string, unknown> {
  const { memoryBytes, swapBytes, cpus, pids } = spec.limits
  const { SecurityOpt = [], ...own } =
    engine.name === 'podman' ? podmanProfile({ user: spec.user, rootless: engine.rootless }) : {}
  return {
    // The engine's own, so that nothing is left also when we are not there any more.
    AutoRemove: true,
    Init: true,
    Privileged: false,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', ...SecurityOpt],
    ...(spec.isolation && { Runtime: spec.isolation }),
    ReadonlyRootfs: true,
    IpcMode: 'private',
    NetworkMode: spec.network,
    LogConfig: { Type: 'none' },
    Memory: memoryBytes,
    MemorySwap: memoryBytes + swapBytes,
    OomKillDisable: false,
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: pids,
    // A core dump would be written into the group's folder, as large as the memory limit.
    Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
    Mounts: spec.mounts.map(bindMount),
    Tmpfs: Object.fromEntries(
      spec.tmpfs.map(({ target, options }) => [target, engine.name === 'podman' ? podmanTmpfs(options) : options]),
    ),
    ...own,
  }
}

/**
 * A read-only mount leaves out what is mounted below its source: engines before Docker 25 would let the container write
 * there. A missing source is an error, as `--mount` has it; `-v` would make an empty folder of root's.
 */
function bindMount({ source, target, readonly }: Mount): Record<string, unknown> {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: readonly, BindOptions: { NonRecursive: readonly } }
}
