import { mountRules, policyFile } from '../../config.ts'
import { readAllowlist } from '../../mount-security.ts'
import { SenderAllowlist } from '../../sender-allowlist.ts'
import { statOf } from './files.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

export type PolicyFacts = { file: string; state: 'missing' | 'broken' | 'read'; why: string; mode: number; without: string }

export const mountList: Check = {
  id: 'mount-allowlist',
  look: async ({ config }) => {
    const { allowlistFile: file } = mountRules(config)
    const read = readAllowlist(file)
    const state = read.type === 'read' ? 'read' : read.missing ? 'missing' : 'broken'
    const why = read.type === 'read' ? '' : read.why
    return judgePolicy({ file, state, why, mode: modeOf(file), without: 'no group gets a folder of this machine' })
  },
}

export const senderList: Check = {
  id: 'sender-allowlist',
  look: async ({ config }) => {
    const file = policyFile(config.userHome, 'sender-allowlist.json')
    const policy = new SenderAllowlist({ file, onBroken: () => {} }).policy()
    const state = policy.type === 'none' ? 'missing' : policy.type === 'broken' ? 'broken' : 'read'
    const why = policy.type === 'broken' ? policy.why : ''
    return judgePolicy({ file, state, why, mode: modeOf(file), without: EVERYBODY_IS_HEARD })
  },
}

export const EVERYBODY_IS_HEARD =
  'everybody in a registered chat is heard. Anyone who can write there can make the assistant act; SECURITY.md says how to choose who is heard'

function modeOf(file: string): number {
  return (statOf(file)?.mode ?? 0) & 0o777
}

export function judgePolicy({ file, state, why, mode, without }: PolicyFacts): Finding {
  if (state === 'missing') return ok(`There is no ${file}, so ${without}`)
  if (state === 'broken') return fail({ what: `${file} cannot be used`, why, fix: `Correct it, or move it away:  nano ${file}` })
  if ((mode & 0o022) === 0) return ok(`${file} is in force`)
  return warn({ what: `Others may write ${file}`, why: 'It decides what agents get and who is heard.', fix: `chmod 600 ${file}` })
}
