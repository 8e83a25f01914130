export const LABEL = 'com.nanoclaw'
/** The host takes SHUTDOWN_GRACE for what it is doing. */
export const EXIT_TIMEOUT_S = 60

export type PlistParts = {
  launcher: string
  /** NANOCLAW_HOME. */
  root: string
  environment: Readonly<Record<string, string>>
}

type Value = string | number | boolean | readonly Value[] | { readonly [name: string]: Value }

/** launchd's description of the agent: started at login, and again whenever it ends badly. */
export function launchdPlist({ launcher, root, environment }: PlistParts): string {
  const description: Value = {
    Label: LABEL,
    ProgramArguments: [launcher, 'start'],
    WorkingDirectory: root,
    EnvironmentVariables: environment,
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 15,
    ExitTimeOut: EXIT_TIMEOUT_S,
    // The host writes logs/nanoclaw.log itself; only what is said before it does is in the second file.
    StandardOutPath: '/dev/null',
    StandardErrorPath: `${root}/logs/launchd.log`,
  }
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    element(description),
    '</plist>',
    '',
  ].join('\n')
}

function element(value: Value): string {
  if (typeof value === 'string') return `<string>${escaped(value)}</string>`
  if (typeof value === 'number') return `<integer>${value}</integer>`
  if (typeof value === 'boolean') return value ? '<true/>' : '<false/>'
  if (Array.isArray(value)) return block('array', value.map(element))
  return block(
    'dict',
    Object.entries(value).flatMap(([name, inner]) => [`<key>${escaped(name)}</key>`, element(inner)]),
  )
}

function block(name: string, children: readonly string[]): string {
  const lines = children
    .join('\n')
    .split('\n')
    .map((line) => `  ${line}`)
  return [`<${name}>`, ...lines, `</${name}>`].join('\n')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
