import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs'
import path from 'node:path'

/** The files that git knows or would add. */
export function projectFiles(project: string): string[] {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: project,
    encoding: 'utf8',
  })
  return [...new Set(list.split('\0'))].filter((file) => file !== '' && existsSync(path.join(project, file)))
}

/**
 * A copy of the project to break. Packages stay where they are, but for those that are part of the project: they lead into
 * the copy, so that its tests load what is broken there.
 */
export function copyProject({ project, copy, files }: { project: string; copy: string; files: readonly string[] }): void {
  for (const file of files) cpSync(path.join(project, file), path.join(copy, file), { verbatimSymlinks: true })
  linkPackages({
    from: path.join(project, 'node_modules'),
    to: path.join(copy, 'node_modules'),
    project: realpathSync(project),
    copy,
  })
}

type Linking = { from: string; to: string; project: string; copy: string }

function linkPackages({ from, to, project, copy }: Linking): void {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) {
    const place = path.join(from, name)
    const target = path.join(to, name)
    if (name.startsWith('@') && !lstatSync(place).isSymbolicLink()) linkPackages({ from: place, to: target, project, copy })
    else symlinkSync(inCopy({ place: realpathSync(place), project, copy }), target)
  }
}

function inCopy({ place, project, copy }: { place: string; project: string; copy: string }): string {
  const inside = path.relative(project, place)
  const isOwn = !inside.startsWith('..') && !inside.split(path.sep).includes('node_modules')
  return isOwn ? path.join(copy, inside) : place
}
