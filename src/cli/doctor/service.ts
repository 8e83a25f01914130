import { errorText } from '../../domain/errors.ts'
import { serviceOf } from '../service/command.ts'
import { serviceFacts, textOf } from '../service/facts.ts'
import { beganBeforeDocker, lingers } from '../service/login-facts.ts'
import type { ServiceState } from '../service/service.ts'
import { closedTo } from '../service/systemd-unit.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'

export const service: Check = {
  id: 'service',
  look: async ({ env, config: { root, backup } }) => {
    try {
      const state = await serviceOf(env, process.getuid?.() === 0).state()
      const needed = backup.folder === undefined ? [root] : [root, backup.folder]
      return judgeService({ ...state, closed: closedTo(textOf(state.file), needed) })
    } catch (error) {
      return skip(`There is no service here: ${errorText(error).split('\n')[0]}`)
    }
  },
}

/** `closed`: folders that it needs, and its sandbox keeps it from writing in. */
export function judgeService({ installed, running, detail, closed }: ServiceState & { closed: readonly string[] }): Finding {
  if (!installed) {
    const why = 'It ends with this terminal, and does not start with the machine.'
    return warn({ what: 'NanoClaw is no service', why, fix: './nanoclaw service install' })
  }
  if (closed.length > 0) {
    const why = 'Its unit was written before that folder was chosen, and its sandbox keeps it closed.'
    return fail({ what: `The service may not write in ${closed.join(', ')}`, why, fix: './nanoclaw service install' })
  }
  if (running) return ok(`The service runs: ${detail}`)
  return warn({ what: `The service does not run: ${detail}`, why: 'Nobody is answered.', fix: './nanoclaw service start' })
}

export const linger: Check = {
  id: 'linger',
  look: async ({ env, run }) => {
    const { systemd, user } = serviceFacts(env)
    if (!systemd || user.uid === 0) return skip('Only a service that systemd runs for an ordinary user needs it')
    return judgeLinger({
      name: user.name,
      uid: user.uid,
      lingers: await lingers({ user, run }),
      stale: await beganBeforeDocker({ user, run }),
    })
  },
  repair: async ({ env, run }) => {
    const { user } = serviceFacts(env)
    const { code, stderr } = await run(['loginctl', '--no-ask-password', 'enable-linger', user.name])
    return code === 0 ? 'The service stays when you log out.' : `loginctl refuses: ${stderr.trim()}`
  },
}

/** `stale`: its systemd began before the user came into the group docker. */
export function judgeLinger({
  name,
  uid,
  lingers,
  stale,
}: {
  name: string
  uid: number
  lingers: boolean
  stale: boolean
}): Finding {
  if (stale) {
    const why = 'What it starts may not reach Docker, though a new shell may.'
    return fail({
      what: `systemd for ${name} began before ${name} came into the group docker`,
      why,
      fix: `Reboot, or: sudo systemctl restart user@${uid}.service`,
    })
  }
  if (lingers) return ok('A service of yours starts at boot and stays when you log out')
  const why = 'A service of yours ends when you log out, and does not start at boot.'
  return warn({ what: `systemd does not keep services of ${name}`, why, fix: `sudo loginctl enable-linger ${name}` })
}

export const wsl: Check = {
  id: 'wsl',
  look: async ({ env }) => judgeWsl({ ...serviceFacts(env), boot: textOf('/etc/wsl.conf') }),
}

export function judgeWsl({ wsl, systemd, boot }: { wsl: boolean; systemd: boolean; boot: string }): Finding {
  if (!wsl) return skip('This is no WSL')
  if (systemd)
    return ok(
      'WSL with systemd. It stops when its last window closes, unless .wslconfig in Windows has  [wsl2]  vmIdleTimeout=-1',
    )
  const asked = /^\s*systemd\s*=\s*true/m.test(boot)
  const why = 'Without it nothing starts NanoClaw or Docker in the background.'
  const fix = asked
    ? 'In Windows:  wsl --shutdown'
    : 'Put  [boot]  and  systemd=true  into /etc/wsl.conf; then in Windows:  wsl --shutdown'
  return warn({ what: 'systemd is off in this WSL', why, fix })
}
