import type { Command } from 'commander'
import { type Config, loadConfig } from '../../config.ts'
import { AppError } from '../../domain/errors.ts'
import { Secrets } from '../../secrets.ts'
import { report as described } from '../exit.ts'
import type { CommandContext } from '../groups.ts'
import type { CheckResult, Report } from './doctor.ts'
import { fail, type Status } from './finding.ts'

/** Adds `doctor`. It ends with 1 when something is broken, and with 0 when there are at most warnings. */
export function doctorCommand(program: Command, { env, print, say, done }: CommandContext): void {
  program
    .command('doctor')
    .description('what is wrong with this installation, why it matters, and what to do')
    .option('--json', 'as JSON')
    .option('--fix', 'put right what can be without harm, then look again')
    .exitOverride()
    .action(async ({ json, fix }: { json?: true; fix?: true }) => {
      const { report, redact } = await examined({ env, fix: fix ?? false, say })
      print(redact(json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report)))
      done(report.worst === 'fail' ? 1 : 0)
    })
}

type Examined = { report: Report; redact: (text: string) => string }

async function examined({ env, fix, say }: Pick<CommandContext, 'env' | 'say'> & { fix: boolean }): Promise<Examined> {
  const config = usableConfig(env)
  if (config instanceof AppError) return { report: unusable(config), redact: (text) => text }
  const { redact } = new Secrets(config)
  const { examine, repairAll } = await import('./doctor.ts')
  const { Patient } = await import('./patient.ts')
  const patient = () => new Patient({ config, env })
  const report = await examine(patient())
  if (!fix) return { report, redact }
  for (const line of await repairAll({ report, patient: patient() })) say(redact(line))
  return { report: await examine(patient()), redact }
}

function usableConfig(env: CommandContext['env']): Config | AppError {
  try {
    return loadConfig(env)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

/** Without settings nothing else can be looked at. */
function unusable(error: AppError): Report {
  const finding = fail({
    what: 'The settings cannot be used',
    why: described(error),
    fix: 'Correct them in .env or the environment',
  })
  return { worst: 'fail', checks: [{ id: 'settings', ...finding }] }
}

const MARKS: Record<Status, string> = { ok: 'ok  ', skip: '-   ', warn: 'WARN', fail: 'FAIL' }

export function renderReport({ checks }: Report): string {
  const width = Math.max(...checks.map(({ id }) => id.length))
  const count = (status: Status) => checks.filter((check) => check.status === status).length
  const lines = checks.flatMap((check) => [
    `${MARKS[check.status]}  ${check.id.padEnd(width)}  ${check.what}`,
    ...advice(check, width),
  ])
  return `${lines.join('\n')}\n\n${count('fail')} broken, ${count('warn')} warnings, ${count('ok')} in order.\n`
}

function advice({ why, fix }: CheckResult, width: number): string[] {
  const indent = ' '.repeat(width + 8)
  const lines = (title: string, text: string) =>
    text.split('\n').map((line, at) => `${indent}${at === 0 ? title : '     '}${line}`)
  return [...(why ? lines('why: ', why) : []), ...(fix ? lines('fix: ', fix) : [])]
}
