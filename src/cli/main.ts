import { CommanderError } from 'commander'
import { commands } from './commands.ts'
import { type ExitCode, exitCodeOf, report } from './exit.ts'

/** Runs the command line; resolves with the exit code. */
async function main(argv: string[]): Promise<ExitCode> {
  let code: ExitCode = 0
  try {
    await commands((result) => {
      code = result
    }).parseAsync(argv)
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`${report(error)}\n`)
    return exitCodeOf(error)
  }
}

process.exitCode = await main(process.argv)
// Whatever a library left open must not keep a finished command alive; output to a pipe is flushed first.
process.stdout.write('', () => process.exit())
