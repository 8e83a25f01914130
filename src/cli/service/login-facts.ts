import type { ServiceFacts } from './choose.ts'
import { lacksDockerGroup, textOf } from './facts.ts'
import type { Run } from './run.ts'

type Asked = { user: ServiceFacts['user']; run: Run }

/** Does an ordinary user's systemd start at boot, and stay when he logs out? */
export async function lingers({ user, run }: Asked): Promise<boolean> {
  const { stdout } = await run(['loginctl', 'show-user', user.name, '--property=Linger', '--value'])
  return stdout.trim() === 'yes'
}

/** Did his systemd begin before he came into the group docker? */
export async function beganBeforeDocker({ user: { name, uid }, run }: Asked): Promise<boolean> {
  const { stdout } = await run(['systemctl', 'show', `user@${uid}.service`, '--property=MainPID', '--value'])
  return lacksDockerGroup({ name, groups: textOf('/etc/group'), managerStatus: textOf(`/proc/${stdout.trim()}/status`) })
}
