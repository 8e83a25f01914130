import { errorText } from '../../domain/errors.ts'
import { backups } from './backups.ts'
import { clock, zone } from './clock.ts'
import { continuity } from './continuity.ts'
import { database } from './database.ts'
import { engine, isolation, runc } from './engine.ts'
import { envFile, home, root, secrets } from './files.ts'
import { type Check, type Finding, fail, type Status } from './finding.ts'
import { firewall } from './firewall.ts'
import { groups, runLogs, sessionMount, sessions } from './groups.ts'
import { channels, host, troubles } from './host.ts'
import { image } from './image.ts'
import { inside } from './inside.ts'
import { login } from './login.ts'
import { disk, inodes, memory, node } from './machine.ts'
import type { Patient } from './patient.ts'
import { mountList, senderList } from './policies.ts'
import { ports } from './ports.ts'
import { linger, service, wsl } from './service.ts'

/** In the order of a report: what all else stands on comes first. */
export const CHECKS: readonly Check[] = [
  ...[node, root, home, disk, inodes, memory, clock, zone, wsl],
  ...[login, envFile, secrets, mountList, senderList],
  ...[engine, runc, isolation, ports, image, inside, firewall],
  ...[database, groups, sessionMount, sessions, continuity, runLogs, backups],
  ...[host, channels, troubles, service, linger],
]

export type CheckResult = { id: string } & Finding
export type Report = { worst: Status; checks: CheckResult[] }

/** Looks at everything, side by side. Never rejects: a look that fails is a finding. */
export async function examine(patient: Patient, checks: readonly Check[] = CHECKS): Promise<Report> {
  const results = await Promise.all(checks.map(async (check) => ({ id: check.id, ...(await finding(check, patient)) })))
  return { worst: worstOf(results), checks: results }
}

/** Puts right what can be without harm, one after the other; a line for each, for the person. */
export async function repairAll({
  report,
  patient,
  checks = CHECKS,
}: {
  report: Report
  patient: Patient
  checks?: readonly Check[]
}): Promise<string[]> {
  const lines: string[] = []
  for (const { id, status } of report.checks) {
    const repair = checks.find((check) => check.id === id)?.repair
    if (repair && (status === 'warn' || status === 'fail')) lines.push(`${id}: ${await repair(patient).catch(errorText)}`)
  }
  return lines
}

async function finding({ look }: Check, patient: Patient): Promise<Finding> {
  try {
    return await look(patient)
  } catch (error) {
    return fail({ what: 'This could not be looked at', why: errorText(error), fix: '' })
  }
}

export function worstOf(findings: readonly { status: Status }[]): Status {
  const order: Status[] = ['fail', 'warn', 'ok']
  return order.find((status) => findings.some((one) => one.status === status)) ?? 'skip'
}
